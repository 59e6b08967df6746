"""What the worker makes of voices and video clips."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from server.media.model import FaultCode, MediaKind, Variant
from server.media.orders import Made, Order, Refusal
from server.media.worker import film, sound
from tests.media import samples


def order(tmp_path: Path, kind: MediaKind, data: bytes, seconds: int) -> Order:
    source = tmp_path / "source"
    source.write_bytes(data)
    return Order(kind=kind, source=str(source), into=str(tmp_path), seconds=seconds, memory=0, cpu_seconds=0)


def clip(tmp_path: Path, data: bytes, seconds: int = 180) -> Made:
    return film.make(order(tmp_path, MediaKind.VIDEO, data, seconds))


def voice(tmp_path: Path, data: bytes, seconds: int = 300) -> Made:
    return sound.make(order(tmp_path, MediaKind.VOICE, data, seconds))


def main(tmp_path: Path) -> bytes:
    return (tmp_path / "main").read_bytes()


def first_boxes(data: bytes) -> list[bytes]:
    """The names of the outermost boxes of an MP4."""
    names, at = [], 0
    while at < len(data):
        names.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    return names


@pytest.mark.parametrize(("form", "picture", "heard"), [("mp4", "libx264", "aac"), ("webm", "libvpx", "libopus")])
def test_a_clip_becomes_one_that_every_browser_plays(tmp_path: Path, form: str, picture: str, heard: str) -> None:
    data = samples.film(2.0, form=form, picture=picture, sound=heard)
    assert samples.PLACE.encode() in data
    done = clip(tmp_path, data)
    assert (done.width, done.height) == (320, 240)
    assert abs(done.seconds - 2.0) < 0.2
    assert {piece.variant: piece.type for piece in done.pieces} == {
        Variant.MAIN: "video/mp4",
        Variant.POSTER: "image/webp",
        Variant.THUMB: "image/webp",
    }
    made = main(tmp_path)
    assert samples.PLACE.encode() not in made
    boxes = first_boxes(made)
    assert boxes.index(b"moov") < boxes.index(b"mdat")  # it plays before it is loaded
    with samples.played(made) as container:
        assert {stream.codec.name for stream in container.streams} == {"h264", "aac"}
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert "location" not in container.metadata
        assert "comment" not in container.metadata
        frames = sum(1 for _ in container.decode(video=0))
        assert frames == 40


def test_a_large_clip_becomes_smaller_and_slower(tmp_path: Path) -> None:
    done = clip(tmp_path, samples.film(0.5, (1920, 1080), rate=60, sound=None))
    assert (done.width, done.height) == (1280, 720)
    with samples.played(main(tmp_path)) as container:
        assert 12 <= sum(1 for _ in container.decode(video=0)) <= 16
        assert not container.streams.audio
    assert max(samples.opened((tmp_path / "poster").read_bytes()).size) == 1280
    assert max(samples.opened((tmp_path / "thumb").read_bytes()).size) == 320


def test_a_clip_of_a_phone_held_upright_stands_upright(tmp_path: Path) -> None:
    done = clip(tmp_path, samples.turned(samples.film(1.0)))
    assert (done.width, done.height) == (240, 320)
    poster = samples.opened((tmp_path / "poster").read_bytes()).convert("RGB")
    top, bottom = poster.getpixel((120, 20)), poster.getpixel((120, 300))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 150 > 100 > top[2]  # the left side, red, was turned to the top
    assert bottom[2] > 150 > 100 > bottom[0]


def test_the_sides_are_even_and_within_bounds() -> None:
    assert film.scaled(1920, 1080) == (1280, 720)
    assert film.scaled(1080, 1920) == (720, 1280)
    assert film.scaled(3000, 500) == (1280, 214)
    assert film.scaled(321, 239) == (320, 240)
    assert film.scaled(3, 1) == (4, 2) or film.scaled(3, 1) == (2, 2)


@pytest.mark.parametrize(
    ("form", "codec"), [("mp4", "aac"), ("webm", "libopus"), ("ogg", "libopus"), ("wav", "pcm_s16le"), ("mp3", "mp3")]
)
def test_a_voice_becomes_one_that_every_browser_plays(tmp_path: Path, form: str, codec: str) -> None:
    done = voice(tmp_path, samples.voice(2.0, form, codec))
    assert abs(done.seconds - 2.0) < 0.2
    assert [(piece.variant, piece.type) for piece in done.pieces] == [(Variant.MAIN, "audio/mp4")]
    assert len(done.levels) == sound.LEVELS
    assert max(done.levels) == 99
    assert done.levels[0] < 15
    rising = done.levels[: sound.LEVELS - 2]  # codecs pad the end
    assert all(later >= earlier - 3 for earlier, later in pairwise(rising))
    assert samples.PLACE.encode() not in main(tmp_path)
    with samples.played(main(tmp_path)) as container:
        (stream,) = container.streams
        assert (stream.codec.name, stream.rate, stream.channels) == ("aac", 48_000, 1)


def test_silence_is_shown_as_silence(tmp_path: Path) -> None:
    assert max(voice(tmp_path, samples.voice(1.0, silent=True)).levels) == 0


def test_a_voice_may_come_as_a_film(tmp_path: Path) -> None:
    """Some browsers record only that."""
    done = voice(tmp_path, samples.film(1.0))
    with samples.played(main(tmp_path)) as container:
        assert not container.streams.video
    assert abs(done.seconds - 1.0) < 0.2


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", FaultCode.NOT_RECOGNISED),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(200), FaultCode.DAMAGED),
        (b"\x1a\x45\xdf\xa3" + bytes(200), FaultCode.DAMAGED),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\nhttp://127.0.0.1/a.ts\n", FaultCode.NOT_RECOGNISED),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", FaultCode.NOT_RECOGNISED),
        (b"GIF89a" + bytes(100), FaultCode.UNSUPPORTED),
    ],
)
def test_what_is_no_film_is_refused(tmp_path: Path, data: bytes, code: FaultCode) -> None:
    with pytest.raises(Refusal) as refusal:
        clip(tmp_path, data)
    assert refusal.value.code is code


def test_a_film_without_its_end_is_refused(tmp_path: Path) -> None:
    whole = samples.film(6.0, (640, 480))
    with pytest.raises(Refusal) as refusal:
        clip(tmp_path, whole[: len(whole) * 6 // 10])  # its index was at the end
    assert refusal.value.code is FaultCode.DAMAGED
    clip(tmp_path, whole)
    ready = main(tmp_path)  # has its index at the beginning: only the pictures are missing
    with pytest.raises(Refusal) as refusal:
        clip(tmp_path, ready[: len(ready) * 6 // 10])
    assert refusal.value.code is FaultCode.DAMAGED


def test_what_plays_too_long_is_refused_whatever_it_says(tmp_path: Path) -> None:
    recorded = samples.film(4.0, form="webm", picture="libvpx", sound="libopus")
    for data in (
        samples.film(4.0),
        samples.lasting(samples.film(4.0), 1),
        recorded,
        samples.webm_lasting(recorded, 1.0),
        samples.webm_lasting(recorded, 36_000.0),
    ):
        with pytest.raises(Refusal) as refusal:
            clip(tmp_path, data, 2)
        assert refusal.value.code is FaultCode.TOO_LONG
    for data in (samples.voice(4.0), samples.webm_lasting(samples.voice(4.0, "webm", "libopus"), 1.0)):
        with pytest.raises(Refusal) as refusal:
            voice(tmp_path, data, 2)
        assert refusal.value.code is FaultCode.TOO_LONG


def test_how_long_it_plays_is_measured(tmp_path: Path) -> None:
    """An MP4 that says 22 hours plays as long as its index and its pictures say."""
    assert abs(clip(tmp_path, samples.lasting(samples.film(2.0), 80_000)).seconds - 2.0) < 0.2


def test_a_film_needs_a_picture_and_a_voice_a_sound(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refusal:
        clip(tmp_path, samples.voice(1.0))
    assert refusal.value.code is FaultCode.NO_PICTURE
    with pytest.raises(Refusal) as refusal:
        voice(tmp_path, samples.film(1.0, sound=None))
    assert refusal.value.code is FaultCode.NO_SOUND


def test_codecs_that_no_recorder_uses_are_not_tried(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refusal:
        clip(tmp_path, samples.film(1.0, form="mov", picture="mpeg2video", sound=None, rate=25))
    assert refusal.value.code is FaultCode.UNSUPPORTED
