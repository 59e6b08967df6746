"""The media workers of this machine: started when needed, the least loaded taken, restarted, ended when they hang."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog

from server.calls import wire
from server.calls.process import PlaneError, Process

_log = structlog.get_logger(__name__)

#: A worker is asked so often how it is, in seconds, and killed when it has not answered within the second.
_LOOK_SECONDS = 5.0
_HUNG_SECONDS = 15.0
#: Pauses between attempts to start a worker that does not start: the first and the longest.
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0

R = TypeVar("R", bound=wire.Reply)


class Seat:
    """The place of one worker; after its death another process takes it, with none of its calls."""

    def __init__(self, index: int, make: Callable[[Seat], Process], on_death: Callable[[frozenset[str]], None]) -> None:
        self.index = index
        self.calls: set[str] = set()
        self.measured: wire.Measured | None = None
        self._make = make
        self._on_death = on_death
        self._process: Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def started(self) -> bool:
        return self._process is not None or self._starting is not None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def port(self) -> int:
        return self._process.port if self._process is not None else 0

    async def ready(self) -> None:
        """Starts the worker when it does not run. Raises PlaneError `unavailable`."""
        if self._stopped:
            raise PlaneError("unavailable", "The server is stopping.")
        if self._process is not None and self._process.alive:
            return
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(self._has_started)
        # several wait for one start; one of them that is cancelled must not end it for the others
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        process = self._make(self)
        await process.start()
        self._process = process
        if self._stopped:
            await process.stop()

    def _has_started(self, task: asyncio.Task[None]) -> None:
        self._starting = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("call worker not started", worker=self.index, error=str(error))

    def died(self) -> None:
        """Tells who was lost, then has another one started: its people come back at once."""
        lost, self.calls = frozenset(self.calls), set()
        self._process = None
        self.measured = None
        if self._stopped:
            return
        self._on_death(lost)
        task = asyncio.create_task(self._restart())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _restart(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopped:
            with suppress(PlaneError):  # it has been logged
                await self.ready()
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def ask(self, make: Callable[[int], wire.Asks], kind: type[R], seconds: float) -> R:
        process = self._process
        if process is None:
            raise PlaneError("lost", f"Worker {self.index} is gone.")
        return await process.ask(make, kind, seconds)

    async def look(self, within: float) -> None:
        """Asks the worker how it is; one that does not answer within so many seconds is killed."""
        process = self._process
        if process is None or not process.alive:
            return
        try:
            self.measured = await process.ask(lambda number: wire.Measure(id=number), wire.Measured, within)
        except PlaneError as error:
            if error.code == "failed" and process is self._process:
                _log.error("call worker hangs", worker=self.index, pid=process.pid)
                process.kill()

    async def stop(self) -> None:
        self._stopped = True
        for task in tuple(self._tasks):
            task.cancel()
        if self._starting is not None:
            with suppress(PlaneError):
                await self._starting
        if self._process is not None:
            await self._process.stop()
            self._process = None


class Pool:
    """`most` workers; the first is started by `take`, the next when all that run have calls."""

    def __init__(
        self,
        most: int,
        *,
        base_port: int,
        addresses: tuple[str, ...],
        logs: Path,
        on_news: Callable[[wire.News], None],
        on_death: Callable[[frozenset[str]], None],
        look_seconds: float = _LOOK_SECONDS,
        hung_seconds: float = _HUNG_SECONDS,
    ) -> None:
        self._base_port = base_port
        self._addresses = addresses
        self._logs = logs
        self._on_news = on_news
        self._look_seconds = look_seconds
        self._hung_seconds = hung_seconds
        self.seats = tuple(Seat(index, self._process, on_death) for index in range(most))
        self._looking: asyncio.Task[None] | None = None

    def _process(self, seat: Seat) -> Process:
        options = ["--port", str(self._base_port + seat.index if self._base_port else 0)]
        for address in self._addresses:
            options += ["--address", address]
        return Process(
            f"call worker {seat.index}",
            options,
            log_path=self._logs / f"calls-{seat.index}.log",
            on_news=self._on_news,
            on_end=seat.died,
        )

    def start(self) -> None:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def take(self) -> Seat:
        """The running worker with the fewest calls, or one more while all have some. Raises PlaneError."""
        seat = min(self.seats, key=lambda seat: (len(seat.calls), not seat.started, seat.index))
        await seat.ready()
        return seat

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(pid for seat in self.seats if (pid := seat.pid) is not None)

    async def measure(self) -> tuple[wire.Measured, ...]:
        await asyncio.gather(*(seat.look(self._hung_seconds) for seat in self.seats))
        return tuple(seat.measured for seat in self.seats if seat.measured is not None)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            await self.measure()

    async def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
            self._looking = None
        await asyncio.gather(*(seat.stop() for seat in self.seats))
