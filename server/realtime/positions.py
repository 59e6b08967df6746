"""How far each person has read: one monotone document per person and channel, shared by all their devices."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec
import structlog
from msgspec.structs import replace

from server.realtime.protocol import Channel, Seq
from server.store import BulkFault, Document, Gathered, Store, StoreError, UpdateOne

#: (person, channel)
Key = tuple[str, str]
#: Seconds in which several moves of one person become one write. A crash forgets at most this much reading.
GATHER = 0.3
#: The same for positions that only follow one's own words: nobody waits for them, and writers write often.
GATHER_OWN = 3.0
#: Keys of one query.
_AT_ONCE = 1_000

log = structlog.get_logger(__name__)


class Mark(msgspec.Struct, frozen=True):
    """`read` and `delivered` are numbers of entries, `read_n` the count of countable ones up to `read`.

    `shown` and `shown_n` are what others see of the reading: they stay behind while somebody hides it, and go along
    again with the first move after that.
    """

    read: int = 0
    read_n: int = 0
    delivered: int = 0
    shown: int = 0
    shown_n: int = 0


class Moved(msgspec.Struct, tag_field="t", tag="moved", frozen=True):
    """Somebody's positions have moved, as nodes tell each other: the person's own devices get `read`, others `shown`.
    `visible`: others see a difference."""

    ch: Channel
    by: str
    read: Seq
    read_n: Seq
    delivered: Seq
    shown: Seq
    shown_n: Seq
    visible: bool


async def _nobody(persons: Collection[str]) -> set[str]:
    return set()


class Positions:
    """Moves positions forward. `count(ch, seq)` tells `n` at an entry; `announce` tells the channel's subscribers;
    `hiding(persons)` answers who of them hides what they read at this moment.

    Moves are gathered for a moment and written together: many readers of one message are one query and one write.
    """

    def __init__(
        self,
        store: Store,
        count: Callable[[str, int], Awaitable[int]],
        announce: Callable[[Moved], None],
        hiding: Callable[[Collection[str]], Awaitable[set[str]]] = _nobody,
    ) -> None:
        self._rows = store.collection("positions")
        self._mark = Gathered(self._marks)
        self._count = count
        self._announce = announce
        self._hiding = hiding
        self._moves: dict[Key, tuple[int, int]] = {}
        #: moves that are on their way into the database
        self._writing: dict[Key, tuple[int, int]] = {}
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
        """A person's positions, with what they have just moved here; channels never read are left out."""
        if any((person, ch) in self._moves or (person, ch) in self._writing for ch in channels):
            await self.flush()
        if len(channels) == 1:  # asked for each subscription
            mark = await self._mark.get((person, channels[0]))
            return {channels[0]: mark} if mark is not None else {}
        marks = await self._marks([(person, ch) for ch in channels])
        return {ch: mark for (_, ch), mark in marks.items()}

    async def among(self, ch: str, persons: Sequence[str]) -> dict[str, Mark]:
        """Several persons' positions in one channel."""
        marks = await self._marks([(person, ch) for person in persons])
        return {person: mark for (person, _), mark in marks.items()}

    async def of_many(self, keys: Sequence[Key]) -> dict[Key, Mark]:
        """Several persons' positions in several channels."""
        found: dict[Key, Mark] = {}
        for start in range(0, len(keys), _AT_ONCE):
            found |= await self._marks(keys[start : start + _AT_ONCE])
        return found

    async def flush(self) -> None:
        """Writes what has gathered, and waits for it."""
        async with self._turn:
            moves, self._moves = self._moves, {}
            own, self._own = self._own, {}
            self._writing = moves
            try:
                changes = await self._changes(moves, own)
                await self._write({key: after for key, (_, after) in changes.items()})
            except StoreError as fault:
                log.warning("positions not written; kept for later", fault=type(fault).__name__)
                for (person, ch), (read, delivered) in moves.items():
                    self.move(person, ch, read=read, delivered=delivered)
                for key, entries in own.items():
                    self._own[key] = entries + self._own.get(key, [])
                return
            finally:
                self._writing = {}
        for (person, ch), (before, mark) in changes.items():
            visible = mark.shown > before.shown or mark.delivered > before.delivered
            self._announce(Moved(ch, person, mark.read, mark.read_n, mark.delivered, mark.shown, mark.shown_n, visible))

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
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
    ) -> dict[Key, tuple[Mark, Mark]]:
        """The marks that are really further on than what is kept, before and after."""
        keys = list({**moves, **own})
        marks = await self._marks(keys)
        hiding = await self._hiding({person for person, _ in keys})
        changes: dict[Key, tuple[Mark, Mark]] = {}
        for key in keys:
            before = marks.get(key, Mark())
            read, delivered = moves.get(key, (0, 0))
            after = before
            if read > before.read:
                read_n = max(before.read_n, await self._count(key[1], read))
                after = replace(before, read=read, read_n=read_n)
            for seq, n in sorted(own.get(key, ())):
                if seq > after.read and n <= after.read_n + 1:
                    after = replace(after, read=seq, read_n=n)
            after = replace(after, delivered=max(after.delivered, delivered, after.read))
            if after.read > before.read and key[0] not in hiding:
                after = replace(after, shown=after.read, shown_n=after.read_n)
            if after != before:
                changes[key] = (before, after)
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
        return {ids[row["_id"]]: _to_mark(row) for row in rows}


def _to_mark(row: Document) -> Mark:
    """Documents from before anybody could hide have no `shown`: others have seen all that was read."""
    read: int = row["read"]
    read_n: int = row["read_n"]
    return Mark(read, read_n, row["delivered"], row.get("shown", read), row.get("shown_n", read_n))


def _id(key: Key) -> str:
    return "|".join(key)
