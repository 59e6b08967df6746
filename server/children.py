"""A child process that lives exactly as long as this one: started, found ready, watched, restarted, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from server.errors import StartupError

_log = structlog.get_logger(__name__)

_TETHER = Path(__file__).with_name("tether.py")
#: what children see of our environment: no secrets of the server's, no settings of Python
_ENVIRONMENT = frozenset(("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ"))
_LOG_LIMIT_BYTES = 5 * 1024 * 1024
_POLL_SECONDS = 0.01
_WATCH_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0


class Child:
    """One process and its log file.

    `command` is called at every start (a restart may need another one than the first start), `ready` with what the
    process has printed since its start. `environ` comes besides the few variables of ours that every child sees.
    """

    def __init__(
        self,
        name: str,
        *,
        command: Callable[[], Sequence[str]],
        ready: Callable[[str], bool],
        log_path: Path,
        pid_path: Path,
        start_seconds: float = 30.0,
        environ: Mapping[str, str] | None = None,
        tether_mode: str = "prctl" if sys.platform == "linux" else "pipe",
    ) -> None:
        self.name = name
        self._command = command
        self._ready = ready
        self.log_path = log_path
        self._pid_path = pid_path
        self._start_seconds = start_seconds
        self._environ = dict(environ or {})
        self._tether_mode = tether_mode
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0
        self._deadline = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """`spawn`, then `wait`."""
        self.spawn()
        self.wait()

    def wait(self) -> None:
        """Returns when the process is ready. Raises StartupError `child_failed` naming the log file, or `disk_full`."""
        while not self._is_ready():
            time.sleep(_POLL_SECONDS)

    async def restart(self) -> None:
        """As `start`, without holding the event loop."""
        self.spawn()
        while not self._is_ready():  # noqa: ASYNC110 - nobody tells us when another process is ready
            await asyncio.sleep(_POLL_SECONDS)

    def spawn(self) -> None:
        """Starts the process without waiting until it is ready."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children are started from the main thread: they die with the thread that starts them")
        if self.log_path.exists() and self.log_path.stat().st_size > _LOG_LIMIT_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".old.log"))
        descriptor = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._log_offset = os.fstat(descriptor).st_size
            tether = [sys.executable, "-I", "-S", str(_TETHER), self._tether_mode, str(os.getpid())]
            self._process = subprocess.Popen(
                [*tether, *self._command()],
                stdin=subprocess.PIPE if self._tether_mode == "pipe" else subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT} | self._environ,
                # Ctrl-C reaches the whole foreground group; the database must outlive the server's own farewell.
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        self._deadline = time.monotonic() + self._start_seconds
        fresh = self._pid_path.with_suffix(".new")
        fresh.write_text(f"{self._process.pid}\n")
        fresh.replace(self._pid_path)  # whoever reads it reads a number

    def _printed(self) -> str:
        with self.log_path.open("rb") as file:
            file.seek(self._log_offset)
            return file.read(65536).decode("utf-8", "replace")

    def _is_ready(self) -> bool:
        if not self.alive:
            raise self._failure("ended while it started")
        if self._ready(self._printed()):
            return True
        if time.monotonic() > self._deadline:
            self.stop()
            raise self._failure(f"was not ready within {self._start_seconds:.0f} s")
        return False

    def _failure(self, what: str) -> StartupError:
        printed = self._printed()
        if "No space left on device" in printed:
            return StartupError("disk_full", f"The {self.name} found no space left on the disk.", hint="Make room.")
        last = printed.strip().rsplit("\n", 1)[-1].strip()[:200]
        return StartupError(
            "child_failed",
            f"The {self.name} {what}{f' ({last})' if last else ''}.",
            hint=f"Its log is {self.log_path}.",
        )

    async def watch(self) -> None:
        """Restarts the process whenever it dies; runs until cancelled."""
        pause = _WATCH_SECONDS
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self.alive:
                continue
            status = self._process.returncode if self._process is not None else None
            _log.error("child_died", child=self.name, status=status, log=str(self.log_path))
            try:
                await self.restart()
            except (StartupError, OSError) as error:
                _log.error("child_restart_failed", child=self.name, error=str(error), again_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                pause = _WATCH_SECONDS
                _log.warning("child_restarted", child=self.name, pid=self.pid)

    def kill(self) -> None:
        """Ends a process that is past asking; `watch` starts it again."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self, grace_seconds: float = 10.0) -> None:
        """Asks the process to end, insists after `grace_seconds`."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                _log.warning("child_killed", child=self.name, pid=process.pid)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._process = None
        self._pid_path.unlink(missing_ok=True)
