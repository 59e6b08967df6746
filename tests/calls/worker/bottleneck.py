"""A viewer at the end of a line that carries only so much, over time that a test says.

Its estimate of the line is the one of aiortc, which follows that of browsers (abs-send-time, Kalman filter, AIMD).
"""

from __future__ import annotations

import itertools
import random
import struct

from aiortc.rate import RemoteBitrateEstimator

from server.calls.worker import rtcp
from server.calls.worker.packets import extension, nearest, read
from server.calls.worker.sender import Viewer, Wanted
from server.calls.worker.source import Source
from tests.calls.worker.forwarding import OPUS, VP8, Camera, Clock, Peer, line, vp8

#: Seconds from one end of the line to the other, and those that packets wait at most where it is thin.
DELAY = 0.02
QUEUE = 0.3
_HEADERS = 28  # bytes of IP and UDP


class Thin:
    """A line of `rate` bits per second with a queue; `loss` is the share of packets that it loses besides."""

    def __init__(self, clock: Clock, rate: float, loss: float = 0.0) -> None:
        self.rate = rate
        self.loss = loss
        self.dropped = 0
        self._clock = clock
        self._free = 0.0
        self._random = random.Random(7)

    def arrival(self, size: int) -> float | None:
        """Seconds until a packet that is sent now arrives; None for never."""
        now = self._clock.now
        start = max(now, self._free)
        if start - now > QUEUE or self._random.random() < self.loss:
            self.dropped += 1
            return None
        self._free = start + 8 * (size + _HEADERS) / self.rate
        return self._free - now + DELAY


class Filmed(Camera):
    """`bitrate` at `fps`, keyframes (thrice as large) when they are asked for."""

    def __init__(self, clock: Clock, bitrate: float, fps: float) -> None:
        super().__init__(clock)
        self.sent = 0
        self._body = bitrate / 8 / fps
        self._every = 1 / fps
        self._answered = 0
        self.over = False
        self._measured = clock.now
        clock.call_later(0.0, self._shoot)

    def _shoot(self) -> None:
        if self.over:
            return
        key = len(self.asked) > self._answered
        self._answered = len(self.asked)
        size = int(self._body * (3 if key else 1))
        count = max(1, round(size / 1_000))
        timestamp = round(self.clock.now * 90_000) & 0xFFFFFFFF
        for place in range(count):
            body = bytes(size // count)
            payload = vp8(self.picture, level=self.level, key=key, begins=place == 0, body=body)
            self.put((self.sequence & 0xFFFF, timestamp, int(place == count - 1), payload))
            self.sequence += 1
        self.sent += count
        self.picture += 1
        self.level += 1
        if self.clock.now - self._measured >= 1:
            self._measured = self.clock.now
            self.source.measure(self.clock.now)
        self.clock.call_later(self._every, self._shoot)


class Browser:
    """Watches one picture; asks again for what is missing, tells what the line seems to carry and what it lost."""

    def __init__(self, clock: Clock, line_to_it: Thin) -> None:
        self.clock = clock
        self.line = line_to_it
        self.peer = Peer(line(0, OPUS), line(1, VP8))
        self.peer.send_rtp = self._take
        self.viewer = Viewer(self.peer, clock)
        #: When each frame was whole, with all before it.
        self.shown: list[float] = []
        #: (when, whether the small picture) of each change
        self.changes: list[tuple[float, bool]] = []
        self.got = self.again = 0
        self.estimate = 0
        self._estimator = RemoteBitrateEstimator()
        self._told = 0
        self._top = -1
        self._first = 0
        self._next = -1
        self._kept: dict[int, tuple[int, bool]] = {}  # number → marker, whether a keyframe begins
        self._missing: dict[int, tuple[float, float]] = {}  # since, asked
        self._received = 0
        clock.call_later(1.0, self._report)
        clock.call_later(0.1, self._look)

    def watch(self, large: Source, small: Source | None) -> None:
        self.viewer.view({1: Wanted(large, small)})

    def small(self) -> bool:
        return self.viewer.senders[1].choice.small

    def fps(self, since: float, until: float) -> float:
        return sum(since <= at < until for at in self.shown) / (until - since)

    def longest_freeze(self, since: float, until: float) -> float:
        moments = [since, *(at for at in self.shown if since <= at < until), until]
        return max(later - before for before, later in itertools.pairwise(moments))

    # -- packets

    def _take(self, packet: bytes) -> None:
        wait = self.line.arrival(len(packet))
        if wait is not None:
            self.clock.call_later(wait, lambda: self._arrived(packet))

    def _arrived(self, packet: bytes) -> None:
        header = read(packet)
        assert header is not None
        sequence, _, ssrc, payload_type, marker, start, stop, at, end = header
        stamp = extension(packet, start, stop, 2)
        assert stamp is not None
        self.got += 1
        found = self._estimator.add(
            round(self.clock.now * 1000), int.from_bytes(stamp, "big"), end - at + _HEADERS, ssrc
        )
        if found is not None:
            self.estimate = found[0]
            if self.estimate < 0.97 * self._told:
                self._remb()
        payload = packet[at:end]
        if payload_type == 97:
            self.again += 1
            (sequence,) = struct.unpack_from("!H", payload)
            payload = payload[2:]
        number = nearest(sequence, self._top) if self._top >= 0 else sequence + 0x10000
        if self._top < 0:
            self._first = self._next = number
            self._top = number - 1
        if payload_type == 96:
            self._received += 1
        hole = list(range(self._top + 1, number))
        for lost in hole:
            self._missing[lost] = (self.clock.now, self.clock.now)
        if hole:
            self._say(rtcp.generic_nack(1, 101, [lost & 0xFFFF for lost in hole]))
        self._top = max(self._top, number)
        self._missing.pop(number, None)
        key = bool(payload[0] & 0x10) and not payload[5] & 1
        if number >= self._next:
            self._kept[number] = (marker, key)
        self._show()

    def _show(self) -> None:
        while (kept := self._kept.pop(self._next, None)) is not None:
            self._next += 1
            if kept[0]:
                self.shown.append(self.clock.now)

    def _look(self) -> None:
        """Asks once more; what has been missing for long is given up for the next keyframe."""
        now = self.clock.now
        again = []
        for number, (since, asked) in tuple(self._missing.items()):
            if now - since > 1.0:
                del self._missing[number]
            elif now - asked > 0.08:
                self._missing[number] = (since, now)
                again.append(number & 0xFFFF)
        if again:
            self._say(rtcp.generic_nack(1, 101, again))
        if self._kept and self._next not in self._missing and self._next not in self._kept:
            begin = min((number for number, (_, key) in self._kept.items() if key), default=None)
            if begin is None:
                self._say(rtcp.picture_loss(1, 101))
            else:
                self._kept = {number: kept for number, kept in self._kept.items() if number >= begin}
                self._next = begin
                self._show()
        if not self.changes or self.changes[-1][1] != self.small():
            self.changes.append((now, self.small()))
        self.clock.call_later(0.1, self._look)

    # -- what it says

    def _say(self, packet: bytes) -> None:
        self.clock.call_later(DELAY, lambda: self.peer.on_rtcp(packet))

    def _remb(self) -> None:
        self._told = self.estimate
        exponent = max(0, self.estimate.bit_length() - 18)
        mantissa = self.estimate >> exponent
        fields = struct.pack("!BBH", 1, exponent << 2 | mantissa >> 16, mantissa & 0xFFFF)
        body = struct.pack("!II", 1, 0) + b"REMB" + fields + struct.pack("!I", 101)
        self._say(struct.pack("!BBH", 0x8F, 206, len(body) // 4) + body)

    def _report(self) -> None:
        if self._top >= 0:
            lost = self._top - self._first + 1 - self._received
            self._say(rtcp.receiver_report(1, [rtcp.Report(101, 0, lost, self._top, 0, 0, 0)]))
            if self.estimate:
                self._remb()
        self.clock.call_later(1.0, self._report)
