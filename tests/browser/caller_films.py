"""What somebody's camera sees and microphone hears: films and sounds that tell the people of a call apart.

Chromium plays such files as its camera and its microphone, over and over, one pair for each process.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np

Colour = tuple[int, int, int]

#: The right half of every picture: whoever sees it on the left sees a mirror.
GREY: Colour = (90, 90, 90)
WIDTH, HEIGHT = 640, 360
#: Seconds: films and sounds begin again after so long; a tone and a light stand for the first part of it.
_ROUND = 1.0
_ON = 0.4
_RATE = 48_000


class Look(NamedTuple):
    """How somebody looks and sounds."""

    name: str
    colour: Colour  # of the left half
    tone: int  # Hz
    fps: int = 10
    #: the lowest third snows: more than thin lines carry
    snow: bool = False
    #: seconds of a round; the picture turns white for as long as the tone sounds
    flash: float = 0.0


RED = Look("red", (200, 30, 30), 500)
GREEN = Look("green", (30, 180, 40), 900)
BLUE = Look("blue", (40, 50, 220), 1_400)
GOLD = Look("gold", (220, 190, 30), 2_100)
SNOW = Look("snow", (160, 40, 200), 700, fps=30, snow=True)
FLASH = Look("flash", (20, 20, 60), 1_000, fps=30, flash=2.0)
LOOKS = (RED, GREEN, BLUE, GOLD, SNOW, FLASH)


def flags(look: Look, directory: Path) -> list[str]:
    """Writes the files of a look; answers how Chromium is told of them."""
    film, sound = directory / f"{look.name}.y4m", directory / f"{look.name}.wav"
    _film(look, film)
    _sound(look, sound)
    return [f"--use-file-for-fake-video-capture={film}", f"--use-file-for-fake-audio-capture={sound}"]


def _yuv(colour: Colour) -> tuple[int, int, int]:
    """BT.601, as cameras send it."""
    red, green, blue = (part / 255 for part in colour)
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    return (
        round(16 + 219 * light),
        round(128 + 224 * 0.5 * (blue - light) / (1 - 0.114)),
        round(128 + 224 * 0.5 * (red - light) / (1 - 0.299)),
    )


def _film(look: Look, path: Path) -> None:
    frames = round((look.flash or _ROUND) * look.fps)
    chance = np.random.default_rng(7)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{look.fps}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in range(frames):
            lit = look.flash > 0 and frame / look.fps < _ON
            file.write(b"FRAME\n")
            for place, (left, right) in enumerate(zip(_yuv(look.colour), _yuv(GREY), strict=True)):
                width, height = (WIDTH, HEIGHT) if place == 0 else (WIDTH // 2, HEIGHT // 2)
                plane = np.full((height, width), left, np.uint8)
                plane[:, width // 2 :] = right
                if lit:
                    plane[:] = 235 if place == 0 else 128
                if look.snow and place == 0:
                    flakes = chance.integers(30, 220, (height // 24, width // 8), np.uint8)
                    plane[-(height // 24) * 8 :] = np.kron(flakes, np.ones((8, 8), np.uint8))
                elif place == 0:
                    # something moves: no two pictures are the same
                    at = frame * (width - 24) // frames
                    plane[-24:, at : at + 24] = 235
                file.write(plane.tobytes())


def _sound(look: Look, path: Path) -> None:
    """A tone that comes and goes: what stands still is taken for noise, and taken out."""
    seconds = np.arange(round((look.flash or _ROUND) * _RATE)) / _RATE
    heard = 9_000 * np.sin(2 * np.pi * look.tone * seconds) * (seconds < _ON)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(heard.astype("<i2").tobytes())
