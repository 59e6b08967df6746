"""Whole frames out of RTP packets: what a recording writes and a snapshot decodes.

Payload formats: VP8 (RFC 7741), H264 in packetization mode 1 (RFC 6184; frames come out in Annex B), Opus (RFC 7587:
a packet is a frame). A frame that misses a packet is dropped, and all of a picture's frames up to the next keyframe,
since they could not be decoded. What is malformed is dropped like what is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

#: Packets that wait for one that is missing, and seconds that they wait.
_MOST_WAITING = 1024
PATIENCE = 2.0
#: Bytes of a frame; a keyframe of 1920 × 1080 at the best quality is well below.
_MOST_BYTES = 4 * 1024 * 1024
_START_CODE = b"\x00\x00\x00\x01"
_H264_IDR, _H264_SPS, _H264_STAP_A, _H264_FU_A = 5, 7, 24, 28


class Frame(msgspec.Struct, frozen=True):
    """`ticks` of the track's clock since its first packet, `arrived` the loop's time of the packet that ended it.

    `moment` is when it was taken, as far as that is known: seconds, on the loop's clock.
    """

    ticks: int
    arrived: float
    key: bool
    data: bytes
    moment: float | None = None


class _Packet(msgspec.Struct, frozen=True):
    timestamp: int
    marker: bool
    payload: bytes
    arrived: float
    moment: float | None


class Unwrapped:
    """Numbers of `bits` bits that start again at 0, as numbers that do not. Each is taken nearest to the last."""

    def __init__(self, bits: int) -> None:
        self._modulus = 1 << bits
        self._last: int | None = None

    def take(self, value: int) -> int:
        if self._last is None:
            self._last = value
            return value
        half = self._modulus >> 1
        self._last += (value - self._last + half) % self._modulus - half
        return self._last


class Assembler:
    """`put` packets as they come, out of order too; whole frames come out in order. `lost` counts what was given up."""

    def __init__(self, codec: str, *, patience: float = PATIENCE) -> None:
        if codec not in ("OPUS", "VP8", "H264"):
            raise ValueError(codec)
        self._codec = codec
        self._patience = patience
        self._sequence = Unwrapped(16)
        self._clock = Unwrapped(32)
        self._first: int | None = None
        self._next: int | None = None
        self._waiting: dict[int, _Packet] = {}
        self._parts: list[_Packet] = []
        self._bytes = 0
        self._spoilt = False  # the frame that is being put together misses something
        self._until_key = codec != "OPUS"
        self.lost = 0

    @property
    def needs_key(self) -> bool:
        """Whether nothing comes out before a keyframe has come."""
        return self._until_key

    def put(
        self,
        sequence: int,
        timestamp: int,
        marker: bool,
        payload: bytes,
        arrived: float,
        moment: float | None = None,
    ) -> Iterator[Frame]:
        """`timestamp` in the track's clock; `arrived` and `moment` in seconds."""
        number = self._sequence.take(sequence)
        if self._next is None:
            self._next = number
        if number < self._next:
            return
        self._waiting[number] = _Packet(timestamp, marker, payload, arrived, moment)
        oldest = next(iter(self._waiting.values()))
        if arrived - oldest.arrived > self._patience or len(self._waiting) > _MOST_WAITING:
            self._give_up()
        yield from self._whole()

    def rest(self) -> Iterator[Frame]:
        """What still waits for packets that will not come any more."""
        while self._waiting:
            self._give_up()
            yield from self._whole()

    def _whole(self) -> Iterator[Frame]:
        while self._next is not None and (packet := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            yield from self._follow(packet)

    def _give_up(self) -> None:
        self._next = min(self._waiting)
        self.lost += 1
        self._spoilt = True
        self._until_key = self._codec != "OPUS"

    def _follow(self, packet: _Packet) -> Iterator[Frame]:
        if self._codec == "OPUS":
            if packet.payload:
                yield Frame(self._ticks(packet), packet.arrived, True, packet.payload, packet.moment)
            return
        if self._parts and self._parts[0].timestamp != packet.timestamp:  # its marker was not set
            yield from self._finish()
        self._bytes += len(packet.payload)
        if self._bytes > _MOST_BYTES:
            self._spoilt = True
            self._parts = self._parts[:1]
        if packet.payload:
            self._parts.append(packet)
        if packet.marker:
            yield from self._finish()

    def _finish(self) -> Iterator[Frame]:
        parts, self._parts = self._parts, []
        spoilt, self._spoilt = self._spoilt, False
        self._bytes = 0
        if not parts:
            return
        try:
            key, data = _vp8(parts) if self._codec == "VP8" else _h264(parts)
        except (ValueError, IndexError):
            spoilt, key, data = True, False, b""
        if spoilt:
            self.lost += 1
            self._until_key = True
        elif key or not self._until_key:
            self._until_key = False
            yield Frame(self._ticks(parts[0]), parts[-1].arrived, key, data, parts[0].moment)

    def _ticks(self, packet: _Packet) -> int:
        ticks = self._clock.take(packet.timestamp)
        if self._first is None:
            self._first = ticks
        return ticks - self._first


def _vp8(parts: list[_Packet]) -> tuple[bool, bytes]:
    """Raises ValueError, IndexError for what is no VP8."""
    pieces = []
    for index, part in enumerate(parts):
        begins, offset = vp8_descriptor(part.payload)
        if begins != (index == 0):
            raise ValueError("a frame begins with its first packet")
        pieces.append(part.payload[offset:])
    frame = b"".join(pieces)
    return not frame[0] & 1, frame


def vp8_descriptor(payload: bytes) -> tuple[bool, int]:
    """Whether a frame begins here, and where the frame's bytes begin (RFC 7741, 4.2). Raises IndexError, ValueError."""
    first = payload[0]
    offset = 1
    if first & 0x80:
        extended = payload[1]
        offset = 2
        if extended & 0x80:
            offset += 2 if payload[offset] & 0x80 else 1
        if extended & 0x40:
            offset += 1
        if extended & 0x30:
            offset += 1
    if offset > len(payload):
        raise ValueError("shorter than its descriptor")
    return bool(first & 0x10) and not first & 0x07, offset


def _h264(parts: list[_Packet]) -> tuple[bool, bytes]:
    """Raises ValueError, IndexError for what is no H264 or of another packetization mode."""
    units: list[bytes] = []
    open_unit: list[bytes] | None = None
    for part in parts:
        payload = part.payload
        kind = payload[0] & 0x1F
        if kind == _H264_FU_A:
            header = payload[1]
            if header & 0x80:
                open_unit = [bytes([payload[0] & 0xE0 | header & 0x1F])]
            if open_unit is None:
                raise ValueError("a fragment without a beginning")
            open_unit.append(payload[2:])
            if header & 0x40:
                units.append(b"".join(open_unit))
                open_unit = None
            continue
        if open_unit is not None:
            raise ValueError("a fragment without an end")
        if kind == _H264_STAP_A:
            units += _aggregated(payload)
        elif 1 <= kind <= 23:
            units.append(payload)
        else:
            raise ValueError(f"a packet of type {kind}")
    if open_unit is not None or not units:
        raise ValueError("no whole unit")
    kinds = {unit[0] & 0x1F for unit in units}
    return _H264_IDR in kinds and _H264_SPS in kinds, b"".join(_START_CODE + unit for unit in units)


def _aggregated(payload: bytes) -> Iterator[bytes]:
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + size]
        if not size or len(unit) != size:
            raise ValueError("a unit of another size than it says")
        yield unit
        at += 2 + size
