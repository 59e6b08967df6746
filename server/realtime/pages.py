"""Reading a channel: pages of its log, its newest entry, the count at a number."""

from __future__ import annotations

from collections.abc import Sequence

from server.errors import Code, VouchError
from server.realtime.entries import EntryLog, Head
from server.realtime.gates import Gates
from server.realtime.metrics import HISTORY_READS
from server.realtime.protocol import Entry, Page

#: How far back the newest countable entry is looked for.
_LOOK_BACK = 32


class Pages:
    def __init__(self, log: EntryLog, gates: Gates) -> None:
        self._log = log
        self._gates = gates

    async def head(self, ch: str) -> Head:
        return await self._gates.head(ch)

    async def saved_heads(self, channels: Sequence[str]) -> dict[str, Head]:
        """Heads as last saved: some seconds old at most, one query for all."""
        return await self._log.saved_heads(channels)

    async def latest(self, ch: str) -> tuple[Head, Entry | None]:
        """The head, and the newest countable entry among the last few (else the newest of all)."""
        head = await self.head(ch)
        gate = self._gates.live(ch)
        recent = gate.recent() if gate is not None else []
        if (found := _newest_countable(recent)) is not None:
            return head, found
        recent = await self._log.read(ch, max(1, head.seq - _LOOK_BACK), head.seq)
        return head, _newest_countable(recent) or (recent[-1] if recent else None)

    async def count_at(self, ch: str, seq: int) -> int:
        """`n` at this entry; 0 before the first."""
        if seq < 1:
            return 0
        if (gate := self._gates.live(ch)) is not None:
            if seq >= gate.delivered:
                return gate.n
            for entry in gate.recent():
                if entry.seq == seq:
                    return entry.n
        found = await self._log.point(ch, seq)
        return found.n if found else 0

    async def page(self, ch: str, first: int, before: int | None, after: int | None, limit: int) -> Page:
        """The last `limit` entries before `before` (default: the newest), or the first after `after`; never one below
        `first`. Modifiers of the page's entries that lie outside it come along."""
        if before is not None and after is not None:
            raise VouchError(Code.BAD_REQUEST, "Ask for `before` or `after`, not both.", field="after")
        head = await self.head(ch)
        if after is not None:
            low = max(after + 1, first)
            high = min(low + limit - 1, head.seq)
        else:
            high = head.seq if before is None else min(before - 1, head.seq)
            low = max(high - limit + 1, first, 1)
        HISTORY_READS.inc()
        entries = await self._log.read(ch, low, high)
        modifiers = await self._log.modifiers(ch, low, high, high) if entries and high < head.seq else []
        return Page(ch, head.seq, head.n, first, entries, modifiers)


def _newest_countable(entries: Sequence[Entry]) -> Entry | None:
    """The last entry that raises the count. Of the first one only number 1 tells by itself whether it does."""
    for index in range(len(entries) - 1, -1, -1):
        if index == 0 and entries[0].seq > 1:
            return None
        if entries[index].n > (entries[index - 1].n if index else 0):
            return entries[index]
    return None
