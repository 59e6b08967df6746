"""Thousands of clients in one event loop: sockets that count what they hear instead of keeping it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import eventually
from tests.wire.client import frame_bytes
from tests.wire.raw import PING, PONG, TEXT, request

Frame = dict[str, Any]

_SEQ = re.compile(rb'"seq":(\d+)')
_TYPE = re.compile(rb'\{"t":"([a-z]+)"')


def said(t: str, **fields: Any) -> bytes:
    """A frame of the protocol, ready for the wire."""
    return frame_bytes(json.dumps({"t": t, **fields}, ensure_ascii=False).encode())


def greeting(token: str, ch: str, after: int | None = None) -> bytes:
    """`hello` and one subscription (rid 1)."""
    want = {"ch": ch} if after is None else {"ch": ch, "after": after}
    return said("hello", v=1, token=token) + said("subscribe", rid=1, channels=[want])


class Line(asyncio.Protocol):
    """One WebSocket. It answers pings unless `mute`; it forgets everything but numbers, counts and the last of each."""

    def __init__(self, port: int, first: bytes) -> None:
        #: numbers of the entries, in the order of their arrival
        self.numbers: list[int] = []
        #: frames by type, and the last frame of each type but `entry`
        self.heard: Counter[str] = Counter()
        self.last: dict[str, Frame] = {}
        #: called with every frame (its type and its bytes) when somebody wants to know
        self.listener: Callable[[str, bytes], None] | None = None
        self.mute = False
        self.over = False
        self.status = 0
        self.code: int | None = None
        self._first = first
        self._port = port
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    # ── asyncio.Protocol ────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(request(self._port, "/api/v1/socket")[0] + self._first)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        if not self.status:
            head, end, rest = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = data
                return
            self.status, data = int(head.split(None, 2)[1]), rest
        at, there = 0, len(data)
        while there - at >= 2:
            opcode, size, start = data[at] & 0x0F, data[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : start], "big") if there >= start else there
            if there < start + size:
                break
            self._take(opcode, data[start : start + size])
            at = start + size
        self._rest = data[at:]

    def connection_lost(self, fault: Exception | None) -> None:
        self.over = True

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            found = _TYPE.match(payload)
            t = found[1].decode() if found else "?"
            self.heard[t] += 1
            if t == "entry":
                number = _SEQ.search(payload)
                assert number is not None
                self.numbers.append(int(number[1]))
            else:
                self.last[t] = json.loads(payload)
            if self.listener is not None:
                self.listener(t, payload)
        elif opcode == PING and not self.mute:
            self.write(frame_bytes(payload, first=0x80 | PONG))
        elif opcode == 0x8:
            self.code = int.from_bytes(payload[:2], "big") if payload else 1005
            self.close()

    # ── What tests do ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    @property
    def live(self) -> bool:
        return not self.over and self.heard["subscribed"] > 0

    @property
    def waiting(self) -> int:
        """Bytes that the server has not taken from us."""
        return self.transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        if not self.over:
            self.transport.write(data)

    def say(self, t: str, **fields: Any) -> None:
        self.write(said(t, **fields))

    def stall(self) -> None:
        """Reads nothing any more."""
        self.transport.pause_reading()

    def resume(self) -> None:
        self.transport.resume_reading()

    def close(self) -> None:
        """Without a word, but so that the server hears of it."""
        self.transport.abort()

    def in_order_from(self, first: int) -> bool:
        """Whether the entries begin with `first` and are each the last one's plus 1."""
        return self.numbers == list(range(first, first + len(self.numbers)))


async def open_line(url: str, first: bytes, *, buffer: int = 0) -> Line:
    """A socket on its way: its handshake, `first` included, is sent. `buffer` bytes wait in its kernel."""
    address = urlsplit(url)
    assert address.port is not None
    opened = socket.socket()
    opened.setblocking(False)
    if buffer:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    loop, line = asyncio.get_running_loop(), Line(address.port, first)
    try:
        await loop.sock_connect(opened, ("127.0.0.1", address.port))
    except BaseException:
        opened.close()
        raise
    await loop.create_connection(lambda: line, sock=opened)
    return line


async def arrived(line: Line, seconds: float = 60.0) -> Line:
    """The line, once it is subscribed."""
    await eventually(lambda: line.live or line.over or line.heard["refused"] > 0, seconds)
    assert line.live, (line.status, line.code, line.last)
    return line
