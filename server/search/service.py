"""Answers queries: rights first, then the index, then the texts themselves.

What the index names are candidates. They are read from the log as they are now and must match there: what was changed
or erased a moment ago is not shown, and phrases are found exactly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

import msgspec

from server.chat.words import Message
from server.errors import Code, VouchError
from server.realtime.entries import EntryLog
from server.realtime.protocol import Entry
from server.search.candidates import Window, candidates
from server.search.changes import edited, message_of
from server.search.model import Cursor, Filters, Hit, Hits
from server.search.needles import Found, Lookup, Needle, find, lookups, parse
from server.search.repo import IndexReader
from server.search.terms import by, kinds_of, of_kind

#: Candidates whose texts are read for one page, when hardly any of them matches; and how many together.
_READ_MOST = 400
_READ_AT_ONCE = 100
#: Seconds that a query waits for the one before it of the same person; one waits, no more.
_PATIENCE = 2.0
#: Queries that are worked on at the same time on this node.
_TOGETHER = 4
#: Seconds behind the log after which the index says so.
_BEHIND = 3.0
_FOREVER = 2**53


class Rooms(Protocol):
    """Who may read what, from the conversations."""

    async def rooms_of_many(self, persons: Collection[str]) -> dict[str, list[tuple[str, int]]]:
        """By person the conversations, each with the first entry that they may see."""


class Search:
    """`behind` tells how many seconds the index is behind the log."""

    def __init__(self, index: IndexReader, log: EntryLog, rooms: Rooms, behind: Callable[[], float]) -> None:
        self._index = index
        self._log = log
        self._rooms = rooms
        self._behind = behind
        self._turns: dict[str, _Turn] = {}
        self._together = asyncio.Semaphore(_TOGETHER)

    async def find(self, person: str, query: str, filters: Filters, before: str | None, limit: int) -> Hits:
        """What the person may read and asks for. Raises VouchError: `not_found` for a conversation that is not theirs,
        `bad_request` when nothing is asked that could be found, `too_often` while two of their queries are at work."""
        needles = parse(query)
        asked = lookups(needles)
        if filters.person is not None:
            asked.append(Lookup(by(filters.person)))
        if filters.kind is not None:
            asked.append(Lookup(of_kind(filters.kind)))
        if not asked:
            raise VouchError(Code.BAD_REQUEST, "This needs a word, a person or a kind to look for.", field="q")
        after = _cursor(before) if before is not None else None
        async with self._turn(person), self._together:
            # Rights are asked now, and of the database: who has left finds nothing.
            firsts = dict((await self._rooms.rooms_of_many([person])).get(person, ()))
            if filters.conversation is not None:
                if filters.conversation not in firsts:
                    raise VouchError(Code.NOT_FOUND)
                firsts = {filters.conversation: firsts[filters.conversation]}
            window = Window(
                {f"conv:{id}": first for id, first in firsts.items()},
                (filters.since or 0) // 1000,
                -(-filters.until // 1000) if filters.until is not None else _FOREVER,
                after,
            )
            return await self._page(window, asked, needles, filters, limit)

    async def _page(
        self, window: Window, asked: Sequence[Lookup], needles: Sequence[Needle], filters: Filters, limit: int
    ) -> Hits:
        hits: list[tuple[Cursor, Hit]] = []
        read, batch, last = 0, list[Cursor](), None
        some = limit + 1  # where few of them match, more are read at once
        more = False
        async with aclosing(candidates(self._index, window, asked)) as offered:
            async for cursor in offered:
                batch.append(cursor)
                if len(batch) == some:
                    hits += await self._matching(batch, needles, filters)
                    read, last, batch, some = read + len(batch), batch[-1], [], min(2 * some, _READ_AT_ONCE)
                    if len(hits) > limit or read >= _READ_MOST:
                        more = True
                        break
        hits += await self._matching(batch, needles, filters)
        cursor_after: Cursor | None = None
        if len(hits) > limit:
            cursor_after = hits[limit - 1][0]
        elif more:
            cursor_after = last
        # The index knows seconds; the texts say more.
        shown = sorted(hits[:limit], key=lambda one: (one[0].at, one[1].entry.at, one[1].entry.seq), reverse=True)
        behind = self._behind() > _BEHIND
        return Hits([hit for _, hit in shown], _written(cursor_after) if cursor_after else None, behind)

    # ── Texts ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _matching(
        self, cursors: Sequence[Cursor], needles: Sequence[Needle], filters: Filters
    ) -> list[tuple[Cursor, Hit]]:
        """Those of the candidates that match as they read now, in their order."""
        entries = await self._as_they_read_now(cursors)
        hits: list[tuple[Cursor, Hit]] = []
        for cursor in cursors:
            entry = entries.get((cursor.ch, cursor.seq))
            message = message_of(entry) if entry is not None else None
            if entry is None or message is None or not _fits(entry, message, filters):
                continue
            found = find(needles, message)
            if found is not None:
                hits.append((cursor, _hit(cursor, entry, found)))
        return hits

    async def _as_they_read_now(self, cursors: Sequence[Cursor]) -> dict[tuple[str, int], Entry]:
        wanted: dict[str, list[int]] = {}
        for cursor in cursors:
            wanted.setdefault(cursor.ch, []).append(cursor.seq)
        found = await asyncio.gather(*(self._messages(ch, seqs) for ch, seqs in wanted.items()))
        return {(ch, entry.seq): entry for ch, entries in zip(wanted, found, strict=True) for entry in entries}

    async def _messages(self, ch: str, seqs: Sequence[int]) -> list[Entry]:
        entries, modifiers = await asyncio.gather(self._log.among(ch, seqs), self._log.modifiers_among(ch, seqs))
        edits = {entry.ref: entry for entry in modifiers if entry.kind == "edit" and not entry.gone}  # the last wins
        return [_edited(entry, edits.get(entry.seq)) for entry in entries]

    # ── One at a time ───────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def _turn(self, person: str) -> AsyncIterator[None]:
        """One query of a person at a time; a second waits, a third is refused."""
        turn = self._turns.setdefault(person, _Turn())
        if turn.wanted >= 2:
            raise VouchError(Code.TOO_OFTEN, retry_after=1.0)
        turn.wanted += 1
        try:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await turn.lock.acquire()
            except TimeoutError:
                raise VouchError(Code.TOO_OFTEN, retry_after=1.0) from None
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[person]


class _Turn:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted = 0


def _fits(entry: Entry, message: Message, filters: Filters) -> bool:
    """An index that is a moment behind may name what no longer fits."""
    return (filters.person is None or entry.by == filters.person) and (
        filters.kind is None or filters.kind in kinds_of(message)
    )


def _edited(entry: Entry, edit: Entry | None) -> Entry:
    """The message with the words of its last edit; what else it carries stays."""
    message = edited(entry, edit) if edit is not None else None
    return entry if message is None else msgspec.structs.replace(entry, body=msgspec.to_builtins(message))


def _hit(cursor: Cursor, entry: Entry, found: Found) -> Hit:
    return Hit(cursor.ch.removeprefix("conv:"), entry, found.ranges, found.names)


def _written(cursor: Cursor) -> str:
    return f"{cursor.at}.{cursor.seq}.{cursor.ch.removeprefix('conv:')}"


def _cursor(text: str) -> Cursor:
    """Raises `bad_request`: clients send back what they were given."""
    at, _, rest = text.partition(".")
    seq, _, id = rest.partition(".")
    try:
        return Cursor(int(at), f"conv:{id}", int(seq))
    except ValueError:
        raise VouchError(Code.BAD_REQUEST, "`before` is not the `next` of a page.", field="before") from None
