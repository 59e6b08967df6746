"""The receiving end of a person who publishes: RTP in, feedback out.

Which track an SSRC belongs to is what the offer says, or what the packet says by its MID (RFC 8843, 9.2). Everything
that is kept per packet, SSRC or hole is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from server.calls.wire import Track
from server.calls.worker import rtcp, sdp
from server.calls.worker.arrivals import Arrivals
from server.calls.worker.loss import Allowed, Missing, Reception
from server.calls.worker.packets import extension, nearest, read
from server.calls.worker.ring import SIZE
from server.calls.worker.sdp import Media
from server.calls.worker.source import Connection, Loop, Source
from server.calls.worker.sync import Offset

#: Seconds between two looks at what came. A packet brings them about; without one, a timer does that much later.
TICK_SECONDS = 0.05
_LATER_SECONDS = 0.01
#: Seconds between two receiver reports; a timer may be early by so much.
_REPORT_SECONDS = 1.0
_EARLY_SECONDS = 0.001
#: SSRCs of one track, media and retransmissions, ever.
_MOST_SSRCS = 16
#: Bytes a second that somebody may publish, what a packet counts beside its own, and how many may be saved up (4 s): a
#: camera, its small picture and a screen stay below a third. What is beyond is lost, and each viewer is spared it.
_MOST_BYTES = 1_500_000
_OF_A_PACKET = 250
_MOST_SAVED = 6_000_000


class _Line:
    """One m-line: the SSRC that it sends with now, and what we know about its packets."""

    __slots__ = ("known", "level_id", "media", "missing", "nack", "reception", "repeats", "source", "ssrc")

    def __init__(self, media: Media, source: Source) -> None:
        self.media = media
        self.source = source
        self.ssrc: int | None = None
        self.known: set[int] = set()
        self.missing = Missing()
        self.reception = Reception(0, media.codec.clock_rate)
        self.repeats: Reception | None = None
        self.nack = "nack" in media.codec.feedback
        self.level_id = media.extensions.get(sdp.AUDIO_LEVEL, 0)


class Publisher:
    """`tracks` says what flows in an m-line, by its mid; other m-lines are dropped.

    `sources` are there from the beginning, whether anything flows or not. Sets the peer's `on_rtp` and `on_rtcp`.
    """

    def __init__(self, peer: Connection, tracks: Mapping[str, Track], loop: Loop | None = None) -> None:
        self._peer = peer
        self._loop: Loop = loop if loop is not None else asyncio.get_running_loop()
        self.sources: dict[Track, Source] = {}
        offset = Offset()
        self._lines: dict[Track, _Line] = {}
        self._by_mid: dict[bytes, _Line] = {}
        self._by_ssrc: dict[int, _Line] = {}
        self._repeats: dict[int, tuple[_Line, int]] = {}  # and which SSRC it repeats
        self._retired: set[int] = set()
        self._arrivals = Arrivals()
        self._arrivals_media = 0
        self._heard = self._ticked = float("-inf")  # the last packet, the last look
        self._due = float("-inf")  # the first packet from then on brings the next look about
        self._quiet = True  # nothing is to be looked for
        self._report_at = float("-inf")
        self._mid_ids: set[int] = set()
        self._number_ids: set[int] = set()
        for media in peer.media:
            track = tracks.get(media.mid)
            if media.extensions.get(sdp.TRANSPORT_CC) and "transport-cc" in media.codec.feedback:
                self._number_ids.add(media.extensions[sdp.TRANSPORT_CC])
            if track is None or track in self.sources:
                continue
            source = Source(
                media.kind,
                media.codec.name,
                partial(self._ask, track),
                loop=self._loop,
                rate=media.codec.clock_rate,
                cname=peer.cname,
                offset=offset,
            )
            self.sources[track] = source
            self._lines[track] = line = _Line(media, source)
            self._by_mid[media.mid.encode()] = line
            self._mid_ids.update(id for uri, id in media.extensions.items() if uri == sdp.MID)
            for ssrc in media.ssrcs:
                if ssrc not in media.rtx_of and len(line.known) < _MOST_SSRCS:
                    line.known.add(ssrc)
                    self._by_ssrc[ssrc] = line
            for ssrc, repeated in media.rtx_of.items():
                if repeated in line.known and len(line.known) < _MOST_SSRCS:
                    line.known.add(ssrc)
                    self._repeats[ssrc] = (line, repeated)
        # The transport is one, and so are its ids (the reader of offers sees to that).
        self._mid_id = next(iter(self._mid_ids), 0)
        self._number_id = next(iter(self._number_ids), 0)
        self._allowed = None if self._number_id else _allowed(peer.media)
        self._octets = (self._loop.time(), 0)
        self._budget = _MOST_SAVED
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        #: Packets that were dropped because there were too many.
        self.dropped = 0
        peer.on_rtp = self.take_rtp
        peer.on_rtcp = self.take_rtcp

    def close(self) -> None:
        """Sources give nothing any more; more than once is the same."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for source in self.sources.values():
            source.close()

    # -- what comes in

    def take_rtp(self, packet: bytes, now: float) -> None:
        header = read(packet)
        if header is None or self._closed:
            return
        self._budget -= len(packet) + _OF_A_PACKET
        if self._budget < 0:
            self._budget = 0
            self.dropped += 1
            return
        sequence, timestamp, ssrc, payload_type, marker, start, stop, at, end = header
        if self._number_id and start < stop:
            number = extension(packet, start, stop, self._number_id)
            if number is not None and len(number) == 2:
                self._arrivals.add(number[0] << 8 | number[1], now)
                self._arrivals_media = ssrc
        self._heard = now
        if now >= self._due:
            self._awake(now) if self._quiet else self._tick()
        track = self._by_ssrc.get(ssrc)
        if track is None or payload_type != track.media.codec.payload_type:
            repeat = self._repeats.get(ssrc)
            if repeat is not None:
                track, repeated = repeat
                if payload_type == track.media.codec.rtx and repeated == track.ssrc:
                    self._repeat(track, ssrc, sequence, timestamp, marker, packet[at:end], now)
                return
            if track is not None or ssrc in self._retired:
                return
            track = self._learn(packet, ssrc, payload_type, start, stop)
            if track is None:
                return
        level = -1
        if track.level_id and start < stop:
            said = extension(packet, start, stop, track.level_id)
            level = said[0] if said is not None else -1
        self._media(track, ssrc, sequence, timestamp, marker, packet[at:end], now, level)

    def take_rtcp(self, packet: bytes) -> None:
        if self._closed:
            return
        now = self._loop.time()
        for part in rtcp.parts(packet):
            info = rtcp.sender_info(part)
            track = self._by_ssrc.get(info.ssrc) if info is not None else None
            if info is not None and track is not None and info.ssrc == track.ssrc:
                track.source.report(info.ntp, info.rtp, now)
                track.reception.sender_report(info.ntp, now)

    def _learn(self, packet: bytes, ssrc: int, payload_type: int, start: int, stop: int) -> _Line | None:
        """The track of media with an SSRC that we see for the first time; None for others, and when nothing says so."""
        mid = extension(packet, start, stop, self._mid_id) if self._mid_id else None
        track = self._by_mid.get(mid) if mid is not None else None
        if track is None and mid is None:
            # The payload type says it when only one m-line has it.
            lines = [
                line
                for line in self._by_mid.values()
                if payload_type in (line.media.codec.payload_type, line.media.codec.rtx)
            ]
            track = lines[0] if len(lines) == 1 else None
        if track is None or len(track.known) >= _MOST_SSRCS:
            return None
        codec = track.media.codec
        if payload_type == codec.payload_type:
            track.known.add(ssrc)
            self._by_ssrc[ssrc] = track
            return track
        if payload_type == codec.rtx and track.ssrc is not None:
            track.known.add(ssrc)
            self._repeats[ssrc] = (track, track.ssrc)
        return None

    def _media(
        self,
        track: _Line,
        ssrc: int,
        sequence: int,
        timestamp: int,
        marker: int,
        payload: bytes,
        now: float,
        level: int,
    ) -> None:
        anew = False
        if ssrc != track.ssrc:
            if track.ssrc is not None:
                # Another one takes its place for good: two that alternate would begin anew with every packet.
                anew = True
                del self._by_ssrc[track.ssrc]
                self._retired.add(track.ssrc)
            track.ssrc = ssrc
            track.missing.clear()
            track.reception = Reception(ssrc, track.media.codec.clock_rate)
        track.reception.add(sequence, timestamp, now)
        track.source.put(sequence, timestamp, marker, payload, now, anew=anew, level=level)
        if track.nack:
            hole = track.missing.found(sequence, now)
            if hole:
                self._peer.send_rtcp(rtcp.generic_nack(self._peer.ssrc, ssrc, hole))

    def _repeat(
        self, track: _Line, ssrc: int, sequence: int, timestamp: int, marker: int, payload: bytes, now: float
    ) -> None:
        """A retransmission (RFC 4588, 4): the first two bytes are the number under which it was lost."""
        if track.repeats is None or track.repeats.ssrc != ssrc:
            track.repeats = Reception(ssrc, track.media.codec.clock_rate)
        track.repeats.add(sequence, timestamp, now)
        top = track.source.ring.top
        if len(payload) < 3 or top < 0:
            return
        original = payload[0] << 8 | payload[1]
        if not -SIZE < nearest(original, top) - top <= 0:
            return
        if track.nack:
            track.missing.found(original, now)
        track.source.put(original, timestamp, marker, payload[2:], now)

    # -- what goes back

    def _ask(self, track: Track) -> None:
        """A keyframe, please."""
        line = self._lines[track]
        ssrc = line.ssrc if line.ssrc is not None else next(iter(line.media.ssrcs), None)
        if ssrc is not None and not self._closed:
            self._peer.send_rtcp(rtcp.picture_loss(self._peer.ssrc, ssrc))

    def _awake(self, now: float) -> None:
        """The first packet, or the first one after a silence."""
        self._quiet = False
        self._due = now + TICK_SECONDS
        if self._report_at < now:
            self._report_at = now + _REPORT_SECONDS
        self._later(TICK_SECONDS + _LATER_SECONDS)

    def _tick(self) -> None:
        """Every 50 ms, by the packets that come then: waking up for it would cost more than all that is done here."""
        if self._closed:
            return
        now = self._loop.time()
        self._budget = min(_MOST_SAVED, self._budget + int(_MOST_BYTES * min(10.0, now - self._ticked)))
        peer = self._peer
        for packet in self._arrivals.feedback(peer.ssrc, self._arrivals_media):
            peer.send_rtcp(packet)
        round_trip = peer.round_trip or 0.0
        waits = False
        for line in self._lines.values():
            missing = line.missing.again(now, round_trip)
            if missing and line.ssrc is not None:
                peer.send_rtcp(rtcp.generic_nack(peer.ssrc, line.ssrc, missing))
            waits = waits or line.missing.waits
        if now >= self._report_at - _EARLY_SECONDS:
            self._report_at = now + _REPORT_SECONDS
            self._report(now)
        self._quiet = not waits and self._heard <= self._ticked
        self._ticked = now
        if self._quiet:
            self._due = float("-inf")
            self._later(self._report_at - now)
        else:
            self._due = now + TICK_SECONDS
            self._later(TICK_SECONDS + _LATER_SECONDS)

    def _later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._tick)

    def _report(self, now: float) -> None:
        blocks = []
        for line in self._lines.values():
            line.source.measure(now)
            for reception in (line.reception, line.repeats):
                block = reception.report(now) if reception is not None else None
                if block is not None:
                    blocks.append(block)
        peer = self._peer
        compound = rtcp.receiver_report(peer.ssrc, blocks[:31]) + rtcp.description(peer.ssrc, peer.cname)
        peer.send_rtcp(compound + self._may_send(now, blocks))

    def _may_send(self, now: float, blocks: list[rtcp.Report]) -> bytes:
        """REMB for who cannot be told when each packet came."""
        pictures = [line.ssrc for line in self._lines.values() if line.ssrc is not None and line.source.kind == "video"]
        if self._allowed is None or not pictures:
            return b""
        before, octets = self._octets
        total = sum(line.source.octets for line in self._lines.values())
        self._octets = (now, total)
        if now <= before:
            return b""
        lost = max((block.fraction for block in blocks if block.ssrc in pictures), default=0) / 256
        bitrate = self._allowed.look(8 * (total - octets) / (now - before), lost)
        return rtcp.estimate(self._peer.ssrc, bitrate, pictures)


def _allowed(media: tuple[Media, ...]) -> Allowed | None:
    return Allowed() if any("goog-remb" in line.codec.feedback for line in media) else None
