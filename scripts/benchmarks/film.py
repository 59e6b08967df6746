"""The load of bench `calls`: one publisher of encoded sound and pictures, and viewers who count what comes.

Both ends are stock peers of aiortc, in this process. Nothing is encoded or decoded while something is measured: the
publisher plays ten seconds made before, viewers look at packets as they come out of SRTP.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from itertools import cycle, islice
from typing import Any

import aioice.ice
import av
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext

WIDTH, HEIGHT, FPS = 640, 480, 30
_BITRATE = 900_000
#: Pictures of noise, and how often each is shown in a row.
_SCENES, _SCENE = 8, 4
_SECONDS = 10
_VOICE_MS = 20


def scenes() -> Iterator[av.VideoFrame]:
    """A second of pictures: noise that changes eight times fills the bits that an encoder may spend."""
    chance = random.Random(7)
    coarse = [av.VideoFrame(40, 30, "rgb24") for _ in range(_SCENES)]
    for picture in coarse:
        picture.planes[0].update(chance.randbytes(picture.planes[0].buffer_size))
    for number in range(_SCENES * _SCENE):
        yield coarse[number // _SCENE].reformat(WIDTH, HEIGHT, "yuv420p")


@cache
def pictures() -> tuple[bytes, ...]:
    """VP8, the first a keyframe."""
    context = av.CodecContext.create("libvpx", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base, context.framerate, context.bit_rate = Fraction(1, FPS), Fraction(FPS), _BITRATE
    context.gop_size, context.thread_count = 10_000, 1
    context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "maxrate": str(_BITRATE)}
    made: list[bytes] = []
    for number, frame in enumerate(islice(cycle(scenes()), FPS * _SECONDS)):
        frame.pts = number
        made += [bytes(packet) for packet in context.encode(frame)]
    return tuple(made)


@cache
def voice() -> tuple[bytes, ...]:
    """Opus; no two packets are the same, so that each is known when it arrives."""
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate, context.layout, context.bit_rate = 48_000, "stereo", 48_000
    context.format = "s16"
    chance = random.Random(8)
    made: list[bytes] = []
    for number in range(1000 // _VOICE_MS * _SECONDS):
        frame = av.AudioFrame("s16", "stereo", 48 * _VOICE_MS)
        frame.sample_rate, frame.pts = 48_000, number * 48 * _VOICE_MS
        frame.planes[0].update(chance.randbytes(frame.planes[0].buffer_size))
        made += [bytes(packet) for packet in context.encode(frame)]
    return tuple(dict.fromkeys(made))


class _Played(MediaStreamTrack):
    """Encoded packets at their pace, over and over."""

    def __init__(self, kind: str, packets: tuple[bytes, ...], per_second: int) -> None:
        self.kind = kind
        super().__init__()
        self._packets = packets
        self._per_second = per_second
        self._began = 0.0
        self._played = 0
        self._next = 0
        self.sent: dict[bytes, float] = {}

    def again(self) -> None:
        """From the keyframe at the beginning."""
        self._next = 0

    async def recv(self) -> Any:
        loop = asyncio.get_running_loop()
        if not self._began:
            self._began = loop.time()
        wait = self._began + self._played / self._per_second - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        packet = av.Packet(data := self._packets[self._next])
        packet.pts, packet.time_base = self._played, Fraction(1, self._per_second)
        self._played += 1
        self._next = (self._next + 1) % len(self._packets)
        self.sent[data] = time.perf_counter()
        return packet


class End:
    """A stock peer connection at either end of a negotiation. `close` more than once is the same."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return str(self.peer.localDescription.sdp)

    async def take(self, answer: str) -> None:
        """The answer to one's offer."""
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=everywhere(answer), type="answer"))

    async def answer(self, offer: str) -> str:
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        self.invited()
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        return str(self.peer.localDescription.sdp)

    def invited(self) -> None:
        """The lines of an offer to us are there."""

    async def connected(self) -> None:
        await until(lambda: self.peer.connectionState == "connected", "a peer is connected")

    async def close(self) -> None:
        await self.peer.close()


def everywhere(answer: str) -> str:
    """aiortc looks for candidates in a bundle's last line; they may stand in its first (RFC 8843, 10.1.2)."""
    head, *lines = answer.replace("\r\n", "\n").rstrip("\n").split("\nm=")
    found = [[row for row in line.split("\n") if row.startswith("a=candidate")] for line in lines]
    common = next((rows for rows in found if rows), [])
    mended = [
        "\n".join([line, *common]) if not rows and "a=inactive" not in line else line
        for line, rows in zip(lines, found, strict=True)
    ]
    return "\r\n".join("\nm=".join([head, *mended]).split("\n")) + "\r\n"


class Publisher(End):
    """Voice and pictures, over and over; whoever asks for a keyframe gets the film from its beginning."""

    def __init__(self) -> None:
        super().__init__()
        film, sound = _Played("video", pictures(), FPS), _Played("audio", voice(), 1000 // _VOICE_MS)
        #: What was played → when, in seconds of perf_counter.
        self.sent = sound.sent
        self.peer.addTransceiver(sound, direction="sendonly")
        camera = self.peer.addTransceiver(film, direction="sendonly")
        camera.sender._send_keyframe = film.again  # type: ignore[method-assign]


class Viewer(End):
    """Receives voices first, then pictures, and tells what it lost, as browsers do; decodes nothing.

    `counts` are the packets of each line, `frames` whole pictures and `octets` bytes of payload of all; `first` is when
    the first keyframe was whole, in seconds of perf_counter; `delays` those of the voice that `sent` tells of, in
    seconds.
    """

    def __init__(self, sent: dict[bytes, float] | None = None, voices: int = 1, cameras: int = 1) -> None:
        super().__init__()
        self._sent = {} if sent is None else sent
        self._kinds = ["audio"] * voices + ["video"] * cameras
        self._key: int | None = None
        self.counts: list[int] = []
        self.frames = self.octets = 0
        self.first: float | None = None
        self.delays: list[float] = []

    @property
    def packets(self) -> int:
        return sum(self.counts)

    async def offer(self) -> str:
        for kind in self._kinds:
            self.peer.addTransceiver(kind, direction="recvonly")
        self.invited()
        return await super().offer()

    def invited(self) -> None:
        for place, slot in enumerate(self.peer.getTransceivers()):
            self.counts.append(0)
            slot.receiver._handle_rtp_packet = self._taker(place, slot)  # type: ignore[method-assign, assignment]

    def _taker(self, place: int, slot: RTCRtpTransceiver) -> Callable[[RtpPacket, int], Coroutine[Any, Any, None]]:
        # What the receiver says in its reports comes from here; it does so by itself.
        reported = slot.receiver._RTCRtpReceiver__remote_streams  # type: ignore[attr-defined]
        take, rate = (self._hear, 48_000) if slot.kind == "audio" else (self._see, 90_000)

        async def taken(packet: RtpPacket, arrival_time_ms: int) -> None:
            self.counts[place] += 1
            self.octets += len(packet.payload)
            statistics = reported.get(packet.ssrc)
            if statistics is None:
                statistics = reported[packet.ssrc] = StreamStatistics(rate)
            statistics.add(packet)
            take(packet)

        return taken

    def _hear(self, packet: RtpPacket) -> None:
        if (at := self._sent.get(packet.payload)) is not None:
            self.delays.append(time.perf_counter() - at)

    def _see(self, packet: RtpPacket) -> None:
        if packet.marker:
            self.frames += 1
        if self.first is None and packet.payload:
            if begins_key(packet.payload):
                self._key = packet.timestamp
            if packet.marker and packet.timestamp == self._key:
                self.first = time.perf_counter()


def begins_key(payload: bytes) -> bool:
    """RFC 7741, 4.2 and 4.3."""
    if not payload[0] & 0x10 or payload[0] & 0x07:
        return False
    at = 1
    if payload[0] & 0x80:
        extended = payload[1]
        at = 2 + bool(extended & 0x40) + bool(extended & 0x30)
        if extended & 0x80:
            at += 2 if payload[2] & 0x80 else 1
    return len(payload) > at and not payload[at] & 1


@contextmanager
def at(address: str) -> Iterator[None]:
    """Stock peers know only this address of their machine."""
    own = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]
    try:
        yield
    finally:
        aioice.ice.get_host_addresses = own


async def until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - peers have no event for most of it
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise RuntimeError(f"not within {seconds:.0f} s: {what}") from None
