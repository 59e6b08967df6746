"""WebSocket framing (RFC 6455 §5.2) of what the server sends: made once per message, not once per connection."""

from __future__ import annotations

import struct

_FINAL = 0x80
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x1, 0x2, 0x8, 0x9, 0xA
#: bytes of a close frame's reason: a control frame has at most 125 bytes of payload, two of them the code (§5.5)
_MAX_REASON = 123


def text_frame(payload: bytes) -> bytes:
    """The payload (UTF-8) as one final, unmasked text frame."""
    return _frame(_TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    return _frame(_BINARY, payload)


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping with this payload (§5.5.3)."""
    return _frame(_PONG, payload)


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A close frame (§5.5.1); without a code it says nothing. A reason that is too long is cut."""
    if code is None:
        return _frame(_CLOSE, b"")
    return _frame(_CLOSE, struct.pack("!H", code) + reason.encode()[:_MAX_REASON].decode(errors="ignore").encode())


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((_FINAL | opcode, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", _FINAL | opcode, 126, size) + payload
    return struct.pack("!BBQ", _FINAL | opcode, 127, size) + payload


PING = _frame(_PING, b"")
