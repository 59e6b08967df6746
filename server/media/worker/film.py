"""Video clips: H.264 and AAC in MP4, upright, at most 720 lines, with a poster; nothing of what else was there."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from server.media.model import FaultCode, Variant
from server.media.orders import Made, Order, Piece, Refusal
from server.media.worker import pictures, streams
from server.media.worker.thumbhash import blur

#: pixels of the shorter and of the longer side
SHORT, LONG = 720, 1280
#: pixels of a frame that is read: 4K, and a little more for the rounding of codecs
MOST_PIXELS = 4096 * 2304
MOST_FRAMES_A_SECOND = 30
_CLOCK = 90_000  # ticks a second of what is written
_THREADS = 2
_QUALITY = {"preset": "veryfast", "crf": "26", "maxrate": "2500k", "bufsize": "5000k", "profile": "high"}
_SOUND_BIT_RATE = 96_000
#: seconds after which a frame makes a better poster than the first, which is often black
_POSTER_AT = 0.7
#: counter-clockwise rotation of the camera → filters that turn the picture upright
_TURNS = {0: [], 90: ["cclock"], -90: ["clock"], 180: ["clock", "clock"], -180: ["clock", "clock"]}


def make(order: Order) -> Made:
    """Raises Refusal."""
    into = Path(order.into)
    path = into / "main"
    with streams.opened(Path(order.source)) as container:
        moving = streams.moving_picture_of(container)
        if moving is None:
            raise Refusal(FaultCode.NO_PICTURE)
        sound = streams.sound_of(container)
        promised = streams.check_announced(container, order.seconds)
        begins = container.start_time / 1_000_000 if container.start_time else 0.0
        moving.thread_type = "AUTO"
        moving.codec_context.thread_count = _THREADS
        with streams.output(path) as made:
            picture = _PictureTrack(made, moving)
            track = streams.SoundTrack(made, layout="stereo", bit_rate=_SOUND_BIT_RATE) if sound else None
            early: list[tuple[AudioFrame, float]] = []  # nothing is written before both streams are known
            for frame in streams.decoded(container, *((moving, sound) if sound else (moving,))):
                at = picture.seconds if frame.time is None else frame.time - begins
                if isinstance(frame, AudioFrame):
                    early.append((frame, at))
                else:
                    picture.add(frame, at)
                while early and track is not None and picture.begun:
                    track.add(*early.pop(0))
                if max(at, picture.seconds, track.seconds if track else 0.0) > order.seconds + streams.GRACE:
                    raise Refusal(FaultCode.TOO_LONG)
            if not picture.begun:
                raise Refusal(FaultCode.DAMAGED)
            picture.end()
            if track is not None:
                track.end()
        poster = picture.poster
        assert poster is not None
        seconds = max(picture.seconds, track.seconds if track else 0.0)
    streams.check_whole(seconds, promised)
    pieces = [
        Piece(Variant.MAIN, path.name, "video/mp4"),
        pictures.shrunk(poster, Variant.POSTER, pictures.PREVIEW, into),
        pictures.shrunk(poster, Variant.THUMB, pictures.THUMB, into),
    ]
    return Made(pieces, width=poster.width, height=poster.height, seconds=round(seconds, 2), blur=blur(poster))


class _PictureTrack:
    """Frames upright, small enough and not too many, encoded. `seconds` is how far it has come."""

    def __init__(self, into: OutputContainer, source: VideoStream) -> None:
        self._into = into
        self._source = source
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str, int] | None = None
        self._stream: VideoStream | None = None
        self._last = -1
        self.seconds = 0.0
        self.poster: Image.Image | None = None
        self._poster_at = 0.0

    @property
    def begun(self) -> bool:
        return self._stream is not None

    def add(self, frame: VideoFrame, at: float) -> None:
        """Raises Refusal."""
        if frame.width * frame.height > MOST_PIXELS:
            raise Refusal(FaultCode.TOO_MANY_PIXELS)
        tick = round(max(at, 0.0) * _CLOCK)
        if tick - self._last < _CLOCK / (MOST_FRAMES_A_SECOND + 1) and self._last >= 0:
            return
        graph = self._graph_for(frame)
        frame.pts, frame.time_base = tick, Fraction(1, _CLOCK)
        graph.vpush(frame)
        small = graph.vpull()
        if self._stream is None:
            self._stream = self._begun(small)
        small.pts, small.time_base = tick, Fraction(1, _CLOCK)
        small.pict_type = 0  # where key frames stand is ours to choose
        self._into.mux(self._stream.encode(small))
        self._last, self.seconds = tick, tick / _CLOCK
        if self.poster is None or (self.seconds >= _POSTER_AT > self._poster_at):
            self.poster, self._poster_at = _picture(small), self.seconds

    def end(self) -> None:
        if self._stream is not None:
            self._into.mux(self._stream.encode(None))

    def _graph_for(self, frame: VideoFrame) -> Graph:
        """Raises Refusal for a frame of another shape than the ones before."""
        shape = (frame.width, frame.height, frame.format.name, frame.rotation)
        if self._graph is not None:
            if shape[:2] != (self._shape or shape)[:2]:
                raise Refusal(FaultCode.DAMAGED)
            if shape == self._shape:
                return self._graph
        turns = _TURNS.get(round(frame.rotation / 90) * 90, [])
        wide, high = frame.width, frame.height
        ratio = self._source.sample_aspect_ratio or Fraction(1)
        if Fraction(1, 4) <= ratio <= 4:
            wide = round(wide * ratio)
        wide, high = scaled(wide, high)
        graph = Graph()
        graph.threads = _THREADS
        nodes = [
            graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, _CLOCK)
            ),
            graph.add("scale", f"{wide}:{high}:flags=bicubic"),
            *(graph.add("transpose", turn) for turn in turns),
            graph.add("setsar", "1"),
            graph.add("format", "yuv420p"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        self._graph, self._shape = graph, shape
        return graph

    def _begun(self, first: VideoFrame) -> VideoStream:
        stream = self._into.add_stream("libx264", rate=MOST_FRAMES_A_SECOND, options=dict(_QUALITY))
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _CLOCK)
        stream.codec_context.thread_count = _THREADS
        return stream


def _picture(frame: VideoFrame) -> Image.Image:
    picture: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    return picture


def scaled(width: int, height: int) -> tuple[int, int]:
    """Even numbers of pixels within SHORT × LONG, either way round."""
    factor = min(1.0, SHORT / min(width, height), LONG / max(width, height))
    return max(2, round(width * factor / 2) * 2), max(2, round(height * factor / 2) * 2)
