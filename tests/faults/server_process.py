"""The real server as a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 30.0
_AGAIN_SECONDS = 90.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.02


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """`python -m server serve` on one port and data directory, started as often as a test wants.

    `environ` are settings besides (VOUCH_…); `clock` is the file that turns its clock (tests/faults/turned.py), None
    leaves it alone. What all its lives printed is in `log`.
    """

    def __init__(self, directory: Path, environ: Mapping[str, str] | None = None, *, clock: Path | None = None) -> None:
        self.directory = directory
        self.port = free_port()
        self.log = directory.with_name(directory.name + ".log")
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")},
            "VOUCH_LIMITS_FACTOR": "100000",
            "VOUCH_LOG_LEVEL": "warning",
            **(environ or {}),
        }
        module = ["server"] if clock is None else ["tests.faults.turned", str(clock)]
        words = ["serve", "--port", str(self.port), "--data-dir", str(directory)]
        self._command = [sys.executable, "-m", *module, *words]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/v1/socket"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self, *, again: bool = False) -> None:
        """Returns when it is ready to serve. `again`: started anew when it ends before, as a service manager does."""
        self._spawn()
        deadline = time.monotonic() + (_AGAIN_SECONDS if again else _START_SECONDS)
        while not await self.ready():
            assert time.monotonic() < deadline, f"the server is not ready:\n{self.printed()[-2000:]}"
            assert self._process is not None
            if self._process.poll() is not None:
                assert again, f"the server ended while it started:\n{self.printed()[-2000:]}"
                self._spawn()
            await asyncio.sleep(_POLL_SECONDS)

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def ready(self) -> bool:
        try:
            answer = await AsyncHTTPClient().fetch(self.url + "/readyz", request_timeout=2.0, raise_error=False)
        except (OSError, HTTPClientError):  # HTTPClientError: connected, but no answer yet
            return False
        return answer.code == 200

    def children(self) -> dict[str, int]:
        """Name → process id of the embedded programs."""
        return {path.stem: int(path.read_text()) for path in (self.directory / "run").glob("*.pid")}

    async def kill(self) -> None:
        """kill -9; returns when the children are gone as well, which the kernel sees to."""
        assert self._process is not None
        children = self.children()
        self._process.kill()
        self._process.wait()
        await gone(children)

    async def kill_child(self, name: str) -> None:
        """kill -9 of `secantusd` or `redis` alone; returns when it has been started again."""
        before = self.children()[name]
        os.kill(before, signal.SIGKILL)
        deadline = time.monotonic() + _START_SECONDS
        while self.children().get(name, before) == before or not await self.ready():
            assert time.monotonic() < deadline, f"{name} was not started again:\n{self.printed()[-2000:]}"
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> int:
        """SIGTERM; the exit status, when the children are gone as well."""
        assert self._process is not None
        children = self.children()
        self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while (status := self._process.poll()) is None:
            assert time.monotonic() < deadline, f"the server does not stop:\n{self.printed()[-2000:]}"
            await asyncio.sleep(_POLL_SECONDS)
        await gone(children)
        return status

    def end(self) -> None:
        """Whatever happened: no process of ours is left."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


async def gone(processes: Mapping[str, int], seconds: float = 5.0) -> None:
    """Fails when one of these processes is still there after a while."""
    deadline = time.monotonic() + seconds
    for name, pid in processes.items():
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline, f"{name} ({pid}) is an orphan"
            await asyncio.sleep(_POLL_SECONDS)
