"""One media worker with 30 people who show themselves, each watched by five others; and what 100 joins leave behind.

`cpu_pct` is the worker's processor time in percent of one core, `lost_pct` the packets that its viewers did not get,
`delay_p95_ms` from a publisher's packet of sound to its viewer, with what the load itself takes of it. `memory_pct` is
the worker's resident memory after 100 times somebody joined, showed themselves, watched and left, to that before.
"""

from __future__ import annotations

import asyncio
import sys
import time

from scripts.benchmarks import processes
from scripts.benchmarks.light import LightEnd, LightPublisher, LightViewer, packets, played
from scripts.benchmarks.readings import Plan, Reading, percentile
from scripts.benchmarks.venues import CALL, VouchVenue, outward, vouch
from server.calls.wire import Direction, Slot, Track
from server.calls.worker.dtls import Identity

SUBJECTS = ("vouch",)
PUBLISHERS, WATCHED = 30, 5
JOINS = 100
#: People of the call that others join and leave, each watching the others.
_STAYING = 3
#: Pictures by which one film is ahead of the next, so that keyframes do not come together.
_APART = 2
_SETTLING = 4.0
#: Seconds that somebody stays who joins.
_STAY = 0.25


def measure(subject: str, plan: Plan) -> list[Reading]:
    return asyncio.run(_measure(plan))


async def _measure(plan: Plan) -> list[Reading]:
    async with vouch() as venue:
        with processes.beside(venue.pid):
            packets()
            readings = await _joins(venue, max(10, round(JOINS * plan.size)))
    async with vouch() as venue:
        with processes.beside(venue.pid):
            return readings + await _crowd(venue, plan.seconds)


class _Call:
    """People by number: who shows themselves is `us_N`."""

    def __init__(self, venue: VouchVenue) -> None:
        self._plane = venue.plane
        self._identity = Identity()
        self._address = outward()
        self.publishers: list[LightPublisher] = []
        self.viewers: list[LightViewer] = []

    async def publisher(self, number: int) -> LightPublisher:
        made = LightPublisher(self._identity, self._address, number * _APART)
        await self._connected(made, f"cp_{number}", f"us_{number}", Direction.PUBLISH)
        return made

    async def viewer(self, number: int, watched: list[int]) -> LightViewer:
        made = LightViewer(self._identity, self._address, len(watched))
        await self._connected(made, f"cw_{number}", f"us_{number}", Direction.WATCH)
        voices = [Slot(index=n, person=f"us_{other}", track=Track.VOICE) for n, other in enumerate(watched)]
        shown = [Slot(index=n, person=f"us_{other}") for n, other in enumerate(watched, len(watched))]
        await self._plane.view(CALL, f"cw_{number}", [*voices, *shown])
        return made

    async def leave(self, number: int) -> None:
        for name in (f"cp_{number}", f"cw_{number}"):
            await self._plane.disconnect(CALL, name)

    async def _connected(self, end: LightEnd, name: str, person: str, direction: Direction) -> None:
        try:
            await end.connect(await self._plane.connect(CALL, name, person, direction, end.offer()))
        except BaseException:
            end.close()
            raise

    def close(self) -> None:
        for end in (*self.publishers, *self.viewers):
            end.close()


async def _crowd(venue: VouchVenue, seconds: float) -> list[Reading]:
    call = _Call(venue)
    playing = None
    try:
        for number in range(PUBLISHERS):
            call.publishers.append(await call.publisher(number))
        for number in range(PUBLISHERS):
            watched = [(number + more) % PUBLISHERS for more in range(1, WATCHED + 1)]
            call.viewers.append(await call.viewer(number, watched))
        playing = asyncio.create_task(played(call.publishers, call.viewers))
        await asyncio.sleep(_SETTLING)
        for viewer in call.viewers:
            viewer.forget()
        used, own, began = processes.cpu_seconds(venue.pid), time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        took = time.perf_counter() - began
        percent = 100 * (processes.cpu_seconds(venue.pid) - used) / took
        load = 100 * (time.process_time() - own) / took
    finally:
        if playing is not None:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        call.close()
    losses = [viewer.lost() for viewer in call.viewers]
    streams = sum(len(viewer.counts) for viewer in call.viewers)
    if streams < 2 * PUBLISHERS * WATCHED:
        raise RuntimeError(f"only {streams} of {2 * PUBLISHERS * WATCHED} streams came")
    got = sum(sum(viewer.counts.values()) for viewer in call.viewers) / took
    print(
        f"{got:.0f} packets a second came; the load itself took {load:.0f} % of its core", file=sys.stderr, flush=True
    )
    delays = [1000 * delay for viewer in call.viewers for delay in viewer.delays]
    return [
        Reading("cpu_pct", percent, "%"),
        Reading("lost_pct", 100 * sum(lost for lost, _ in losses) / sum(expected for _, expected in losses), "%"),
        Reading("delay_p50_ms", percentile(delays, 0.5), "ms"),
        Reading("delay_p95_ms", percentile(delays, 0.95), "ms"),
    ]


async def _joins(venue: VouchVenue, joins: int) -> list[Reading]:
    call = _Call(venue)
    playing = None
    try:
        for number in range(_STAYING):
            call.publishers.append(await call.publisher(number))
        for number in range(_STAYING):
            others = [other for other in range(_STAYING) if other != number]
            call.viewers.append(await call.viewer(number, others))
        playing = asyncio.create_task(played(call.publishers, call.viewers))
        await asyncio.sleep(_SETTLING)
        before = await asyncio.to_thread(processes.settled_memory, venue.pid, time.sleep)
        for number in range(_STAYING, _STAYING + joins):
            publisher = await call.publisher(number)
            viewer = await call.viewer(number, list(range(_STAYING)))
            moving = asyncio.create_task(played([publisher], [viewer]))
            await asyncio.sleep(_STAY)
            moving.cancel()
            await call.leave(number)
            publisher.close()
            viewer.close()
        after = await asyncio.to_thread(processes.settled_memory, venue.pid, time.sleep)
    finally:
        if playing is not None:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        call.close()
    print(f"memory from {before / 2**20:.1f} to {after / 2**20:.1f} MiB", file=sys.stderr, flush=True)
    return [Reading("memory_pct", 100 * after / before, "%")]
