"""RTP packets (RFC 3550, 5.1; header extensions RFC 8285) and what forwarding must know of their payloads.

Readers take what strangers send: they return None for what is malformed and raise nothing.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
#: The profile of one-byte headers; we never agree to the other kind.
ONE_BYTE = 0xBEDE

#: sequence, timestamp, SSRC, payload type, marker, (start, end) of the extensions, (start, end) of the payload
Read = tuple[int, int, int, int, int, int, int, int, int]

#: A VP8 payload taken apart for rewriting: picture id (-1 for none), its bits, TL0PICIDX (-1 for none), the descriptor
#: up to where the frame's bytes begin, and these.
Shape = tuple[int, int, int, bytes, bytes]

_H264_IDR, _H264_SPS, _H264_STAP_A = 5, 7, 24


def read(packet: bytes) -> Read | None:
    """The header of an RTP packet; padding is not part of the payload (which may be empty)."""
    end = len(packet)
    if end < 12:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
    if first & 0xC0 != 0x80:
        return None
    at = 12 + 4 * (first & 0x0F)
    start = stop = at
    if first & 0x10:
        if end < at + 4:
            return None
        profile, words = _EXTENSION.unpack_from(packet, at)
        at += 4 + 4 * words
        if profile == ONE_BYTE:
            start, stop = at - 4 * words, at
        else:
            start = stop = at
    if first & 0x20:
        padding = packet[-1]
        if not padding:
            return None
        end -= padding
    if at > end:
        return None
    return sequence, timestamp, ssrc, second & 0x7F, second >> 7, start, stop, at, end


def extension(packet: bytes, start: int, stop: int, wanted: int) -> bytes | None:
    """The data of the extension with this id (1 to 14) between `start` and `stop`, as `read` found them."""
    while start < stop:
        head = packet[start]
        if not head:
            start += 1
            continue
        id, size = head >> 4, (head & 0x0F) + 1
        if id == 15 or start + 1 + size > stop:
            return None
        if id == wanted:
            return packet[start + 1 : start + 1 + size]
        start += 1 + size
    return None


def nearest(value: int, reference: int, bits: int = 16) -> int:
    """The number that `value` (of so many bits) stands for: the nearest to `reference`; may be negative."""
    half = 1 << (bits - 1)
    return reference + ((value - reference + half) & ((1 << bits) - 1)) - half


class Head:
    """Headers of one outgoing stream, written quickly: everything that stays the same is kept.

    `mid`, `send_time` and `level` are extension ids, 0 for none. `write(marker, sequence, timestamp, stamp)` gives the
    header; `stamp` is the three bytes of `send_stamp`. `write_level` says besides how loud it is (RFC 6464).
    """

    __slots__ = ("_constant", "_first", "_level", "_payload_type", "_ssrc", "_struct", "levels")

    def __init__(
        self, ssrc: int, payload_type: int, mid: str, mid_id: int, send_time_id: int, level_id: int = 0
    ) -> None:
        self._ssrc = ssrc
        self._payload_type = payload_type
        elements = b""
        name = mid.encode()
        if mid_id and 1 <= len(name) <= 16:
            elements = bytes([mid_id << 4 | len(name) - 1]) + name
        time = bytes([send_time_id << 4 | 2]) if send_time_id else b""
        # Padding stands before the time, which stands last: then the header is one call of `pack`.
        self._constant = _block(elements, time)
        self._first = 0x90 if self._constant else 0x80
        self._struct = struct.Struct(f"!BBHII{len(self._constant)}s{3 if time else 0}s")
        #: Whether `write_level` may be called.
        self.levels = level_id > 0
        louder = _block(elements + bytes([level_id << 4, 0]), time)
        at = 4 + len(elements) + 1
        self._level = (
            louder[:at],
            louder[at + 1 :],
            struct.Struct(f"!BBHII{at}sB{len(louder) - at - 1}s{3 if time else 0}s"),
        )

    def write(self, marker: int, sequence: int, timestamp: int, stamp: bytes) -> bytes:
        return self._struct.pack(
            self._first,
            marker << 7 | self._payload_type,
            sequence & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            self._ssrc,
            self._constant,
            stamp,
        )

    def write_level(self, marker: int, sequence: int, timestamp: int, stamp: bytes, level: int) -> bytes:
        """`level` as its one byte is on the wire: the bit for a voice, and -dBov."""
        before, after, written = self._level
        return written.pack(
            0x90,
            marker << 7 | self._payload_type,
            sequence & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            self._ssrc,
            before,
            level,
            after,
            stamp,
        )


def _block(elements: bytes, time: bytes) -> bytes:
    """The extensions of a header without the three bytes of time that follow; empty when there are none."""
    size = len(elements) + (4 if time else 0)
    if not size:
        return b""
    return _EXTENSION.pack(ONE_BYTE, (size + 3) // 4) + elements + bytes(-size % 4) + time


def send_stamp(now: float) -> bytes:
    """abs-send-time: `now` in seconds, 6 bits of them and 18 of fractions."""
    return (int(now * 262_144) & 0xFFFFFF).to_bytes(3, "big")


def vp8_shape(payload: bytes) -> Shape | None:
    """RFC 7741, 4.2. None for what is malformed or has no frame in it."""
    try:
        at, picture, bits, level = 1, -1, 0, -1
        if payload[0] & 0x80:
            extended = payload[1]
            at = 2
            if extended & 0x80:
                if payload[at] & 0x80:
                    picture, bits = (payload[at] & 0x7F) << 8 | payload[at + 1], 15
                    at += 2
                else:
                    picture, bits = payload[at], 7
                    at += 1
            if extended & 0x40:
                level = payload[at]
                at += 1
            if extended & 0x30:
                at += 1
        if at >= len(payload):
            return None
        return picture, bits, level, payload[:at], payload[at:]
    except IndexError:
        return None


def vp8_rewritten(shape: Shape, picture_shift: int, level_shift: int) -> bytes:
    """The descriptor with other numbers, in as many bits as it had."""
    picture, bits, level, descriptor, _ = shape
    if picture < 0 and level < 0:
        return descriptor
    changed = bytearray(descriptor)
    at = 2
    if bits == 15:
        changed[2:4] = ((picture + picture_shift) & 0x7FFF | 0x8000).to_bytes(2, "big")
        at = 4
    elif bits:
        changed[2] = (picture + picture_shift) & 0x7F
        at = 3
    if level >= 0:
        changed[at] = (level + level_shift) & 0xFF
    return bytes(changed)


def vp8_begins_key(shape: Shape) -> bool:
    """Whether a keyframe begins in this packet: first partition, start of it, and the frame says so (RFC 6386, 9.1)."""
    first = shape[3][0]
    return bool(first & 0x10) and not first & 0x07 and not shape[4][0] & 1


def h264_begins_key(payload: bytes) -> bool:
    """Whether a keyframe begins here: with the parameter sets that belong before it (RFC 6184, 5.7)."""
    kind = payload[0] & 0x1F if payload else 0
    if kind == _H264_SPS:
        return True
    if kind != _H264_STAP_A:
        return False
    at, end = 1, len(payload)
    while at + 2 < end:
        if payload[at + 2] & 0x1F == _H264_SPS:
            return True
        at += 2 + (payload[at] << 8 | payload[at + 1])
    return False
