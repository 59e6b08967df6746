"""The media plane with a real Chromium as publisher: what a call costs the server, and what its viewers get.

`cpu_pct_vN` is the server's processor time in percent of one core with N viewers without screens, who decode nothing,
`fps_vN` how many pictures a second each of them gets for that.
`ramp_s` is from the publisher's connection until a viewer gets 1 Mbit/s and 30 pictures a second, `first_frame_ms` from
the wish of a late viewer to see to the last packet of a keyframe. `fps_at_5pct_loss` is what a second Chromium decodes
behind a line that loses 5 % of what comes to it. `added_ms_p95` is from a stock publisher's track to the viewer's
packet of sound, with everything that the load's own ends take of it: a browser does not say when it sent what.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack

from scripts.benchmarks import film, processes
from scripts.benchmarks.browser import BrowserEnd, Chromium, chromium_running
from scripts.benchmarks.film import FPS, until
from scripts.benchmarks.lossy import LossyLine
from scripts.benchmarks.peers.janus import janus
from scripts.benchmarks.readings import Plan, Reading, percentile
from scripts.benchmarks.venues import Opened, Venue, media_relay, outward, vouch

SUBJECTS = ("vouch", "mediarelay", "janus")
#: Every turn measures with so many viewers.
VIEWERS = (1, 8, 24)
#: Seconds until everything flows as it will, at most.
_SETTLING = 1.0
#: Seconds that a viewer waits for a whole keyframe.
_SIGHT = 3.0
#: Late viewers whose first picture is timed.
_TIMED = 8
#: What a picture of use is: bits per second, and pictures of the 30 in a second, one of which may fall on its edge.
_RATE, _PICTURES = 1_000_000, FPS - 1
#: Seconds after which a rate that has not been reached will not be.
_RAMP = 12.0
_LOOK = 0.05
_LOSS = 0.05
#: Who encodes anew for everybody has a rate of its own, and nothing to do with what was sent.
_FORWARDS = ("vouch", "janus")
_OPENED: dict[str, Opened] = {"vouch": vouch, "mediarelay": media_relay, "janus": janus}


def measure(subject: str, plan: Plan) -> list[Reading]:
    return asyncio.run(_measure(subject, plan))


async def _measure(subject: str, plan: Plan) -> list[Reading]:
    readings = []
    with film.at(outward()):
        async with _OPENED[subject]() as venue:
            with processes.beside(venue.pid):  # Chromium comes to the load's core, too
                async with chromium_running() as chromium:
                    readings += await _in_a_browser(subject, venue, chromium, plan.seconds)
        if subject in _FORWARDS:
            async with _OPENED[subject]() as venue:
                with processes.beside(venue.pid):
                    readings += await _delays(venue, plan.seconds)
    return readings


async def _in_a_browser(subject: str, venue: Venue, chromium: Chromium, seconds: float) -> list[Reading]:
    readings = []
    async with AsyncExitStack() as ends:
        publisher = await chromium.publisher()
        began = time.perf_counter()
        await venue.publish(publisher)
        viewers = [film.Viewer()]
        ends.push_async_callback(_all_closed, viewers)
        await venue.watch(viewers[0])
        if subject in _FORWARDS:
            if (ramp := await _ramp(viewers[0], began)) is not None:
                readings.append(Reading("ramp_s", ramp, "s"))
            else:
                print(f"{subject}: no 1 Mbit/s and {FPS} pictures in {_RAMP:.0f} s", file=sys.stderr, flush=True)
            readings += await _with_loss(venue, chromium, seconds)
        waited: list[float] = []
        for count in VIEWERS:
            await _more(venue, viewers, count - len(viewers), waited)
            readings += await _cost(venue.pid, viewers, seconds)
        if waited:
            readings.append(Reading("first_frame_ms", percentile(waited, 0.5), "ms"))
    return readings


async def _all_closed(viewers: list[film.Viewer]) -> None:
    await asyncio.gather(*(viewer.close() for viewer in viewers))


async def _ramp(viewer: film.Viewer, began: float) -> float | None:
    """Seconds since `began` when the last second had the wanted rate for the first time."""
    marks: list[tuple[float, int, int]] = []
    while (now := time.perf_counter()) - began < _RAMP:
        marks = [mark for mark in marks if mark[0] > now - 1 - _LOOK]
        marks.append((now, 8 * viewer.octets, viewer.frames))
        at, bits, frames = marks[0]
        if now - at >= 1 and viewer.frames - frames >= _PICTURES and 8 * viewer.octets - bits >= _RATE:
            return now - began
        await asyncio.sleep(_LOOK)
    return None


async def _with_loss(venue: Venue, chromium: Chromium, seconds: float) -> list[Reading]:
    """What a browser shows behind a line that loses. Raises RuntimeError when it lost nothing."""
    line = await LossyLine(outward(), _LOSS).open()
    viewer = await chromium.viewer(offers=venue.viewers_offer)
    try:
        await venue.watch(viewer, line)
        await until(lambda: line.passed > 0, "something comes through the line")
        await _shown(viewer)
        await asyncio.sleep(min(_SETTLING, seconds / 2))
        before = await viewer.seen()
        await asyncio.sleep(seconds)
        after = await viewer.seen()
        if not line.lost:
            raise RuntimeError("the line lost nothing")
    finally:
        await viewer.close()
        line.close()
    took = (after.at - before.at) / 1000
    return [
        Reading("fps_at_5pct_loss", (after.frames - before.frames) / took, "1/s"),
        Reading("frozen_pct_at_5pct_loss", 100 * (after.frozen - before.frozen) / took, "%"),
    ]


async def _shown(viewer: BrowserEnd, seconds: float = 15.0) -> None:
    """Until a browser has decoded its first picture. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (await viewer.seen()).frames:  # noqa: ASYNC110 - a browser in another process has no event
            await asyncio.sleep(_LOOK)


async def _more(venue: Venue, viewers: list[film.Viewer], count: int, waited: list[float]) -> None:
    """So many more; of the first ones it is noted how long they waited for a picture, in ms."""
    added = [film.Viewer() for _ in range(count)]
    viewers += added
    timed = added[: max(0, _TIMED - len(waited))]
    for viewer in timed:
        began = await venue.watch(viewer)
        # who is saturated shows no whole picture: that costs it all the same
        if not await _sees(viewer) or viewer.first is None:
            timed = added[: added.index(viewer) + 1]
            break
        waited.append(1000 * (viewer.first - began))
    await asyncio.gather(*(venue.watch(viewer) for viewer in added[len(timed) :]))


async def _sees(viewer: film.Viewer) -> bool:
    try:
        await until(lambda: viewer.first is not None, "a viewer sees", _SIGHT)
    except RuntimeError:
        return False
    return True


async def _cost(pid: int, viewers: list[film.Viewer], seconds: float) -> list[Reading]:
    await asyncio.sleep(min(_SETTLING, seconds / 2))
    packets, frames = (sum(getattr(viewer, name) for viewer in viewers) for name in ("packets", "frames"))
    used, began = processes.cpu_seconds(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    percent = 100 * (processes.cpu_seconds(pid) - used) / took
    if sum(viewer.packets for viewer in viewers) == packets:
        raise RuntimeError("nobody gets anything")
    shown = (sum(viewer.frames for viewer in viewers) - frames) / took / len(viewers)
    return [Reading(f"cpu_pct_v{len(viewers)}", percent, "%"), Reading(f"fps_v{len(viewers)}", shown, "1/s")]


async def _delays(venue: Venue, seconds: float) -> list[Reading]:
    publisher = film.Publisher()
    viewer = film.Viewer(publisher.sent)
    try:
        await venue.publish(publisher)
        await venue.watch(viewer)
        await until(lambda: bool(viewer.delays), "a viewer hears")
        await asyncio.sleep(min(_SETTLING, seconds / 2))
        viewer.delays.clear()
        await asyncio.sleep(seconds)
        return [Reading("added_ms_p95", percentile([1000 * delay for delay in viewer.delays], 0.95), "ms")]
    finally:
        await asyncio.gather(publisher.close(), viewer.close())
