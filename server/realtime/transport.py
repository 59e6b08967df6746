"""The socket under a connection, and the only module that touches Tornado's private parts.

`WebSocketHandler.write_message` starts a task per message; here a tick's frames are joined and handed to the kernel
directly while Tornado's own write buffer is empty. tests/realtime/test_transport.py guards the names used here; where
they are missing (another Tornado), `write` falls back to the stream's public `write`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol

from tornado.iostream import IOStream, StreamClosedError
from tornado.websocket import WebSocketHandler


class Transport(Protocol):
    """What a connection needs of its socket."""

    def write(self, data: bytes) -> None:
        """Sends framed bytes, or buffers what the kernel does not take; never blocks, never raises."""

    @property
    def backlog(self) -> int:
        """Bytes buffered because the kernel did not take them."""

    async def drained(self) -> None:
        """Waits until the kernel has taken what is buffered, or the connection is gone."""

    def close(self, code: int, reason: str) -> None:
        """Starts the closing handshake behind what is buffered."""

    def abort(self) -> None:
        """Drops the connection at once."""


class TornadoTransport:
    """A Tornado WebSocket handler as Transport."""

    def __init__(self, handler: WebSocketHandler) -> None:
        self._handler = handler
        connection = handler.ws_connection
        stream = getattr(connection, "stream", None)
        self._stream: IOStream | None = stream
        self._written: asyncio.Future[None] | None = None
        # A full TLS socket raises something else than BlockingIOError: there everything goes through the stream.
        plain = type(stream) is IOStream and hasattr(stream, "_write_buffer")
        self._socket: socket.socket | None = stream.socket if plain and stream is not None else None

    def write(self, data: bytes) -> None:
        stream = self._stream
        if stream is None or stream.closed():
            return
        rest: bytes | memoryview = data
        if self._socket is not None and not stream._write_buffer:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                stream.close()
                return
            if sent == len(data):
                return
            rest = memoryview(data)[sent:]
        with contextlib.suppress(StreamClosedError):
            self._written = stream.write(rest)

    @property
    def backlog(self) -> int:
        stream = self._stream
        return 0 if stream is None or stream.closed() else len(stream._write_buffer)

    async def drained(self) -> None:
        if self._written is not None:
            await asyncio.wait([self._written])

    def close(self, code: int, reason: str) -> None:
        self._handler.close(code, reason)

    def abort(self) -> None:
        if self._stream is not None:
            self._stream.close()
