"""The media plane: what one publisher (sound and pictures, about 1 Mbit/s) and 1, 8 and 24 viewers cost the server.

`cpu_pct_vN` is the server's processor time in percent of one core. `first_frame_ms` is from the wish to see somebody,
on a connection that is there, to the last packet of the first keyframe; `added_ms_p95` from the publisher's track to
the viewer's packet of sound, with everything that the load's own ends take of it. How fast a browser raises its rate
and what 5 % of loss does are not measured here: that takes real browsers.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec

from scripts.benchmarks import processes
from scripts.benchmarks.film import House, Viewer, pictures, until, voice
from scripts.benchmarks.peers.janus import janus
from scripts.benchmarks.readings import Plan, Reading, percentile
from server.calls.plane import Plane
from server.calls.wire import Direction, Slot, Track
from server.settings import ROOT, Settings

SUBJECTS = ("vouch", "mediarelay", "janus")
#: Every turn measures with so many viewers.
VIEWERS = (1, 8, 24)
#: Seconds until everything flows as it will.
_SETTLING = 1.0
#: Seconds that a viewer waits for a whole keyframe.
_SIGHT = 3.0
_CALL = "cl_bench"


def measure(subject: str, plan: Plan) -> list[Reading]:
    pictures(), voice()  # made before anything is measured
    return asyncio.run(_measure(subject, plan))


async def _measure(subject: str, plan: Plan) -> list[Reading]:
    house = House()
    opened: dict[str, Callable[[House], AbstractAsyncContextManager[Venue]]] = {
        "vouch": vouch,
        "mediarelay": _media_relay,
        "janus": janus,
    }
    readings = []
    try:
        async with opened[subject](house) as venue:
            with processes.beside(venue.pid):
                viewers: list[Viewer] = []
                waited = []
                for count in VIEWERS:
                    while len(viewers) < count:
                        began, viewer = await venue.watch()
                        viewers.append(viewer)
                        # who is saturated shows no whole picture: that costs it all the same
                        if await _sees(viewer) and viewer.first is not None:
                            waited.append(1000 * (viewer.first - began))
                    readings.append(await _cost(venue.pid, viewers, plan.seconds))
                delays = [1000 * delay for viewer in viewers for delay in viewer.delays]
                if waited:
                    readings.append(Reading("first_frame_ms", percentile(waited, 0.5), "ms"))
                if delays:  # who encodes anew sends no packet that was published
                    readings.append(Reading("added_ms_p95", percentile(delays, 0.95), "ms"))
    finally:
        await house.close()
    return readings


async def _sees(viewer: Viewer) -> bool:
    try:
        await until(lambda: viewer.first is not None, "a viewer sees", _SIGHT)
    except RuntimeError:
        return False
    return True


async def _cost(pid: int, viewers: list[Viewer], seconds: float) -> Reading:
    await asyncio.sleep(_SETTLING)
    for viewer in viewers:
        viewer.packets = 0
        viewer.delays.clear()
    used, began = processes.cpu_seconds(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    percent = 100 * (processes.cpu_seconds(pid) - used) / (time.perf_counter() - began)
    if not any(viewer.packets for viewer in viewers):
        raise RuntimeError("nobody gets anything")
    return Reading(f"cpu_pct_v{len(viewers)}", percent, "%")


class Venue(msgspec.Struct, frozen=True):
    """A server with its publisher; `watch` lets one more in: when it wished to see, and itself."""

    pid: int
    watch: Callable[[], asyncio.Future[tuple[float, Viewer]]]


@asynccontextmanager
async def vouch(house: House) -> AsyncIterator[Venue]:
    with tempfile.TemporaryDirectory() as directory:
        plane = Plane(Settings(data_dir=Path(directory), calls_workers=1, calls_addresses=("127.0.0.1",)))
        await plane.start()
        try:
            await plane.open(_CALL)

            async def published(offer: str) -> str:
                return await plane.connect(_CALL, "cc_p", "us_p", Direction.PUBLISH, offer)

            await house.publish(published)
            count = 0

            async def watch() -> tuple[float, Viewer]:
                nonlocal count
                count += 1
                name = f"cc_{count}"
                viewer = await house.watch(
                    lambda offer: plane.connect(_CALL, name, f"us_{name}", Direction.WATCH, offer)
                )
                began = time.perf_counter()
                slots = [Slot(index=0, person="us_p", track=Track.VOICE), Slot(index=1, person="us_p")]
                await plane.view(_CALL, name, slots)
                return began, viewer

            yield Venue(plane.pids[0], lambda: asyncio.ensure_future(watch()))
        finally:
            await plane.stop()


@asynccontextmanager
async def _media_relay(house: House) -> AsyncIterator[Venue]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "scripts.benchmarks.peers.media_relay"),
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
    )

    async def answer(offer: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(offer).encode() + b"\n")
        return str(json.loads(await process.stdout.readline()))

    async def watch() -> tuple[float, Viewer]:
        began = time.perf_counter()  # it sends as soon as there is a connection: with the handshake, then
        return began, await house.watch(answer)

    try:
        await house.publish(answer)
        yield Venue(process.pid, lambda: asyncio.ensure_future(watch()))
    finally:
        process.terminate()
        await process.communicate()
