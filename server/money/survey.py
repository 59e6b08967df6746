"""Reads all of the ledger, for those who verify it: every collection from one end to the other, some rows at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime

import msgspec

from server.money.folio import Folio
from server.money.model import Hold, Transfer
from server.money.repo import SEALED, LedgerRepo, Row, SealedUntil, read_folio, read_hold, read_reversal, read_transfer
from server.money.report import Report
from server.money.rules import Reversal
from server.store import Collection, Document, Store

_BATCH = 1_000
_REPORT = "ledger"


class Survey:
    def __init__(self, store: Store) -> None:
        self._repo = LedgerRepo(store)
        self._meta = store.collection("meta")

    async def mark(self) -> SealedUntil | None:
        return await self._repo.sealed()

    async def begun(self) -> bool:
        """Whether there is any transfer."""
        return await self._repo.transfers.find_one({}, {"_id": 1}) is not None

    async def count_transfers(self) -> int:
        return await _count(self._repo.transfers)

    async def count_folios(self) -> int:
        return await _count(self._repo.folios)

    async def journal(self, since: datetime, until: datetime) -> AsyncIterator[Document]:
        """Rows with a time in [since, until), in order of time and id."""
        async for _, rows in self._repo.windows(since, until):
            for row in rows:
                yield row

    async def outside(self, opened: datetime, horizon: datetime) -> list[str]:
        """Transfers at a time at which there is no journal."""
        found: list[str] = []
        for wrong in ({"$lt": opened}, {"$gte": horizon}):
            rows = await self._repo.transfers.find({"at": wrong}, {"_id": 1}).to_list(_BATCH)
            found += [str(row["_id"]) for row in rows]
        return found

    async def folios(self) -> AsyncIterator[tuple[Folio, list[Row]]]:
        """Each with its newest lines."""
        async for row in self._repo.folios.find({}, batch_size=_BATCH):
            if row["_id"] != SEALED:
                yield read_folio(row), [Row(values) for values in row.get("tail", ())]

    async def pages(self) -> AsyncIterator[tuple[str, int, list[Row]]]:
        """(folio, number of the page, its lines)."""
        async for row in self._repo.filed.find({}, batch_size=_BATCH // 10):
            folio, _, number = row["_id"].rpartition(" ")
            yield folio, int(number), [Row(values) for values in row["rows"]]

    async def holds(self) -> AsyncIterator[list[tuple[Hold, str]]]:
        """Each with the id of the transfer that began it."""
        batch: list[tuple[Hold, str]] = []
        async for row in self._repo.set_aside.find({}, batch_size=_BATCH):
            batch.append((read_hold(row), row["begun_by"]))
            if len(batch) == _BATCH:
                yield batch
                batch = []
        yield batch

    async def some_holds(self, holds: Iterable[str]) -> dict[str, Hold]:
        rows = await self._repo.set_aside.find({"_id": {"$in": list(holds)}}).to_list(None)
        return {row["_id"]: read_hold(row) for row in rows}

    async def some(self, transfers: Iterable[str]) -> dict[str, Transfer]:
        return await self._repo.some(transfers)

    async def folios_of(self, folios: Iterable[str]) -> dict[str, Folio]:
        return await self._repo.folios_of(folios)

    async def reversed(self) -> AsyncIterator[str]:
        """Ids of transfers of which something was taken back."""
        async for row in self._repo.reversals.find({}, {"_id": 1}, batch_size=_BATCH):
            yield row["_id"]

    async def reversal(self, transfer: str) -> tuple[Reversal, int]:
        return read_reversal(await self._repo.reversals.find_one({"_id": transfer}))

    async def claws(self, transfer: str) -> list[Transfer]:
        """What took back some of the transfer."""
        rows = await self._repo.transfers.find({"reverses": transfer}).to_list(None)
        return [read_transfer(row) for row in rows]

    async def seals(self, numbers: Iterable[int]) -> list[Document]:
        return await self._repo.seals.find({"_id": {"$in": list(numbers)}}).to_list(None)

    async def last_report(self) -> Report | None:
        row = await self._meta.find_one({"_id": _REPORT})
        return msgspec.json.decode(row["report"], type=Report) if row else None

    async def keep_report(self, report: Report) -> None:
        change = {"$set": {"report": msgspec.json.encode(report).decode()}}
        await self._meta.update_one({"_id": _REPORT}, change, upsert=True)


async def _count(rows: Collection) -> int:
    """One by one, by ids alone: the engines' own ways to count are slower, or not exact."""
    count = 0
    async for _ in rows.find({}, {"_id": 1}, batch_size=10 * _BATCH):
        count += 1
    return count
