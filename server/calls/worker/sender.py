"""The sending end towards a person who watches: all m-lines of one connection, and what its browser reports."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from server.calls.worker import rtcp
from server.calls.worker.layers import Layers
from server.calls.worker.slot import SILENT_SECONDS, Sender, Wanted
from server.calls.worker.source import Connection, Loop, Source

__all__ = ["Sender", "Viewer", "Wanted"]

#: Seconds between two looks, and looks between two sender reports.
TICK_SECONDS = 0.5
_TICKS_OF_A_REPORT = 2
#: Sender reports in one packet.
_MOST_REPORTS = 14
#: What may be read between two looks: packets count 1, reports 8, numbers that are asked for again a quarter. A browser
#: with a bad line stays far below.
_MOST_READ = 1_000
_OF_A_REPORT = 8
_NUMBERS_OF_ONE = 4
#: Keyframes of one source that one viewer may ask for at once, whatever it shows where; one more for each second.
_MOST_KEYFRAMES = 4.0
#: Seconds for which an estimate of the line holds, and over which loss is counted.
_ESTIMATE_SECONDS = 10.0
_LOSS_SECONDS = 2.0


class Viewer:
    """Sets the peer's `on_rtcp`. `view` may be called before the peer is up."""

    def __init__(self, peer: Connection, loop: Loop | None = None) -> None:
        self._peer = peer
        self._loop: Loop = loop if loop is not None else asyncio.get_running_loop()
        self.senders = {media.index: Sender(peer, media, self._loop, self._ask) for media in peer.media if media.active}
        self._keyframes: WeakKeyDictionary[Source, tuple[float, float]] = WeakKeyDictionary()
        self._by_ssrc = {sender.media.ssrc: sender for sender in self.senders.values()}
        self._layers = Layers()
        self._estimate: tuple[float, float] | None = None  # bits per second, when
        self._losses: deque[tuple[float, int, int]] = deque(maxlen=256)  # when, lost, expected
        self._sent = (self._loop.time(), 0)
        self._rate = 0.0
        self._left = _MOST_READ
        self._ticks = 0
        self._timer = self._loop.call_later(_until_next(self._loop.time()), self._tick)
        peer.on_rtcp = self.take_rtcp

    def _ask(self, source: Source) -> bool:
        """A keyframe, please; False for not now: whoever changes their view all the time disturbs all who watch."""
        now = self._loop.time()
        left, before = self._keyframes.get(source, (_MOST_KEYFRAMES, now))
        left = min(_MOST_KEYFRAMES, left + now - before)
        if left < 1:
            return False
        self._keyframes[source] = (left - 1, now)
        source.request_keyframe()
        return True

    def close(self) -> None:
        """More than once is the same."""
        self._timer.cancel()
        self._by_ssrc.clear()
        for sender in self.senders.values():
            sender.close()

    def view(self, wanted: Mapping[int, Wanted]) -> None:
        """What flows in each m-line, by its index, from now on; in those that are not named, nothing."""
        larges = sum(sender.wanted.small is not None and not sender.choice.small for sender in self.senders.values())
        for index, sender in self.senders.items():
            now_wanted = wanted.get(index)
            new = now_wanted is not None and now_wanted.small is not None and now_wanted != sender.wanted
            if new:
                if sender.wanted.small is not None and not sender.choice.small:
                    larges -= 1
                sender.choice.small = self._layers.first(larges, self._loop.time())
                larges += not sender.choice.small
            sender.watch(now_wanted)

    @property
    def loss(self) -> float:
        """Percent of what we sent in the last seconds."""
        lost, expected = self._lost()
        return 100 * lost / expected if expected else 0.0

    def _lost(self) -> tuple[int, int]:
        """(lost, expected) of the last seconds."""
        since = self._loop.time() - _LOSS_SECONDS
        while self._losses and self._losses[0][0] < since:
            self._losses.popleft()
        return sum(entry[1] for entry in self._losses), sum(entry[2] for entry in self._losses)

    @property
    def bitrate(self) -> float:
        """Bits per second that the line seems to carry: as its browser says, else what arrives there."""
        estimate = self._line()
        return estimate if estimate is not None else self._rate * (1 - self.loss / 100)

    def _line(self) -> float | None:
        if self._estimate is None or self._loop.time() - self._estimate[1] > _ESTIMATE_SECONDS:
            return None
        return self._estimate[0]

    # -- what the browser says

    def take_rtcp(self, packet: bytes) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        now = self._loop.time()
        for part in rtcp.parts(packet):
            if part.kind in (rtcp.RR, rtcp.SR):
                for report in rtcp.reports(part):
                    sender = self._by_ssrc.get(report.ssrc)
                    if sender is not None and self._left > 0:
                        self._left -= _OF_A_REPORT
                        lost, expected = sender.lost(report)
                        if expected:
                            self._losses.append((now, lost, expected))
            elif part.kind == rtcp.RTPFB:
                asked = rtcp.nacks(part)
                sender = self._by_ssrc.get(asked[0]) if asked is not None else None
                if asked is not None and sender is not None and self._left > 0:
                    self._left -= len(asked[1]) // _NUMBERS_OF_ONE
                    sender.resend(asked[1])
            elif part.kind == rtcp.PSFB:
                for ssrc in rtcp.keyframes_wanted(part):
                    sender = self._by_ssrc.get(ssrc)
                    if sender is not None:
                        sender.keyframe_wanted()
                estimate = rtcp.remb(part)
                if estimate is not None:
                    self._estimate = (float(min(estimate, 10**10)), now)

    # -- from time to time

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_until_next(self._loop.time()), self._tick)
        self._left = _MOST_READ
        self._ticks += 1
        if self._peer.up:
            if self._ticks % _TICKS_OF_A_REPORT == 0:
                self._report()
            self._choose()
        for sender in self.senders.values():
            sender.tick()

    def _choose(self) -> None:
        now = self._loop.time()
        choices = []
        sent = 0.0
        for index in sorted(self.senders):
            sender = self.senders[index]
            if sender.live is not None and now - sender.live.heard < SILENT_SECONDS:
                sent += sender.live.bitrate
            source, small = sender.wanted.source, sender.wanted.small
            if source is not None and small is not None:
                sender.choice.large_rate = source.bitrate
                sender.choice.small_rate = small.bitrate
                choices.append(sender.choice)
        lost, expected = self._lost()
        self._layers.decide(now, choices, sent, self._line(), lost / expected if expected else 0.0, expected)

    def _report(self) -> None:
        now = self._loop.time()
        before, octets = self._sent
        total = sum(sender.octets for sender in self.senders.values())
        if now > before:
            self._rate = 8 * (total - octets) / (now - before)
            self._sent = (now, total)
        reports: list[bytes] = []
        for sender in self.senders.values():
            info = sender.info(now)
            if info is None or sender.live is None:
                continue
            reports.append(rtcp.sender_report(info) + rtcp.description(info.ssrc, sender.live.cname))
        for start in range(0, len(reports), _MOST_REPORTS):
            self._peer.send_rtcp(b"".join(reports[start : start + _MOST_REPORTS]))


def _until_next(now: float) -> float:
    """Seconds to the next tick: all viewers of a worker have it at once, since waking up costs more than it does."""
    left = TICK_SECONDS - now % TICK_SECONDS
    return left if left > TICK_SECONDS / 2 else left + TICK_SECONDS  # a timer may be early by a little
