"""WebSocket framing for tests, byte by byte: it can say everything that RFC 6455 allows, and all that it forbids.

Written from the RFC and not from the server, so that the two can disagree. `tests.wire.client.Raw` is the same idea for
signed-in people; here nobody is anybody.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0
#: the close codes that a frame may carry (section 7.4 and the registry that it set up)
MAY_BE_SENT = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
#: Seconds after which a test says what it has waited for in vain.
PATIENCE = 10.0

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Received(NamedTuple):
    """A frame of the server's."""

    opcode: int
    payload: bytes
    final: bool = True

    @property
    def code(self) -> int | None:
        """The code of a close frame that has one."""
        coded = self.opcode == CLOSE and len(self.payload) >= 2
        return int(struct.unpack_from("!H", self.payload)[0]) if coded else None


class HttpAnswer(NamedTuple):
    status: int
    headers: dict[str, str]


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    size: int | None = None,
    form: int | None = None,
) -> bytes:
    """A client's frame. `size` may lie, `form` (7, 16 or 64 bits of size) need not be the shortest, None: no mask."""
    size = len(payload) if size is None else size
    form = form or (7 if size < 126 else 16 if size < 65_536 else 64)
    first = (0x80 if final else 0) | reserved << 4 | opcode
    flag = 0 if mask is None else 0x80
    match form:
        case 7:
            head = struct.pack("!BB", first, flag | size)
        case 16:
            head = struct.pack("!BBH", first, flag | 126, size)
        case _:
            head = struct.pack("!BBQ", first, flag | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def close_frame(code: int | None = None, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def request(
    port: int, path: str = "/", *, line: str = "GET {} HTTP/1.1", headers: Mapping[str, str | None] | None = None
) -> tuple[bytes, str]:
    """A handshake and the key in it; `headers` replace the usual ones, None leaves one out."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    usual: dict[str, str | None] = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }
    usual |= headers or {}
    lines = [line.format(path), *(f"{name}: {value}" for name, value in usual.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1"), key


def accept_of(key: str) -> str:
    """Sec-WebSocket-Accept for a key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


class Wire:
    """One TCP connection, upgraded or not."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def tcp(cls, port: int) -> AsyncIterator[Wire]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):  # the other side was quicker
                await writer.wait_closed()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, port: int, path: str = "/", headers: Mapping[str, str | None] | None = None
    ) -> AsyncIterator[Wire]:
        """A connection whose handshake has succeeded."""
        async with cls.tcp(port) as wire:
            asked, key = request(port, path, headers=headers)
            answer = await wire.ask(asked)
            assert answer.status == 101, answer
            assert answer.headers["sec-websocket-accept"] == accept_of(key)
            yield wire

    async def ask(self, data: bytes) -> HttpAnswer:
        """Sends an HTTP request; the answer, without its body."""
        await self.send(data)
        async with asyncio.timeout(PATIENCE):
            first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = [line.split(":", 1) for line in lines if line]
        return HttpAnswer(int(first.split()[1]), {name.lower(): value.strip() for name, value in pairs})

    async def send(self, *frames: bytes, piece: int | None = None) -> None:
        """Sends bytes; in pieces of so many, each with a turn of the event loop between."""
        data = b"".join(frames)
        async with asyncio.timeout(PATIENCE):
            if piece is None:
                self.writer.write(data)
                await self.writer.drain()
                return
            for start in range(0, len(data), piece):
                self.writer.write(data[start : start + piece])
                await self.writer.drain()
                await asyncio.sleep(0)

    async def receive(self) -> Received:
        """The server's next frame. Raises EOFError at the end of the connection."""
        async with asyncio.timeout(PATIENCE):
            first, second = await self.reader.readexactly(2)
            assert not first & 0x70, "the server has set a reserved bit"
            assert not second & 0x80, "a server must not mask (section 5.1)"
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
                assert size >= 126
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
                assert size >= 65_536
            return Received(first & 0x0F, await self.reader.readexactly(size), bool(first & 0x80))

    async def rest(self) -> list[Received]:
        """All frames up to the end, which must be orderly: no half of a frame, no reset (section 7.1.1)."""
        frames: list[Received] = []
        while True:
            try:
                frames.append(await self.receive())
            except asyncio.IncompleteReadError as end:
                if end.partial:
                    raise
                return frames

    async def echoes(self, opcode: int = TEXT, payload: bytes = b"still here") -> None:
        """Says something to the echo program, which must give it back."""
        await self.send(frame(opcode, payload))
        assert await self.receive() == Received(opcode, payload)

    async def end(self) -> Received:
        """The last frame before the end, which must be the close frame, and the only one."""
        frames = await self.rest()
        assert [received.opcode for received in frames].count(CLOSE) == 1, frames
        assert frames[-1].opcode == CLOSE
        return frames[-1]
