"""When each packet of a publisher came: the feedback by which browsers find out how much their line carries."""

from __future__ import annotations

from server.calls.worker import rtcp
from server.calls.worker.packets import nearest

#: Statuses of one feedback packet, and packets that are noted between two; nobody sends as many in 50 ms.
_MOST_STATUSES = 500
_MOST_NOTED = 2_000
#: Numbers from the first to the last of one feedback; a jump beyond it begins anew.
_MOST_SPAN = 4_000


class Arrivals:
    """`add` each packet's transport-wide number (16 bits), `feedback` about every 50 ms."""

    __slots__ = ("_base", "_count", "_noted", "_top")

    def __init__(self) -> None:
        self._noted: dict[int, float] = {}
        self._top = -1
        self._base = -1
        self._count = 0

    def add(self, sequence: int, now: float) -> None:
        if self._top < 0:
            self._top = self._base = number = sequence + 0x10000
        else:
            number = nearest(sequence, self._top)
            if number > self._base + _MOST_SPAN:
                self._noted.clear()
                self._base = number
            if number < self._base - _MOST_STATUSES or len(self._noted) >= _MOST_NOTED:
                return
            # What comes late is told of late: its number is below those of the last feedback.
            self._base = min(self._base, number)
            self._top = max(self._top, number)
        self._noted[number] = now

    def feedback(self, ssrc: int, media: int) -> list[bytes]:
        """RTCP packets about what came since the last time; empty when nothing did."""
        noted = self._noted
        if not noted:
            return []
        found = []
        at = self._base
        while at <= self._top:
            span = [noted.get(number) for number in range(at, min(at + _MOST_STATUSES, self._top + 1))]
            while span and span[-1] is None:
                span.pop()
            if span:
                found.append(rtcp.transport_feedback(ssrc, media, at, span, self._count))
                self._count += 1
            at += _MOST_STATUSES
        self._base = self._top + 1
        noted.clear()
        return found
