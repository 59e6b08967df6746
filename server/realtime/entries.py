"""The log's collections and queries. Every query here has a known cost on both database engines.

`entries`: one document per entry, `_id` = `{sender}:{client id}`. `heads`: a lazily saved hint per channel, never ahead
of the log. Ranges are kept narrow on both sides, because wide ones are slow on the embedded engine. The rows of trails
(`trail.py`) lie among the entries, because they are written by the same inserts; they have `expires` and no body.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

import msgspec

from server.clock import to_ms
from server.realtime.protocol import Entry
from server.store import Document, Encoded, Gathered, Index, Store, UpdateOne

_WINDOW = 64
#: rows of trails that are deleted with one query
DELETED_AT_ONCE = 500
_FIELDS = {"_id": 1, "ch": 1, "seq": 1, "n": 1, "at": 1, "by": 1, "kind": 1, "ref": 1, "body": 1, "gone": 1}


class Head(msgspec.Struct):
    """The newest entry of a channel: its number, the count of countable entries, its time (None: still empty)."""

    seq: int = 0
    n: int = 0
    at: datetime | None = None


def to_entry(row: Document) -> Entry:
    by: str = row["by"]
    return Entry(
        seq=row["seq"],
        n=row["n"],
        at=to_ms(row["at"]),
        by=by,
        id=row["_id"][len(by) + 1 :],
        kind=row["kind"],
        body=row["body"],
        ref=row.get("ref"),
        gone=row.get("gone", False),
    )


class EntryLog:
    """Reads and writes of the log. All numbering is the appender's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries = store.collection("entries")
        self._heads = store.collection("heads")
        self._meta = store.collection("meta")
        self._saved_head = Gathered(self.saved_heads)

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes(
            "entries",
            [
                Index([("ch", 1), ("seq", 1)], unique=True),
                # Only modifiers have `mod` (their channel), so that plain entries cost this index nothing.
                Index([("mod", 1), ("ref", 1)], sparse=True),
                # Only rows of trails have it. (No TTL: the embedded database would read the whole log each minute.)
                Index([("expires", 1)], sparse=True),
            ],
        )

    async def insert(self, rows: Sequence[Document | Encoded]) -> None:
        """Inserts in order and stops at the first that cannot be inserted, so that no hole can arise."""
        await self._entries.insert_many(rows, ordered=True)

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Document]:
        rows = await self._entries.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {row["_id"]: row for row in rows}

    async def point(self, ch: str, seq: int) -> Entry | None:
        row = await self._entries.find_one({"ch": ch, "seq": seq}, _FIELDS)
        return to_entry(row) if row else None

    async def read(self, ch: str, first: int, last: int) -> list[Entry]:
        """The entries `first … last`, both included, in order."""
        if last < first:
            return []
        cursor = self._entries.find({"ch": ch, "seq": {"$gte": first, "$lte": last}}, _FIELDS)
        rows = await cursor.to_list(last - first + 1)
        return sorted((to_entry(row) for row in rows), key=lambda entry: entry.seq)

    async def modifiers(self, ch: str, first: int, last: int, beyond: int) -> list[Entry]:
        """The entries numbered above `beyond` that refer to `first … last`, in order."""
        cursor = self._entries.find({"mod": ch, "ref": {"$gte": first, "$lte": last}}, _FIELDS)
        rows = [to_entry(row) for row in await cursor.to_list(None)]
        return sorted((entry for entry in rows if entry.seq > beyond), key=lambda entry: entry.seq)

    async def modifiers_of(self, ch: str, ref: int) -> list[Entry]:
        return [to_entry(row) for row in await self._entries.find({"mod": ch, "ref": ref}, _FIELDS).to_list(None)]

    async def among(self, ch: str, seqs: Sequence[int]) -> list[Entry]:
        """The entries with these numbers, in order."""
        rows = await self._entries.find({"ch": ch, "seq": {"$in": list(seqs)}}, _FIELDS).to_list(len(seqs))
        return sorted((to_entry(row) for row in rows), key=lambda entry: entry.seq)

    async def modifiers_among(self, ch: str, refs: Sequence[int]) -> list[Entry]:
        """The entries that refer to these numbers, in order."""
        rows = await self._entries.find({"mod": ch, "ref": {"$in": list(refs)}}, _FIELDS).to_list(None)
        return sorted((to_entry(row) for row in rows), key=lambda entry: entry.seq)

    async def scrub(self, ch: str, seqs: Iterable[int]) -> None:
        """Erases the bodies of these entries; their numbers stay."""
        for seq in seqs:
            await self._entries.update_one({"ch": ch, "seq": seq}, {"$set": {"body": {}, "gone": True}})

    async def trail(self, ch: str, first: int) -> list[Document]:
        """Rows of a trail from number `first` on, in order; some at a time."""
        query = {"ch": ch, "seq": {"$gte": first, "$lt": first + _WINDOW}}
        rows = await self._entries.find(query, {"seq": 1, "wrote": 1}).to_list(_WINDOW)
        return sorted(rows, key=lambda row: int(row["seq"]))

    async def delete_trails(self, since: datetime, until: datetime) -> int:
        """Deletes rows of trails that expire in [since, until), some at a time; answers how many."""
        query = {"expires": {"$gte": since, "$lt": until}}
        rows = await self._entries.find(query, {"_id": 1}).limit(DELETED_AT_ONCE).to_list(DELETED_AT_ONCE)
        if rows:
            await self._entries.delete_many({"_id": {"$in": [row["_id"] for row in rows]}})
        return len(rows)

    async def trails_deleted_until(self) -> datetime | None:
        row = await self._meta.find_one({"_id": "trails"})
        return row["deleted_until"] if row else None

    async def save_trails_deleted(self, until: datetime) -> None:
        await self._meta.update_one({"_id": "trails"}, {"$set": {"deleted_until": until}}, upsert=True)

    # ── Heads ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def head(self, ch: str, hint: Head | None = None) -> Head:
        """The channel's head, found from `hint` (or the saved one) upwards.

        The log has no holes, so existence is monotone: one narrow window mostly finds the end; a hint that is far
        behind is left by galloping and bisecting with point reads.
        """
        if hint is None:
            hint = await self._saved_head.get(ch) or Head()
        low = max(hint.seq, 1)
        rows = await self._window(ch, low)
        if len(rows) == _WINDOW:
            low, step = low + _WINDOW - 1, _WINDOW
            while await self.exists(ch, low + step):
                low, step = low + step, step * 2
            high = low + step  # exists: low; does not: high
            while high - low >= _WINDOW:
                middle = (low + high) // 2
                if await self.exists(ch, middle):
                    low = middle
                else:
                    high = middle
            rows = await self._window(ch, low)
        if not rows:  # an empty channel, or a hint from a log that was since restored from a backup
            return Head() if low == 1 else await self.head(ch, Head())
        newest = max(rows, key=lambda row: int(row["seq"]))
        return Head(newest["seq"], newest["n"], newest["at"])

    async def _window(self, ch: str, first: int) -> list[Document]:
        query = {"ch": ch, "seq": {"$gte": first, "$lt": first + _WINDOW}}
        return await self._entries.find(query, {"seq": 1, "n": 1, "at": 1}).to_list(_WINDOW)

    async def exists(self, ch: str, seq: int) -> bool:
        return await self._entries.find_one({"ch": ch, "seq": seq}, {"seq": 1}) is not None

    async def saved_heads(self, channels: Sequence[str]) -> dict[str, Head]:
        """The saved hints: at or behind the true heads."""
        rows = await self._heads.find({"_id": {"$in": list(channels)}}).to_list(None)
        return {row["_id"]: Head(row["seq"], row["n"], row["at"]) for row in rows}

    async def all_heads(self) -> AsyncIterator[dict[str, int]]:
        """The saved hints of all channels, a thousand at a time."""
        rows: dict[str, int] = {}
        async for row in self._heads.find({}, {"seq": 1}, batch_size=1_000):
            rows[row["_id"]] = row["seq"]
            if len(rows) == 1_000:
                yield rows
                rows = {}
        if rows:
            yield rows

    async def total(self) -> int:
        """How many entries there are in all channels, by the saved heads: looks at each channel."""
        return sum([int(row["seq"]) async for row in self._heads.find({}, {"seq": 1})])

    async def save_heads(self, heads: dict[str, Head]) -> None:
        """Saves hints; an older one changes nothing, and losing one only costs a longer search."""
        writes = [
            UpdateOne({"_id": ch}, {"$max": {"seq": head.seq, "n": head.n, "at": head.at}}, upsert=True)
            for ch, head in heads.items()
        ]
        if writes:
            await self._heads.bulk_write(writes, ordered=False)
