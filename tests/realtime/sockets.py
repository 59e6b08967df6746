"""A server whose sockets and listeners a test can get hold of."""

from __future__ import annotations

import asyncio

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from server.realtime.handshake import StrictHandler
from server.realtime.websocket import WebSocket


class Ear:
    """A listener that keeps what it hears; `held` stops it within a message."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.heard: list[str | bytes] = []
        self.overhead = 0
        self.ended = asyncio.Event()
        self.held = asyncio.Event()
        self.held.set()

    async def on_frame(self, data: str | bytes) -> None:
        await self.held.wait()
        self.heard.append(data)
        if data == "fail":
            raise RuntimeError("a fault of ours")

    def on_overhead(self, frames: int) -> None:
        self.overhead += frames

    def closed(self) -> None:
        assert not self.ended.is_set(), "it is told once"
        self.ended.set()


class _Handler(StrictHandler):
    def initialize(self, opened: asyncio.Queue[Ear]) -> None:
        self._opened = opened

    def listener(self, socket: WebSocket) -> Ear:
        ear = Ear(socket)
        self._opened.put_nowait(ear)
        return ear

    def on_message(self, message: str | bytes) -> None:
        raise AssertionError("the listener is told, not the handler")


class Listening:
    """`opened` gives the listener of each socket, in the order of their handshakes."""

    def __init__(self) -> None:
        self.opened: asyncio.Queue[Ear] = asyncio.Queue()
        self.server = HTTPServer(Application([("/", _Handler, {"opened": self.opened})]))
        listening, self.port = bind_unused_port()
        self.server.add_socket(listening)
