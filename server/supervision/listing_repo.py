"""The queries of lists: what somebody has to do with, and what looks for supervisors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from server.store import Store
from server.supervision.model import Pledge, PledgeState
from server.supervision.repo import pledge_of


class Row(NamedTuple):
    """As much of a pledge as an order needs. `at` is when it was made, `by` who has drafted it."""

    id: str
    state: PledgeState
    at: datetime
    by: str


class ListsRepo:
    def __init__(self, store: Store) -> None:
        self._rows = store.collection("pledges")

    async def rows_of(self, person: str) -> list[Row]:
        """Everything that somebody has to do with, or had, in no order."""
        found = await self._rows.find({"people": person}, {"state": 1, "created_at": 1, "drafted_by": 1}).to_list(None)
        return [Row(row["_id"], PledgeState(row["state"]), row["created_at"], row["drafted_by"]) for row in found]

    async def many(self, ids: Sequence[str]) -> list[Pledge]:
        """In the order asked for; what is gone is left out."""
        rows = await self._rows.find({"_id": {"$in": list(ids)}}).to_list(None)
        found = {row["_id"]: pledge_of(row) for row in rows}
        return [found[id] for id in ids if id in found]

    async def met(self, person: str) -> set[str]:
        """Everybody with whom somebody has a pledge in common."""
        rows = await self._rows.find({"people": person}, {"people": 1}).to_list(None)
        return {other for row in rows for other in row["people"]} - {person}

    async def listed(self, keys: Sequence[str], since: datetime, until: datetime) -> list[Pledge]:
        """What stands in these lists since a moment (not included), the newest first."""
        wanted = {"listed": {"$in": list(keys)}, "listed_at": {"$gt": since, "$lte": until}}
        found = [pledge_of(row) for row in await self._rows.find(wanted).to_list(None)]
        return sorted(found, key=lambda pledge: (pledge.published_at or since, pledge.id), reverse=True)
