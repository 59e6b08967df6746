"""The media workers of this machine: one more than have calls is ready, the least loaded is taken, who hangs is ended.

The spare makes that nobody waits for Python: it takes the next call, or those of a worker that has died, at once.
"""

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
#: The spare is started so long after the server, and after a death: others need the processor more just then.
_SPARE_AFTER_SECONDS = 3.0
_BREATH_SECONDS = 1.0
#: A spare that was started so long ago did not die of its start; pauses begin at the first one again.
_STEADY_SECONDS = 60.0

R = TypeVar("R", bound=wire.Reply)


class Seat:
    """The place of one worker; after its death another process takes it, with none of its calls. `again`: at once,
    because no other one is ready."""

    def __init__(
        self, index: int, make: Callable[[Seat], Process], on_death: Callable[[frozenset[str]], None], *, again: bool
    ) -> None:
        self.index = index
        self.calls: set[str] = set()
        #: how many wait for this worker with a call
        self.coming = 0
        self._again = again
        self.measured: wire.Measured | None = None
        self._make = make
        self._on_death = on_death
        self._process: Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def load(self) -> int:
        return len(self.calls) + self.coming

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

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
        if self.alive:
            return
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(self._has_started)
        starting = self._starting
        try:
            # several wait for one start; one of them that is cancelled must not end it for the others
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():
                raise PlaneError("unavailable", "The server is stopping.") from None
            raise

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
        """Tells who was lost; then another one is started here where no spare takes over."""
        lost, self.calls = frozenset(self.calls), set()
        self._process = None
        self.measured = None
        if self._stopped:
            return
        self._on_death(lost)
        if not self._again:
            return
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
            self._starting.cancel()
            with suppress(PlaneError, asyncio.CancelledError):
                await self._starting
        if self._process is not None:
            await self._process.stop()
            self._process = None


class Pool:
    """At most `most` workers have calls. With a `spare` there is one more, which is ready; without, the first is
    started by `take`, and the next when all that run have calls."""

    def __init__(
        self,
        most: int,
        *,
        base_port: int,
        addresses: tuple[str, ...],
        logs: Path,
        on_news: Callable[[wire.News], None],
        on_death: Callable[[frozenset[str]], None],
        spare: bool = False,
        look_seconds: float = _LOOK_SECONDS,
        hung_seconds: float = _HUNG_SECONDS,
        spare_after: float = _SPARE_AFTER_SECONDS,
        breath: float = _BREATH_SECONDS,
    ) -> None:
        self._most = most
        self._spare = spare
        self._spare_after = spare_after
        self._breath = breath
        self._base_port = base_port
        self._addresses = addresses
        self._logs = logs
        self._on_news = on_news
        self._look_seconds = look_seconds
        self._hung_seconds = hung_seconds
        self._on_death = on_death
        self.seats = tuple(
            Seat(index, self._process, self._died, again=not spare) for index in range(most + int(spare))
        )
        self._tasks: list[asyncio.Task[None]] = []
        #: a worker has died, or was taken: there may be no spare any more
        self._changed = asyncio.Event()

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
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._look())]
            if self._spare:
                self._tasks.append(asyncio.create_task(self._keep_spare()))

    async def take(self) -> Seat:
        """The worker with the fewest calls, or one more while all have some. With a spare, nobody waits for a start
        while another one is ready, even with calls. Raises PlaneError."""
        loaded = [seat for seat in self.seats if seat.load]
        free = [seat for seat in self.seats if not seat.load] if len(loaded) < self._most else []
        ready = [seat for seat in (*free, *loaded) if seat.alive] if self._spare else []
        seat = min(ready or (*free, *loaded), key=lambda one: (one.load, not one.alive, not one.started, one.index))
        seat.coming += 1
        try:
            await seat.ready()
        finally:
            seat.coming -= 1
            self._changed.set()
        return seat

    def _died(self, calls: frozenset[str]) -> None:
        self._on_death(calls)
        self._changed.set()

    async def _keep_spare(self) -> None:
        """There is always one that is ready and has no calls; one that dies again and again is started ever later."""
        now = asyncio.get_running_loop().time
        await asyncio.sleep(self._spare_after)
        pause, begun = _FIRST_PAUSE_SECONDS, -_STEADY_SECONDS
        while True:
            self._changed.clear()
            free = [seat for seat in self.seats if not seat.load]
            if any(seat.alive for seat in free):
                await self._changed.wait()
                await asyncio.sleep(self._breath)
                continue
            pause = _FIRST_PAUSE_SECONDS if now() - begun > _STEADY_SECONDS else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            begun = now()
            with suppress(PlaneError):  # it has been logged
                await min(free, key=lambda seat: (not seat.started, seat.index)).ready()
            await asyncio.sleep(pause)

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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await asyncio.gather(*(seat.stop() for seat in self.seats))
