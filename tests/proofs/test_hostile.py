"""What a worker is sent by those who mean harm: refused by name, quickly, and never taken for a picture."""

from __future__ import annotations

import io
import random
import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from server.proofs.orders import Read, Refused, Why
from server.proofs.worker import __main__ as worker
from server.proofs.worker import reading, segments
from server.proofs.worker.segments import BadPicture, Foreign
from tests.proofs.scenes import jpeg, scene

GOOD = jpeg(scene(1, width=320, height=240))


def why(data: bytes) -> Why | None:
    """Why the worker refuses it; None when it takes it."""
    answer, following = worker.carry_out(Read(len(data)), data)
    if isinstance(answer, Refused):
        assert not following
        return answer.why
    assert answer.__class__.__name__ == "Pixels", answer
    return None


def with_segment(marker: int, body: bytes) -> bytes:
    return GOOD[:2] + bytes((0xFF, marker)) + struct.pack("!H", len(body) + 2) + body + GOOD[2:]


def sized(width: int, height: int) -> bytes:
    """GOOD, but its frame says another size: a bomb, where that is large."""
    at = GOOD.index(b"\xff\xc0")
    return GOOD[: at + 5] + struct.pack("!HH", height, width) + GOOD[at + 9 :]


def png() -> bytes:
    into = io.BytesIO()
    scene(1, width=320, height=240).save(into, "PNG")
    return into.getvalue()


def archive() -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as made:
        made.writestr("x.html", "<script>1</script>")
    return into.getvalue()


def test_a_frame_of_a_camera_is_taken() -> None:
    assert why(GOOD) is None
    assert why(jpeg(scene(1, width=320, height=240), progressive=True)) is None


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", Why.BAD_PICTURE),
        (b"GIF89a" + bytes(100), Why.BAD_PICTURE),
        (png(), Why.BAD_PICTURE),
        (GOOD[:-2], Why.BAD_PICTURE),
        (GOOD[: len(GOOD) // 2], Why.BAD_PICTURE),
        (GOOD + archive(), Why.BAD_PICTURE),
        (GOOD + GOOD, Why.BAD_PICTURE),
        (b"<html>" + GOOD, Why.BAD_PICTURE),
        (with_segment(0xFE, b"<script>alert(1)</script>"), Why.BAD_PICTURE),
        (with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x/>"), Why.NOT_LIVE),
        (with_segment(0xE2, b"MPF\x00" + bytes(40)), Why.NOT_LIVE),
        (with_segment(0xEB, b"JP" + bytes(40)), Why.NOT_LIVE),
        (with_segment(0xED, b"Photoshop 3.0\x00" + bytes(4000)), Why.NOT_LIVE),
        (with_segment(0xE0, b"JFXX\x00" + bytes(5000)), Why.NOT_LIVE),
        (sized(65_000, 65_000), Why.BAD_PICTURE),
        (sized(4096, 4096), Why.BAD_PICTURE),
        (sized(8, 8), Why.BAD_PICTURE),
        (jpeg(Image.new("CMYK", (320, 240))), None),
        (jpeg(Image.new("L", (320, 240))), None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_refused(data: bytes, refusal: Why | None) -> None:
    assert why(data) is refusal


def test_a_picture_that_ends_early_inside_its_scan_is_refused() -> None:
    """With its end mark put back: the segments are whole, the picture is not."""
    assert why(GOOD[: len(GOOD) // 2] + b"\xff\xd9") in (Why.BAD_PICTURE, None)
    for cut in range(4, len(GOOD), 97):
        assert why(GOOD[:cut]) is Why.BAD_PICTURE


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail_otherwise(data: bytes) -> None:
    for tried in (data, b"\xff\xd8" + data, GOOD[:200] + data):
        with pytest.raises((BadPicture, Foreign)):
            segments.read(tried)


@given(st.integers(2, len(GOOD) - 1), st.integers(1, 255))
def test_flipped_bytes_never_make_it_fail_otherwise(at: int, flip: int) -> None:
    data = bytearray(GOOD)
    data[at] ^= flip
    try:
        picture = reading.read(bytes(data))
    except (BadPicture, Foreign):
        return
    assert picture.mode == "RGB"
    assert not picture.info
    assert picture.width * picture.height <= segments.PIXELS_MOST


def test_nothing_but_pixels_goes_on() -> None:
    """Orientation is carried out, a profile is applied, and both are gone."""
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = reading.read(jpeg(scene(1, width=320, height=240), exif=exif.tobytes()))
    assert turned.size == (240, 320)
    assert not turned.info
    assert not turned.getexif()


def test_a_picture_of_many_scans_is_refused_before_it_is_decoded() -> None:
    """Each costs a pass over all pixels: a few kilobytes would keep a worker busy for its half a minute."""
    whole = jpeg(scene(1, width=320, height=240), progressive=True)
    at = whole.rindex(b"\xff\xda")
    scan = whole[at:-2]
    assert why(whole) is None
    assert why(whole[:at] + scan * 60 + b"\xff\xd9") is Why.BAD_PICTURE
    with pytest.raises(BadPicture, match="scans"):
        segments.read(whole[:at] + scan * 60 + b"\xff\xd9")


def test_what_a_camera_notes_of_place_and_maker_never_goes_on() -> None:
    """GPS, a small picture within, and a maker's notes: the first two are dropped with everything else, the last is
    refused, as XMP is."""
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (51.0, 30.0, 26.0), 29: "2026:11:22"}
    thumb = jpeg(scene(2, width=160, height=120))
    noted = bytes(exif.tobytes())
    picture = reading.read(jpeg(scene(1, width=320, height=240), exif=noted + thumb))
    out = io.BytesIO()
    picture.save(out, "JPEG")
    assert not any(mark in out.getvalue() for mark in (b"Exif", b"2026:11:22", thumb[:40]))
    exif[0x8769] = {0x927C: b"maker's notes"}
    assert why(jpeg(scene(1, width=320, height=240), exif=exif.tobytes())) is Why.NOT_LIVE


@settings(deadline=None)  # a decoder is loaded at its first file
@given(st.binary(max_size=400))
def test_files_to_be_verified_may_be_anything(data: bytes) -> None:
    for tried in (data, GOOD[:300] + data, b"\x89PNG\r\n\x1a\n" + data, b"RIFF\x00\x00\x00\x00WEBP" + data):
        assert reading.glance(tried) is None
    assert reading.glance(sized(65_000, 65_000)) is None
    assert reading.glance(GOOD) is not None


def test_random_tails_are_found() -> None:
    dice = random.Random(3)
    for length in (1, 2, 3, 100):
        assert why(GOOD + dice.randbytes(length)) is Why.BAD_PICTURE
