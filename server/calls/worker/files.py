"""The files of a recording: encoded frames as they came, in Matroska, one file for each person (R-15).

Everything here runs in the recording's thread. A file is `PERSON.mkv.part` until it is finished; what comes after a
change that one file cannot hold (another codec, a track that nobody had when it began) goes into `PERSON-2.mkv`.
All files of a recording share one clock: their time 0 is its beginning. When a frame was taken is what its publisher's
reports say (sync.py), so that voice and picture stay together however they came; without reports it is when it came.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import structlog
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from server.calls.wire import Track
from server.calls.worker import h264
from server.calls.worker.assembly import Assembler, Frame

_log = structlog.get_logger(__name__)

#: Below this many free bytes the database could stop in the middle of a write (server/data_directory.py: 200 MiB).
LEAST_FREE_BYTES = 500 * 1024 * 1024
#: Seconds that the beginning of a file waits for the first keyframe of everything that is shown.
_HEADER_SECONDS = 2.0
#: Files of one person: who changes codecs for ever fills no directory.
_MOST_FILES = 16
#: Beyond so many milliseconds between a track's clock and the time of arrival the clock has jumped; when frames were
#: taken may differ by more from when they came, since some come late.
_JUMP_MS = 1000
_LATE_MS = 2500
#: Bytes of a file for each frame, beside the frame.
_OF_A_FRAME = 32
_MILLISECOND = Fraction(1, 1000)
_RATES = {"OPUS": 48_000, "VP8": 90_000, "H264": 90_000}
_PERSON = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Full(Exception):
    """No more bytes may be, or can be, written."""


class Enough(Full):
    """No more may be written of one person."""


class Tapped(msgspec.Struct, frozen=True):
    """One packet. `source` counts the sources that a track has had; `arrived` is seconds since the beginning, and so is
    `moment`: when it was taken, as far as that is known."""

    person: str
    track: Track
    codec: str
    source: int
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    arrived: float
    moment: float | None = None


class _Tape:
    """One track: its packets become frames with a time of their own."""

    def __init__(self, codec: str, source: int) -> None:
        self.codec = codec
        self.source = source
        self.assembler = Assembler(codec)
        self.needs_key = codec != "OPUS"
        self._zero: float | None = None
        self._last = -1

    def at(self, frame: Frame) -> int:
        """Milliseconds, always more than those of the frame before."""
        arrived = frame.arrived * 1000
        ticks = frame.ticks * 1000 / _RATES[self.codec]
        if frame.moment is not None and abs(1000 * frame.moment - arrived) <= _LATE_MS:
            self._zero = 1000 * frame.moment - ticks
        elif self._zero is None or abs(self._zero + ticks - arrived) > _JUMP_MS:
            self._zero = arrived - ticks
        self._last = max(self._last + 1, round(self._zero + ticks))
        return self._last

    def follow(self, codec: str, source: int) -> None:
        """Another source: a new connection of the same person."""
        self.codec = codec
        self.source = source
        self.assembler = Assembler(codec)
        self.needs_key = codec != "OPUS"
        self._zero = None


class _Waiting(msgspec.Struct, frozen=True):
    track: Track
    codec: str
    at: int
    frame: Frame


class Files:
    """What one person is recorded in."""

    def __init__(self, directory: Path, person: str) -> None:
        if not _PERSON.fullmatch(person):
            raise ValueError("no name for a file")
        self._directory = directory
        self._person = person
        self._tapes: dict[Track, _Tape] = {}
        self._waiting: list[_Waiting] = []
        self._out: OutputContainer | None = None
        self._part: Path | None = None
        self._streams: dict[Track, tuple[str, Stream]] = {}
        self.written: dict[str, int] = {}
        #: tracks that are nothing without a keyframe
        self.wanting: set[Track] = set()

    def take(self, tapped: Tapped) -> int:
        """The bytes of frames that have become whole. Raises Full, OSError, av.FFmpegError."""
        tape = self._tapes.get(tapped.track)
        if tape is None:
            tape = self._tapes[tapped.track] = _Tape(tapped.codec, tapped.source)
        elif tape.source != tapped.source:
            tape.follow(tapped.codec, tapped.source)
        frames = tape.assembler.put(
            tapped.sequence, tapped.timestamp, tapped.marker, tapped.payload, tapped.arrived, tapped.moment
        )
        size = self._frames(tapped.track, tape, frames)
        if tape.assembler.needs_key:
            self.wanting.add(tapped.track)
        return size

    def _frames(self, track: Track, tape: _Tape, frames: Iterator[Frame]) -> int:
        size = 0
        for frame in frames:
            if tape.needs_key and not frame.key:
                self.wanting.add(track)
                continue
            tape.needs_key = False
            size += len(frame.data) + _OF_A_FRAME
            self._write(_Waiting(track, tape.codec, tape.at(frame), frame))
        return size

    def _write(self, waiting: _Waiting) -> None:
        if self._out is not None:
            known = self._streams.get(waiting.track)
            if known is not None and known[0] == waiting.codec:
                self._mux(self._out, waiting)
                return
            self._close()
            for track, tape in self._tapes.items():
                if track != waiting.track and tape.codec != "OPUS":  # pictures of a new file begin with a keyframe
                    tape.needs_key = True
                    self.wanting.add(track)
        self._waiting.append(waiting)
        there = {known.track for known in self._waiting}
        late = waiting.at - self._waiting[0].at > _HEADER_SECONDS * 1000
        if late or (len(there) > 1 and there >= self._tapes.keys()):
            self._begin()

    def _begin(self) -> None:
        if len(self.written) >= _MOST_FILES:
            raise Enough(f"{_MOST_FILES} files of one person")
        number = len(self.written) + 1
        name = f"{self._person}.mkv" if number == 1 else f"{self._person}-{number}.mkv"
        self._part = self._directory / f"{name}.part"
        self.written[name] = 0
        out = av.open(str(self._part), "w", format="matroska", container_options={"max_interleave_delta": "1000000"})
        self._out = out
        for waiting in sorted(self._waiting, key=lambda waiting: waiting.track):
            if waiting.track not in self._streams:
                self._streams[waiting.track] = (waiting.codec, _stream(out, waiting))
        out.start_encoding()
        held, self._waiting = self._waiting, []
        for waiting in held:
            # a change of codec while the header waited: the next file has it
            if self._streams[waiting.track][0] == waiting.codec:
                self._mux(out, waiting)

    def _mux(self, out: OutputContainer, waiting: _Waiting) -> None:
        packet = av.Packet(waiting.frame.data)
        packet.stream = self._streams[waiting.track][1]
        packet.time_base = _MILLISECOND
        packet.pts = packet.dts = waiting.at
        packet.is_keyframe = waiting.frame.key
        out.mux_one(packet)

    def _close(self) -> None:
        out, self._out = self._out, None
        part, self._part = self._part, None
        self._streams = {}
        if out is None or part is None:
            return
        try:
            out.close()
        finally:
            if part.exists():
                whole = part.with_suffix("")
                part.replace(whole)
                self.written[whole.name] = whole.stat().st_size

    def finish(self) -> None:
        """Closes the file, also one that had nothing but a beginning. Raises Full, OSError, av.FFmpegError."""
        for track, tape in self._tapes.items():
            self._frames(track, tape, tape.assembler.rest())
        if self._out is None and self._waiting:
            self._begin()
        self._close()


def _stream(out: OutputContainer, waiting: _Waiting) -> Stream:
    if waiting.codec == "OPUS":
        # the encoder is opened for the header that players ask for, and encodes nothing
        sound = out.add_stream("libopus", rate=_RATES["OPUS"])
        assert isinstance(sound, AudioStream)
        sound.layout = "stereo"
        return sound
    if waiting.codec == "VP8":
        data = waiting.frame.data
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return out.add_mux_stream("vp8", width=width or 16, height=height or 16, time_base=_MILLISECOND)
    # the sets are read, no picture is decoded
    width, height = h264.size(waiting.frame.data)
    given = av.open(io.BytesIO(h264.parameter_sets(waiting.frame.data)), format="h264")
    assert isinstance(given, InputContainer)
    with given:
        picture = out.add_stream_from_template(given.streams.video[0])
    picture.width, picture.height = width, height
    return picture


class Shelf:
    """All files of a recording. `most` bytes of frames in all.

    What one person sends that cannot be written ends what is written of them, and of nobody else.
    """

    def __init__(self, directory: Path, most: int, *, least_free: int = LEAST_FREE_BYTES) -> None:
        self._directory = directory
        self._left = most
        self._least_free = least_free
        self._files: dict[str, Files] = {}
        self._spoilt: set[str] = set()

    def take(self, batch: Sequence[Tapped]) -> set[tuple[str, Track]]:
        """The tracks that need a keyframe. Raises Full, OSError, av.FFmpegError."""
        if shutil.disk_usage(self._directory).free < self._least_free:
            raise Full("the disk")
        for tapped in batch:
            files = self._files.get(tapped.person)
            if files is None:
                files = self._files[tapped.person] = Files(self._directory, tapped.person)
            if tapped.person in self._spoilt:
                continue
            try:
                self._left -= files.take(tapped)
            except (Enough, ValueError) as fault:  # av.InvalidDataError is one
                _log.warning("not recorded any further", person=tapped.person, why=str(fault))
                self._spoilt.add(tapped.person)
            if self._left < 0:
                raise Full("the recording")
        wanting = set()
        for person, files in self._files.items():
            if person in self._spoilt:
                continue
            wanting |= {(person, track) for track in files.wanting}
            files.wanting.clear()
        return wanting

    def finish(self) -> dict[str, int]:
        """Name → bytes of the files that hold something; a file that fails is left as it is (`.part`)."""
        found: dict[str, int] = {}
        for files in self._files.values():
            with suppress(Full, OSError, ValueError, av.FFmpegError):
                files.finish()
            found |= {name: size for name, size in files.written.items() if size}
        return found
