"""Where a call of bench `calls` takes place: a server of one of the subjects with the addresses of its ends."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import ifaddr

from server.calls.plane import Plane
from server.calls.wire import Direction, Slot, Track
from server.settings import ROOT, Settings

CALL = "cl_bench"


class End(Protocol):
    """What publishes or watches: stock peers (film.py) and browsers (browser.py)."""

    async def offer(self) -> str: ...

    async def take(self, answer: str) -> None: ...

    async def answer(self, offer: str) -> str: ...

    async def connected(self) -> None: ...

    async def close(self) -> None: ...


class Line(Protocol):
    """What may change on the way what both ends tell each other; see lossy.py."""

    def towards_viewer(self, sdp: str) -> str: ...

    def towards_server(self, sdp: str) -> str: ...


class Straight:
    """The line of a viewer who is connected without anything between."""

    def towards_viewer(self, sdp: str) -> str:
        return sdp

    def towards_server(self, sdp: str) -> str:
        return sdp


STRAIGHT = Straight()


class Venue(Protocol):
    """A server in a process of its own."""

    @property
    def pid(self) -> int: ...

    @property
    def viewers_offer(self) -> bool:
        """Whether who watches makes the offer, or the server does."""

    async def publish(self, end: End) -> None: ...

    async def watch(self, end: End, line: Line = STRAIGHT) -> float:
        """When it wished to see, in seconds of perf_counter; returns when it is connected."""


Opened = Callable[[], AbstractAsyncContextManager[Venue]]


def outward() -> str:
    """An IPv4 address of this machine other than the loopback one, on which neither Janus nor browsers send media."""
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if isinstance(ip.ip, str) and not ip.ip.startswith("127."):
                return ip.ip
    raise RuntimeError("this machine has no address but the loopback one: Janus and browsers need another")


class VouchVenue:
    """A call on the media plane of Vouch, with one worker."""

    viewers_offer = True

    def __init__(self, plane: Plane, call: str = CALL) -> None:
        self.plane = plane
        self.pid: int = plane.pids[0]
        self._call = call
        self._count = 0

    async def publish(self, end: End) -> None:
        answer = await self.plane.connect(self._call, "cc_p", "us_p", Direction.PUBLISH, await end.offer())
        await end.take(answer)
        await end.connected()

    async def watch(self, end: End, line: Line = STRAIGHT) -> float:
        self._count += 1
        name = f"cc_{self._count}"
        offer = line.towards_server(await end.offer())
        answer = await self.plane.connect(self._call, name, f"us_{name}", Direction.WATCH, offer)
        await end.take(line.towards_viewer(answer))
        await end.connected()
        began = time.perf_counter()
        slots = [Slot(index=0, person="us_p", track=Track.VOICE), Slot(index=1, person="us_p")]
        await self.plane.view(self._call, name, slots)
        return began


@asynccontextmanager
async def vouch() -> AsyncIterator[VouchVenue]:
    with tempfile.TemporaryDirectory() as directory:
        plane = Plane(Settings(data_dir=Path(directory), calls_workers=1, calls_addresses=(outward(),)))
        await plane.start()
        try:
            await plane.open(CALL)
            yield VouchVenue(plane)
        finally:
            await plane.stop()


class _RelayVenue:
    """aiortc's MediaRelay: it sends as soon as there is a connection, so the wish to see comes before the handshake."""

    viewers_offer = True

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()  # the answers come in the order of the offers
        self.pid: int = process.pid

    async def publish(self, end: End) -> None:
        await end.take(await self._answer(await end.offer()))
        await end.connected()

    async def watch(self, end: End, line: Line = STRAIGHT) -> float:
        began = time.perf_counter()
        answer = await self._answer(line.towards_server(await end.offer()))
        await end.take(line.towards_viewer(answer))
        await end.connected()
        return began

    async def _answer(self, offer: str) -> str:
        to, back = self._process.stdin, self._process.stdout
        assert to is not None
        assert back is not None
        async with self._turn:
            to.write(json.dumps(offer).encode() + b"\n")
            line = await back.readline()
        if not line:
            raise RuntimeError("MediaRelay has ended")
        return str(json.loads(line))


@asynccontextmanager
async def media_relay() -> AsyncIterator[_RelayVenue]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "scripts.benchmarks.peers.media_relay", outward()),
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
    )
    try:
        yield _RelayVenue(process)
    finally:
        process.terminate()
        await process.communicate()
