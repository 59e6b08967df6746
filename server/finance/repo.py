"""Where the desk keeps its own: `disputes`, `adjustments` and `reconciliations`, numbered in the order in which they
were made, and `books`, how ledger and audit trail were when they were verified last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from server.finance.dispute_model import Dispute, DisputeState
from server.finance.model import Adjustment, AdjustmentState, Book, DifferenceState, Run, RunState
from server.store import Document, Duplicate, Index, Numbered, Store, Tx

#: so many that wait are looked at; more wait until these are decided
OPEN_MOST = 1_000

T = TypeVar("T", Dispute, Adjustment, Run)


class _Cases(Generic[T]):
    """Things that wait for a decision (`open`), then are kept for good."""

    def __init__(self, store: Store, name: str, kind: type[T], indexes: Sequence[Index]) -> None:
        self._numbered = Numbered(store, name)
        self._rows = self._numbered.rows
        self._kind: type[T] = kind
        self._indexes = [Index([("open", 1)], sparse=True), *indexes]

    async def ensure_indexes(self) -> None:
        await self._numbered.ensure_indexes(self._indexes)

    async def ensure_counter(self) -> None:
        await self._numbered.ensure_counter()

    async def insert(self, tx: Tx, case: T) -> T:
        """Answers it with its number. Raises Duplicate like any insert."""
        number = await self._numbered.insert(tx, {"_id": case.id, **_document(case)})
        return msgspec.structs.replace(case, number=number)

    async def get(self, id: str, tx: Tx | None = None) -> T | None:
        return self._case(await self._rows.find_one({"_id": id}, session=tx.session if tx else None))

    async def replace(self, case: T, tx: Tx | None = None) -> bool:
        """Compare-and-set on `version - 1`; False when somebody else was faster."""
        change: Document = {"$set": _document(case)}
        if not _waits(case):
            change["$unset"] = {"open": ""}
        key = {"_id": case.id, "version": case.version - 1}
        done = await self._rows.update_one(key, change, session=tx.session if tx else None)
        return done.matched_count == 1

    async def waiting(self) -> list[T]:
        """Those that wait, the oldest first; at most OPEN_MOST."""
        rows = await self._rows.find({"open": True}).limit(OPEN_MOST).to_list(OPEN_MOST)
        return [self._of(row) for row in sorted(rows, key=lambda row: int(row["number"]))]

    async def page(self, match: Document, before: int | None, limit: int) -> tuple[list[T], int | None]:
        """The newest first, below a number, and where to go on; a page may be short though more lie beyond."""
        rows, following = await self._numbered.page(match, before, limit)
        return [self._of(row) for row in rows], following

    async def _by(self, name: str, value: str, tx: Tx | None = None) -> T | None:
        return self._case(await self._rows.find_one({name: value}, session=tx.session if tx else None))

    def _case(self, row: Document | None) -> T | None:
        return self._of(row) if row else None

    def _of(self, row: Document) -> T:
        kept = {name: value for name, value in row.items() if name not in ("_id", "open")}
        case: T = msgspec.convert({**kept, "id": row["_id"]}, self._kind)
        return case


class DisputesRepo(_Cases[Dispute]):
    """One per order and source, for good."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, "disputes", Dispute, [Index([("order", 1), ("source", 1)], unique=True)])

    async def of_order(self, order: str, tx: Tx | None = None) -> list[Dispute]:
        """The newest first: what its person has opened, and what the bank did."""
        rows = await self._rows.find({"order": order}, session=tx.session if tx else None).to_list(None)
        return [self._of(row) for row in sorted(rows, key=lambda row: int(row["number"]), reverse=True)]

    async def of_orders(self, orders: Sequence[str]) -> list[Dispute]:
        rows = await self._rows.find({"order": {"$in": list(orders)}}).to_list(None)
        return [self._of(row) for row in rows]


class AdjustmentsRepo(_Cases[Adjustment]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, "adjustments", Adjustment, [Index([("key", 1)], unique=True)])

    async def by_key(self, key: str, tx: Tx | None = None) -> Adjustment | None:
        return await self._by("key", key, tx)


class RunsRepo(_Cases[Run]):
    """A run waits while it is running, or while differences are open."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, "reconciliations", Run, [Index([("key", 1)], unique=True)])

    async def by_key(self, key: str) -> Run | None:
        return await self._by("key", key)


class BooksRepo:
    """One document per book; whoever verifies it holds it until `lease`."""

    def __init__(self, store: Store) -> None:
        self._rows = store.collection("books")

    async def ensure_rows(self) -> None:
        for book in Book:
            try:
                await self._rows.insert_one({"_id": book.value, "turn": 0})
            except Duplicate:
                continue

    async def all(self) -> dict[Book, Document]:
        rows = await self._rows.find({}).to_list(None)
        return {Book(row["_id"]): row for row in rows}

    async def begin(self, book: Book, by: str, now: datetime, lease: datetime) -> int | None:
        """The turn that has begun; None while somebody else verifies it."""
        row = await self._rows.find_one({"_id": book.value}) or {"turn": 0}
        if row.get("lease") is not None and row["lease"] > now:
            return None
        turn = int(row["turn"]) + 1
        change = {"turn": turn, "lease": lease, "done": 0, "of": 0, "begun_by": by}
        done = await self._rows.update_one({"_id": book.value, "turn": turn - 1}, {"$set": change})
        return turn if done.modified_count == 1 else None

    async def progress(self, book: Book, turn: int, done: int, of: int, lease: datetime) -> None:
        change = {"done": done, "of": of, "lease": lease}
        await self._rows.update_one({"_id": book.value, "turn": turn}, {"$set": change})

    async def finish(self, book: Book, turn: int, outcome: Document) -> None:
        """`outcome` empty: nothing was learnt, and what was known before stays."""
        await self._rows.update_one({"_id": book.value, "turn": turn}, {"$set": {**outcome, "lease": None}})


def _waits(case: Dispute | Adjustment | Run) -> bool:
    if isinstance(case, Dispute):
        return case.state in (DisputeState.OPEN, DisputeState.GIVING_BACK)
    if isinstance(case, Adjustment):
        return case.state is AdjustmentState.PROPOSED
    return case.state is RunState.RUNNING or any(each.state is DifferenceState.OPEN for each in case.differences)


def _document(case: Dispute | Adjustment | Run) -> Document:
    kept: dict[str, Any] = msgspec.to_builtins(case, builtin_types=(datetime,))
    for name in ("id", "number"):
        del kept[name]
    return {**kept, "open": True} if _waits(case) else kept
