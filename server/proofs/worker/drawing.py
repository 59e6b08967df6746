"""What is drawn on a live picture (R-14): a slip of paper below it with the server's time, what for, the code, and the
seal; and time and code once more inside the picture, so that cutting the slip off does not take them away."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, SOFT, SEAL = (250, 248, 244), (31, 42, 55), (91, 102, 117), (179, 38, 30)
#: the package of the font (Noto Sans CJK, SIL Open Font License): Chinese names, and all Latin ones
_PACKAGE = "cvttf-notosanscjk-regular"
_GLYPH = "守"


@lru_cache(maxsize=1)
def font_file() -> str:
    """Raises FileNotFoundError where the package is not installed whole."""
    for file in distribution(_PACKAGE).files or ():
        if file.suffix.lower() in (".otf", ".ttf", ".ttc"):
            return str(Path(str(file.locate())).resolve(strict=True))
    raise FileNotFoundError(_PACKAGE)


def slip_height(width: int, height: int) -> int:
    """Pixels of the slip below a picture of this size."""
    return max(64, round(min(width, height) * 0.16))


def marked(picture: Image.Image, lines: tuple[str, str, str]) -> Image.Image:
    """A new picture, higher by its slip."""
    width, height = picture.size
    slip = slip_height(width, height)
    whole = Image.new("RGB", (width, height + slip), PAPER)
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    gap, ring = slip // 8, round(slip * 0.72)
    room = width - ring - 4 * gap
    for text, share, at, colour in zip(lines, (0.28, 0.23, 0.2), (0.08, 0.4, 0.68), (INK, INK, SOFT), strict=True):
        font = ImageFont.truetype(font_file(), max(9, round(slip * share * 0.9)))
        draw.text((2 * gap, height + round(slip * at)), fitting(text, font, room), colour, font)
    _seal(draw, width - ring - 2 * gap, height + (slip - ring) // 2, ring)
    return _inside(whole, f"{lines[0]}  {lines[2]}", height)


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
    size = max(10, round(min(whole.width, height) * 0.024))
    font = ImageFont.truetype(font_file(), size)
    text = fitting(text, font, whole.width - 4 * size)
    shade = Image.new("RGBA", whole.size)
    draw = ImageDraw.Draw(shade)
    box = (size, size, 2 * size + round(font.getlength(text)), size + round(size * 1.9))
    draw.rounded_rectangle(box, size // 2, (0, 0, 0, 110))
    draw.text((round(size * 1.5), size + round(size * 0.95)), text, (255, 255, 255, 215), font, anchor="lm")
    return Image.alpha_composite(whole.convert("RGBA"), shade).convert("RGB")
