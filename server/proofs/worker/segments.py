"""The segments of a JPEG file (ITU-T T.81, annex B), read strictly: what a camera's frame has, and nothing beside it.

A file that is something else as well – with an archive behind its end, a page in its comments – is refused here, before
anything decodes it. Bounded: one pass over the bytes.
"""

from __future__ import annotations

import msgspec

#: a picture's sides
SIDE_LEAST, SIDE_MOST = 160, 4096
PIXELS_MOST = 16_000_000
_SEGMENTS_MOST = 200
#: A progressive picture has about ten; each costs a pass over all its pixels, and a browser's camera writes one.
_SCANS_MOST = 20
#: frames that every decoder reads: baseline, extended, progressive
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_TABLES = frozenset({0xC4, 0xDB, 0xDD})
_SCAN, _END, _COMMENT = 0xDA, 0xD9, 0xFE


class BadPicture(ValueError):
    """It is no JPEG picture, or not one only, or too large, or cut off."""


class Foreign(ValueError):
    """Something else has written into it: an editor, another camera's maker, another signer."""


class Frame(msgspec.Struct, frozen=True):
    """Pixels as encoded; `exif` is whether there is such a segment."""

    width: int
    height: int
    exif: bool


def read(data: bytes) -> Frame:
    """Raises BadPicture, Foreign."""
    if data[:2] != b"\xff\xd8":
        raise BadPicture("no JPEG")
    at, size, exif, scans = 2, None, False, 0
    for _ in range(_SEGMENTS_MOST):
        marker, at = _marker(data, at)
        if marker == _END:
            if at != len(data):
                raise BadPicture("something follows its end")
            if size is None or not scans:
                raise BadPicture("no picture in it")
            return Frame(*size, exif)
        body, at = _body(data, at)
        if marker in _FRAMES and size is None:
            size = _size(body)
        elif marker == _SCAN and size is not None:
            at, scans = _after_scan(data, at), scans + 1
            if scans > _SCANS_MOST:
                raise BadPicture("too many scans")
        elif 0xE0 <= marker <= 0xEF:
            exif = _application(marker, body) or exif
        elif marker not in _TABLES:
            raise BadPicture("a comment, or a kind of frame that cameras do not write")
    raise BadPicture("too many segments")


def _marker(data: bytes, at: int) -> tuple[int, int]:
    if at + 2 > len(data) or data[at] != 0xFF:
        raise BadPicture("cut off")
    return data[at + 1], at + 2


def _body(data: bytes, at: int) -> tuple[bytes, int]:
    length = int.from_bytes(data[at : at + 2], "big")
    if length < 2 or at + length > len(data):
        raise BadPicture("cut off")
    return data[at + 2 : at + length], at + length


def _size(body: bytes) -> tuple[int, int]:
    if len(body) < 6 or body[0] != 8:
        raise BadPicture("not of eight bits")
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if not (min(width, height) >= SIDE_LEAST and max(width, height) <= SIDE_MOST and width * height <= PIXELS_MOST):
        raise BadPicture("too small or too large")
    return width, height


def _application(marker: int, body: bytes) -> bool:
    """Whether it is EXIF. Browsers write JFIF, a colour profile, and (Safari) short EXIF and Photoshop's digest."""
    if marker == 0xEB:
        raise Foreign("signed by somebody")
    if marker == 0xE1:
        if not body.startswith(b"Exif\x00"):
            raise Foreign("an editor's notes")
        return True
    if marker == 0xE2 and not body.startswith(b"ICC_PROFILE\x00"):
        raise Foreign("several pictures in one")
    if marker not in (0xE0, 0xE2, 0xED, 0xEE):
        raise Foreign("a maker's notes")
    if marker in (0xED, 0xEE) and len(body) > 128:
        raise Foreign("an editor's notes")
    if marker == 0xE0 and len(body) > 64:
        raise Foreign("a picture within the picture")
    return False


def _after_scan(data: bytes, at: int) -> int:
    """Where the next marker is: in a scan FF is followed by 00 or a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise BadPicture("cut off")
        if data[at + 1] != 0x00 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2
