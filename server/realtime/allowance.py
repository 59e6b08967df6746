"""How much a person may send: reserved from the shared limit in portions, spent on this node without asking again."""

from __future__ import annotations

import time
from collections import OrderedDict

from server.limits import Limits
from server.principals import Principal

PORTION = 20
#: Seconds after which what is left of a portion is forgotten.
_FRESH = 60.0
_KEPT = 50_000


class SendAllowance:
    """One call to Redis per PORTION messages instead of one each."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def spend(self, principal: Principal) -> None:
        """Takes one; raises `too_often` when the person's limit is reached on all nodes together."""
        left, since = self._fresh(principal.id)
        if left <= 0:
            reserved = await self._reserve(principal.id)
            # Another of their devices may have reserved meanwhile: both portions count.
            left, since = self._fresh(principal.id)[0] + reserved, time.monotonic()
        self._left[principal.id] = (left - 1, since)
        self._left.move_to_end(principal.id)
        if len(self._left) > _KEPT:
            self._left.popitem(last=False)

    def _fresh(self, person: str) -> tuple[int, float]:
        """What is left of a person's portions, and since when."""
        now = time.monotonic()
        left, since = self._left.get(person, (0, now))
        return (left, since) if now - since <= _FRESH else (0, now)

    async def _reserve(self, person: str) -> int:
        if await self._limits.take("send", person, PORTION):
            return PORTION
        await self._limits.hit("send", person)  # the last few of the window, one by one
        return 1
