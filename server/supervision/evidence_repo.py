"""Rows of evidence: added, never changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import msgspec

from server.store import Document, Index, Store, Tx
from server.supervision.model import Evidence, Pledge
from server.supervision.repo import pledge_of


class EvidenceRepo:
    """`pledge_evidence`: a row each. There is no operation that changes or deletes one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("pledge_evidence")
        self._pledges = store.collection("pledges")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("pledge_evidence", [Index([("pledge", 1), ("n", 1)], unique=True)])

    async def insert(self, tx: Tx, row: Evidence) -> None:
        document: Document = msgspec.to_builtins(row, builtin_types=(datetime,))
        document["_id"] = document.pop("id")
        await self._rows.insert_one(document, session=tx.session)

    async def of(self, pledge: str) -> list[Evidence]:
        """All of a pledge's, in order."""
        rows = [evidence_of(row) for row in await self._rows.find({"pledge": pledge}).to_list(None)]
        return sorted(rows, key=lambda row: row.n)

    # ── For verification ────────────────────────────────────────────────────────────────────────────────────────────

    async def pledges_with_rows(self) -> dict[str, int]:
        """How many rows name each pledge, read from the rows alone."""
        found: dict[str, int] = {}
        async for row in self._rows.find({}, {"pledge": 1}, batch_size=1_000):
            found[str(row.get("pledge"))] = found.get(str(row.get("pledge")), 0) + 1
        return found

    async def pledges(self) -> AsyncIterator[Pledge]:
        async for row in self._pledges.find({}, batch_size=50):
            yield pledge_of(row)


def evidence_of(row: Document) -> Evidence:
    return msgspec.convert({**row, "id": row["_id"]}, Evidence)
