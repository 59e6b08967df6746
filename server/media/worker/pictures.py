"""Pictures: decoded and encoded anew, upright, without any metadata, in three sizes."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, ImageSequence, UnidentifiedImageError

from server.media.content import LOOKED_AT, PICTURES, Family, family, is_vector, type_of
from server.media.model import FaultCode, Variant
from server.media.orders import Made, Order, Piece, Refusal
from server.media.worker.thumbhash import blur

#: pixels of the longer side
MAIN, PREVIEW, THUMB = 4096, 1280, 320
#: pixels of one picture that is read; phones take 50 million
MOST_PIXELS = 80_000_000
#: an animation stays one while all its frames together have no more pixels, and it has no more frames
MOST_MOVING_PIXELS = 60_000_000
MOST_FRAMES = 400
#: what was drawn (screenshots) stays exact up to so many pixels and bytes
_EXACT_PIXELS, _EXACT_BYTES = 4_200_000, 3_000_000
#: a main variant that is no larger serves as preview, as thumb
_PREVIEW_BYTES, _THUMB_BYTES = 400_000, 30_000
_DRAWN = ("PNG", "GIF", "BMP")


def make(order: Order) -> Made:
    """Raises Refusal."""
    source = Path(order.source)
    with source.open("rb") as file:
        head = file.read(LOOKED_AT)
    kind = type_of(head)
    if kind not in PICTURES:
        known = family(kind) is Family.PICTURE or is_vector(head)
        raise Refusal(FaultCode.UNSUPPORTED if known else FaultCode.NOT_RECOGNISED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=(PICTURES[kind],)) as picture:
                return _made(picture, Path(order.into))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refusal(FaultCode.TOO_MANY_PIXELS) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError):
        raise Refusal(FaultCode.DAMAGED) from None


def _made(picture: Image.Image, into: Path) -> Made:
    if picture.width * picture.height > MOST_PIXELS:
        raise Refusal(FaultCode.TOO_MANY_PIXELS)
    frames = int(getattr(picture, "n_frames", 1)) if picture.format in ("GIF", "WEBP", "AVIF", "PNG") else 1
    moving = 1 < frames <= MOST_FRAMES and frames * picture.width * picture.height <= MOST_MOVING_PIXELS
    if moving:
        still, main = _animation(picture, into)
    else:
        picture.seek(0)
        drawn = picture.format in _DRAWN
        picture.draft("RGB", (MAIN, MAIN))  # JPEG decodes at a fraction of its size
        still = _upright(picture)
        main = _still(still, into, drawn=drawn)
    pieces = [main]
    for variant, side, enough in ((Variant.PREVIEW, PREVIEW, _PREVIEW_BYTES), (Variant.THUMB, THUMB, _THUMB_BYTES)):
        small_already = max(still.size) <= side and (into / main.file).stat().st_size <= enough
        if small_already or (moving and variant is Variant.PREVIEW):  # an animation moves in the conversation, too
            pieces.append(Piece(variant, main.file, main.type))
        else:
            pieces.append(shrunk(still, variant, side, into))
    return Made(pieces, width=still.width, height=still.height, blur=blur(still))


def shrunk(still: Image.Image, variant: Variant, side: int, into: Path) -> Piece:
    """A small variant, of at most `side` pixels."""
    small = still.copy()
    small.thumbnail((side, side))
    small.save(into / variant.value, "WEBP", quality=78, method=4)
    return Piece(variant, variant.value, "image/webp")


def _upright(picture: Image.Image) -> Image.Image:
    """RGB or RGBA in sRGB, turned as EXIF says and at most MAIN wide and high; without anything but pixels."""
    picture.load()
    see_through = picture.has_transparency_data
    if picture.mode not in ("RGB", "RGBA"):
        picture = _eight_bits(picture).convert("RGBA" if see_through else "RGB")
    orientation = picture.getexif().get(0x0112, 1)
    if max(picture.size) > MAIN:
        picture.thumbnail((MAIN, MAIN), reducing_gap=2.0)  # before anything copies all those pixels
    if orientation != 1:
        picture = ImageOps.exif_transpose(picture)
    clean = Image.new(picture.mode, picture.size)
    clean.paste(picture)
    return _in_srgb(clean, picture.info.get("icc_profile"))


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Phones photograph in wider colours; browsers take what has no profile for sRGB."""
    if not profile:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB")) or picture
    except (ImageCms.PyCMSError, OSError):
        return picture  # a profile of another kind of picture, or none at all


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits is scaled, where Pillow would cut it off."""
    if picture.mode.startswith("I"):
        return picture.convert("I").point(lambda value: value / 256).convert("L")
    return picture


def _still(still: Image.Image, into: Path, *, drawn: bool) -> Piece:
    path = into / Variant.MAIN.value
    webp = Piece(Variant.MAIN, path.name, "image/webp")
    if drawn and still.width * still.height <= _EXACT_PIXELS:
        still.save(path, "WEBP", lossless=True, quality=40, method=3)
        if path.stat().st_size <= _EXACT_BYTES:
            return webp
    if drawn or still.mode == "RGBA":
        still.save(path, "WEBP", quality=88, method=3)
        return webp
    still.save(path, "JPEG", quality=86, optimize=True, progressive=True)
    return Piece(Variant.MAIN, path.name, "image/jpeg")


def _animation(picture: Image.Image, into: Path) -> tuple[Image.Image, Piece]:
    """The first frame, and all of them as WebP at the pace they had."""
    frames: list[Image.Image] = []
    pace: list[int] = []
    for frame in ImageSequence.Iterator(picture):
        frame.load()
        pace.append(max(20, min(10_000, int(frame.info.get("duration", 100) or 100))))
        whole = frame.convert("RGBA")
        if max(whole.size) > PREVIEW:
            whole.thumbnail((PREVIEW, PREVIEW))
        frames.append(whole)
    path = into / Variant.MAIN.value
    rounds = int(picture.info.get("loop", 0) or 0)
    frames[0].save(
        path, "WEBP", save_all=True, append_images=frames[1:], duration=pace, loop=rounds, quality=80, method=2
    )
    return frames[0], Piece(Variant.MAIN, path.name, "image/webp")
