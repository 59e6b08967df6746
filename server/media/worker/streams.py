"""What voice and video share: opening what somebody has sent, and the sound that goes out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.logging
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from server.media.content import LOOKED_AT, STREAMS, Family, family, type_of
from server.media.model import FaultCode
from server.media.orders import Refusal

#: samples per second
RATE = 48_000
#: samples in one frame of AAC
_FRAME = 1024
#: what recorders of browsers and phones, and the files that people have, are made of
SOUND_CODECS = frozenset(
    (
        *("aac", "opus", "vorbis", "mp3", "mp3float", "flac", "alac", "amrnb", "amrwb"),
        *("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_u8", "pcm_mulaw", "pcm_alaw"),
    )
)
PICTURE_CODECS = frozenset(("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mjpeg", "h263"))
#: packets that cannot be decoded, out of a hundred, before the whole counts as damaged
_DAMAGED_PERCENT = 5
#: seconds by which something may be longer than allowed: recorders stop a moment late
GRACE = 1.0
#: a header that announces so much more than there is belongs to something cut off: a part of it, and seconds
_MISSING_PART, _MISSING_SECONDS = 0.1, 1.0

av.logging.set_level(None)


@contextmanager
def opened(source: Path) -> Iterator[InputContainer]:
    """The file, read by the demuxer of its own type only: none of them opens another file or address.

    Raises Refusal, also for what the libraries find inside.
    """
    with source.open("rb") as file:
        kind = type_of(file.read(LOOKED_AT))
    if kind not in STREAMS:
        unsupported = family(kind) is Family.PICTURE
        raise Refusal(FaultCode.UNSUPPORTED if unsupported else FaultCode.NOT_RECOGNISED)
    try:
        with av.open(
            str(source),
            "r",
            format=STREAMS[kind],
            options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        ) as container:
            yield container
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError, OSError, EOFError) as fault:
        if isinstance(fault, av.error.MemoryError):
            raise MemoryError from None
        raise Refusal(FaultCode.DAMAGED) from None


def sound_of(container: InputContainer) -> AudioStream | None:
    """Raises Refusal for sound that is not decoded here."""
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    if stream.codec.name not in SOUND_CODECS:
        raise Refusal(FaultCode.UNSUPPORTED)
    return stream


def moving_picture_of(container: InputContainer) -> VideoStream | None:
    """The first one that is no cover of a piece of music."""
    stills = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
    for stream in container.streams.video:
        if not stream.disposition & stills:
            if stream.codec.name not in PICTURE_CODECS:
                raise Refusal(FaultCode.UNSUPPORTED)
            return stream
    return None


def announced(container: InputContainer) -> float:
    """Seconds that the header promises; 0 when it says nothing, as with what browsers record."""
    return container.duration / av.time_base if container.duration and container.duration > 0 else 0.0


def check_announced(container: InputContainer, longest: int) -> float:
    """Raises Refusal for what is too long by its own words, before any work is done."""
    seconds = announced(container)
    if seconds > longest + GRACE:
        raise Refusal(FaultCode.TOO_LONG)
    return seconds


def check_whole(seconds: float, promised: float) -> None:
    """Raises Refusal when the end is missing."""
    if promised - seconds > max(_MISSING_SECONDS, promised * _MISSING_PART):
        raise Refusal(FaultCode.DAMAGED)


def decoded(container: InputContainer, *streams: AudioStream | VideoStream) -> Iterator[AudioFrame | VideoFrame]:
    """All frames of these streams, as they come. Raises Refusal when too many cannot be decoded."""
    packets, bad = 0, 0
    for packet in container.demux(*streams):
        packets += 1
        try:
            frames: Any = packet.decode()
        except av.error.InvalidDataError:
            bad += 1
            continue
        yield from frames
    if bad * 100 > packets * _DAMAGED_PERCENT:
        raise Refusal(FaultCode.DAMAGED)


def output(path: Path) -> OutputContainer:
    """An MP4 whose index comes first, so that it plays before it is loaded; without a word about its making."""
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    return av.open(str(path), "w", format="mp4", options=options)


class SoundTrack:
    """Turns any sound into AAC of 48 kHz. `frames` are the samples as they were encoded."""

    def __init__(self, into: OutputContainer, *, layout: str, bit_rate: int) -> None:
        self._into = into
        self._stream = into.add_stream("aac", rate=RATE, layout=layout)
        self._stream.bit_rate = bit_rate
        self._resampler = AudioResampler(format="fltp", layout=layout, rate=RATE, frame_size=_FRAME)
        self._samples = 0
        self._begins: int | None = None

    @property
    def seconds(self) -> float:
        return self._samples / RATE

    def add(self, frame: AudioFrame, at: float) -> list[AudioFrame]:
        """`at` is when the frame begins, in seconds; only that of the first one counts."""
        if self._begins is None:
            self._begins = max(0, round(at * RATE))
        return self._encode(self._resampler.resample(frame))

    def end(self) -> list[AudioFrame]:
        frames = self._encode(self._resampler.resample(None)) if self._samples else []
        self._into.mux(self._stream.encode(None))
        return frames

    def _encode(self, frames: list[AudioFrame]) -> list[AudioFrame]:
        for frame in frames:
            frame.pts = (self._begins or 0) + self._samples
            frame.time_base = Fraction(1, RATE)
            self._samples += frame.samples
            packets: list[Packet[AudioStream]] = self._stream.encode(frame)
            self._into.mux(packets)
        return frames
