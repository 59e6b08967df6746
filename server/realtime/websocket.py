"""An open WebSocket, RFC 6455 to the letter: how messages are read and written, how a connection ends.

What a client breaks ends in the close code that the RFC names, and the end is waited for, so that the code arrives
(section 7.1). Messages are handled one by one, in order. Writing goes to the kernel directly while Tornado's own write
buffer is empty; that, and knowing how much is in it, is all that is touched of Tornado's private parts here, and
tests/realtime/test_transport.py guards it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol

import structlog
from tornado.iostream import IOStream, StreamClosedError

from server.realtime.frame_reader import BINARY, PING, PONG, TEXT, FrameReader, Message, Violation, goodbye
from server.realtime.frames import close_frame, pong_frame

#: Seconds given to a client to take the last frames and to end its side, once the closing handshake is done.
LINGER = 2.0
#: Seconds given to a client to answer a close frame.
CLOSE_WITHIN = 5.0
#: Frames of one client that are dealt with before others have their turn.
_TURN = 64
_CHUNK = 65_536

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Who is told what comes over a socket."""

    async def on_frame(self, data: str | bytes) -> None:
        """A whole message: text as str, binary as bytes. The next one is read when this returns."""

    def on_overhead(self, frames: int) -> None:
        """So many frames have come that bring no message: pings, pongs, fragments."""

    def closed(self) -> None:
        """Nothing comes any more. Called once."""


class WebSocket:
    """Owns the stream of a connection after its handshake; a `transport.Transport`. `max_message` is in bytes."""

    __slots__ = ("__weakref__", "_closing", "_max_message", "_socket", "_stream", "_task", "_written")

    def __init__(self, stream: IOStream, max_message: int) -> None:
        self._stream = stream
        self._max_message = max_message
        # A full TLS socket raises something else than BlockingIOError: there everything goes through the stream.
        plain = type(stream) is IOStream and hasattr(stream, "_write_buffer")
        self._socket: socket.socket | None = stream.socket if plain else None
        self._written: asyncio.Future[None] | None = None
        #: the end of our patience, once we have sent a close frame
        self._closing: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        with contextlib.suppress(OSError):  # gone already: reading will tell
            stream.set_nodelay(True)

    def start(self, listener: Listener) -> None:
        """Reads from now on until the connection has ended."""
        self._task = asyncio.create_task(self._run(listener), name="socket")

    # ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, data: bytes) -> bool:
        stream = self._stream
        if stream._closed:
            return True
        rest: bytes | memoryview = data
        if self._socket is not None and not stream._write_buffer:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                stream.close()
                return True
            if sent == len(data):
                return True
            rest = memoryview(data)[sent:]
        with contextlib.suppress(StreamClosedError):
            self._written = stream.write(rest)
        return not stream._write_buffer

    @property
    def backlog(self) -> int:
        return 0 if self._stream.closed() else len(self._stream._write_buffer)

    async def drained(self) -> None:
        if self._written is not None:
            await asyncio.wait([self._written])

    def close(self, code: int | None, reason: str = "") -> None:
        if self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(CLOSE_WITHIN, self.abort)
            self.write(close_frame(code, reason))

    def abort(self) -> None:
        self._stream.close()

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _run(self, listener: Listener) -> None:
        try:
            try:
                await self._receive(listener)
            except Violation as violation:
                self.close(violation.code, violation.reason)
            finally:  # before the end is waited for: who is gone, is gone at once
                listener.closed()
            await self._part()
        except StreamClosedError:
            pass
        except Exception:
            log.exception("a socket is dropped")
        finally:
            self.abort()
            self._stream.error = None  # its traceback holds the stream, and all that would wait for the collector
            if self._closing is not None:
                self._closing.cancel()

    async def _receive(self, listener: Listener) -> None:
        """Reads until the client's close frame. Raises Violation, StreamClosedError, and what the listener raises."""
        reader = FrameReader(self._max_message)
        since = counted = 0
        while True:
            reading = asyncio.ensure_future(self._stream.read_bytes(_CHUNK, partial=True))
            if reading.done():  # there already, and perhaps ever so much more: others have their turn
                await asyncio.sleep(0)
            try:
                data = await reading
            finally:  # else its exception would hold this frame, the frame the future, and that the exception
                del reading
            reader.feed(data)
            while (message := reader.read()) is not None:
                if message.opcode in (TEXT, BINARY):
                    if self._closing is None:
                        await listener.on_frame(message.data)
                elif not await self._control(message):
                    return
                overhead = reader.frames - counted - (message.opcode in (TEXT, BINARY))
                counted = reader.frames
                if overhead:
                    listener.on_overhead(overhead)
                since += 1
                if since >= _TURN:
                    since = 0
                    await asyncio.sleep(0)
            if reader.frames > counted:
                listener.on_overhead(reader.frames - counted)
                counted = reader.frames

    async def _control(self, message: Message) -> bool:
        """Whether more may follow."""
        opcode, data = message
        assert isinstance(data, bytes)
        if opcode == PING:
            if self._closing is None:
                self.write(pong_frame(data))
        elif opcode != PONG:
            code = goodbye(data).code
            await asyncio.sleep(0)  # answers to earlier messages that leave with this turn of the loop go first
            self.close(code)
            return False
        return True

    async def _part(self) -> None:
        """Sees that the last frame arrives: closing at once, with bytes of the client unread, would reset the
        connection and take the close frame with it."""
        stream = self._stream
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(LINGER):
                await stream.write(b"")  # done when everything before it is
                if type(stream) is IOStream:
                    stream.socket.shutdown(socket.SHUT_WR)
                while True:
                    await stream.read_bytes(_CHUNK, partial=True)
                    await asyncio.sleep(0)
