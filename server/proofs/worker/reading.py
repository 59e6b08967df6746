"""From a file that somebody has sent to bare pixels: nothing else of it goes on, above all not where it was taken."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageCms, ImageOps

from server.proofs.worker import segments
from server.proofs.worker.segments import BadPicture, Foreign

#: EXIF fields that cameras and programs write, and browsers' canvases never: maker, model, program, times, exposure
_MAIN = frozenset({0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x02BC, 0x8298, 0xC614})
_DETAILS = frozenset({0x829A, 0x829D, 0x8822, 0x8827, 0x9003, 0x9004, 0x9010, 0x9011, 0x927C, 0x9286, 0xA431, 0xA434})
#: pixels of the shorter side from which on looks can be compared
SMALLEST = 64
_ORIENTATION, _EXIF = 0x0112, 0x8769


def read(data: bytes) -> Image.Image:
    """RGB in sRGB, upright. Raises BadPicture, Foreign."""
    frame = segments.read(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
                if (picture.width, picture.height) != (frame.width, frame.height):
                    raise BadPicture("two sizes")
                if frame.exif:
                    _check_exif(picture.getexif())
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                return _bare(upright, picture.info.get("icc_profile"))
    except (BadPicture, Foreign):
        raise
    except Exception as fault:  # whatever a decoder raises at what it was not made for
        raise BadPicture(type(fault).__name__) from fault


def glance(data: bytes) -> Image.Image | None:
    """A small grey copy of whatever picture a file is, to compare it; None where it is none, or too large to look at.
    Messengers send JPEG and WebP, screens are saved as PNG."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as picture:
                if picture.width * picture.height > segments.PIXELS_MOST or min(picture.size) < SMALLEST:
                    return None
                picture.draft("L", (SMALLEST, SMALLEST))  # JPEG is decoded at a fraction of its size
                return picture.convert("RGB").convert("L")
    except Exception:
        return None


def _check_exif(exif: Image.Exif) -> None:
    if _MAIN & set(exif) or _DETAILS & set(exif.get_ifd(_EXIF)):
        raise Foreign("another camera's, or a program's")


def _bare(picture: Image.Image, profile: bytes | None) -> Image.Image:
    coloured = picture.convert("RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            coloured = ImageCms.profileToProfile(coloured, source, ImageCms.createProfile("sRGB")) or coloured
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile of another kind of picture, or none at all
    bare = Image.new("RGB", coloured.size)
    bare.paste(coloured)
    return bare
