"""`python -m server.calls.worker.develop`: decodes one keyframe in a process of its own, bounded in memory and time.

What a stranger's encoder has made is given to a decoder of a million lines: where that ends badly, a picture is missing
and nobody's call ends. The order is a header and the keyframe on standard input; the answer a header and the pixels.
"""

from __future__ import annotations

import os
import resource
import struct
import sys
from contextlib import suppress

import av
import msgspec
from av.video.codeccontext import VideoCodecContext

from server.calls.worker import h264

#: Pixels of a picture: looked at before anything is decoded.
MOST_PIXELS = 1920 * 1920
#: Codec (a place in CODECS), milliseconds since 1970, bytes of the keyframe.
ORDER = struct.Struct("!BQI")
#: Whether there is a picture, its width and height; then RGB, or why there is none.
ANSWER = struct.Struct("!BII")
CODECS = ("VP8", "H264")
#: Bytes of address space, most of which libraries reserve and never touch; seconds of the processor.
_MEMORY = 1024 * 1024 * 1024
_CPU_SECONDS = 5
_VP8_START = b"\x9d\x01\x2a"


class NoPicture(Exception):
    """There was no keyframe in time, or it is none that can be decoded."""


class Still(msgspec.Struct, frozen=True):
    """RGB, 3 bytes a pixel, rows from the top; `at` in milliseconds since 1970, when its keyframe was complete."""

    width: int
    height: int
    rgb: bytes
    at: int


def developed(codec: str, data: bytes, at: int) -> Still:
    """Raises NoPicture for what cannot be decoded and for what is larger than MOST_PIXELS."""
    if not (_vp8_fits(data) if codec == "VP8" else _h264_fits(data)):
        raise NoPicture("no keyframe, or one that is too large")
    context = av.CodecContext.create("vp8" if codec == "VP8" else "h264", "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    # libav looks at it before it makes room for a picture, and again when a stream changes its size
    context.options = {"max_pixels": str(MOST_PIXELS)}
    try:
        frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    except av.FFmpegError as error:
        raise NoPicture(f"not decoded: {error}") from None
    if not frames:
        raise NoPicture("nothing in it")
    picture = frames[0].reformat(format="rgb24")
    if not 0 < picture.width * picture.height <= MOST_PIXELS:
        raise NoPicture("too large")
    plane = picture.planes[0]
    row = 3 * picture.width
    raw = memoryview(plane)
    rgb = b"".join(raw[start : start + row] for start in range(0, plane.line_size * picture.height, plane.line_size))
    return Still(picture.width, picture.height, rgb, at)


def _vp8_fits(data: bytes) -> bool:
    """The header of a keyframe says its size (RFC 6386, 9.1)."""
    if len(data) < 10 or data[0] & 1 or data[3:6] != _VP8_START:
        return False
    width = int.from_bytes(data[6:8], "little") & 0x3FFF
    height = int.from_bytes(data[8:10], "little") & 0x3FFF
    return 0 < width * height <= MOST_PIXELS


def _h264_fits(data: bytes) -> bool:
    try:
        width, height = h264.size(data)
    except ValueError:
        return False
    return width * height <= MOST_PIXELS


def _bound() -> None:
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # a stricter one is there, or (macOS) this kind cannot be set
            resource.setrlimit(what, (most, most))


def main() -> None:
    order = sys.stdin.buffer.read(ORDER.size)
    if len(order) < ORDER.size:
        return
    codec, at, size = ORDER.unpack(order)
    data = sys.stdin.buffer.read(size)
    _bound()
    out = sys.stdout.buffer
    try:
        still = developed(CODECS[codec], data, at)
    except (NoPicture, MemoryError) as error:
        out.write(ANSWER.pack(0, 0, 0) + str(error).encode()[:200])
    else:
        out.write(ANSWER.pack(1, still.width, still.height) + still.rgb)
    out.flush()
    os._exit(0)  # nothing of the libraries' own farewell is of use


if __name__ == "__main__":
    main()
