"""Where cohorts are kept: `cohorts`, one document each, never changed."""

from __future__ import annotations

import msgspec

from server.store import Store, Tx
from server.supervision.model import Cohort


class CohortsRepo:
    def __init__(self, store: Store) -> None:
        self._rows = store.collection("cohorts")

    async def get(self, id: str) -> Cohort | None:
        row = await self._rows.find_one({"_id": id})
        return msgspec.convert({**row, "id": row["_id"]}, Cohort) if row else None

    async def insert(self, tx: Tx, cohort: Cohort) -> None:
        """Raises Duplicate for one that is there."""
        row = {**msgspec.structs.asdict(cohort), "_id": cohort.id, "pledges": list(cohort.pledges)}
        del row["id"]
        await self._rows.insert_one(row, session=tx.session)
