"""The contract with Tornado's private parts, and what happens when the kernel takes less than it is given."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketClientConnection, WebSocketHandler, WebSocketProtocol13, websocket_connect

from server.realtime.frames import PING, text_frame
from server.realtime.transport import TornadoTransport


class Handler(WebSocketHandler):
    opened: asyncio.Queue[Handler]

    def open(self, *args: str, **kwargs: str) -> None:
        self.opened.put_nowait(self)

    def on_message(self, message: str | bytes) -> None:
        pass


@pytest.fixture
def port(io_loop: Any) -> Iterator[int]:
    Handler.opened = asyncio.Queue()
    http = HTTPServer(Application([("/", Handler)]))
    listening, port = bind_unused_port()
    http.add_socket(listening)
    yield port
    http.stop()


@contextlib.asynccontextmanager
async def connected(port: int) -> Any:
    client = await websocket_connect(f"ws://127.0.0.1:{port}/")
    handler = await Handler.opened.get()
    yield client, handler, TornadoTransport(handler)
    client.close()


async def read(client: WebSocketClientConnection) -> str:
    message = await asyncio.wait_for(client.read_message(), 5)
    assert isinstance(message, str)
    return message


async def test_tornado_still_has_the_names_that_the_transport_uses(port: int) -> None:
    assert "self.stream" in inspect.getsource(WebSocketProtocol13)
    async with connected(port) as (_, handler, transport):
        stream = handler.ws_connection.stream
        assert type(stream) is IOStream
        assert len(stream._write_buffer) == 0
        assert isinstance(stream.socket, socket.socket)
        assert transport._socket is stream.socket


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
async def test_frames_of_every_length_form_arrive(port: int, size: int) -> None:
    """RFC 6455 §5.2: 7-bit, 16-bit and 64-bit lengths."""
    async with connected(port) as (client, _, transport):
        transport.write(text_frame(b"x" * size))
        assert await read(client) == "x" * size


async def test_a_full_kernel_buffer_keeps_the_order_and_loses_nothing(port: int) -> None:
    async with connected(port) as (client, _, transport):
        sent = [f"{n} " + "y" * 100_000 for n in range(80)]
        for text in sent:
            transport.write(text_frame(text.encode()))
        assert transport.backlog > 0
        assert [await read(client) for _ in sent] == sent
        await asyncio.wait_for(transport.drained(), 5)
        assert transport.backlog == 0


async def test_tornados_own_frames_and_ours_share_the_stream(port: int) -> None:
    async with connected(port) as (client, handler, transport):
        transport.write(PING)
        transport.write(text_frame(b"ours"))
        await handler.write_message("tornado's")
        transport.write(text_frame(b"ours again"))
        assert [await read(client) for _ in range(3)] == ["ours", "tornado's", "ours again"]


async def test_writing_to_a_connection_that_is_gone_does_nothing(port: int) -> None:
    async with connected(port) as (_, _, transport):
        transport.abort()
        transport.write(text_frame(b"late"))
        assert transport.backlog == 0


async def test_close_sends_the_code_behind_what_is_buffered(port: int) -> None:
    async with connected(port) as (client, _, transport):
        transport.write(text_frame(b"last"))
        transport.close(4000, "going_away")
        assert await read(client) == "last"
        assert await asyncio.wait_for(client.read_message(), 5) is None
        assert (client.close_code, client.close_reason) == (4000, "going_away")
