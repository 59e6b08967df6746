"""The log's collections and queries. Every query here has a known cost on both database engines.

`entries`: one document per entry, `_id` = `{sender}:{client id}`. `heads`: a lazily saved hint per channel, never ahead
of the log. Ranges are kept narrow on both sides, because wide ones are slow on the embedded engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from server.clock import to_ms
from server.realtime.protocol import Entry
from server.store import Document, Encoded, Index, Store, UpdateOne

_WINDOW = 64
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

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes(
            "entries",
            [
                Index([("ch", 1), ("seq", 1)], unique=True),
                # Only modifiers have `mod` (their channel), so that plain entries cost this index nothing.
                Index([("mod", 1), ("ref", 1)], sparse=True),
                Index([("node", 1), ("at", 1)]),
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

    async def scrub(self, ch: str, seqs: Iterable[int]) -> None:
        """Erases the bodies of these entries; their numbers stay."""
        for seq in seqs:
            await self._entries.update_one({"ch": ch, "seq": seq}, {"$set": {"body": {}, "gone": True}})

    async def written_by(self, node: str, since: datetime, until: datetime) -> list[tuple[str, int]]:
        """(channel, number) of what a node has appended in a narrow window of time."""
        cursor = self._entries.find({"node": node, "at": {"$gte": since, "$lt": until}}, {"ch": 1, "seq": 1})
        return [(row["ch"], row["seq"]) for row in await cursor.to_list(None)]

    # ── Heads ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def head(self, ch: str, hint: Head | None = None) -> Head:
        """The channel's head, found from `hint` (or the saved one) upwards.

        The log has no holes, so existence is monotone: one narrow window mostly finds the end; a hint that is far
        behind is left by galloping and bisecting with point reads.
        """
        if hint is None:
            hint = (await self.saved_heads([ch])).get(ch) or Head()
        low = max(hint.seq, 1)
        rows = await self._window(ch, low)
        if len(rows) == _WINDOW:
            low, step = low + _WINDOW - 1, _WINDOW
            while await self._exists(ch, low + step):
                low, step = low + step, step * 2
            high = low + step  # exists: low; does not: high
            while high - low >= _WINDOW:
                middle = (low + high) // 2
                if await self._exists(ch, middle):
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

    async def _exists(self, ch: str, seq: int) -> bool:
        return await self._entries.find_one({"ch": ch, "seq": seq}, {"seq": 1}) is not None

    async def saved_heads(self, channels: Sequence[str]) -> dict[str, Head]:
        """The saved hints: at or behind the true heads."""
        rows = await self._heads.find({"_id": {"$in": list(channels)}}).to_list(None)
        return {row["_id"]: Head(row["seq"], row["n"], row["at"]) for row in rows}

    async def save_heads(self, heads: dict[str, Head]) -> None:
        """Saves hints; an older one changes nothing, and losing one only costs a longer search."""
        writes = [
            UpdateOne({"_id": ch}, {"$max": {"seq": head.seq, "n": head.n, "at": head.at}}, upsert=True)
            for ch, head in heads.items()
        ]
        if writes:
            await self._heads.bulk_write(writes, ordered=False)
