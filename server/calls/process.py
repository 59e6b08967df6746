"""One media worker as a child process, and the conversation with it over a pair of sockets.

The worker inherits its end of the pair, so there is no path that anybody else could connect to, and it ends when the
hub's end does. On Linux the kernel ends it with the hub besides (server/tether.py), even when it hangs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from server.calls import wire
from server.settings import ROOT

_log = structlog.get_logger(__name__)

_TETHER = ROOT / "server" / "tether.py"
#: what workers see of our environment: no secrets, no settings
_ENVIRONMENT = frozenset(("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ"))
_LOG_LIMIT_BYTES = 5 * 1024 * 1024
_START_SECONDS = 30.0
_END_SECONDS = 5.0
#: Questions that may be under way at once: more of them only pile up in a worker that hangs.
_MOST_ASKED = 2000

R = TypeVar("R", bound=wire.Reply)


class PlaneError(Exception):
    """What a worker refuses, or that it is not there: `code` as in wire.Refused, `lost` or `unavailable`."""

    def __init__(self, code: str, text: str = "") -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code}: {text}" if text else code)


class Process:
    """`start` once; `on_end` is called once when the worker has ended by itself or by `kill`, not after `stop`."""

    def __init__(
        self,
        name: str,
        options: Sequence[str],
        *,
        log_path: Path,
        on_news: Callable[[wire.News], None],
        on_end: Callable[[], None],
    ) -> None:
        self.name = name
        self._options = options
        self._log_path = log_path
        self._on_news = on_news
        self._on_end = on_end
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[int] | None = None
        self._asked: dict[int, asyncio.Future[wire.Reply]] = {}
        self._number = 0
        self._stopping = False
        #: the UDP port that media come in by
        self.port = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def alive(self) -> bool:
        return self._reading is not None and not self._reading.done()

    async def start(self) -> None:
        """Returns when the worker can be asked. Raises PlaneError `unavailable`."""
        self._ready = asyncio.get_running_loop().create_future()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await self._spawn(theirs.fileno())
            except OSError as error:
                ours.close()
                raise PlaneError("unavailable", f"{self.name} cannot be started: {error.strerror}") from None
            except asyncio.CancelledError:
                ours.close()
                raise
        try:
            reader, self._writer = await asyncio.open_connection(sock=ours)
        except asyncio.CancelledError:
            ours.close()
            await self.stop()
            raise
        self._reading = asyncio.create_task(self._read(reader))
        try:
            async with asyncio.timeout(_START_SECONDS):
                self.port = await asyncio.shield(self._ready)
        except TimeoutError:
            await self.stop()
            raise PlaneError("unavailable", f"{self.name} was not ready in time; see {self._log_path}") from None
        except PlaneError:
            await self.stop()
            raise
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def _spawn(self, descriptor: int) -> asyncio.subprocess.Process:
        self._log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._log_path.exists() and self._log_path.stat().st_size > _LOG_LIMIT_BYTES:
            self._log_path.replace(self._log_path.with_suffix(".old.log"))
        command = [sys.executable, "-P", "-m", "server.calls.worker", "--socket", str(descriptor), *self._options]
        if sys.platform == "linux":  # elsewhere the end of the socket is enough
            command = [sys.executable, "-I", "-S", str(_TETHER), "prctl", str(os.getpid()), *command]
        environ = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}
        log = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(descriptor,),
                cwd=ROOT,
                env=environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "MALLOC_ARENA_MAX": "2"},
                start_new_session=True,  # Ctrl-C is for the hub, which ends its workers itself
            )
        finally:
            os.close(log)

    # -- questions

    async def ask(self, make: Callable[[int], wire.Asks], kind: type[R], seconds: float) -> R:
        """The answer to `make(number)`. Raises PlaneError: what was refused, `lost`, or `failed` after `seconds`."""
        if not self.alive or self._writer is None:
            raise PlaneError("lost", f"{self.name} is gone.")
        if len(self._asked) >= _MOST_ASKED:
            raise PlaneError("full", f"{self.name} has too much to do.")
        self._number += 1
        number = self._number
        answer: asyncio.Future[wire.Reply] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._writer.write(wire.framed(make(number)))
            async with asyncio.timeout(seconds):
                reply = await answer
        except TimeoutError:
            raise PlaneError("failed", f"{self.name} did not answer in time.") from None
        finally:
            self._asked.pop(number, None)
        if isinstance(reply, wire.Refused):
            raise PlaneError(reply.code, reply.text)
        if not isinstance(reply, kind):
            raise PlaneError("failed", f"{self.name} answered with {type(reply).__name__}.")
        return reply

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                (length,) = wire.LENGTH.unpack(await reader.readexactly(wire.LENGTH.size))
                if length > wire.MAX_MESSAGE:
                    raise ValueError(f"a message of {length} bytes")
                self._take(wire.replies.decode(await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except (msgspec.DecodeError, ValueError) as error:
            _log.error("call worker not understood", worker=self.name, error=str(error))
        finally:
            self.kill()
            await self._over()

    def _take(self, message: wire.FromWorker) -> None:
        if isinstance(message, wire.Reply):
            answer = self._asked.get(message.id)
            if answer is not None and not answer.done():
                answer.set_result(message)
        elif isinstance(message, wire.Ready):
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(message.port)
        else:
            try:
                self._on_news(message)
            except Exception:
                _log.exception("news of a call worker", worker=self.name)

    async def _over(self) -> None:
        """Tells everybody who waits, and then `on_end`."""
        if self._writer is not None:
            self._writer.close()
        status = None
        if self._process is not None:
            with suppress(asyncio.CancelledError):
                status = await self._process.wait()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(PlaneError("lost", f"{self.name} has died."))
        starting = self._ready is not None and not self._ready.done()
        if starting and self._ready is not None:
            self._ready.set_exception(
                PlaneError("unavailable", f"{self.name} ended while it started; see {self._log_path}")
            )
            self._ready.exception()  # nobody waits for it when the start was given up, and that is no fault
        if self._stopping or starting:
            return
        _log.error("call worker died", worker=self.name, status=status, log=str(self._log_path))
        self._on_end()

    # -- the end

    def kill(self) -> None:
        """Ends the worker at once."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Ends the worker: it is asked by the end of its socket, and killed when it does not follow."""
        self._stopping = True
        if self._process is None:
            return
        if self._reading is None:
            self.kill()
            await self._process.wait()
            return
        if self._ready is not None and not self._ready.done():
            self.kill()  # it does not listen yet, and has nothing to finish
        if self._writer is not None and self._process.returncode is None:
            with suppress(OSError):
                self._writer.write_eof()
            try:
                async with asyncio.timeout(_END_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                _log.warning("call worker killed", worker=self.name, pid=self._process.pid)
        self.kill()
        await self._reading
