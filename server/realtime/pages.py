"""Reading a channel: pages of its log, its newest entry, the count at a number."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from server.errors import Code, VouchError
from server.realtime.channels import ChannelKinds
from server.realtime.entries import EntryLog, Head
from server.realtime.gates import Gates
from server.realtime.metrics import HISTORY_READS
from server.realtime.protocol import Entry, Page

#: The entries of a page, and its modifiers, have together at most about twice this (bytes of JSON): a page must never
#: look like a backlog of a slow reader.
PAGE_BYTES = 192 * 1024
#: How far back the newest countable entry is looked for.
_LOOK_BACK = 32
#: The same where these are all about earlier ones.
_LOOK_BACK_FAR = 400


class Pages:
    def __init__(self, log: EntryLog, gates: Gates, kinds: ChannelKinds) -> None:
        self._log = log
        self._gates = gates
        self._kinds = kinds

    async def head(self, ch: str) -> Head:
        return await self._gates.head(ch)

    async def saved_heads(self, channels: Sequence[str]) -> dict[str, Head]:
        """Heads as last saved: some seconds old at most, one query for all."""
        return await self._log.saved_heads(channels)

    async def counts(self, channels: Sequence[str]) -> dict[str, int]:
        """How many countable entries each has: exact where it is followed here, else as last saved (one query)."""
        counts = {ch: head.n for ch, head in (await self._log.saved_heads(channels)).items()}
        for ch in channels:
            if (gate := self._gates.live(ch)) is not None:
                counts[ch] = max(gate.n, counts.get(ch, 0))
        return counts

    async def latest(self, ch: str, first: int = 1) -> tuple[Head, Entry | None]:
        """The head, and the newest countable entry among the last few (else the newest that modifies none), as somebody
        sees them who sees the channel from `first` on."""
        head = await self.head(ch)
        gate = self._gates.live(ch)
        recent = gate.recent() if gate is not None else []
        found: Entry | None = None
        for back in (_LOOK_BACK, _LOOK_BACK_FAR):
            if (found := _newest_countable(recent)) is None or found.seq < first:
                recent = await self._log.read(ch, max(1, head.seq - back), head.seq)
                found = _newest_countable(recent)
            if found is None or found.seq < first:  # nobody has said anything, or not for long
                plain = [e for e in recent if e.seq >= first and not self._kinds.modifies(ch, e.kind)]
                found = plain[-1] if plain else None
            if found is not None or head.seq - back <= first:
                break
        return head, found and await self._as_it_reads_now(ch, found, head)

    async def _as_it_reads_now(self, ch: str, entry: Entry, head: Head) -> Entry:
        """The entry with the words of its last edit; what an edit does not speak of stays."""
        if entry.gone or entry.seq == head.seq:
            return entry
        edits = [edit for edit in await self.replacing(ch, entry.seq) if not edit.gone]
        kind = self._kinds.of(ch)
        if not edits or kind is None or (edit := kind.entry(edits[-1].kind)) is None:
            return entry
        kept = {name: value for name, value in entry.body.items() if name not in edit.body.__struct_fields__}
        return msgspec.structs.replace(entry, body=kept | edits[-1].body)

    async def replacing(self, ch: str, seq: int) -> list[Entry]:
        """The entries that have taken the place of this one's words, in order (its edits)."""
        later = await self._log.modifiers_of(ch, seq)
        return sorted((e for e in later if self._kinds.replaces(ch, e.kind)), key=lambda entry: entry.seq)

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
        `first`, and fewer where they are large. Modifiers of the page's entries that lie outside it come along."""
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
        read = [self._kinds.as_seen(ch, entry, first) for entry in await self._log.read(ch, low, high)]
        entries = _fitting(read, newest=after is None)
        modifiers = []
        if entries and (high := entries[-1].seq) < head.seq:
            modifiers = self._last_words(ch, await self._log.modifiers(ch, entries[0].seq, high, high))
        return Page(ch, head.seq, head.n, first, entries, _fitting(modifiers, newest=True))

    async def entry(self, ch: str, seq: int) -> Entry | None:
        """The entry with this number, as it was said: an edit does not change it."""
        return await self._log.point(ch, seq)

    async def chosen(self, ch: str, first: int, seqs: Sequence[int]) -> Page:
        """The entries with these numbers, none below `first`, and all that was done to them."""
        head = await self.head(ch)
        wanted = [seq for seq in seqs if first <= seq]
        if not wanted:
            return Page(ch, head.seq, head.n, first, [])
        HISTORY_READS.inc()
        entries = await self._log.among(ch, wanted)
        modifiers = self._last_words(ch, await self._log.modifiers_among(ch, wanted))
        return Page(ch, head.seq, head.n, first, entries, _fitting(modifiers, newest=True))

    def _last_words(self, ch: str, modifiers: Sequence[Entry]) -> list[Entry]:
        """Of several modifiers by one sender that are about the same thing only the last one counts: a reaction put on
        and taken off a hundred times is one."""
        kind, last = self._kinds.of(ch), dict[tuple[object, ...], Entry]()
        for entry in modifiers:
            entry_kind = kind.entry(entry.kind) if kind else None
            topic = entry.body.get(entry_kind.topic) if entry_kind and entry_kind.topic else None
            key = (entry.ref, entry.by, entry.kind, topic)
            last.pop(key, None)
            last[key] = entry
        return list(last.values())


def _fitting(entries: Sequence[Entry], *, newest: bool) -> list[Entry]:
    """As many as a page holds in bytes, and at least one: the newest or the oldest of them."""
    size, fitting = 0, list[Entry]()
    for entry in reversed(entries) if newest else entries:
        size += len(msgspec.json.encode(entry))
        if fitting and size > PAGE_BYTES:
            break
        fitting.append(entry)
    return fitting[::-1] if newest else fitting


def _newest_countable(entries: Sequence[Entry]) -> Entry | None:
    """The last entry that raises the count. Of the first one only number 1 tells by itself whether it does."""
    for index in range(len(entries) - 1, -1, -1):
        if index == 0 and entries[0].seq > 1:
            return None
        if entries[index].n > (entries[index - 1].n if index else 0):
            return entries[index]
    return None
