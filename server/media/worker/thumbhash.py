"""ThumbHash: a picture in about 25 bytes, to be shown blurred until the real one is there.

The format is Evan Wallace's (https://evanw.github.io/thumbhash/): a discrete cosine transform of luminance, two colour
differences and, if need be, alpha; few coefficients of each, quantised.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

from PIL import Image

#: the picture is shrunk to this side before: more pixels do not change so few coefficients
_SIDE = 32


def blur(picture: Image.Image) -> str:
    """The hash in base64, at most 36 characters."""
    small = picture.convert("RGBA")
    small.thumbnail((_SIDE, _SIDE))
    return base64.b64encode(encode(small.width, small.height, small.tobytes())).decode()


def encode(width: int, height: int, rgba: bytes) -> bytes:
    """The hash of unpremultiplied RGBA pixels."""
    pixels = [tuple(value / 255 for value in rgba[i : i + 4]) for i in range(0, len(rgba), 4)]
    alpha = [a for _, _, _, a in pixels]
    whole = sum(alpha)
    # What shows through is taken for the average colour, so that it pulls no channel away.
    average = [sum(pixel[c] * pixel[3] for pixel in pixels) / whole if whole else 0.0 for c in range(3)]
    flat = [[pixel[c] * pixel[3] + average[c] * (1 - pixel[3]) for pixel in pixels] for c in range(3)]
    see_through = whole < width * height
    most = 5 if see_through else 7
    side = max(width, height)
    across, down = max(1, _round(most * width / side)), max(1, _round(most * height / side))
    red, green, blue = flat
    light = _Channel(width, height, [(r + g + b) / 3 for r, g, b in zip(red, green, blue, strict=True)])
    light.transform(max(3, across), max(3, down))
    warm = _Channel(width, height, [(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)])
    warm.transform(3, 3)
    rose = _Channel(width, height, [r - g for r, g in zip(red, green, strict=True)])
    rose.transform(3, 3)
    channels = [light, warm, rose]

    landscape = width > height
    head = _round(63 * light.dc) | _round(31.5 + 31.5 * warm.dc) << 6 | _round(31.5 + 31.5 * rose.dc) << 12
    head |= _round(31 * light.scale) << 18 | see_through << 23
    tail = (down if landscape else across) | _round(63 * warm.scale) << 3 | _round(63 * rose.scale) << 9
    tail |= landscape << 15
    coded = bytearray(head.to_bytes(3, "little") + tail.to_bytes(2, "little"))
    if see_through:
        clear = _Channel(width, height, alpha)
        clear.transform(5, 5)
        channels.append(clear)
        coded.append(_round(15 * clear.dc) | _round(15 * clear.scale) << 4)
    nibbles = [_round(15 * value) for channel in channels for value in channel.ac]
    nibbles += [0] * (len(nibbles) % 2)
    coded += bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
    return bytes(coded)


class _Channel:
    """One channel's transform: `dc` is its mean, `ac` the other coefficients in 0–1 around 0.5, `scale` their range."""

    def __init__(self, width: int, height: int, values: Sequence[float]) -> None:
        self._rows = [values[y * width : (y + 1) * width] for y in range(height)]
        self._width, self._height = width, height
        self.dc = 0.0
        self.ac: list[float] = []
        self.scale = 0.0

    def transform(self, across: int, down: int) -> None:
        """Keeps the coefficients of the triangle of low frequencies."""
        size = self._width * self._height
        for v in range(down):
            u = 0
            while u * down < across * (down - v):
                waves = [math.cos(math.pi / self._width * u * (x + 0.5)) for x in range(self._width)]
                total = 0.0
                for y, row in enumerate(self._rows):
                    line = sum(value * wave for value, wave in zip(row, waves, strict=True))
                    total += line * math.cos(math.pi / self._height * v * (y + 0.5))
                total /= size
                if u or v:
                    self.ac.append(total)
                    self.scale = max(self.scale, abs(total))
                else:
                    self.dc = total
                u += 1
        if self.scale:
            self.ac = [0.5 + 0.5 / self.scale * value for value in self.ac]


def _round(value: float) -> int:
    """Halves go up, as in the reference."""
    return math.floor(value + 0.5)
