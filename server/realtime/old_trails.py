"""Deletes what is old of the trails: a round now and then on every node, for the rows of all.

By windows of their `expires`, because a TTL index on the log would have the embedded database read all of it each
minute, with everybody else waiting.
"""

from __future__ import annotations

from datetime import timedelta

from server.clock import Clock
from server.realtime.entries import DELETED_AT_ONCE, EntryLog

TIDIED_EVERY = 120.0  # seconds
_WINDOW = timedelta(minutes=10)
#: Looked at again each time: another node's clock may go behind, or this one's have gone ahead for a while.
_AGAIN = timedelta(hours=1)


class OldTrails:
    def __init__(self, log: EntryLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    async def once(self) -> None:
        """Deletes what has expired since the last time."""
        now = self._clock.now()
        since = min(await self._log.trails_deleted_until() or now, now) - _AGAIN
        while since < now:
            until = min(since + _WINDOW, now)
            while await self._log.delete_trails(since, until) == DELETED_AT_ONCE:
                pass
            since = until
        await self._log.save_trails_deleted(now)
