"""What the tests of forwarding share: a loop whose time they say, a peer that keeps what it is given, packets."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from server.calls.worker import rtcp, sdp
from server.calls.worker.packets import extension, read
from server.calls.worker.sdp import Codec, Media
from server.calls.worker.sender import Viewer, Wanted
from server.calls.worker.source import Source

FEEDBACK = frozenset({"nack", "nack pli", "transport-cc"})
OPUS = Codec("OPUS", 111, 48_000)
VP8 = Codec("VP8", 96, 90_000, 97, FEEDBACK)
H264 = Codec("H264", 102, 90_000, 103, FEEDBACK)


class Timer:
    def __init__(self, at: float, callback: Callable[[], object]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """The part of an event loop that forwarding uses; time passes by `advance`."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> asyncio.TimerHandle:
        timer = Timer(self.now + delay, callback)
        self._timers.append(timer)
        return cast(asyncio.TimerHandle, timer)

    @property
    def timers(self) -> int:
        return sum(not timer.cancelled for timer in self._timers)

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while due := [timer for timer in self._timers if timer.at <= until and not timer.cancelled]:
            timer = min(due, key=lambda timer: timer.at)
            self._timers.remove(timer)
            self.now = max(self.now, timer.at)
            timer.callback()
        self.now = until


class Peer:
    """Keeps what it is to send."""

    def __init__(self, *media: Media, cname: str = "somebody") -> None:
        self.media = media
        self.ssrc = 0xABCD
        self.cname = cname
        self.up = True
        self.round_trip: float | None = 0.02
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.send_rtp = self.rtp.append
        self.send_rtcp = self.rtcp.append
        self.on_rtp: Callable[[bytes, float], None] = lambda packet, now: None
        self.on_rtcp: Callable[[bytes], None] = lambda packet: None

    def parts(self, kind: int) -> list[rtcp.Part]:
        return [part for packet in self.rtcp for part in rtcp.parts(packet) if part.kind == kind]


def line(index: int, codec: Codec, **more: Any) -> Media:
    kind = "audio" if codec.name == "OPUS" else "video"
    values: dict[str, Any] = {
        "extensions": {sdp.MID: 4, sdp.ABS_SEND_TIME: 2, sdp.TRANSPORT_CC: 3},
        "active": True,
        "ssrc": 100 + index,
        "rtx_ssrc": 200 + index if codec.rtx is not None else 0,
    }
    return Media(index=index, mid=str(index), kind=kind, codec=codec, **{**values, **more})  # type: ignore[arg-type]


class Got(NamedTuple):
    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: int
    mid: bytes | None
    payload: bytes


def got(packet: bytes) -> Got:
    header = read(packet)
    assert header is not None
    sequence, timestamp, ssrc, payload_type, marker, start, stop, at, end = header
    return Got(sequence, timestamp, ssrc, payload_type, marker, extension(packet, start, stop, 4), packet[at:end])


def rtp(
    ssrc: int,
    payload_type: int,
    sequence: int,
    timestamp: int,
    payload: bytes,
    *,
    marker: int = 0,
    extensions: dict[int, bytes] | None = None,
    padding: int = 0,
) -> bytes:
    """A packet as RFC 3550 and 8285 have it, written another way than ours."""
    elements = b"".join(bytes([id << 4 | len(data) - 1]) + data for id, data in (extensions or {}).items())
    elements += bytes(-len(elements) % 4)
    first = 0x80 | (0x10 if extensions else 0) | (0x20 if padding else 0)
    packet = struct.pack("!BBHII", first, marker << 7 | payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    if extensions:
        packet += struct.pack("!HH", 0xBEDE, len(elements) // 4) + elements
    return packet + payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")


def vp8(picture: int, *, level: int = 0, key: bool = False, begins: bool = True, body: bytes = b"x" * 20) -> bytes:
    """A packet of a frame, with a picture id of 15 bits and a TL0PICIDX."""
    first = 0x80 | (0x10 if begins else 0)
    descriptor = struct.pack("!BBHB", first, 0xC0, picture & 0x7FFF | 0x8000, level & 0xFF)
    return descriptor + bytes([0 if key else 1]) + body


def numbers(payload: bytes) -> tuple[int, int]:
    """The picture id and TL0PICIDX of what `vp8` makes."""
    picture, level = struct.unpack_from("!HB", payload, 2)
    return picture & 0x7FFF, level


class Camera:
    """Somebody's track, which goes straight into a source: `frame` after `frame`."""

    def __init__(
        self, clock: Clock, *, sequence: int = 0, timestamp: int = 0, picture: int = 0, level: int = 0, **more: Any
    ) -> None:
        self.asked: list[float] = []
        self.clock = clock
        self.source = Source("video", "VP8", lambda: self.asked.append(clock.now), loop=clock, **more)
        self.sequence = sequence
        self.timestamp = timestamp
        self.picture = picture
        self.level = level

    def packets(self, count: int = 1, *, key: bool = False) -> list[tuple[int, int, int, bytes]]:
        """The next frame, not yet sent: the moment is now."""
        timestamp = self.timestamp + round(self.clock.now * 90_000)
        made = []
        for place in range(count):
            payload = vp8(self.picture, level=self.level, key=key, begins=place == 0)
            made.append((self.sequence & 0xFFFF, timestamp & 0xFFFFFFFF, int(place == count - 1), payload))
            self.sequence += 1
        self.picture += 1
        self.level += 1
        return made

    def put(self, packet: tuple[int, int, int, bytes]) -> bool:
        return self.source.put(*packet, self.clock.now)

    def frame(self, count: int = 1, *, key: bool = False) -> None:
        for packet in self.packets(count, key=key):
            self.put(packet)


def contiguous(sequences: list[int]) -> bool:
    """Each number is the one after that before it, in 16 bits."""
    return all((after - before) & 0xFFFF == 1 for before, after in itertools.pairwise(sequences))


class Seat:
    """Somebody watches: a voice in line 0, pictures in lines 1 and 2."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.peer = Peer(line(0, OPUS), line(1, VP8), line(2, VP8))
        self.viewer = Viewer(self.peer, self.clock)

    def show(self, source: Source | None, small: Source | None = None) -> None:
        self.viewer.view({1: Wanted(source, small)})

    def got(self, ssrc: int = 101) -> list[Got]:
        return [packet for packet in map(got, self.peer.rtp) if packet.ssrc == ssrc]

    def sequences(self, ssrc: int = 101) -> list[int]:
        return [packet.sequence for packet in self.got(ssrc)]

    def nack(self, *missing: int, ssrc: int = 101) -> list[Got]:
        """What comes again for that."""
        before = len(self.got(201))
        self.peer.on_rtcp(rtcp.generic_nack(1, ssrc, [number & 0xFFFF for number in missing]))
        return self.got(201)[before:]
