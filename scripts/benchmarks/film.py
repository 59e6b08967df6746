"""The load of bench `calls`: one publisher of encoded sound and pictures, and viewers who count what comes.

Both ends are stock peers of aiortc, in this process. Nothing is encoded or decoded while something is measured: the
publisher plays ten seconds made before, viewers look at packets as they come out of SRTP.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from functools import cache
from typing import Any

import aioice.ice
import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext

_WIDTH, _HEIGHT, _FPS = 640, 480, 30
_BITRATE = 900_000
_SECONDS = 10
_VOICE_MS = 20

Negotiate = Callable[[str], Awaitable[str]]


@cache
def pictures() -> tuple[bytes, ...]:
    """VP8, the first a keyframe. Noise that changes from picture to picture fills the bits that it may have."""
    context = av.CodecContext.create("libvpx", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
    context.time_base, context.framerate, context.bit_rate = Fraction(1, _FPS), Fraction(_FPS), _BITRATE
    context.gop_size = 10_000
    context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "maxrate": str(_BITRATE)}
    chance = random.Random(7)
    coarse = [av.VideoFrame(80, 60, "rgb24") for _ in range(8)]
    for picture in coarse:
        picture.planes[0].update(chance.randbytes(picture.planes[0].buffer_size))
    made: list[bytes] = []
    for number in range(_FPS * _SECONDS):
        frame = coarse[number // 4 % 8].reformat(_WIDTH, _HEIGHT, "yuv420p")
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


class Viewer:
    """`first` is when the first keyframe was whole, in seconds of perf_counter; `delays` of voice, in seconds."""

    def __init__(self, sent: dict[bytes, float]) -> None:
        self._sent = sent
        self._key: int | None = None
        self.packets = 0
        self.first: float | None = None
        self.delays: list[float] = []

    async def heard(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self.packets += 1
        if (at := self._sent.get(packet.payload)) is not None:
            self.delays.append(time.perf_counter() - at)

    async def seen(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self.packets += 1
        if self.first is None and packet.payload:
            if _begins_key(packet.payload):
                self._key = packet.timestamp
            if packet.marker and packet.timestamp == self._key:
                self.first = time.perf_counter()


def _begins_key(payload: bytes) -> bool:
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


class House:
    """The publisher and the viewers of one turn, on the loopback address if nobody moves them."""

    def __init__(self) -> None:
        self._own = aioice.ice.get_host_addresses
        self.move("127.0.0.1")
        self._peers: list[RTCPeerConnection] = []
        self.sent: dict[bytes, float] = {}

    def move(self, address: str) -> None:
        """To another address of this machine."""
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]

    async def publish(self, negotiate: Negotiate) -> None:
        peer = self._peer()
        film, sound = _Played("video", pictures(), _FPS), _Played("audio", voice(), 1000 // _VOICE_MS)
        self.sent = sound.sent
        peer.addTransceiver(sound, direction="sendonly")
        camera = peer.addTransceiver(film, direction="sendonly")
        camera.sender._send_keyframe = film.again  # type: ignore[method-assign]
        await self._connect(peer, negotiate)

    async def watch(self, negotiate: Negotiate) -> Viewer:
        """Offers to receive."""
        peer, viewer = self._peer(), Viewer(self.sent)
        for kind, take in (("audio", viewer.heard), ("video", viewer.seen)):
            slot = peer.addTransceiver(kind, direction="recvonly")
            slot.receiver._handle_rtp_packet = take  # type: ignore[method-assign]
        await self._connect(peer, negotiate)
        return viewer

    async def invited(self, offer: str, answered: Callable[[str], Awaitable[object]]) -> Viewer:
        """Answers an offer to send."""
        peer, viewer = self._peer(), Viewer(self.sent)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        for slot in peer.getTransceivers():
            slot.receiver._handle_rtp_packet = viewer.heard if slot.kind == "audio" else viewer.seen  # type: ignore[method-assign]
        await peer.setLocalDescription(await peer.createAnswer())
        await answered(peer.localDescription.sdp)
        await until(lambda: peer.connectionState == "connected", "a viewer is connected")
        return viewer

    def _peer(self) -> RTCPeerConnection:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        return peer

    @staticmethod
    async def _connect(peer: RTCPeerConnection, negotiate: Negotiate) -> None:
        await peer.setLocalDescription(await peer.createOffer())
        answer = await negotiate(peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await until(lambda: peer.connectionState == "connected", "a peer is connected")

    async def close(self) -> None:
        await asyncio.gather(*(peer.close() for peer in self._peers))
        aioice.ice.get_host_addresses = self._own


async def until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - peers have no event for most of it
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise RuntimeError(f"not within {seconds:.0f} s: {what}") from None
