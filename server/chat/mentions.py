"""Mentions: which messages call whom. Kept by the follower of conversations; which of them are unread is told by how
far the person has read.

Collection `mentions`: per person and conversation the newest messages `{s: number, b: by whom}` that call them; one
more per conversation (`*`) for those that call everybody. Written with `$addToSet` and `$pull` only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from server.chat.model import MENTIONED_MOST
from server.store import Document, Index, Store, UpdateOne

#: So many are kept of each; what is older was not read for a long time, and shows as unread anyway.
_KEPT = 2 * MENTIONED_MOST
#: Instead of a person: everybody.
EVERYBODY = "*"


class Call(msgspec.Struct, frozen=True, order=True):
    """A message that calls somebody: its number and who wrote it."""

    seq: int
    by: str


class MentionRepo:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("mentions")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("mentions", [Index([("conv", 1)])])

    async def add(self, conv: str, call: Call, persons: Collection[str]) -> None:
        """The message calls these (`EVERYBODY`: all)."""
        writes = [
            UpdateOne(
                {"_id": f"{conv}|{person}"},
                {"$setOnInsert": {"conv": conv}, "$addToSet": {"calls": {"s": call.seq, "b": call.by}}},
                upsert=True,
            )
            for person in persons
        ]
        if writes:
            await self._rows.bulk_write(writes, ordered=False)
            await self._trim([f"{conv}|{person}" for person in persons])

    async def _trim(self, ids: Sequence[str]) -> None:
        for row in await self._rows.find({"_id": {"$in": list(ids)}}).to_list(None):
            if len(row["calls"]) > _KEPT:
                oldest = sorted(call["s"] for call in row["calls"])[-MENTIONED_MOST]
                await self._rows.update_one({"_id": row["_id"]}, {"$pull": {"calls": {"s": {"$lt": oldest}}}})

    async def remove(self, conv: str, seq: int) -> None:
        """The message calls nobody any more."""
        await self._rows.update_many({"conv": conv, "calls.s": seq}, {"$pull": {"calls": {"s": seq}}})

    async def remove_person(self, conv: str, person: str) -> None:
        """Somebody's account is gone: nobody is called by them, and they by nobody."""
        await self._rows.update_many({"conv": conv, "calls.b": person}, {"$pull": {"calls": {"b": person}}})
        await self.forget(conv, person)

    async def forget(self, conv: str, person: str) -> None:
        """Somebody is no member any more."""
        await self._rows.delete_one({"_id": f"{conv}|{person}"})

    async def of(self, person: str, convs: Collection[str]) -> dict[str, list[int]]:
        """The numbers of the messages that call this person, in order, by conversation."""
        ids = [f"{conv}|{who}" for conv in convs for who in (person, EVERYBODY)]
        rows: list[Document] = await self._rows.find({"_id": {"$in": ids}}).to_list(None)
        found: dict[str, set[int]] = {}
        for row in rows:
            found.setdefault(row["conv"], set()).update(call["s"] for call in row["calls"] if call["b"] != person)
        return {conv: sorted(seqs) for conv, seqs in found.items()}
