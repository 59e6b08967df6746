"""One picture of a camera: a whole keyframe, decoded in a thread (decoding releases the interpreter's lock)."""

from __future__ import annotations

import asyncio
import time

import av
import msgspec
from av.video.codeccontext import VideoCodecContext

from server.calls.worker.assembly import Assembler, Frame

#: Pixels of a picture: looked at before anything is decoded.
MOST_PIXELS = 1920 * 1920
#: Seconds that a missing packet is waited for; then the next keyframe is as good.
_PATIENCE = 0.5
_VP8_START = b"\x9d\x01\x2a"


class NoPicture(Exception):
    """There was no keyframe in time, or it is none that can be decoded."""


class Still(msgspec.Struct, frozen=True):
    """RGB, 3 bytes a pixel, rows from the top; `at` in milliseconds since 1970, when its keyframe was complete."""

    width: int
    height: int
    rgb: bytes
    at: int


class Exposure:
    """Waits for the first whole keyframe among the packets of a track: `tap` them, then `wait`."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._loop = asyncio.get_running_loop()
        self._assembler = Assembler(codec, patience=_PATIENCE)
        self._frame: asyncio.Future[tuple[Frame, int]] = self._loop.create_future()

    def tap(self, sequence: int, timestamp: int, marker: bool, payload: bytes) -> None:
        if self._frame.done():
            return
        for frame in self._assembler.put(sequence, timestamp, marker, payload, self._loop.time()):
            if frame.key and not self._frame.done():
                self._frame.set_result((frame, time.time_ns() // 1_000_000))

    @property
    def done(self) -> bool:
        return self._frame.done()

    async def wait(self, seconds: float) -> bool:
        """Whether the keyframe has come within so many seconds."""
        await asyncio.wait((self._frame,), timeout=seconds)
        return self._frame.done()

    async def still(self) -> Still:
        """Raises NoPicture."""
        if not self._frame.done():
            raise NoPicture("no keyframe came")
        frame, at = self._frame.result()
        return await asyncio.to_thread(developed, self._codec, frame.data, at)


def developed(codec: str, data: bytes, at: int) -> Still:
    """Raises NoPicture for what cannot be decoded and for what is larger than MOST_PIXELS."""
    if codec == "VP8" and not _vp8_fits(data):
        raise NoPicture("no VP8 keyframe, or one that is too large")
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
