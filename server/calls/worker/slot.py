"""One m-line towards a viewer: another source from time to time, one stream for the browser.

Numbers, timestamps and the picture ids of VP8 go on over every change, which happens at keyframes only (sound: at
once). A packet that comes late from a source that was left is dropped: its number is somebody else's now.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from server.calls.worker import sdp
from server.calls.worker.layers import Choice
from server.calls.worker.packets import Head, nearest, send_stamp, vp8_rewritten
from server.calls.worker.ring import SIZE, Entry
from server.calls.worker.rtcp import Report, SenderInfo
from server.calls.worker.sdp import Media
from server.calls.worker.source import Connection, Loop, Source
from server.calls.worker.sync import ntp

#: Seconds after which a source does not flow, and between two requests of one viewer for a keyframe.
SILENT_SECONDS = 2.0
_KEYFRAME_SECONDS = 1.0
#: Seconds between two repetitions of one packet; how many are remembered.
_REPEAT_SECONDS = 0.02
_MOST_REPEATED = 512
#: Bytes of repetitions that may be saved up. They are earned by what is sent, by each of the first bytes and by every
#: second one later: a line that loses more than a third is no better for getting it all again.
_MOST_CREDIT = 256 * 1024
_EARNED_FULLY = 64 * 1024
#: Changes of the source whose packets can still be repeated.
_MOST_PAST = 4
#: Seconds that two clocks may differ at a change; beyond it the time of arrival counts.
_FAR_APART = 0.5


class Wanted(msgspec.Struct, frozen=True):
    """What a slot is to show: `small` is another picture of the same camera, for a thin line."""

    source: Source | None
    small: Source | None = None


class _Stretch(msgspec.Struct):
    """What is added to a source's numbers from `first` on (its own number)."""

    source: Source
    first: int
    shift: int
    timestamps: int
    pictures: int = 0
    levels: int = 0
    last: int = -1  # its own number; -1 while it goes on


class _Left(msgspec.Struct, frozen=True):
    """The newest packet that was sent when a source was left."""

    timestamp: int
    moment: float | None
    at: float


class Sender:
    """Set what it shows with `watch`; call `tick` about twice a second."""

    __slots__ = (
        "_asked_at",
        "_credit",
        "_credited",
        "_first",
        "_head",
        "_key_next",
        "_key_wanted_at",
        "_left",
        "_levels",
        "_loop",
        "_next",
        "_past",
        "_peer",
        "_picture",
        "_pictures",
        "_repeat_head",
        "_repeat_next",
        "_repeated",
        "_reported",
        "_request",
        "_rewrites",
        "_send",
        "_shift",
        "_stretch",
        "_timestamps",
        "_wanted",
        "choice",
        "live",
        "media",
        "octets",
        "packets",
        "pending",
        "repeats",
    )

    def __init__(self, peer: Connection, media: Media, loop: Loop, ask: Callable[[Source], bool]) -> None:
        """`ask` requests a keyframe, or says that it may not be now."""
        self.media = media
        self.live: Source | None = None
        self.pending: Source | None = None
        #: Sent, ever; of payloads.
        self.packets = 0
        self.octets = 0
        self.repeats = 0
        #: Which of a camera's two pictures is wanted; changed by the viewer's Layers.
        self.choice = Choice(small=False)
        self._peer = peer
        self._send = peer.send_rtp
        self._request = ask
        self._loop = loop
        self._wanted = Wanted(None)
        mid, time = media.extensions.get(sdp.MID, 0), media.extensions.get(sdp.ABS_SEND_TIME, 0)
        level = media.extensions.get(sdp.AUDIO_LEVEL, 0)
        self._head = Head(media.ssrc, media.codec.payload_type, media.mid, mid, time, level)
        self._repeat_head = (
            Head(media.rtx_ssrc, media.codec.rtx, media.mid, mid, time)
            if media.codec.rtx is not None and media.rtx_ssrc
            else None
        )
        # Numbers without turns; what is on the wire are the low 16 bits. They begin low: a number that turned before
        # the browser saw the first one would be decrypted with another index (RFC 3711, 3.3.1).
        self._next = 0x10000 + secrets.randbelow(0x4000)
        self._repeat_next = secrets.randbelow(0x4000)
        self._stretch: _Stretch | None = None
        self._past: deque[_Stretch] = deque(maxlen=_MOST_PAST)
        # The same as in the stretch, for speed.
        self._first = self._shift = self._timestamps = self._pictures = self._levels = 0
        self._rewrites = False
        self._left: _Left | None = None
        self._picture: tuple[int, int] | None = None  # the newest picture id and TL0PICIDX that were left
        self._asked_at = float("-inf")
        self._key_wanted_at: float | None = None
        self._key_next = float("-inf")
        self._credit = self._credited = 0
        self._repeated: dict[int, float] = {}
        self._reported: Report | None = None

    # -- what it shows

    @property
    def wanted(self) -> Wanted:
        return self._wanted

    def watch(self, wanted: Wanted | None) -> None:
        """From now on this, None for nothing. What somebody else showed stops at once."""
        self._wanted = Wanted(None) if wanted is None else Wanted(self._fit(wanted.source), self._fit(wanted.small))
        if self._wanted.source is None:
            self._wanted = Wanted(self._wanted.small)
        self.settle()

    def _fit(self, source: Source | None) -> Source | None:
        return source if source is not None and source.codec == self.media.codec.name else None

    def settle(self) -> None:
        """Goes for what is to be shown now: the large or the small picture, or the one of them that flows."""
        source, small = self._wanted.source, self._wanted.small
        target, other = (small, source) if self.choice.small and small is not None else (source, small)
        if target is not None and other is not None:
            since = self._loop.time() - SILENT_SECONDS
            if target.heard < since <= other.heard:
                target = other
        if self.live is not None and self.live is not source and self.live is not small:
            self._leave()
        if target is self.live:
            self._await(None)
        elif target is not self.pending:
            self._await(target)

    def _await(self, source: Source | None) -> None:
        if self.pending is not None and self in self.pending.waiting:
            self.pending.waiting.remove(self)
        self.pending = source
        if source is not None:
            source.waiting.append(self)
            self._asked_at = float("-inf")
            self._ask(source)

    def _ask(self, source: Source) -> None:
        """For the keyframe to begin with; again every second, since a request or its answer may be lost."""
        now = self._loop.time()
        if self._peer.up and now - self._asked_at >= _KEYFRAME_SECONDS and now - source.heard < SILENT_SECONDS:
            if self._request(source):
                self._asked_at = now

    def tick(self) -> None:
        self.settle()
        if self.pending is not None:
            self._ask(self.pending)
        self._pass_on_keyframe()

    def close(self) -> None:
        self._await(None)
        self._leave()
        self._past.clear()
        self._wanted = Wanted(None)

    # -- what its sources call

    def forward(self, entry: Entry, stamp: bytes) -> None:
        number, timestamp, marker, payload, shape, level = entry
        if number < self._first:
            return
        if self._rewrites and shape is not None:
            payload = vp8_rewritten(shape, self._pictures, self._levels) + shape[4]
        head = self._head
        if level >= 0 and head.levels:
            header = head.write_level(marker, number + self._shift, timestamp + self._timestamps, stamp, level)
        else:
            header = head.write(marker, number + self._shift, timestamp + self._timestamps, stamp)
        self._send(header + payload)
        self.packets += 1
        self.octets += len(payload)

    def offer(self, source: Source, entry: Entry, stamp: bytes, *, key: bool) -> None:
        if source is not self.pending or not self._peer.up:
            return
        if source.kind == "video" and not key:
            self._ask(source)
            return
        self._await(None)
        thinner = self.choice.small and source is self._wanted.small and self.live is not None
        self._leave()
        if thinner:  # what the large picture lost would come at the cost of the small one
            self._past.clear()
        self._begin(source, entry)
        number, timestamp, marker, payload, shape, level = entry
        # The first packet of sound after a pause has the marker (RFC 3551, 4.1).
        first = 1 if source.kind == "audio" else marker
        self.forward((number, timestamp, first, payload, shape, level), stamp)
        for later in range(number + 1, source.ring.highest + 1):
            kept = source.ring.get(later)
            if kept is not None:
                self.forward(kept, stamp)

    def restart(self, source: Source) -> None:
        if source is self.live:
            self._leave()
            if self.pending is None:
                self._await(source)

    def _begin(self, source: Source, entry: Entry) -> None:
        number, timestamp, _, _, shape, _ = entry
        stretch = _Stretch(source, number, self._next - number, self._timestamp(source, timestamp) - timestamp)
        if shape is not None and self._picture is not None:
            picture, level = self._picture
            stretch.pictures = picture + 1 - shape[0] if shape[0] >= 0 else 0
            stretch.levels = level + 1 - shape[2] if shape[2] >= 0 else 0
        self._stretch = stretch
        self._first, self._shift, self._timestamps = number, stretch.shift, stretch.timestamps
        self._pictures, self._levels = stretch.pictures, stretch.levels
        self._rewrites = bool(stretch.pictures or stretch.levels)
        self.live = source
        source.live.append(self)

    def _timestamp(self, source: Source, timestamp: int) -> int:
        """What the first packet of a source is to have: as much later as it is in truth."""
        left = self._left
        if left is None:
            return secrets.randbits(31)
        passed = arrived = self._loop.time() - left.at
        moment = source.timeline.moment(timestamp)
        if moment is not None and left.moment is not None:
            passed = moment - left.moment
            if abs(passed - arrived) > _FAR_APART:
                passed = arrived
        return left.timestamp + max(1, round(passed * source.timeline.rate))

    def _leave(self) -> None:
        source, stretch = self.live, self._stretch
        if source is None or stretch is None:
            return
        if self in source.live:
            source.live.remove(self)
        ring, timeline = source.ring, source.timeline
        stretch.last = ring.highest
        self._next = ring.highest + stretch.shift + 1
        self._left = _Left(timeline.newest + stretch.timestamps, timeline.moment(timeline.newest), timeline.newest_at)
        for number in range(ring.highest, max(stretch.first, ring.highest - 64) - 1, -1):
            kept = ring.get(number)
            if kept is not None and kept[4] is not None:
                picture, _, level, _, _ = kept[4]
                before = self._picture or (0, 0)
                self._picture = (
                    picture + stretch.pictures if picture >= 0 else before[0],
                    level + stretch.levels if level >= 0 else before[1],
                )
                break
        self._past.append(stretch)
        self.live = self._stretch = None

    # -- what the viewer says

    def keyframe_wanted(self) -> None:
        """PLI or FIR: passed on at once, or as soon as this viewer may ask again."""
        if self._key_wanted_at is None:
            self._key_wanted_at = self._loop.time()
        self._pass_on_keyframe()

    def _pass_on_keyframe(self) -> None:
        since, source = self._key_wanted_at, self.live
        if since is None:
            return
        now = self._loop.time()
        if source is None or source.key_at > since:
            self._key_wanted_at = None
        elif now >= self._key_next and self._request(source):
            self._key_next = now + _KEYFRAME_SECONDS
            self._key_wanted_at = None

    def resend(self, numbers: Iterable[int]) -> None:
        """Sends packets once more (RFC 4588), as far as we still have them and the bytes were earned."""
        head = self._repeat_head
        if head is None:
            return
        now = self._loop.time()
        stamp = send_stamp(now)
        self._credit = min(_MOST_CREDIT, self._credit + _earned(self.octets) - _earned(self._credited))
        self._credited = self.octets
        stretch = self._stretch
        top = self._next - 1 if stretch is None else stretch.source.ring.highest + stretch.shift
        for wire_number in numbers:
            number = nearest(wire_number, top)
            found = self._kept(number)
            if found is None or now - self._repeated.get(number, -1.0) < _REPEAT_SECONDS:
                continue
            (_, timestamp, marker, payload, shape, _), stretch = found
            if len(payload) > self._credit:
                return
            # What is asked for again was lost twice: browsers wait for 100 ms before they ask a third time, and freeze.
            # On a thin line two would be lost instead; only of a large camera do we know that it is none.
            large = self._wanted.small is not None and not self.choice.small
            twice = large and number in self._repeated and 2 * len(payload) <= self._credit
            copies = 2 if twice else 1
            self._credit -= copies * len(payload)
            if shape is not None and (stretch.pictures or stretch.levels):
                payload = vp8_rewritten(shape, stretch.pictures, stretch.levels) + shape[4]
            if len(self._repeated) >= _MOST_REPEATED:
                self._repeated.clear()
            self._repeated[number] = now
            for _ in range(copies):
                header = head.write(marker, self._repeat_next, timestamp + stretch.timestamps, stamp)
                self._repeat_next += 1
                self.repeats += 1
                self._send(header + (number & 0xFFFF).to_bytes(2, "big") + payload)

    def _kept(self, number: int) -> tuple[Entry, _Stretch] | None:
        """A packet by the number under which the viewer has it."""
        stretches = [self._stretch] if self._stretch is not None else []
        for stretch in (*stretches, *reversed(self._past)):
            own = number - stretch.shift
            if own >= stretch.first and (stretch.last < 0 or own <= stretch.last):
                entry = stretch.source.ring.get(own)
                return (entry, stretch) if entry is not None and entry[3] else None
        return None

    def lost(self, report: Report) -> tuple[int, int]:
        """(lost, expected) since the last report, of what we sent: what we never got ourselves is not the line's."""
        before, self._reported = self._reported, report
        if before is None:
            return 0, 0
        expected = (report.highest - before.highest) & 0xFFFFFFFF
        lost = report.lost - before.lost
        if not 0 < expected <= 8 * SIZE:
            return 0, 0
        if lost <= 0:
            return 0, expected
        stretch = self._stretch
        if stretch is not None:
            top = stretch.source.ring.highest
            last = min(nearest(report.highest & 0xFFFF, top + stretch.shift) - stretch.shift, top)
            first = max(last - expected + 1, stretch.first, top - SIZE + 1)
            get = stretch.source.ring.get
            lost -= sum(1 for number in range(first, last + 1) if get(number) is None)
        return min(max(lost, 0), expected), expected

    def info(self, now: float) -> SenderInfo | None:
        """For a sender report; None while nothing flows."""
        source, stretch = self.live, self._stretch
        if source is None or stretch is None or not self.packets or now - source.heard > SILENT_SECONDS:
            return None
        timestamp = source.timeline.timestamp(now)
        if timestamp is None:
            return None
        return SenderInfo(self.media.ssrc, ntp(now), timestamp + stretch.timestamps, self.packets, self.octets)


def _earned(octets: int) -> int:
    """Bytes of repetitions, ever, for so many that were sent."""
    return min(octets, (octets + _EARNED_FULLY) // 2)
