"""WebSocket frames (RFC 6455 §5.2) as a load generator needs them: made beforehand, and counted without being decoded.

The generator shares its core with the database, so whatever it does per frame is taken from what is measured.
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
_FINAL, _MASKED = 0x80, 0x80
#: A mask of zeros is one as the RFC demands it: the server takes it off like any other, and making it costs nothing.
_MASK = b"\0\0\0\0"
#: No text begins like this (it is not UTF-8), so `scan` takes out every frame.
NONE_OF_THEM = b"\xff"


class Frame(NamedTuple):
    opcode: int
    payload: bytes


class Scan(NamedTuple):
    """`wanted` text frames began as asked for, `others` otherwise; the last whole frame ends at `end`."""

    wanted: int
    end: int
    others: list[Frame]


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One final, masked frame."""
    size = len(payload)
    first = _FINAL | opcode
    if size < 126:
        head = struct.pack("!BB", first, _MASKED | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, _MASKED | 126, size)
    else:
        head = struct.pack("!BBQ", first, _MASKED | 127, size)
    return head + _MASK + payload


def json_frame(message: object) -> bytes:
    """A client's frame with this message."""
    return client_frame(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode())


def scan(data: bytes, begins: bytes | tuple[bytes, ...]) -> Scan:
    """Walks over the server's (unmasked, unfragmented) frames that are whole in `data`."""
    wanted, end, length = 0, 0, len(data)
    others: list[Frame] = []
    while length - end >= 2:
        size, at = data[end + 1], end + 2
        if size >= 126:
            at = end + (4 if size == 126 else 10)
            if at > length:
                break
            size = int.from_bytes(data[end + 2 : at])
        if at + size > length:
            break
        if data.startswith(begins, at) and data[end] & 0x0F == TEXT:
            wanted += 1
        else:
            others.append(Frame(data[end] & 0x0F, data[at : at + size]))
        end = at + size
    return Scan(wanted, end, others)
