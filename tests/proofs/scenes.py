"""Pictures to take: scenes drawn with noise, as a browser's canvas would send them, and what else people may send."""

from __future__ import annotations

import io
import random

from PIL import Image, ImageDraw, ImageFilter


def scene(seed: int = 1, *, width: int = 960, height: int = 720, shift: int = 0, noise: int = 0) -> Image.Image:
    """A desk with things on it. The same `seed` is the same desk; `shift` moves the camera by so many pixels, `noise`
    is another grain of the sensor."""
    dice = random.Random(seed)
    picture = Image.new("RGB", (width, height), tuple(dice.randrange(140, 220) for _ in range(3)))
    draw = ImageDraw.Draw(picture)
    for _ in range(24):
        x, y = dice.randrange(-50, width) + shift, dice.randrange(-50, height) + shift // 2
        box = (x, y, x + dice.randrange(40, 260), y + dice.randrange(40, 220))
        colour = tuple(dice.randrange(256) for _ in range(3))
        (draw.rectangle if dice.random() < 0.6 else draw.ellipse)(box, colour)
    picture = picture.filter(ImageFilter.GaussianBlur(1.2))
    if noise:
        grain = Image.frombytes("L", picture.size, random.Random(noise).randbytes(width * height))
        picture = Image.blend(picture, Image.merge("RGB", (grain,) * 3), 0.04)
    return picture


def page(seed: int, lines: int, *, noise: int = 0) -> Image.Image:
    """A page of handwriting on a desk, seen from a stand: nothing but its lines ever changes."""
    width, height = 960, 720
    dice = random.Random(seed)
    picture = Image.new("RGB", (width, height), (150, 110, 80))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((200, 40, 770, 690), (240, 238, 230))
    for line in range(lines):
        y = 70 + line * 42
        points = [(x, y + dice.randrange(-10, 11)) for x in range(230, dice.randrange(560, 740), 6)]
        draw.line(points, (40, 40, 90), 3)
    if noise:
        grain = Image.frombytes("L", picture.size, random.Random(noise).randbytes(width * height))
        picture = Image.blend(picture, Image.merge("RGB", (grain,) * 3), 0.04)
    return picture


def jpeg(picture: Image.Image, quality: int = 90, **more: object) -> bytes:
    into = io.BytesIO()
    picture.save(into, "JPEG", quality=quality, **more)
    return into.getvalue()


def shot(seed: int = 1, **more: int) -> bytes:
    """A frame from a camera, as the app sends it."""
    return jpeg(scene(seed, **more))


def opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture
