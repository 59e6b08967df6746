"""How an open socket reads and ends, what it leaves behind, and the contract with Tornado's handshake."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from tornado.util import _websocket_mask
from tornado.websocket import WebSocketProtocol13

from server.realtime import handshake, websocket
from tests.conftest import Run, eventually
from tests.realtime.sockets import Listening
from tests.wire.raw import BINARY, CLOSE, CONTINUATION, PING, TEXT, Received, Wire, close_frame, frame


@pytest.fixture
def listening(io_loop: object, run: Run[Any]) -> Iterator[Listening]:
    listening = Listening()
    yield listening
    listening.server.stop()
    run(listening.server.close_all_connections())


def test_tornado_still_does_what_is_built_upon() -> None:
    """Whether the names are there is looked at when the module is imported; here, what they mean."""
    assert handshake._MISSING == []
    accepting = inspect.getsource(WebSocketProtocol13._accept_connection)
    assert accepting.rstrip().endswith("await self._receive_frame_loop()")
    assert "self.stream = handler._detach_stream()" in accepting
    assert _websocket_mask(b"\x01\x02\x03\x04", b"\x00\x00\x00\x00\x01") == b"\x01\x02\x03\x04\x00"


async def test_nothing_of_the_handshake_is_kept(listening: Listening) -> None:
    """The request, its handler and its coroutines would be most of what an idle connection costs; in circles they would
    wait for the garbage collector, and thousands of them with them."""
    names = ("_Handler", "_Handover", "HTTPServerRequest", "HTTP1ServerConnection")

    def kept() -> set[int]:
        return {id(thing) for thing in gc.get_objects() if type(thing).__name__ in names}

    gc.collect()
    before = kept()  # of other tests
    gc.disable()
    async with Wire.open(listening.port):
        await listening.opened.get()
        try:
            await eventually(lambda: kept() <= before)
        finally:
            gc.enable()


async def test_messages_are_handled_one_by_one(listening: Listening) -> None:
    """Also when they come in one piece; nothing behind a message that waits is looked at, so that TCP holds it back."""
    async with Wire.open(listening.port) as wire:
        ear = await listening.opened.get()
        ear.held.clear()
        await wire.send(frame(TEXT, b"one"), frame(BINARY, b"two"), frame(PING), frame(TEXT, b"three"))
        await wire.send(b"".join(frame(BINARY, bytes(60_000)) for _ in range(40)), piece=60_000)
        assert ear.heard == []
        assert ear.overhead == 0
        ear.held.set()
        await eventually(lambda: len(ear.heard) == 43)
        assert ear.heard[:3] == ["one", b"two", "three"]
        assert await wire.receive() == Received(0xA, b"")


async def test_frames_without_a_message_are_told_of(listening: Listening) -> None:
    async with Wire.open(listening.port) as wire:
        ear = await listening.opened.get()
        await wire.send(frame(PING), frame(0xA), frame(TEXT, b"a", final=False), frame(CONTINUATION, final=False))
        await eventually(lambda: ear.overhead == 4)
        await wire.send(frame(CONTINUATION, b"b"), frame(TEXT, b"c"))
        await eventually(lambda: ear.heard == ["ab", "c"])
        assert ear.overhead == 4


@pytest.mark.parametrize(
    ("last", "answer"),
    [(close_frame(4000, b"bye"), Received(CLOSE, b"\x0f\xa0")), (close_frame(), Received(CLOSE, b""))],
)
async def test_who_is_gone_is_gone_at_once(listening: Listening, last: bytes, answer: Received) -> None:
    """The listener does not wait for a client that leaves its side open, and the connection ends in the end."""
    async with Wire.open(listening.port) as wire:
        ear = await listening.opened.get()
        await wire.send(last)
        await asyncio.wait_for(ear.ended.wait(), 1.0)
        assert await wire.end() == answer


async def test_a_client_that_does_not_end_its_side(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may go on writing for a moment, to nobody; then the connection is dropped."""
    monkeypatch.setattr(websocket, "LINGER", 0.1)
    async with Wire.open(listening.port) as wire:
        ear = await listening.opened.get()
        await wire.send(close_frame(1000))
        await eventually(ear.socket._stream.closed)
        assert (await wire.end()).code == 1000
        assert ear.heard == []


async def test_a_client_that_never_answers_a_close_is_dropped(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_WITHIN", 0.1)
    async with Wire.open(listening.port):
        ear = await listening.opened.get()
        ear.socket.close(4000, "going_away")
        await asyncio.wait_for(ear.ended.wait(), 2.0)
        assert ear.socket._stream.closed()


async def test_the_servers_own_close_is_answered_and_nothing_else_heard(listening: Listening) -> None:
    async with Wire.open(listening.port) as wire:
        ear = await listening.opened.get()
        ear.socket.close(4001, "slow_consumer")
        assert await wire.receive() == Received(CLOSE, b"\x0f\xa1slow_consumer")
        await wire.send(frame(TEXT, b"late"), frame(PING, b"late"), close_frame(4001))
        assert await wire.rest() == []
        assert ear.heard == []
        assert ear.ended.is_set()


async def test_a_fault_of_ours_ends_the_connection_and_is_logged(listening: Listening) -> None:
    with capture_logs() as logged:
        async with Wire.open(listening.port) as wire:
            ear = await listening.opened.get()
            await wire.send(frame(TEXT, b"fail"), frame(TEXT, b"more"))
            assert await wire.rest() == []
    assert ear.heard == ["fail"]
    assert ear.ended.is_set()
    assert [line["event"] for line in logged] == ["a socket is dropped"]


async def test_one_who_talks_without_a_pause_leaves_others_their_turn(listening: Listening) -> None:
    """A hundred thousand pings are in the kernel already: another connection's message does not wait for all."""
    async with Wire.open(listening.port) as loud, Wire.open(listening.port) as quiet:
        talker, other = [await listening.opened.get() for _ in range(2)]
        loud.writer.write(frame(PING, mask=bytes(4)) * 100_000)
        await quiet.send(frame(TEXT, b"me too"))
        await eventually(lambda: other.heard == ["me too"])
        assert talker.overhead < 100_000
        loud.writer.transport.abort()


@pytest.mark.parametrize("end", [close_frame(1000), frame(TEXT, b"\xff"), b""])
async def test_nothing_is_left_of_a_connection(listening: Listening, end: bytes) -> None:
    """However it ended: no listener, no socket, no stream, no task stays behind, not even until the garbage collector
    comes (regression: a hundred thousand connections that had gone were 14 % of the memory)."""
    before = len(asyncio.all_tasks())
    async with Wire.open(listening.port) as wire:
        ear = await listening.opened.get()
        left: list[weakref.ref[Any]] = [weakref.ref(part) for part in (ear, ear.socket, ear.socket._stream)]
        heard = ear.heard
        del ear
        await wire.send(frame(TEXT, b"hello"))
        await eventually(lambda: heard == ["hello"])
        gc.disable()
        await wire.send(end)
        wire.writer.write_eof()
        await wire.rest()
    del wire

    def forgotten() -> bool:
        return all(ref() is None for ref in left) and len(asyncio.all_tasks()) <= before

    try:
        await eventually(forgotten)
    finally:
        gc.enable()
