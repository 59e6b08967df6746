"""Connections come and go by the hundred and leave nothing: no objects, no tasks, no places on any list."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest
from tornado.iostream import IOStream
from tornado.websocket import WebSocketHandler

from server.realtime import websocket
from server.realtime.connection import Connection
from server.realtime.frame_reader import FrameReader
from server.realtime.websocket import WebSocket
from tests.conftest import RunningServer, eventually
from tests.wire.client import Crowd, Person, Raw
from tests.wire.raw import TEXT, Wire, close_frame, frame
from tests.wire.storms.line import said

#: how a connection ends: what is sent last, and whether the client then waits for the server's side to end
ENDS: dict[str, tuple[bytes, bool]] = {
    "closed": (close_frame(1000), True),
    "ended without a word": (b"", False),
    "in the middle of a frame": (frame(TEXT, b"x" * 100)[:30], False),
    "for breaking the protocol": (frame(TEXT, b"x", mask=None), True),
    "for breaking our protocol": (said("hello", v=99), True),
    "while much is under way": (b"".join(said("history", rid=n, ch="conv:nowhere") for n in range(20)), False),
}
KINDS = (Connection, WebSocket, FrameReader, IOStream, WebSocketHandler)


class Remains:
    """What connections are made of, as far as it was not there before: tests that failed keep theirs for the report."""

    def __init__(self) -> None:
        self._earlier = self._all()

    def alive(self) -> Counter[str]:
        known = {id(one) for one in self._earlier}
        return Counter(type(one).__name__ for one in self._all() if id(one) not in known)

    def _all(self) -> list[object]:
        gc.collect()
        return [one for one in gc.get_objects() if issubclass(type(one), KINDS)]


async def come_and_go(person: Person, ch: str, last: bytes, *, waits: bool, hello: bool) -> None:
    async with Wire.open(person.server.port, "/api/v1/socket", {"Cookie": person.cookie}) as wire:
        if hello:
            await wire.send(said("hello", v=1), said("subscribe", rid=1, channels=[{"ch": ch}]))
            while b'"t":"subscribed"' not in (await wire.receive()).payload:
                pass
        await wire.send(last)
        if waits:
            await wire.rest()


@pytest.mark.slow
@pytest.mark.gen_test(timeout=240)
async def test_connections_leave_nothing(crowd: Crowd, server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CLOSE_WITHIN", 0.2)  # our clients answer no close frames
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    hub = server.services.hub
    remains = Remains()

    async def round_of_all() -> None:
        """Twenty of each, of which some never say hello."""
        for last, waits in ENDS.values():
            hellos = [number % 4 > 0 or not last for number in range(20)]
            await asyncio.gather(*(come_and_go(lin, ch, last, waits=waits, hello=hello) for hello in hellos))
        await eventually(lambda: hub.roster.of(lin.id) == [], 20.0)

    await round_of_all()  # what is made once, and kept, is made now
    await eventually(lambda: not remains.alive(), 20.0)
    tasks = len(asyncio.all_tasks())
    for _ in range(5):
        await round_of_all()
    await eventually(lambda: not remains.alive(), 20.0)
    assert len(asyncio.all_tasks()) <= tasks + 5  # the hub's own come and go; 600 connections would be seen
    assert not hub.roster._peers
    assert not hub._heartbeat._where
    gate = hub.gates.get(ch)
    assert gate is None or not gate.subscribers
    assert hub.presence.online(ch) == []


async def test_nobody_is_kept_by_what_waits_for_a_slow_reader(crowd: Crowd, server: RunningServer) -> None:
    """A replay that waits for its reader ends with it."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_mei = await mei.socket()
    for number in range(40):
        await from_mei.write(ch, "文" * 16_000 if number else "first")
    before = len(asyncio.all_tasks())
    raw = await Raw.open(lin, buffer=4_096)
    await raw.say("hello", v=1)
    await raw.say("subscribe", rid=1, channels=[{"ch": ch, "after": 1}])
    await raw.some()
    raw.close()
    await eventually(lambda: server.services.hub.roster.of(lin.id) == [])
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
