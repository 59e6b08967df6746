"""What is drawn on a live picture (R-14): a slip of paper below it with the server's time, what for, the code, and the
seal; and time and code once more inside the picture, so that cutting the slip off does not take them away."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, SOFT, SEAL = (250, 248, 244), (31, 42, 55), (91, 102, 117), (179, 38, 30)
#: the package of the font (Noto Sans CJK, SIL Open Font License): Chinese names, and all Latin ones
_PACKAGE = "cvttf-notosanscjk-regular"
_GLYPH = "守"
#: letters that look enough like one that the font has, and are not made of it and a mark
_KIN = str.maketrans("łŁđĐħĦıŧŦіІєЄ", "lLdDhHitTiIeE")
_NO_GLYPH = "\U0010fffe"


@lru_cache(maxsize=1)
def font_file() -> str:
    """Raises FileNotFoundError where the package is not installed whole."""
    for file in distribution(_PACKAGE).files or ():
        if file.suffix.lower() in (".otf", ".ttf", ".ttc"):
            return str(Path(str(file.locate())).resolve(strict=True))
    raise FileNotFoundError(_PACKAGE)


def slip_height(width: int, height: int) -> int:
    """Pixels of the slip below a picture of this size: to be read on a phone that shows the whole width."""
    return max(72, round(min(width, height) * 0.16), round(width * 0.115))


def marked(picture: Image.Image, lines: tuple[str, str, str]) -> Image.Image:
    """A new picture, higher by its slip."""
    width, height = picture.size
    slip = slip_height(width, height)
    whole = Image.new("RGB", (width, height + slip), PAPER)
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    gap, ring = slip // 8, round(slip * 0.72)
    room = width - ring - 5 * gap
    for text, share, at, colour in zip(lines, (0.27, 0.25, 0.22), (0.21, 0.51, 0.8), (INK, INK, SOFT), strict=True):
        font = ImageFont.truetype(font_file(), round(slip * share))
        words = fitting(with_glyphs(text, font), font, room)
        draw.text((2 * gap, height + round(slip * at)), words, colour, font, anchor="lm")
    _seal(draw, width - ring - 2 * gap, height + (slip - ring) // 2, ring)
    return _inside(whole, f"{lines[0]}  {lines[2]}", height)


def with_glyphs(text: str, font: ImageFont.FreeTypeFont) -> str:
    """The text in letters that the font has: of others what they are made of, or nothing. No empty boxes."""
    none = bytes(font.getmask(_NO_GLYPH))
    kept = (_nearest(c, font, none) for c in text.translate(_KIN))
    return " ".join("".join(kept).split())


def _nearest(letter: str, font: ImageFont.FreeTypeFont, none: bytes) -> str:
    if letter == " " or bytes(font.getmask(letter)) != none:
        return letter
    bare = [c for c in unicodedata.normalize("NFKD", letter).translate(_KIN) if not unicodedata.combining(c)]
    return "".join(c for c in bare if c != letter and bytes(font.getmask(c)) != none)


def fitting(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    """As much of it as there is room for."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"


def _seal(draw: ImageDraw.ImageDraw, x: int, y: int, ring: int) -> None:
    draw.ellipse((x, y, x + ring, y + ring), outline=SEAL, width=max(2, ring // 14))
    font = ImageFont.truetype(font_file(), round(ring * 0.56))
    draw.text((x + ring / 2, y + ring / 2), _GLYPH, SEAL, font, anchor="mm")


def _inside(whole: Image.Image, text: str, height: int) -> Image.Image:
    """White on a dark shade, half of which the picture shows through."""
    size = max(11, round(min(whole.width, height) * 0.03))
    font = ImageFont.truetype(font_file(), size)
    text = fitting(text, font, whole.width - 4 * size)
    shade = Image.new("RGBA", whole.size)
    draw = ImageDraw.Draw(shade)
    box = (size, size, 2 * size + round(font.getlength(text)), size + round(size * 1.9))
    draw.rounded_rectangle(box, size // 2, (0, 0, 0, 130))
    draw.text((round(size * 1.5), size + round(size * 0.95)), text, (255, 255, 255, 235), font, anchor="lm")
    return Image.alpha_composite(whole.convert("RGBA"), shade).convert("RGB")
