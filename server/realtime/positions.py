"""How far each person has read: one monotone document per person and channel, shared by all their devices."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from server.realtime.protocol import PositionEvent
from server.store import BulkFault, Document, Store, StoreError, UpdateOne

#: (person, channel)
Key = tuple[str, str]
#: Seconds in which several moves of one person become one write. A crash forgets at most this much reading.
GATHER = 0.3
#: The same for positions that only follow one's own words: nobody waits for them, and writers write often.
GATHER_OWN = 3.0

log = structlog.get_logger(__name__)


class Mark(msgspec.Struct, frozen=True):
    """`read` and `delivered` are numbers of entries, `read_n` the count of countable ones up to `read`."""

    read: int = 0
    read_n: int = 0
    delivered: int = 0


class Positions:
    """Moves positions forward. `count(ch, seq)` tells `n` at an entry; `announce` tells the channel's subscribers.

    Moves are gathered for a moment and written together: many readers of one message are one query and one write.
    """

    def __init__(
        self,
        store: Store,
        count: Callable[[str, int], Awaitable[int]],
        announce: Callable[[PositionEvent], None],
    ) -> None:
        self._rows = store.collection("positions")
        self._count = count
        self._announce = announce
        self._moves: dict[Key, tuple[int, int]] = {}
        self._own: dict[Key, list[tuple[int, int]]] = {}
        self._moved = asyncio.Event()
        self._timer: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    def move(self, person: str, ch: str, *, read: int = 0, delivered: int = 0) -> None:
        """Moves forward what is behind; the caller has checked that the numbers are not beyond the head."""
        before = self._moves.get((person, ch), (0, 0))
        self._moves[person, ch] = (max(before[0], read), max(before[1], delivered, read))
        self._moved.set()
        self._flush_later()

    def wrote(self, person: str, ch: str, seq: int, n: int) -> None:
        """One's own words are no news to oneself: the position goes along when nothing unread lies before them."""
        self._own.setdefault((person, ch), []).append((seq, n))
        self._flush_later()

    async def of(self, person: str, channels: Sequence[str]) -> dict[str, Mark]:
        """A person's positions; channels never read are left out."""
        marks = await self._marks([(person, ch) for ch in channels])
        return {ch: mark for (_, ch), mark in marks.items()}

    async def among(self, ch: str, persons: Sequence[str]) -> dict[str, Mark]:
        """Several persons' positions in one channel."""
        marks = await self._marks([(person, ch) for person in persons])
        return {person: mark for (person, _), mark in marks.items()}

    async def flush(self) -> None:
        """Writes what has gathered, and waits for it."""
        async with self._turn:
            moves, self._moves = self._moves, {}
            own, self._own = self._own, {}
            try:
                changes = await self._changes(moves, own)
                await self._write(changes)
            except StoreError as fault:
                log.warning("positions not written; kept for later", fault=type(fault).__name__)
                for (person, ch), (read, delivered) in moves.items():
                    self.move(person, ch, read=read, delivered=delivered)
                for key, entries in own.items():
                    self._own[key] = entries + self._own.get(key, [])
                return
        for (person, ch), mark in changes.items():
            self._announce(PositionEvent(ch, person, mark.read, mark.read_n, mark.delivered))

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
        await self.flush()
        if self._timer is not None:  # the database is away: what could not be written is forgotten
            self._timer.cancel()

    def _flush_later(self) -> None:
        if self._timer is None or self._timer.done():
            self._timer = asyncio.create_task(self._gather(), name="positions")

    async def _gather(self) -> None:
        while self._moves or self._own:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_OWN):
                    await self._moved.wait()
            await asyncio.sleep(GATHER)
            self._moved.clear()
            await asyncio.shield(self.flush())

    async def _changes(
        self, moves: dict[Key, tuple[int, int]], own: dict[Key, list[tuple[int, int]]]
    ) -> dict[Key, Mark]:
        """The marks that are really further on than what is kept."""
        keys = list({**moves, **own})
        marks = await self._marks(keys)
        changes: dict[Key, Mark] = {}
        for key in keys:
            before = marks.get(key, Mark())
            read, delivered = moves.get(key, (0, 0))
            after = before
            if read > before.read:
                after = Mark(read, max(before.read_n, await self._count(key[1], read)), before.delivered)
            for seq, n in sorted(own.get(key, ())):
                if seq > after.read and n <= after.read_n + 1:
                    after = Mark(seq, n, after.delivered)
            after = Mark(after.read, after.read_n, max(after.delivered, delivered, after.read))
            if after != before:
                changes[key] = after
        return changes

    async def _write(self, changes: dict[Key, Mark]) -> None:
        """`$max` keeps every field monotone, whoever else writes."""
        writes = [
            UpdateOne({"_id": _id(key)}, {"$max": msgspec.structs.asdict(mark)}, upsert=True)
            for key, mark in changes.items()
        ]
        if not writes:
            return
        try:
            await self._rows.bulk_write(writes, ordered=False)
        except BulkFault:  # two nodes, the first position in a channel: now it is there
            await self._rows.bulk_write(writes, ordered=False)

    async def _marks(self, keys: Sequence[Key]) -> dict[Key, Mark]:
        ids = {_id(key): key for key in keys}
        rows: list[Document] = await self._rows.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {ids[row["_id"]]: Mark(row["read"], row["read_n"], row["delivered"]) for row in rows}


def _id(key: Key) -> str:
    return "|".join(key)
