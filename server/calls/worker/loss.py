"""What a publisher's stream lacks: asking for it again, and saying so in receiver reports (RFC 3550, A.3 and A.8)."""

from __future__ import annotations

from server.calls.worker.packets import nearest
from server.calls.worker.rtcp import Report

#: Packets that are asked for at once and in all; of a longer hole only the newest are worth it.
_MOST_MISSING = 200
#: How often and how long a packet is asked for, and the shortest time between two requests; seconds.
_MOST_TRIES = 8
_GIVE_UP_SECONDS = 1.0
_AGAIN_SECONDS = 0.04


class Missing:
    """Holes of one stream. `found` gives what is to be asked for at once, `again` what is to be asked for once more."""

    __slots__ = ("_missing", "_top")

    def __init__(self) -> None:
        self._top = -1
        self._missing: dict[int, tuple[float, float, int]] = {}  # number → (found, asked, tries), in order

    def found(self, sequence: int, now: float) -> list[int]:
        """A packet came; numbers in 16 bits."""
        top = self._top
        if top < 0:
            self._top = sequence + 0x10000
            return []
        number = nearest(sequence, top)
        if number <= top:
            if self._missing:
                self._missing.pop(number, None)
            return []
        self._top = number
        if number == top + 1:
            return []
        if number - top > _MOST_MISSING:  # nobody will see those any more
            self._missing.clear()
            return []
        hole = range(top + 1, number)
        for lost in hole:
            self._missing[lost] = (now, now, 1)
        while len(self._missing) > _MOST_MISSING:
            del self._missing[next(iter(self._missing))]
        return [lost & 0xFFFF for lost in hole]

    def again(self, now: float, round_trip: float) -> list[int]:
        """About every 50 ms. `round_trip` in seconds."""
        wait = max(_AGAIN_SECONDS, 1.1 * round_trip)
        wanted = []
        for number, (found, asked, tries) in tuple(self._missing.items()):
            if tries >= _MOST_TRIES or now - found > _GIVE_UP_SECONDS:
                del self._missing[number]
            elif now - asked >= wait:
                self._missing[number] = (found, now, tries + 1)
                wanted.append(number & 0xFFFF)
        return wanted

    @property
    def waits(self) -> bool:
        """Something was asked for and has not come, nor been given up."""
        return bool(self._missing)

    def clear(self) -> None:
        self._top = -1
        self._missing.clear()


class Reception:
    """What receiver reports say of one SSRC."""

    __slots__ = ("_arrived", "_before", "_first", "_jitter", "_rate", "_received", "_sr", "_timestamp", "_top", "ssrc")

    def __init__(self, ssrc: int, rate: int) -> None:
        self.ssrc = ssrc
        self._rate = rate
        self._top = -1
        self._first = 0
        self._received = 0
        self._jitter = 0.0
        self._timestamp = 0
        self._arrived = 0.0
        self._before = (0, 0)  # expected, received at the last report
        self._sr = (0, 0.0)  # the middle 32 bits of its NTP time, when it came

    def add(self, sequence: int, timestamp: int, now: float) -> None:
        if self._top < 0:
            self._top = self._first = sequence
        else:
            number = nearest(sequence, self._top)
            if number > self._top:
                self._top = number
                if timestamp != self._timestamp:
                    apart = ((timestamp - self._timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
                    # A pause is no jitter.
                    drift = min(abs((now - self._arrived) * self._rate - apart), self._rate)
                    self._jitter += (drift - self._jitter) / 16
            self._timestamp = timestamp
            self._arrived = now
        self._received += 1

    def sender_report(self, ntp: int, now: float) -> None:
        self._sr = (ntp >> 16 & 0xFFFFFFFF, now)

    def report(self, now: float) -> Report | None:
        if self._top < 0:
            return None
        expected = self._top - self._first + 1
        before_expected, before_received = self._before
        recently = expected - before_expected
        lost = recently - (self._received - before_received)
        self._before = (expected, self._received)
        sr, at = self._sr
        return Report(
            ssrc=self.ssrc,
            fraction=min(255, max(0, lost * 256 // recently)) if recently > 0 else 0,
            lost=expected - self._received,
            highest=self._top,
            jitter=int(self._jitter),
            last_sr=sr,
            delay=min(int((now - at) * 65_536), 0xFFFFFFFF) if sr else 0,
        )


#: What somebody may send at first, at least and at most; bits per second.
_FIRST_RATE, _LEAST_RATE, _MOST_RATE = 1_000_000.0, 150_000.0, 4_000_000.0


class Allowed:
    """How much somebody may send who cannot be told when each packet came: judged by what is lost.

    As senders do by themselves (draft-ietf-rmcat-gcc, 6): up by 8 % a second while hardly anything is, though never far
    beyond what comes; down by half of the share that is lost.
    """

    __slots__ = ("bitrate",)

    def __init__(self) -> None:
        self.bitrate = _FIRST_RATE

    def look(self, rate: float, lost: float) -> int:
        """About once a second: bits per second that came, and the share that was lost, 0 to 1."""
        if lost > 0.10:
            self.bitrate = max(_LEAST_RATE, min(self.bitrate, rate / (1 - min(lost, 0.9))) * (1 - lost / 2))
        elif lost < 0.02 and self.bitrate < 2 * rate + _LEAST_RATE:
            self.bitrate = min(_MOST_RATE, 1.08 * self.bitrate)
        return int(self.bitrate)
