"""Where reports are kept: `reports`, one document each, numbered in the order in which they were made, and `evidence`,
what of it people wrote, which goes some time after the decision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from server.moderation.model import Evidence, Measure, Reason, Report, ReportState
from server.store import Document, Index, Numbered, Store, Tx

#: so many open reports are looked at; more wait until these are decided
OPEN_MOST = 1_000
#: so many earlier reports about one person are looked at
EARLIER_MOST = 200
#: What people wrote is kept so long after the decision: somebody may ask about it.
EVIDENCE_LASTS = timedelta(days=90)


class ReportsRepo:
    def __init__(self, store: Store) -> None:
        self._numbered = Numbered(store, "reports")
        self._rows = self._numbered.rows
        self._store = store
        self._evidence = store.collection("evidence")

    async def ensure_indexes(self) -> None:
        # A report about a person that was decided has no `key`: they may be reported again.
        await self._numbered.ensure_indexes(
            [Index([("key", 1)], unique=True, sparse=True), Index([("open", 1)], sparse=True), Index([("person", 1)])]
        )
        await self._store.ensure_indexes("evidence", [Index([("expires", 1)], sparse=True, ttl=0)])

    async def ensure_counter(self) -> None:
        await self._numbered.ensure_counter()

    async def insert(self, tx: Tx, report: Report) -> int:
        """Answers its number. Raises Duplicate when this reporter has reported the same before."""
        number = await self._numbered.insert(tx, {"_id": report.id, "key": report.key, **_document(report)})
        words = {"note": report.note, "messages": msgspec.to_builtins(report.evidence)}
        await self._evidence.insert_one({"_id": report.id, **words}, session=tx.session)
        return number

    async def get(self, id: str, tx: Tx | None = None) -> Report | None:
        row = await self._rows.find_one({"_id": id}, session=tx.session if tx else None)
        return (await self._whole([row]))[0] if row else None

    async def by_key(self, key: str) -> Report | None:
        row = await self._rows.find_one({"key": key})
        return (await self._whole([row]))[0] if row else None

    async def replace(self, tx: Tx, report: Report) -> bool:
        """Compare-and-set on `version - 1`; False when somebody else was faster."""
        change: Document = {"$set": _document(report)}
        if report.state is ReportState.DECIDED:
            change["$unset"] = {"open": ""} | ({"key": ""} if report.conversation is None else {})
            del change["$set"]["open"]
        key = {"_id": report.id, "version": report.version - 1}
        done = await self._rows.update_one(key, change, session=tx.session)
        if report.decided_at is not None:
            ends = {"expires": report.decided_at + EVIDENCE_LASTS}
            await self._evidence.update_one({"_id": report.id}, {"$set": ends}, session=tx.session)
        return done.matched_count == 1

    async def waiting(self) -> list[Report]:
        """Those that are not decided, the oldest first; at most OPEN_MOST."""
        rows = await self._rows.find({"open": True}).limit(OPEN_MOST).to_list(OPEN_MOST)
        return await self._whole(sorted(rows, key=lambda row: int(row["number"])))

    async def decided(self, before: int | None, limit: int) -> tuple[list[Report], int | None]:
        """The newest decided ones below a number, and where to go on."""
        rows, following = await self._numbered.page({"state": ReportState.DECIDED.value}, before, limit)
        return await self._whole(rows), following

    async def about(self, person: str) -> list[Report]:
        """All reports about a person, the newest first; at most EARLIER_MOST."""
        rows = await self._rows.find({"person": person}).limit(EARLIER_MOST).to_list(EARLIER_MOST)
        return await self._whole(sorted(rows, key=lambda row: int(row["number"]), reverse=True))

    async def _whole(self, rows: Sequence[Document]) -> list[Report]:
        """Reports with what is still kept of the words."""
        ids = [row["_id"] for row in rows]
        words = {row["_id"]: row for row in await self._evidence.find({"_id": {"$in": ids}}).to_list(None)}
        return [_report(row, words.get(row["_id"], {})) for row in rows]


def _document(report: Report) -> Document:
    kept: dict[str, Any] = msgspec.structs.asdict(report)
    for name in ("id", "number", "note", "evidence"):
        del kept[name]
    kept |= {"reason": report.reason.value, "state": report.state.value, "open": True}
    kept["done"] = [measure.value for measure in report.done]
    return kept


def _report(row: Document, words: Document) -> Report:
    special = ("id", "note", "evidence", "reason", "state", "done")
    kept = {name: row[name] for name in Report.__struct_fields__ if name not in special}
    return Report(
        id=row["_id"],
        note=words.get("note", ""),
        evidence=tuple(msgspec.convert(words.get("messages", []), list[Evidence])),
        reason=Reason(row["reason"]),
        state=ReportState(row["state"]),
        done=tuple(Measure(measure) for measure in row["done"]),
        **kept,
    )
