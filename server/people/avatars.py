"""Pictures of people: whatever comes in leaves as a square WebP of 256 pixels without metadata."""

from __future__ import annotations

import asyncio
import io
import warnings
from concurrent.futures import ThreadPoolExecutor

from PIL import Image, ImageOps, UnidentifiedImageError

from server.errors import Code, VouchError

SIDE = 256  # pixels
LARGEST = 2 * 1024 * 1024  # bytes
MOST_PIXELS = 40_000_000
CONTENT_TYPES = ("image/png", "image/jpeg", "image/webp")
_FORMATS = ("PNG", "JPEG", "WEBP")


class Avatars:
    """Re-encodes in one thread: a picture of 40 megapixels takes a second and must not hold up the others."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="avatars")

    async def encode(self, data: bytes) -> bytes:
        """WebP, 256×256, cropped to the centre. Raises `bad_request` for what is no picture, `too_large`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, encode, data)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def encode(data: bytes) -> bytes:
    """The work itself; blocking."""
    if len(data) > LARGEST:
        raise VouchError(Code.TOO_LARGE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise VouchError(Code.TOO_LARGE, "A picture has at most 40 megapixels.")
                picture.draft("RGB", (SIDE * 2, SIDE * 2))  # JPEG decodes at a fraction of its size
                picture.thumbnail((SIDE * 4, SIDE * 4))  # before anything copies all those pixels
                upright = ImageOps.exif_transpose(picture)
                square = ImageOps.fit(upright.convert("RGBA" if upright.has_transparency_data else "RGB"), (SIDE, SIDE))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as fault:
        raise VouchError(Code.BAD_REQUEST, "This is not a picture that can be read (PNG, JPEG, WebP).") from fault
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise VouchError(Code.TOO_LARGE, "A picture has at most 40 megapixels.") from None
    out = io.BytesIO()
    square.save(out, "WEBP", quality=82, method=4)
    return out.getvalue()
