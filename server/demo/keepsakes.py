"""What the family sends beside words: a page with a seal on it, and a tune hummed in reply. Both are made here."""

from __future__ import annotations

import asyncio
import io
import math
import wave
from array import array
from collections.abc import Sequence

import msgspec
from PIL import Image, ImageDraw, ImageFilter

from server.demo.cast import ids
from server.demo.talk import SCENES, line_id, room_of
from server.demo.telling import skipping
from server.media.model import Media, MediaKind, UploadState
from server.media.rules import CHUNK
from server.principals import Kind, Principal
from server.realtime.channels import Draft
from server.services import Services

#: where the numbers of these lines begin, beyond those of the talk
_FIRST = 701
_PATIENCE = 30.0  # seconds that a thing may take to be made ready
_PAPER, _CARD, _INK, _LINE, _SEAL = "#FAF8F4", "#FFFFFF", "#1F2A37", "#E4DFD6", "#B3261E"
_RATE = 24_000  # samples a second
#: (pitch in half-tones above A4, beats) of a tune on five tones
_TUNE = ((-5, 1), (-2, 1), (0, 2), (3, 1), (0, 1), (-2, 2), (-5, 1), (-2, 1), (0, 1), (-2, 1), (-5, 3))
_BEAT = 0.28  # seconds


async def tell(services: Services) -> Sequence[str]:
    scene = next(scene for scene in SCENES if scene.name == "family")
    async with skipping():
        people = await ids(services)
        room = await room_of(services, scene, people)
        said = {entry.id for entry in (await services.hub.pages.page(f"conv:{room}", 1, None, 0, 100)).entries}
        things = (
            ("lin", "第十七页，三个手指头在背面。", MediaKind.PICTURE, "第十七页.png", page),
            ("fang", "", MediaKind.VOICE, "哼歌.wav", tune),
        )
        for number, (speaker, text, kind, name, make) in enumerate(things, _FIRST):
            key = line_id(scene, number)
            if key in said:
                continue
            content = await asyncio.to_thread(make)
            sender = Principal(Kind.PERSON, people[speaker])
            if (thing := await _ready(services, sender, room, kind, name, content)) is None:
                return []  # this machine is too slow, or has no worker: the story goes on without
            await services.media.claim(sender.id, room, key, [thing])
            body = {"text": text, "media": [msgspec.to_builtins(thing)]}
            await services.hub.append(Draft(f"conv:{room}", sender.id, key, "message", body))
    return []


async def _ready(
    services: Services, sender: Principal, room: str, kind: MediaKind, name: str, content: bytes
) -> Media | None:
    """Sends it as anybody would; None when it does not become ready."""
    uploads = services.media.uploads
    upload = await uploads.start(sender, room, kind, name, len(content))
    for first in range(0, len(content), CHUNK):
        upload = await uploads.append(sender.id, upload.id, first, content[first : first + CHUNK])
    try:
        async with asyncio.timeout(_PATIENCE):
            while upload.state is UploadState.PROCESSING:
                await asyncio.sleep(0.05)
                upload = await uploads.get(sender.id, upload.id)
    except TimeoutError:
        await uploads.cancel(sender.id, upload.id)
    return upload.media


def page() -> bytes:
    """A page of a book on a desk, the line that was read last underlined, and a red seal pressed on its corner."""
    scale = 2
    desk = Image.new("RGB", (1200 * scale, 900 * scale), "#D9CFBE")
    shadow = Image.new("L", desk.size, 0)
    box = tuple(scale * side for side in (210, 70, 990, 860))
    ImageDraw.Draw(shadow).rounded_rectangle(box, 14 * scale, fill=90)
    desk.paste("#6B6252", (8 * scale, 12 * scale), shadow.filter(ImageFilter.GaussianBlur(14 * scale)))
    draw = ImageDraw.Draw(desk)
    draw.rounded_rectangle(box, 10 * scale, fill=_CARD, outline=_LINE, width=scale)
    draw.rectangle([scale * side for side in (210, 70, 250, 860)], fill=_PAPER)
    for row in range(15):
        y = (140 + row * 42) * scale
        end = 930 - (row * 137 % 190 if row % 4 == 3 else row * 53 % 24)
        x = 300 if row % 4 else 350
        while x < end:
            width = 26 + (x * 31 + row * 17) % 58
            draw.rounded_rectangle([x * scale, y, min(x + width, end) * scale, y + 13 * scale], 6 * scale, fill=_INK)
            x += width + 16
        if row == 9:
            draw.line([300 * scale, y + 24 * scale, end * scale, y + 24 * scale], fill=_SEAL, width=4 * scale)
    _press_seal(desk, (850 * scale, 720 * scale), 78 * scale)
    out = io.BytesIO()
    desk.resize((1200, 900), Image.Resampling.LANCZOS).save(out, "PNG")
    return out.getvalue()


def _press_seal(desk: Image.Image, centre: tuple[int, int], radius: int) -> None:
    """A ring and a tick, a little turned, as a hand presses it."""
    seal = Image.new("RGBA", (radius * 2 + 8, radius * 2 + 8), (0, 0, 0, 0))
    draw = ImageDraw.Draw(seal)
    draw.ellipse((4, 4, radius * 2 + 4, radius * 2 + 4), fill=_SEAL)
    inner = radius // 7
    draw.ellipse([inner + 4] * 2 + [radius * 2 + 4 - inner] * 2, outline=_PAPER, width=max(2, radius // 20))
    tick = [(0.55, 1.05), (0.88, 1.38), (1.48, 0.66)]
    points = [(4 + x * radius, 4 + y * radius) for x, y in tick]
    draw.line(points, fill=_PAPER, width=radius // 6, joint="curve")
    turned = seal.rotate(9, Image.Resampling.BICUBIC)
    desk.paste(turned, (centre[0] - radius, centre[1] - radius), turned)


def tune() -> bytes:
    """Some seconds of a hummed tune, as a WAV of 16 bits."""
    samples = array("h")
    for pitch, beats in _TUNE:
        tone = 440.0 * 2 ** (pitch / 12) / 2
        count = round(beats * _BEAT * _RATE)
        for index in range(count):
            at = index / _RATE
            swell = min(1.0, index / (0.04 * _RATE), (count - index) / (0.09 * _RATE))
            wave_ = sum(
                math.sin(2 * math.pi * tone * over * at + 0.02 * math.sin(34 * at)) / over**2 for over in (1, 2, 3)
            )
            samples.append(round(11_000 * swell * wave_))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples.tobytes())
    return out.getvalue()
