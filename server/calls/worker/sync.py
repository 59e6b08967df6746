"""One clock for everybody: which moment a timestamp of somebody's track means, told to viewers in sender reports.

Voice and picture of a person stay together when both are mapped by their own reports onto the person's clock, and
that clock by one offset onto the worker's. So the offset belongs to the person, the mapping to the track.
"""

from __future__ import annotations

import time

import msgspec

#: Seconds from 1900 (NTP) to where the loop's clock has its zero. Taken once: a clock that is set does not disturb.
_ZERO = time.time() - time.monotonic() + 2_208_988_800
#: Seconds that a person's clock may differ from what it said before, until it counts as set anew.
_STEP = 1.0
#: Seconds between a report's timestamp and the newest packet's; beyond it the report is absurd.
_FAR = 10.0
#: Seconds that the offset moves in a second: clocks drift by less.
_DRIFT = 0.0002
#: Seconds after which the mapping moves on without a report.
_LONG = 3_600.0
_HALF = 1 << 31


def ntp(now: float) -> int:
    """The loop's time as 32.32 bits since 1900."""
    return int((now + _ZERO) * 4_294_967_296) & 0xFFFFFFFFFFFFFFFF


class Offset(msgspec.Struct):
    """From a person's clock to the loop's, in seconds; None before their first report."""

    value: float | None = None
    at: float = 0.0  # when it was looked at last

    def take(self, theirs: float, now: float) -> float:
        """Seconds to add to `theirs`. What the way of a report took is in the first one, and hardly changes then.

        It follows slowly, since clocks drift: a jump, some day, would part voice and picture until both have reported.
        """
        found = now - theirs
        if self.value is None or abs(found - self.value) > _STEP:
            self.value = found
        else:
            most = _DRIFT * max(0.0, now - self.at)
            self.value += max(-most, min(most, found - self.value))
        self.at = now
        return self.value


class Timeline:
    """The timestamps of one track (32 bits, `rate` a second) and moments of the loop's clock."""

    __slots__ = ("_at", "_offset", "_timestamp", "newest", "newest_at", "rate")

    def __init__(self, rate: int, offset: Offset) -> None:
        self.rate = rate
        self._offset = offset
        self._timestamp = 0  # means the moment `_at`
        self._at: float | None = None
        self.newest = 0
        self.newest_at = 0.0

    def arrived(self, timestamp: int, now: float) -> None:
        """A packet with the newest timestamp; before the first report it says roughly what a report will say."""
        self.newest, self.newest_at = timestamp, now
        if self._at is None:
            self._timestamp, self._at = timestamp, now
        elif now - self._at > _LONG:  # no reports come: timestamps start again at 0 after some hours
            self._timestamp, self._at = timestamp, self._at + _apart(timestamp, self._timestamp) / self.rate

    def report(self, theirs: int, timestamp: int, now: float) -> bool:
        """A sender report: NTP time (32.32) and timestamp. False when it cannot be true."""
        if self._at is None or abs(_apart(timestamp, self.newest)) > _FAR * self.rate:
            return False
        self._timestamp = timestamp
        self._at = theirs / 4_294_967_296 + self._offset.take(theirs / 4_294_967_296, now)
        return True

    def restart(self, timestamp: int, now: float) -> None:
        """Another numbering of the same clock."""
        self._timestamp, self._at = timestamp, now
        self.newest, self.newest_at = timestamp, now

    def moment(self, timestamp: int) -> float | None:
        """When a timestamp was, on the loop's clock."""
        if self._at is None:
            return None
        return self._at + _apart(timestamp, self._timestamp) / self.rate

    def timestamp(self, now: float) -> int | None:
        if self._at is None:
            return None
        return (self._timestamp + round((now - self._at) * self.rate)) & 0xFFFFFFFF


def _apart(later: int, earlier: int) -> int:
    return ((later - earlier + _HALF) & 0xFFFFFFFF) - _HALF
