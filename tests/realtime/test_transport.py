"""The contract with Tornado's private parts, and what happens when the kernel takes less than it is given."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from tornado.iostream import IOStream
from tornado.websocket import WebSocketClientConnection, websocket_connect

from server.realtime.frames import PING, binary_frame, close_frame, pong_frame, text_frame
from server.realtime.websocket import WebSocket
from tests.realtime.sockets import Listening


@pytest.fixture
def listening(io_loop: object) -> Iterator[Listening]:
    listening = Listening()
    yield listening
    listening.server.stop()


@contextlib.asynccontextmanager
async def connected(listening: Listening) -> AsyncIterator[tuple[WebSocketClientConnection, WebSocket]]:
    client = await websocket_connect(f"ws://127.0.0.1:{listening.port}/")
    ear = await listening.opened.get()
    yield client, ear.socket
    client.close()
    while client.close_code is None and await client.read_message() is not None:
        continue
    await ear.ended.wait()


async def read(client: WebSocketClientConnection) -> str:
    message = await asyncio.wait_for(client.read_message(), 5)
    assert isinstance(message, str)
    return message


async def test_tornado_still_has_the_names_that_are_used(listening: Listening) -> None:
    async with connected(listening) as (_, transport):
        stream = transport._stream
        assert type(stream) is IOStream
        assert stream._closed is False
        assert len(stream._write_buffer) == 0
        assert isinstance(stream.socket, socket.socket)
        assert transport._socket is stream.socket


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
async def test_frames_of_every_length_form_arrive(listening: Listening, size: int) -> None:
    """RFC 6455 §5.2: 7-bit, 16-bit and 64-bit lengths."""
    async with connected(listening) as (client, transport):
        transport.write(text_frame(b"x" * size))
        transport.write(binary_frame(b"x" * size))
        assert await read(client) == "x" * size
        assert await client.read_message() == b"x" * size


async def test_a_full_kernel_buffer_keeps_the_order_and_loses_nothing(listening: Listening) -> None:
    async with connected(listening) as (client, transport):
        sent = [f"{n} " + "y" * 100_000 for n in range(80)]
        taken = [transport.write(text_frame(text.encode())) for text in sent]
        assert taken[0] is True
        assert taken[-1] is False
        assert transport.backlog > 0
        assert [await read(client) for _ in sent] == sent
        await asyncio.wait_for(transport.drained(), 5)
        assert transport.backlog == 0


async def test_control_frames_share_the_way_of_messages(listening: Listening) -> None:
    async with connected(listening) as (client, transport):
        transport.write(PING)
        transport.write(text_frame(b"first"))
        transport.write(pong_frame(b"unasked"))
        transport.write(text_frame(b"second"))
        assert [await read(client) for _ in range(2)] == ["first", "second"]


async def test_writing_to_a_connection_that_is_gone_does_nothing(listening: Listening) -> None:
    async with connected(listening) as (_, transport):
        transport.abort()
        assert transport.write(text_frame(b"late")) is True
        assert transport.backlog == 0


async def test_close_sends_the_code_behind_what_is_buffered(listening: Listening) -> None:
    async with connected(listening) as (client, transport):
        transport.write(text_frame(b"last"))
        transport.close(4000, "going_away")
        transport.close(4001, "never said twice")
        assert await read(client) == "last"
        assert await asyncio.wait_for(client.read_message(), 5) is None
        assert (client.close_code, client.close_reason) == (4000, "going_away")


def test_a_reason_fits_a_control_frame_and_stays_text() -> None:
    """RFC 6455 §5.5: at most 125 bytes, the code included; half a character would be no UTF-8."""
    assert close_frame(None) == b"\x88\x00"
    frame = close_frame(1000, "ä" * 100)
    assert frame[1] == 124
    assert frame[4:].decode() == "ä" * 61
