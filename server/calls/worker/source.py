"""One published track: its packets in one numbering, what watches it, and requests for keyframes.

Packets go on at once, in the turn of the loop in which they came. A track that is published anew (another SSRC, another
numbering) stays the same source: its numbers and timestamps go on, and pictures are shown again from a keyframe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

from server.calls.worker.packets import Shape, h264_begins_key, send_stamp, vp8_begins_key, vp8_shape
from server.calls.worker.ring import Entry, Ring
from server.calls.worker.sdp import Media
from server.calls.worker.sync import Offset, Timeline

#: Seconds between two requests for a keyframe, whoever asks.
KEYFRAME_SECONDS = 0.3

Tap = Callable[[int, int, bool, bytes], None]


class Loop(Protocol):
    """What is needed of the event loop."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> asyncio.TimerHandle: ...


class Connection(Protocol):
    """What is needed of a peer; see peer.py."""

    on_rtp: Callable[[bytes, float], None]
    on_rtcp: Callable[[bytes], None]

    @property
    def ssrc(self) -> int: ...

    @property
    def cname(self) -> str: ...

    @property
    def media(self) -> tuple[Media, ...]: ...

    @property
    def up(self) -> bool: ...

    @property
    def round_trip(self) -> float | None: ...

    def send_rtp(self, packet: bytes) -> None: ...

    def send_rtcp(self, packet: bytes) -> None: ...


class Subscriber(Protocol):
    """What gets a source's packets."""

    def forward(self, entry: Entry, stamp: bytes) -> None:
        """Every packet, while it is among `live`."""

    def offer(self, source: Source, entry: Entry, stamp: bytes, *, key: bool) -> None:
        """Every packet, while it is among `waiting`: it may take its place among `live` with this one."""

    def restart(self, source: Source) -> None:
        """The packets that follow have nothing to do with those before."""


class Source:
    """`put` is called by its publisher; `taps` get (sequence in 16 bits, timestamp, marker, payload) of each packet.

    Payloads of padding are empty. `ask_keyframe` sends the request. `codec` is OPUS, VP8 or H264.
    """

    def __init__(
        self,
        kind: Literal["audio", "video"],
        codec: str,
        ask_keyframe: Callable[[], None],
        *,
        loop: Loop,
        rate: int = 90_000,
        cname: str = "",
        offset: Offset | None = None,
    ) -> None:
        self.kind = kind
        self.codec = codec
        #: The publisher's name in RTCP: viewers keep together what has the same one.
        self.cname = cname
        self.taps: set[Tap] = set()
        self.live: list[Subscriber] = []
        self.waiting: list[Subscriber] = []
        self.ring = Ring()
        self.timeline = Timeline(rate, offset if offset is not None else Offset())
        #: The loop's time of the last packet with something in it.
        self.heard = float("-inf")
        #: The loop's time when the last keyframe began.
        self.key_at = float("-inf")
        #: Bits per second, of the last seconds.
        self.bitrate = 0.0
        #: Bytes of payload, ever.
        self.octets = 0
        self._loop = loop
        self._ask = ask_keyframe
        self._asked = float("-inf")
        self._wanted_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._timestamp_shift = 0
        self._closed = False
        self._measured = (loop.time(), 0)

    def put(
        self,
        sequence: int,
        timestamp: int,
        marker: int,
        payload: bytes,
        now: float,
        *,
        anew: bool = False,
        level: int = -1,
    ) -> bool:
        """A packet of the publisher, an empty payload for padding; False when it was a repeat or is too old.

        `anew`: of another SSRC than those before. `level`: how loud it is (RFC 6464).
        """
        ring = self.ring
        restarts = ring.restarts
        padding = not payload
        if anew and ring.top >= 0:
            number = ring.begin(sequence, padding=padding)
        else:
            number = ring.place(sequence, padding=padding)
        if ring.restarts != restarts:
            self._restart(timestamp, now)
        if number is None:
            return padding
        shape: Shape | None = None
        key = False
        if not padding:
            if self.codec == "VP8":
                shape = vp8_shape(payload)
                key = shape is not None and vp8_begins_key(shape)
            elif self.codec == "H264":
                key = h264_begins_key(payload)
            if key:
                self.key_at = now
            self.heard = now
            self.octets += len(payload)
        timestamp = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        if number > ring.highest:
            self.timeline.arrived(timestamp, now)
        entry: Entry = (number, timestamp, marker, payload, shape, level)
        ring.put(entry)
        stamp = send_stamp(now)
        for subscriber in self.live:
            subscriber.forward(entry, stamp)
        if self.waiting and not padding:
            for subscriber in tuple(self.waiting):
                subscriber.offer(self, entry, stamp, key=key)
        if self.taps:
            for tap in tuple(self.taps):
                tap(number & 0xFFFF, timestamp, bool(marker), payload)
        return True

    def report(self, ntp: int, timestamp: int, now: float) -> bool:
        """The publisher's sender report; False when it cannot be true."""
        return self.timeline.report(ntp, (timestamp + self._timestamp_shift) & 0xFFFFFFFF, now)

    def request_keyframe(self) -> None:
        """A keyframe from now on: at once, or by one later request for everybody who asked in the meantime."""
        if self.kind != "video" or self._closed:
            return
        self._wanted_at = self._loop.time()
        if self._timer is not None:
            return
        now = self._loop.time()
        wait = self._asked + KEYFRAME_SECONDS - now
        if wait <= 0:
            self._asked = now
            self._ask()
            return

        def later() -> None:
            self._timer = None
            if self.key_at <= self._wanted_at:  # else one has begun since, and serves
                self.request_keyframe()

        self._timer = self._loop.call_later(wait, later)

    def measure(self, now: float) -> None:
        """About once a second."""
        before, octets = self._measured
        if now > before:
            found = 8 * (self.octets - octets) / (now - before)
            self.bitrate = found if not self.bitrate else (self.bitrate + found) / 2
            self._measured = (now, self.octets)

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for subscriber in tuple(self.live):
            subscriber.restart(self)
        self.live.clear()
        self.waiting.clear()
        self.taps.clear()
        self.ring.forget()

    def _restart(self, timestamp: int, now: float) -> None:
        """Timestamps go on where they were, by the time that has passed."""
        timeline = self.timeline
        passed = max(1, round((now - timeline.newest_at) * timeline.rate))
        self._timestamp_shift = (timeline.newest + passed - timestamp) & 0xFFFFFFFF
        for subscriber in tuple(self.live):
            subscriber.restart(self)
        timeline.restart((timestamp + self._timestamp_shift) & 0xFFFFFFFF, now)
