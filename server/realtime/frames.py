"""WebSocket framing (RFC 6455 §5.2) of what the server sends: made once per message, not once per connection."""

from __future__ import annotations

import struct

_TEXT, _PING = 0x81, 0x89

PING = bytes((_PING, 0))


def text_frame(payload: bytes) -> bytes:
    """The payload (UTF-8) as one final, unmasked text frame."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload
