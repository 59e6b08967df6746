"""Which pledges are due, and whose turn it is: queries over `pledges` by `due`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from server.store import Store


class TimersRepo:
    """A pledge that is claimed is due later, by its lease: whoever dies leaves it to the next one."""

    def __init__(self, store: Store) -> None:
        self._rows = store.collection("pledges")

    async def due(self, now: datetime, most: int) -> dict[str, datetime]:
        """What is due, and since when. One query for very many: the embedded database reads all of it anyway."""
        rows = await self._rows.find({"due": {"$lte": now}}, {"due": 1}).limit(most).to_list(most)
        return {row["_id"]: row["due"] for row in rows}

    async def claim(self, ids: Sequence[str], now: datetime, until: datetime) -> list[str]:
        """Takes those of these that are due still; nobody else is given them until `until`."""
        some, mine = {"$in": list(ids)}, secrets.token_hex(8)
        await self._rows.update_many({"_id": some, "due": {"$lte": now}}, {"$set": {"due": until, "claim": mine}})
        return [row["_id"] for row in await self._rows.find({"_id": some, "claim": mine}, {"_id": 1}).to_list(None)]

    async def put_off(self, id: str, version: int, due: datetime | None) -> None:
        """Nothing was to be done: it is due at another time, unless it has changed since."""
        change = {"$unset": {"due": ""}} if due is None else {"$set": {"due": due}}
        await self._rows.update_one({"_id": id, "version": version}, change)

    async def next_due(self, now: datetime, within: timedelta, most: int = 50) -> datetime | None:
        """When something is due next, if that is within this time."""
        window = {"due": {"$gt": now, "$lte": now + within}}
        rows = await self._rows.find(window, {"due": 1}).limit(most).to_list(most)
        return min((row["due"] for row in rows), default=None)
