"""Pictures, voices and films for tests, made here."""

from __future__ import annotations

import io
import math
import random
import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from typing import Any

import av
from PIL import Image, ImageDraw

#: where things were taken: may never come out again
PLACE = "+31.3041+120.5954/"


def photograph(width: int = 1600, height: int = 1200, seed: int = 1) -> Image.Image:
    """Soft colours and some noise, as a camera sees."""
    rand = random.Random(seed)
    small = Image.new("RGB", (16, 12))
    small.putdata([tuple(rand.randrange(256) for _ in range(3)) for _ in range(16 * 12)])
    return Image.blend(
        small.resize((width, height), Image.Resampling.BICUBIC),
        Image.effect_noise((width, height), 40).convert("RGB"),
        0.15,
    )


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def jpeg(width: int = 1600, height: int = 1200, **options: Any) -> bytes:
    return encoded(photograph(width, height), "JPEG", **{"quality": 88, **options})


def png(width: int = 300, height: int = 200) -> bytes:
    """A drawing with something to see through."""
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((20, 20, width - 20, height - 20), fill=(180, 60, 40, 255))
    return encoded(picture, "PNG")


def animation(form: str = "GIF", frames: int = 6, size: int = 120) -> bytes:
    pictures = [Image.new("RGB", (size, size), (index * 40 % 256, 90, 200)) for index in range(frames)]
    return encoded(pictures[0], form, save_all=True, append_images=pictures[1:], duration=80, loop=0)


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


# ── What moves and sounds ───────────────────────────────────────────────────────────────────────────────────────────


@cache
def film(
    seconds: float = 2.0,
    size: tuple[int, int] = (320, 240),
    *,
    form: str = "mp4",
    picture: str = "libx264",
    sound: str | None = "aac",
    rate: int = 20,
) -> bytes:
    """A red field on the left and a blue one on the right, a tone that swells, and where it was taken."""
    width, height = size
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        container.metadata["location"] = PLACE
        container.metadata["comment"] = PLACE
        moving: Any = container.add_stream(picture, rate=rate)
        moving.width, moving.height, moving.pix_fmt = width, height, "yuv420p"
        track = container.add_stream(sound, rate=48_000, layout="mono") if sound else None
        field = Image.new("RGB", size, (220, 30, 30))
        field.paste((30, 30, 220), (width // 2, 0, width, height))
        for index in range(round(seconds * rate)):
            frame: Any = av.VideoFrame.from_image(field)  # type: ignore[no-untyped-call]
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(moving.encode(frame))
        container.mux(moving.encode(None))
        if track is not None:
            _add_tone(container, track, seconds)
    return out.getvalue()


def voice(seconds: float = 2.0, form: str = "mp4", codec: str = "aac", *, silent: bool = False) -> bytes:
    """A tone that swells from nothing to loud."""
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        container.metadata["location"] = PLACE
        track = container.add_stream(codec, rate=48_000, layout="mono")
        _add_tone(container, track, seconds, loudest=0.0 if silent else 0.6)
    return out.getvalue()


def _add_tone(container: Any, track: Any, seconds: float, loudest: float = 0.6) -> None:
    total, step = round(seconds * 48_000), 960
    for first in range(0, total, step):
        volume = 32_767 * loudest * first / total
        wave = array("h", (int(volume * math.sin(2 * math.pi * 440 * n / 48_000)) for n in range(first, first + step)))
        frame = av.AudioFrame(format="s16", layout="mono", samples=step)
        frame.planes[0].update(wave.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = 48_000, first, Fraction(1, 48_000)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))


def turned(film: bytes) -> bytes:
    """The film as a phone held upright takes it: its matrix says to turn it by 90° clockwise."""
    at = film.index(b"tkhd") + 4
    matrix = at + (52 if film[at] else 40)
    clockwise = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    return film[:matrix] + struct.pack(">9i", *clockwise) + film[matrix + 36 :]


def lasting(film: bytes, seconds: int) -> bytes:
    """The MP4 with headers that lie about how long it is."""
    for box, plain in ((b"mvhd", 12), (b"mdhd", 12), (b"tkhd", 20)):
        at = 0
        while (at := film.find(box, at)) >= 0:
            at += 4
            scale = int.from_bytes(film[at + 12 : at + 16], "big") if box != b"tkhd" else 1000
            place = at + plain + (4 if box != b"tkhd" else 0)
            film = film[:place] + (scale * seconds).to_bytes(4, "big") + film[place + 4 :]
    return film


def webm_lasting(film: bytes, seconds: float) -> bytes:
    """The same with WebM, where players believe it."""
    at = film.index(b"\x44\x89\x88") + 3
    return film[:at] + struct.pack(">d", seconds * 1000) + film[at + 8 :]


@contextmanager
def played(data: bytes) -> Iterator[Any]:
    with av.open(io.BytesIO(data)) as container:
        yield container
