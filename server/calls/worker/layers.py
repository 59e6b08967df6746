"""Which of the two pictures of a camera a viewer gets: down quickly, up carefully.

A viewer's browser tells what its line carries (REMB), though never much more than it gets at the moment, and what it
lost. So the only way to learn that a line carries more is to try, with one camera at a time and ever more seldom when
it failed; and since estimates grow by some 8 % a second, a try lasts as long as they grow and nothing is lost.

One look says little. An estimate also falls because a browser was late for a moment, on the best of lines, by 15 %; and
of a few packets one in ten is lost by chance where it is one in twenty. Both have to last, or to be clear, before
anybody gets a smaller picture. What one viewer's line carries is nobody else's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import msgspec

#: Share of packets lost from which the line is too thin, and up to which more may be tried: that much is mended.
_TOO_MUCH_LOSS = 0.10
_LITTLE_LOSS = 0.05
#: How far beyond chance a loss must be, in standard deviations.
_SURE = 2.0
#: Seconds between two steps down: reports must have time to tell what the last one did.
_DOWN_SECONDS = 1.0
#: Seconds between two steps up, at least and at most.
_UP_SECONDS = 8.0
_MOST_UP_SECONDS = 64.0
#: Share by which an estimate must differ to have grown or fallen, and seconds (reports come once a second) for which
#: one that has grown is late rather than low; as long, one that has fallen once may be a moment's.
_NOTABLE = 0.01
_GROWING_SECONDS = 2.0
#: Shares of what is sent: what an estimate must reach, and below which it is believed at once. When delays grow it is
#: set to 0.85 of what came, and may rest there: one of 0.75 says that nearly all did. What then is lost says the rest.
_ENOUGH = 0.75
_CLEARLY_SHORT = 0.4
#: Seconds within which two falls belong together.
_FALL_SECONDS = 8.0
#: Seconds after a step up in which it need not have grown yet.
_TRY_SECONDS = 4.0
#: Cameras that are large from the beginning.
LARGE_AT_FIRST = 4


class Choice(msgspec.Struct):
    """A camera with two pictures; rates in bits per second."""

    small: bool
    large_rate: float = 0.0
    small_rate: float = 0.0

    @property
    def spared(self) -> float:
        return max(0.0, self.large_rate - self.small_rate)


class Layers:
    """Of one viewer. `choices` are in the order of their importance, the first is the last to become small."""

    def __init__(self) -> None:
        self._wait = _UP_SECONDS
        self._up_at: float | None = None  # the last step up, while it may still prove too much
        self._down_at = float("-inf")
        self._thin_at = float("-inf")  # when something was small because of the line
        self._next_up = float("-inf")
        self._estimate: float | None = None
        self._grown_at = float("-inf")
        self._fell_at = float("-inf")  # when the estimate first fell below what is sent

    def first(self, larges: int, now: float) -> bool:
        """Whether a camera that is new begins small: there are many, or the line does not carry those."""
        return larges >= LARGE_AT_FIRST or now - self._thin_at < _UP_SECONDS

    def decide(
        self,
        now: float,
        choices: Sequence[Choice],
        sent: float,
        estimate: float | None,
        loss: float,
        packets: float = float("inf"),
    ) -> None:
        """Changes `small` of the choices.

        `sent` and `estimate` in bits per second for all streams; `loss` 0 to 1, of so many `packets`.
        """
        short = self._short(now, sent, estimate)
        larges = [choice for choice in choices if not choice.small]
        if len(larges) < len(choices) and now - self._thin_at < _UP_SECONDS:
            self._thin_at = now
        if short or _too_much(loss, packets):
            if now - self._down_at >= _DOWN_SECONDS:
                self._down(now, larges, sent, estimate if short else None)
            return
        if self._up_at is not None and now - self._up_at >= _UP_SECONDS:
            self._up_at = None
            self._wait = _UP_SECONDS
        smalls = [choice for choice in choices if choice.small]
        if smalls and loss <= _LITTLE_LOSS and now >= self._next_up and self._up_at is None:
            smalls[0].small = False
            self._up_at = now
            self._grown_at = now + _TRY_SECONDS - _GROWING_SECONDS
            self._next_up = now + _UP_SECONDS

    def _short(self, now: float, sent: float, estimate: float | None) -> bool:
        before = self._estimate
        if estimate is None:
            self._estimate = None
            return False
        if before is None or estimate > before * (1 + _NOTABLE):
            self._estimate, self._grown_at = estimate, now
        elif estimate < before * (1 - _NOTABLE):
            self._estimate, self._grown_at = estimate, float("-inf")
            # A try is to end soon, when it is too much.
            if self._up_at is None and _CLEARLY_SHORT * sent <= estimate < _ENOUGH * sent:
                if now - self._fell_at >= _FALL_SECONDS:
                    self._fell_at = now
                self._grown_at = self._fell_at
        return estimate < _ENOUGH * sent and now - self._grown_at >= _GROWING_SECONDS

    def _down(self, now: float, larges: list[Choice], sent: float, estimate: float | None) -> None:
        if self._up_at is not None:
            self._wait = min(2 * self._wait, _MOST_UP_SECONDS)
            self._up_at = None
        self._down_at = self._thin_at = now
        self._next_up = now + self._wait
        least = (len(larges) + 1) // 2 if estimate is None else 1
        for count, choice in enumerate(reversed(larges)):
            if count >= least and (estimate is None or sent <= estimate):
                break
            choice.small = True
            sent -= choice.spared


def _too_much(loss: float, packets: float) -> bool:
    """Beyond what so many packets lose by chance on a line that can still be mended."""
    return packets > 0 and loss > _TOO_MUCH_LOSS + _SURE * sqrt(_TOO_MUCH_LOSS * (1 - _TOO_MUCH_LOSS) / packets)
