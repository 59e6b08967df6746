"""The media plane as the hub sees it: calls are opened, connections answered, pictures and recordings asked for.

The media themselves are in worker processes (`server.calls.worker`), a call on one of them for all its time. Workers
are started when calls need them, one ahead, and anew when they die; then `on_lost` names the calls that were on it:
whoever keeps the calls opens them once more, and their people connect anew. Nothing here ever waits on the loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from server.calls import wire
from server.calls.pool import Pool, Seat
from server.calls.process import PlaneError
from server.settings import Settings

__all__ = ["Plane", "PlaneError"]

_log = structlog.get_logger(__name__)

#: Seconds that a worker may take for what it answers from memory.
_QUICK_SECONDS = 10.0
#: Seconds that it may take beside the wait for a keyframe, or to finish files.
_SLOW_SECONDS = 10.0


class Plane:
    """`start` before anything else, `stop` at the end. All methods raise PlaneError (`code` as in wire.Refused, and
    `lost`: the worker died while it was asked; `unavailable`: no worker can be started, `text` says why).

    `on_news` is called on the loop with what workers tell of calls (wire.Up, Down, Flowing, Line, RecordingEnded),
    `on_lost` with the ids of the calls whose worker died; neither may raise or wait.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_news: Callable[[wire.News], None] = lambda _: None,
        on_lost: Callable[[tuple[str, ...]], None] = lambda _: None,
    ) -> None:
        self.on_news = on_news
        self.on_lost = on_lost
        self._pool = Pool(
            settings.calls_workers or os.cpu_count() or 1,
            base_port=settings.calls_udp_port,
            addresses=settings.calls_addresses,
            logs=settings.data_dir / "logs",
            on_news=lambda news: self.on_news(news),
            on_death=self._died,
            spare=settings.calls_spare,
        )
        self._pins: dict[str, Seat] = {}

    async def start(self) -> None:
        """Waits for no process: the spare is started some seconds later, others by calls."""
        self._pool.start()

    async def warm(self) -> None:
        """Has one worker ready, so that the first call need not wait for Python (about a second)."""
        await self._pool.take()

    async def stop(self) -> None:
        """Ends all workers and with them all media; `on_lost` is not told."""
        self._pins.clear()
        await self._pool.stop()

    @property
    def calls(self) -> frozenset[str]:
        """The calls that are open here."""
        return frozenset(self._pins)

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that run."""
        return self._pool.pids

    # -- calls

    async def open(self, call: str) -> None:
        """Pins the call to the worker with the fewest calls; once more is the same. Waits for a worker to be there."""
        seat = self._pins.get(call)
        if seat is None:
            seat = await self._pool.take()
            seat = self._pins.setdefault(call, seat)
        seat.calls.add(call)
        try:
            await seat.ask(lambda number: wire.Open(id=number, call=call), wire.Done, _QUICK_SECONDS)
        except PlaneError:
            if self._pins.get(call) is seat:
                self._forget(call)
            raise

    async def close(self, call: str) -> None:
        """Ends everything of a call. Does nothing for a call that is not open; raises nothing."""
        seat = self._forget(call)
        if seat is None:
            return
        try:
            await seat.ask(lambda number: wire.Close(id=number, call=call), wire.Done, _QUICK_SECONDS)
        except PlaneError as error:
            _log.info("call not closed", call=call, code=error.code)

    async def connect(self, call: str, connection: str, person: str, direction: wire.Direction, offer: str) -> str:
        """The answer to an offer. A person's older connection of the same direction ends."""
        if len(offer) > wire.MAX_SDP:
            raise PlaneError("too_large", "The offer is too large.")
        answered = await self._at(call).ask(
            lambda number: wire.Connect(
                id=number, call=call, connection=connection, person=person, direction=direction, offer=offer
            ),
            wire.Answered,
            _QUICK_SECONDS,
        )
        return answered.sdp

    async def disconnect(self, call: str, connection: str) -> None:
        """Once more is the same. `wire.Down` does not come for it."""
        await self._at(call).ask(
            lambda number: wire.Disconnect(id=number, call=call, connection=connection), wire.Done, _QUICK_SECONDS
        )

    async def view(self, call: str, connection: str, slots: Sequence[wire.Slot]) -> None:
        """What a watching connection gets from now on."""
        await self._at(call).ask(
            lambda number: wire.View(id=number, call=call, connection=connection, slots=tuple(slots)),
            wire.Done,
            _QUICK_SECONDS,
        )

    # -- pictures and recordings

    async def snapshot(self, call: str, person: str, *, within: float = 3.0) -> wire.Picture:
        """One picture of somebody's camera, the large one. `within` in seconds. Raises PlaneError `no_picture`."""
        return await self._at(call).ask(
            lambda number: wire.Snapshot(id=number, call=call, person=person, within=within),
            wire.Picture,
            within + _SLOW_SECONDS,
        )

    async def record(
        self, call: str, recording: str, people: Sequence[str], directory: Path, *, lease: float, max_bytes: int
    ) -> None:
        """Begins a recording, or renews its lease (seconds). `directory` is there; `max_bytes` for all its files."""
        await self._at(call).ask(
            lambda number: wire.Record(
                id=number,
                call=call,
                recording=recording,
                people=tuple(people),
                directory=str(directory),
                lease=lease,
                max_bytes=max_bytes,
            ),
            wire.Done,
            _QUICK_SECONDS,
        )

    async def stop_recording(self, call: str, recording: str) -> dict[str, int]:
        """The files that were written, name → bytes, also of one that has ended by itself."""
        recorded = await self._at(call).ask(
            lambda number: wire.StopRecording(id=number, call=call, recording=recording),
            wire.Recorded,
            _SLOW_SECONDS,
        )
        return recorded.files

    async def measure(self) -> tuple[wire.Measured, ...]:
        """What every running worker has done since its start."""
        return await self._pool.measure()

    # -- pins

    def _at(self, call: str) -> Seat:
        seat = self._pins.get(call)
        if seat is None:
            raise PlaneError("unknown_call", "The call is not open here.")
        return seat

    def _forget(self, call: str) -> Seat | None:
        seat = self._pins.pop(call, None)
        if seat is not None:
            seat.calls.discard(call)
        return seat

    def _died(self, calls: frozenset[str]) -> None:
        lost = tuple(sorted(call for call in calls if self._pins.pop(call, None) is not None))
        if lost:
            _log.error("calls lost", calls=len(lost))
            self.on_lost(lost)
