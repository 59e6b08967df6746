"""Encoded pictures and sound in RTP payloads, packed by aiortc: another implementation than the one that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext


class Rtp(NamedTuple):
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes


def picture(width: int, height: int, number: int) -> av.VideoFrame:
    """The left half bright red, the right half dark, a little different for each number."""
    frame = av.VideoFrame(width, height, "rgb24")
    row = bytes((230, 20 + number % 20, 20)) * (width // 2) + bytes((20, 20, 20)) * (width - width // 2)
    plane = frame.planes[0]
    plane.update(b"".join(row + bytes(plane.line_size - len(row)) for _ in range(height)))
    return frame


def encoded(codec: str, count: int, *, width: int = 320, height: int = 240, key_every: int = 1000) -> Iterator[bytes]:
    """The same bytes each time: libvpx' `realtime` would do as much as the machine has time for."""
    context = av.CodecContext.create("libvpx" if codec == "VP8" else "libx264", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
    context.gop_size = key_every
    context.options = (
        {"deadline": "good", "cpu-used": "5", "lag-in-frames": "0"}
        if codec == "VP8"
        else {"tune": "zerolatency", "profile": "baseline", "sc_threshold": "0"}
    )
    for number in range(count):
        frame = picture(width, height, number).reformat(format="yuv420p")
        frame.pts = number
        for packet in context.encode(frame):
            yield bytes(packet)


def shown(codec: str, count: int, *, sequence: int = 65_500, timestamp: int = 4_294_900_000, **how: int) -> list[Rtp]:
    """Thirty frames a second, 90,000 ticks a second; both numbers start again at 0 within it."""
    packer = Vp8Encoder() if codec == "VP8" else H264Encoder()
    packets: list[Rtp] = []
    for number, data in enumerate(encoded(codec, count, **how)):
        packet = av.Packet(data)
        packet.pts, packet.time_base = number, Fraction(1, 30)
        payloads, _ = packer.pack(packet)
        at = (timestamp + 3000 * number) % 2**32
        for place, payload in enumerate(payloads):
            packets.append(Rtp(sequence % 2**16, at, place == len(payloads) - 1, payload))
            sequence += 1
    return packets


def spoken(count: int, *, sequence: int = 65_500, timestamp: int = 4_294_900_000) -> list[Rtp]:
    """Opus, 20 ms a packet."""
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate, context.layout, context.format = 48_000, "stereo", "s16"
    packets: list[Rtp] = []
    number = 0
    while len(packets) < count:
        frame = av.AudioFrame("s16", "stereo", 960)
        frame.sample_rate, frame.pts = 48_000, 960 * number
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        number += 1
        for packet in context.encode(frame):
            at = (timestamp + 960 * len(packets)) % 2**32
            packets.append(Rtp((sequence + len(packets)) % 2**16, at, False, bytes(packet)))
    return packets
