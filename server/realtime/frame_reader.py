"""WebSocket framing (RFC 6455 section 5) of what clients send: bytes in, messages and control frames out.

It knows no sockets. Whatever is wrong is found as early as its bytes allow (a size in the header, broken UTF-8 in the
middle of a frame) and raised as a `Violation` with the close code of section 7.4.1; nothing is read after that.
"""

from __future__ import annotations

import codecs
import struct
from enum import IntEnum
from typing import NamedTuple

from tornado.util import _websocket_mask

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_CONTINUATION = 0x0
_OPCODES = frozenset((_CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_FINAL, _RESERVED, _OPCODE, _MASKED, _SIZE = 0x80, 0x70, 0x0F, 0x80, 0x7F
_CONTROL = 0x8
#: the largest payload of a control frame (section 5.5)
_MAX_CONTROL = 125

_Utf8 = codecs.getincrementaldecoder("utf-8")


class Failure(IntEnum):
    """The close codes with which the server itself fails a connection (section 7.4.1)."""

    PROTOCOL = 1002
    NOT_UTF8 = 1007
    TOO_BIG = 1009


class Violation(Exception):
    """The client has broken RFC 6455, or sends more than is taken; the connection must be failed with `code`."""

    def __init__(self, code: Failure, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{int(code)} {reason}")


class Message(NamedTuple):
    """A whole message (TEXT as str, BINARY as bytes), or one control frame (bytes)."""

    opcode: int
    data: str | bytes


class Goodbye(NamedTuple):
    """What a close frame says; `code` is None when it says nothing."""

    code: int | None
    reason: str


class FrameReader:
    """Reads one client's frames. `max_message` bounds a whole message, and so what is held, in bytes of payload."""

    __slots__ = (
        "_at",
        "_buffer",
        "_final",
        "_left",
        "_mask",
        "_max_message",
        "_message",
        "_message_opcode",
        "_opcode",
        "_utf8",
        "frames",
    )

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self._buffer = b""
        self._at = 0
        # The frame being read; `_left` bytes of its payload are missing, None: its header is.
        self._left: int | None = None
        self._opcode = 0
        self._final = False
        self._mask = b""
        # The message being gathered from pieces or fragments, and its decoder when it is text.
        self._message: bytearray | None = None
        self._message_opcode = 0
        self._utf8: codecs.IncrementalDecoder | None = None
        #: headers read so far: fragments and control frames count
        self.frames = 0

    def feed(self, data: bytes) -> None:
        """Takes what has come; `read` gives what it completes."""
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0

    def read(self) -> Message | None:
        """The next message or control frame, None until more bytes come. Raises Violation."""
        while True:
            if self._left is None and not self._header():
                return None
            if self._opcode & _CONTROL:
                return self._control()
            message = self._data()
            if message is not None or self._left is not None:
                return message

    def _header(self) -> bool:
        """Reads a frame's header once it is there as a whole; checks what its first two bytes tell at once."""
        buffer, at = self._buffer, self._at
        there = len(buffer) - at
        if there < 2:
            return False
        first, second = buffer[at], buffer[at + 1]
        opcode, size = first & _OPCODE, second & _SIZE
        self._check(first, second)
        head = 2 if size < 126 else 4 if size == 126 else 10
        if there < head + 4:
            return False
        if size == 126:
            (size,) = struct.unpack_from("!H", buffer, at + 2)
            if size < 126:
                raise Violation(Failure.PROTOCOL, "the size is not in its shortest form")
        elif size == 127:
            (size,) = struct.unpack_from("!Q", buffer, at + 2)
            if size < 65_536 or size >> 63:
                raise Violation(Failure.PROTOCOL, "the size is not in its shortest form")
        if not opcode & _CONTROL:
            if size + (len(self._message) if self._message is not None else 0) > self._max_message:
                raise Violation(Failure.TOO_BIG, "the message is too big")
            if opcode != _CONTINUATION:
                self._message_opcode = opcode
        self._mask = buffer[at + head : at + head + 4]
        self._at = at + head + 4
        self._opcode, self._final, self._left = opcode, bool(first & _FINAL), size
        self.frames += 1
        return True

    def _check(self, first: int, second: int) -> None:
        opcode = first & _OPCODE
        if first & _RESERVED:
            raise Violation(Failure.PROTOCOL, "a reserved bit is set, but no extension was agreed")
        if opcode not in _OPCODES:
            raise Violation(Failure.PROTOCOL, "the opcode is reserved")
        if not second & _MASKED:
            raise Violation(Failure.PROTOCOL, "frames of clients must be masked")
        if opcode & _CONTROL:
            if not first & _FINAL:
                raise Violation(Failure.PROTOCOL, "control frames must not be fragmented")
            if second & _SIZE > _MAX_CONTROL:
                raise Violation(Failure.PROTOCOL, "the control frame is too long")
        elif (opcode == _CONTINUATION) != (self._message is not None):
            reason = "there is no message to continue" if self._message is None else "the last message is not complete"
            raise Violation(Failure.PROTOCOL, reason)

    def _control(self) -> Message | None:
        assert self._left is not None
        if len(self._buffer) - self._at < self._left:
            return None
        return Message(self._opcode, self._take(self._left))

    def _data(self) -> Message | None:
        """Takes what has come of a data frame. None: the frame or its message is not complete."""
        assert self._left is not None
        count = min(self._left, len(self._buffer) - self._at)
        whole = count == self._left and self._final
        piece = self._take(count)
        if self._message is None and whole:  # one frame, there at once: the usual case
            return Message(self._message_opcode, _text(piece) if self._message_opcode == TEXT else piece)
        if self._message is None:
            self._message = bytearray()
            self._utf8 = _Utf8() if self._message_opcode == TEXT else None
        self._message += piece
        if self._utf8 is not None:
            try:
                self._utf8.decode(piece, whole)
            except UnicodeDecodeError:
                raise Violation(Failure.NOT_UTF8, "text must be UTF-8") from None
        if not whole:
            return None
        data, self._message, self._utf8 = bytes(self._message), None, None
        return Message(self._message_opcode, data.decode() if self._message_opcode == TEXT else data)

    def _take(self, count: int) -> bytes:
        """The next bytes of the payload, unmasked; at its end `_left` becomes None."""
        assert self._left is not None
        mask, self._at = self._mask, self._at + count
        data = _websocket_mask(mask, self._buffer[self._at - count : self._at])
        if count == self._left:
            self._left = None
        else:
            self._left -= count
            turn = count % 4
            self._mask = mask[turn:] + mask[:turn]
        return data


def goodbye(data: bytes) -> Goodbye:
    """What a close frame's payload says (section 5.5.1). Raises Violation."""
    if not data:
        return Goodbye(None, "")
    if len(data) == 1:
        raise Violation(Failure.PROTOCOL, "a close code has two bytes")
    (code,) = struct.unpack_from("!H", data)
    if not may_be_sent(code):
        raise Violation(Failure.PROTOCOL, "this close code cannot be sent")
    return Goodbye(code, _text(data[2:]))


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry this code: section 7.4 and the registry it set up at IANA (1012 to 1014)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Violation(Failure.NOT_UTF8, "text must be UTF-8") from None
