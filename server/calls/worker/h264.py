"""What stands in the parameter sets of an H264 keyframe: read here, so that nothing is decoded to learn a size.

ITU-T H.264, 7.3.2.1.1 (sequence parameter set) and 7.4.2.1.1. Raises ValueError for what is malformed or absurd.
"""

from __future__ import annotations

_START_CODE = b"\x00\x00\x00\x01"
_SPS, _PPS = 7, 8
_ACCESS_UNIT = _START_CODE + b"\x09\xf0"
#: Profiles whose sets say more about colours before they come to the size.
_HIGH = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))
#: Macroblocks of a side, and reference frames whose offsets are told; what is beyond is absurd.
_MOST_SIDE = 1024
_MOST_OFFSETS = 255
_LONGEST = 32


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("a parameter set ends too soon")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def exponential(self) -> int:
        """ue(v): 9.1."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _LONGEST:
                raise ValueError("no number of a parameter set is as large")
        return (1 << zeros) - 1 + self.take(zeros)


def parameter_sets(keyframe: bytes) -> bytes:
    """The sets of a keyframe in Annex B, and a delimiter after them. Raises ValueError."""
    units = [unit for unit in keyframe.split(_START_CODE) if unit]
    sets = [next((unit for unit in units if unit[0] & 0x1F == kind), None) for kind in (_SPS, _PPS)]
    if any(found is None for found in sets):
        raise ValueError("a keyframe without its parameter sets")
    return b"".join(_START_CODE + found for found in sets if found) + _ACCESS_UNIT


def size(keyframe: bytes) -> tuple[int, int]:
    """Width and height of the largest picture that the keyframe announces. Raises ValueError."""
    found = [_size(unit) for unit in keyframe.split(_START_CODE) if unit and unit[0] & 0x1F == _SPS]
    if not found:
        raise ValueError("a keyframe without its parameter sets")
    return max(found, key=lambda size: size[0] * size[1])


def _size(unit: bytes) -> tuple[int, int]:
    bits = _Bits(unit[1:512].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile = bits.take(8)
    bits.take(16)
    bits.exponential()
    chroma = 1
    if profile in _HIGH:
        chroma = bits.exponential()
        if chroma != 1:  # browsers send 4:2:0
            raise ValueError("other colours than calls have")
        bits.exponential()
        bits.exponential()
        bits.take(1)
        if bits.take(1):
            raise ValueError("scaling lists")
    bits.exponential()
    kind = bits.exponential()
    if kind == 0:
        bits.exponential()
    elif kind == 1:
        bits.take(1)
        bits.exponential()
        bits.exponential()
        count = bits.exponential()
        if count > _MOST_OFFSETS:
            raise ValueError("absurdly many offsets")
        for _ in range(count):
            bits.exponential()
    bits.exponential()
    bits.take(1)
    across, down = bits.exponential() + 1, bits.exponential() + 1
    frames_only = bits.take(1)
    if not frames_only:
        bits.take(1)
        down *= 2
    if across > _MOST_SIDE or down > _MOST_SIDE:
        raise ValueError("an absurd size")
    bits.take(1)
    width, height = 16 * across, 16 * down
    if bits.take(1):
        left, right, top, bottom = (bits.exponential() for _ in range(4))
        width -= 2 * (left + right)
        height -= 2 * (2 - frames_only) * (top + bottom)
    if width <= 0 or height <= 0:
        raise ValueError("nothing is left of the picture")
    return width, height
