"""Worker processes: started anew for each job, bounded, and ended when they take too long.

They are spawned, never forked from this process, see no settings and no secrets, and die with it. One that waits for
its first order is started when somebody begins an upload, so that a picture need not wait for Python.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from server.media.model import FaultCode, MediaKind
from server.media.orders import MIB, Answer, Broken, Made, Order, Refusal, Refused
from server.settings import ROOT

#: what workers see of our environment
_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
#: longest answer, in bytes
_ANSWER = 64 * 1024
#: status of a process that the kernel has ended for its use of the processor
_OUT_OF_TIME = -signal.SIGXCPU
_CRASHES = frozenset(
    -number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
)

log = structlog.get_logger(__name__)


class Bounds(msgspec.Struct, frozen=True):
    """What a job may cost: address space in bytes, seconds of all processors together, seconds altogether."""

    memory: int
    cpu_seconds: int
    seconds: float


#: A decoder of video reserves far more addresses than it ever touches.
BOUNDS: dict[MediaKind, Bounds] = {
    MediaKind.PICTURE: Bounds(1536 * MIB, 60, 120.0),
    MediaKind.VOICE: Bounds(1536 * MIB, 120, 240.0),
    MediaKind.VIDEO: Bounds(3072 * MIB, 1200, 1500.0),
}


class Lost(Exception):
    """The worker was ended by somebody else, or has a fault: the job may be tried again."""


class Workshop:
    """`most` workers at once per kind of work: pictures and voices are quick, and wait for no video."""

    def __init__(self, *, quick: int = 2, slow: int = 1, bounds: dict[MediaKind, Bounds] | None = None) -> None:
        self._quick = asyncio.Semaphore(quick)
        self._slow = asyncio.Semaphore(slow)
        self._bounds = bounds or BOUNDS
        self._spare: asyncio.subprocess.Process | None = None
        self._spawning = asyncio.Lock()
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def warm(self) -> None:
        """Has a worker ready for the next order."""
        async with self._spawning:
            if self._spare is None or self._spare.returncode is not None:
                with suppress(OSError):  # whoever needs it says so
                    self._spare = await spawn()

    async def make(self, name: str, kind: MediaKind, source: Path, into: Path, seconds: int) -> Made:
        """Waits for its turn and makes the thing ready. Raises Refusal, Lost. `name` is for `end`."""
        bounds = self._bounds[kind]
        order = Order(
            kind=kind,
            source=str(source),
            into=str(into),
            seconds=seconds,
            memory=bounds.memory,
            cpu_seconds=bounds.cpu_seconds,
        )
        async with self._slow if kind is MediaKind.VIDEO else self._quick:
            process = await self._worker()
            self._running[name] = process
            try:
                async with asyncio.timeout(bounds.seconds):
                    return _understood(await _carry_out(process, order), process)
            except TimeoutError:
                raise Refusal(FaultCode.TOO_MUCH_WORK) from None
            finally:
                del self._running[name]
                await end(process)

    @property
    def running(self) -> dict[str, int]:
        """Name → process id of what is being made ready."""
        return {name: process.pid for name, process in self._running.items()}

    @property
    def spare(self) -> list[int]:
        """The process id of the worker that waits for an order, if there is one."""
        return [self._spare.pid] if self._spare is not None and self._spare.returncode is None else []

    def end(self, name: str) -> None:
        """Ends the worker of a job that nobody wants any more."""
        if (process := self._running.get(name)) is not None:
            _kill(process)

    async def stop(self) -> None:
        if self._spare is not None:
            await end(self._spare)

    async def _worker(self) -> asyncio.subprocess.Process:
        async with self._spawning:
            spare, self._spare = self._spare, None
        return spare if spare is not None and spare.returncode is None else await spawn()


async def spawn(module: str = "server.media.worker", *arguments: str) -> asyncio.subprocess.Process:
    """A worker that waits for its order: it sees no settings, and no secrets but those in the order."""
    environ = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
        env={**environ, "PYTHONDONTWRITEBYTECODE": "1", "MALLOC_ARENA_MAX": "2"},
        start_new_session=True,  # Ctrl-C is for the server, which ends its workers itself
        limit=_ANSWER,
    )


async def _carry_out(process: asyncio.subprocess.Process, order: Order) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(ConnectionError):  # it is dead already: the empty answer tells
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        await process.stdin.drain()
    line = await process.stdout.readline()
    await process.wait()
    return line


def _understood(line: bytes, process: asyncio.subprocess.Process) -> Made:
    if not line:
        status = process.returncode or 0
        if status == _OUT_OF_TIME:
            raise Refusal(FaultCode.TOO_MUCH_WORK)
        if status in _CRASHES:  # a library has met what it was not made for
            log.warning("media worker crashed", signal=signal.Signals(-status).name)
            raise Refusal(FaultCode.DAMAGED)
        raise Lost(f"ended with status {status}")
    answer: Made | Refused | Broken = msgspec.json.decode(line, type=Answer)
    if isinstance(answer, Refused):
        raise Refusal(answer.code)
    if isinstance(answer, Broken):
        log.error("media worker has a fault", fault=answer.what)
        raise Lost(answer.what)
    return answer


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


async def end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        _kill(process)
    await process.wait()
    if process.stdin is not None:
        process.stdin.close()
        with suppress(ConnectionError):
            await process.stdin.wait_closed()
