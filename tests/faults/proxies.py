"""Lines that misbehave: TCP proxies between a node and its Redis or its database.

They understand just enough of what they pass on to take the answers apart, so that one message of the bus can be lost
or one answer of the database be late, and everything else stays whole.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from random import Random

_CHUNK = 256 * 1024
#: SO_LINGER of no seconds: closing resets the connection
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on `port` of this machine and passes everything on to `upstream`: a port of it, or a unix socket."""

    def __init__(self, upstream: int | Path) -> None:
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._writers: set[StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        """Listens; again on the port it had."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_CHUNK)
            self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Resets every connection."""
        for writer in self._writers:
            _reset(writer)

    def refuse(self) -> None:
        """Resets every connection and refuses new ones until `start`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    async def stop(self) -> None:
        self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            if isinstance(self._upstream, Path):
                answers, requests = await asyncio.open_unix_connection(self._upstream, limit=_CHUNK)
            else:
                answers, requests = await asyncio.open_connection("127.0.0.1", self._upstream, limit=_CHUNK)
        except OSError:
            _reset(writer)
            await _closed(writer)
            return
        ends = {writer, requests}
        self._writers |= ends
        ways = [asyncio.create_task(way) for way in (_copy(reader, requests), self._answer(answers, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers -= ends
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in ends:
                end.close()
            await _closed(*ends)

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Passes on what comes from upstream, until its end."""
        await _copy(reader, writer)


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            _write(writer, data)
            await writer.drain()


def _write(writer: StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


async def _closed(*writers: StreamWriter) -> None:
    await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


def _reset(writer: StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.family == socket.AF_INET:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


class Database(Proxy):
    """In front of a database that speaks MongoDB's protocol: `slow` is the longest delay of an answer, in seconds.

    The driver must be told `directConnection=true`, else it learns the real address from the first answer.
    """

    def __init__(self, upstream: int, random: Random) -> None:
        super().__init__(upstream)
        self._random = random
        self.slow = 0.0

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, EOFError):
            while True:
                head = await reader.readexactly(4)
                (length,) = struct.unpack("<i", head)
                rest = await reader.readexactly(length - 4)
                if self.slow:
                    await asyncio.sleep(self._random.uniform(0, self.slow))
                _write(writer, head + rest)
                await writer.drain()


class Manner(StrEnum):
    """How a bus treats its messages."""

    FAITHFUL = "faithful"
    DROPPED = "dropped"
    DOUBLED = "doubled"
    REORDERED = "reordered"
    DELAYED = "delayed"
    #: every message is dropped
    SILENT = "silent"


class Bus(Proxy):
    """In front of Redis: treats about half of the messages that are published to subscribers in its `manner`.

    Replies to commands pass as they are. `treated` counts the messages that were not passed on faithfully.
    """

    def __init__(self, upstream: int | Path, random: Random) -> None:
        super().__init__(upstream)
        self._random = random
        self.manner = Manner.FAITHFUL
        self.treated: Counter[Manner] = Counter()

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        framer = Framer()
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                for value in framer.feed(data):
                    for delay in self._fate(value):
                        if delay:
                            asyncio.get_running_loop().call_later(delay, _write, writer, value)
                        else:
                            _write(writer, value)
                await writer.drain()

    def _fate(self, value: bytes) -> tuple[float, ...]:
        """After how many seconds each copy of it is passed on."""
        if self.manner is Manner.FAITHFUL or not is_published(value):
            return (0.0,)
        if self.manner is not Manner.SILENT and self._random.random() < 0.5:
            return (0.0,)
        self.treated[self.manner] += 1
        match self.manner:
            case Manner.DOUBLED:
                return (0.0, self._random.choice((0.0, self._random.uniform(0.0, 0.5))))
            case Manner.REORDERED:
                return (self._random.uniform(0.001, 0.1),)
            case Manner.DELAYED:
                return (self._random.uniform(0.5, 2.0),)
        return ()


# ── Redis' protocol ─────────────────────────────────────────────────────────────────────────────────────────────────

_LINES = frozenset(b"+-:,#_(")
_STRINGS = frozenset(b"$=!")
#: how many values follow for each that is counted; an attribute (|) is followed by what it belongs to
_COLLECTIONS = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
_ATTRIBUTE = ord("|")
_PUBLISHED = (b"3\r\n$7\r\nmessage\r\n", b"3\r\n$8\r\nsmessage\r\n")


def is_published(value: bytes) -> bool:
    """Whether this is a message that somebody published to a channel, in RESP 2 or 3."""
    return value[:1] in (b"*", b">") and value[1:].startswith(_PUBLISHED)


class Framer:
    """Cuts the answers of Redis (RESP 2 and 3) into whole values, however they arrive. Raises ValueError for what is
    no such answer."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        buffer, start = self._rest + data, 0
        while (end := _end(buffer, start)) is not None:
            yield buffer[start:end]
            start = end
        self._rest = buffer[start:]


def _end(buffer: bytes, start: int) -> int | None:
    """Where the value that begins at `start` ends; None while it is incomplete."""
    missing, at = 1, start
    while missing:
        line = buffer.find(b"\r\n", at)
        if line < 0:
            return None
        mark, said = buffer[at], buffer[at + 1 : line]
        at, missing = line + 2, missing - 1
        if mark in _STRINGS:
            at += int(said) + 2 if int(said) >= 0 else 0  # -1 is RESP 2's nothing
        elif mark in _COLLECTIONS:
            missing += max(int(said), 0) * _COLLECTIONS[mark] + (mark == _ATTRIBUTE)
        elif mark not in _LINES:
            raise ValueError(f"no value of Redis begins with {chr(mark)!r}")
    return at if at <= len(buffer) else None
