"""What the worker makes of pictures."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from server.media.model import FaultCode, MediaKind, Variant
from server.media.orders import Made, Order, Refusal
from server.media.worker import pictures
from server.media.worker.thumbhash import blur, encode
from tests.media import samples


def made(tmp_path: Path, data: bytes) -> tuple[Made, dict[Variant, Image.Image]]:
    """What is made of it, and the pictures."""
    source = tmp_path / "source"
    source.write_bytes(data)
    order = Order(kind=MediaKind.PICTURE, source=str(source), into=str(tmp_path), seconds=0, memory=0, cpu_seconds=0)
    done = pictures.make(order)
    opened = {piece.variant: samples.opened((tmp_path / piece.file).read_bytes()) for piece in done.pieces}
    for piece in done.pieces:
        assert Image.MIME[opened[piece.variant].format or ""] == piece.type
    return done, opened


def refused(tmp_path: Path, data: bytes) -> FaultCode:
    with pytest.raises(Refusal) as refusal:
        made(tmp_path, data)
    return refusal.value.code


def test_a_photograph_loses_all_but_its_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    exif[0x010F] = "Maker of cameras"
    exif.get_ifd(0x8825)[1] = "N"
    field = Image.new("RGB", (400, 200), (220, 30, 30))
    field.paste((30, 30, 220), (200, 0, 400, 200))
    data = samples.encoded(field, "JPEG", exif=exif, comment=b"where I live", quality=95)
    assert b"Maker of cameras" in data
    done, opened = made(tmp_path, data)
    assert (done.width, done.height) == (200, 400)
    for variant, picture in opened.items():
        assert len(picture.getexif()) == 0
        assert "comment" not in picture.info
        file = next(piece.file for piece in done.pieces if piece.variant is variant)
        assert b"Maker" not in (tmp_path / file).read_bytes()
        middle, seen = picture.width // 2, picture.convert("RGB")
        top, bottom = seen.getpixel((middle, 5)), seen.getpixel((middle, picture.height - 5))
        assert isinstance(top, tuple)
        assert isinstance(bottom, tuple)
        assert top[0] > 180 > 80 > top[2]  # red is on top now
        assert bottom[2] > 180 > 80 > bottom[0]


def test_large_ones_become_smaller_and_small_ones_stay(tmp_path: Path) -> None:
    done, opened = made(tmp_path, samples.jpeg(5000, 2500))
    assert {variant: picture.size for variant, picture in opened.items()} == {
        Variant.MAIN: (4096, 2048),
        Variant.PREVIEW: (1280, 640),
        Variant.THUMB: (320, 160),
    }
    assert (done.width, done.height) == (4096, 2048)
    done, opened = made(tmp_path, samples.jpeg(100, 60))
    assert {picture.size for picture in opened.values()} == {(100, 60)}
    assert len({piece.file for piece in done.pieces}) == 1  # one content serves as all three


def test_drawings_stay_exact_and_what_shows_through_does(tmp_path: Path) -> None:
    data = samples.png()
    done, opened = made(tmp_path, data)
    assert done.pieces[0].type == "image/webp"
    main = opened[Variant.MAIN]
    assert main.mode == "RGBA"
    before, after = samples.opened(data), main
    for place in ((0, 0), (150, 100), (30, 100)):
        assert before.getpixel(place)[3] == after.getpixel(place)[3]  # type: ignore[index]
    assert after.getpixel((150, 100)) == before.getpixel((150, 100))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_animations_go_on_moving(tmp_path: Path, form: str) -> None:
    done, opened = made(tmp_path, samples.animation(form))
    main = opened[Variant.MAIN]
    assert (main.format, getattr(main, "n_frames", 1)) == ("WEBP", 6)
    assert main.info["loop"] == 0
    by_variant = {piece.variant: piece.file for piece in done.pieces}
    assert by_variant[Variant.PREVIEW] == by_variant[Variant.MAIN]


def test_an_animation_that_is_too_long_becomes_a_picture(tmp_path: Path) -> None:
    _, opened = made(tmp_path, samples.animation("GIF", frames=pictures.MOST_FRAMES + 1, size=8))
    assert getattr(opened[Variant.MAIN], "n_frames", 1) == 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_pixel_is_read(tmp_path: Path, mode: str) -> None:
    picture = Image.new(mode, (40, 30), 65_535 if mode == "I;16" else None)
    _, opened = made(tmp_path, samples.encoded(picture, "PNG"))
    if mode == "I;16":
        assert opened[Variant.MAIN].convert("L").getpixel((20, 15)) == 255


def test_cmyk_and_other_forms_are_read(tmp_path: Path) -> None:
    for form in ("JPEG", "WEBP", "BMP", "AVIF", "GIF"):
        _, opened = made(tmp_path, samples.encoded(Image.new("RGB", (60, 40), "teal"), form))
        assert opened[Variant.MAIN].size == (60, 40)
    made(tmp_path, samples.encoded(Image.new("CMYK", (60, 40)), "JPEG"))


def test_colours_of_a_profile_become_those_of_screens(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _, opened = made(tmp_path, samples.encoded(Image.new("RGB", (20, 20), (200, 100, 50)), "JPEG", icc_profile=lab))
    assert "icc_profile" not in opened[Variant.MAIN].info
    made(tmp_path, samples.encoded(Image.new("RGB", (20, 20)), "JPEG", icc_profile=b"no profile at all"))


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    whole = samples.jpeg(400, 300)
    assert refused(tmp_path, whole[: len(whole) // 2]) is FaultCode.DAMAGED
    assert refused(tmp_path, samples.png()[:60]) is FaultCode.DAMAGED
    assert refused(tmp_path, b"GIF89a" + bytes(50)) is FaultCode.DAMAGED
    assert refused(tmp_path, b"<html><script>alert(1)</script>") is FaultCode.NOT_RECOGNISED
    assert refused(tmp_path, b"%PDF-1.7 ...") is FaultCode.NOT_RECOGNISED
    assert refused(tmp_path, b'<svg xmlns="http://www.w3.org/2000/svg"/>') is FaultCode.UNSUPPORTED
    assert refused(tmp_path, samples.encoded(Image.new("RGB", (9, 9)), "TIFF")) is FaultCode.UNSUPPORTED
    assert refused(tmp_path, b"\x00\x00\x00\x1cftypheic" + bytes(40)) is FaultCode.UNSUPPORTED


def pixels(width: int, height: int, *, clear: bool) -> bytes:
    return bytes(
        value
        for y in range(height)
        for x in range(width)
        for value in (x * 37 % 256, y * 53 % 256, x * y * 11 % 256, (x * 19 + y * 29) % 256 if clear else 255)
    )


@pytest.mark.parametrize(
    ("width", "height", "clear", "hash"),
    [
        # Made with the reference implementation.
        (31, 23, False, "3PcFDYYzFiVgdneDhzd3gn/bSvLI"),
        (20, 32, True, "3OeBCwQHQHIpiDm4nySl92eAdnZ3Rmc="),
        (1, 1, False, "AAgCBwAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    ],
)
def test_thumbhashes_are_those_of_the_reference(width: int, height: int, clear: bool, hash: str) -> None:
    assert base64.b64encode(encode(width, height, pixels(width, height, clear=clear))).decode() == hash


def test_a_blur_fits_its_field() -> None:
    assert len(blur(samples.photograph(900, 300))) <= 36
    assert len(blur(samples.opened(samples.png()))) <= 36
    assert blur(Image.new("RGB", (1, 1)))
