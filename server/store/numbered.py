"""Collections whose rows are numbered 1, 2, 3 … in the order of their commits, and read backwards from the newest.

Ranges stay narrow on both sides whatever is looked for, because wide ones are slow on the embedded engine. The number
is taken from a counter inside the row's own transaction: two at once conflict, and one of them is run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.store.client import Document, Duplicate, Index, Store, Tx

#: numbers looked at with one query
WINDOW = 200
#: queries of one page: what is rare may lie further back, which the next page looks for
_WINDOWS = 20

#: What a row is sealed with, from the row itself: its number and `prev`, the seal of the row before, stand in it.
Seal = Callable[[Document], str]


class Numbered:
    """One such collection. The field `number` is ours."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self.rows = store.collection(name)
        self._counters = store.collection("counters")

    async def ensure_indexes(self, indexes: Sequence[Index] = ()) -> None:
        await self._store.ensure_indexes(self._name, [Index([("number", 1)], unique=True), *indexes])

    async def ensure_counter(self) -> None:
        """Before the first row."""
        try:
            await self._counters.insert_one({"_id": self._name, "n": 0})
        except Duplicate:
            return

    async def insert(self, tx: Tx, row: Document, seal: Seal | None = None) -> int:
        """Raises Duplicate like any insert. With a `seal` each row is chained to the one before (`prev`, `seal`)."""
        counter = await self._counters.find_one({"_id": self._name}, session=tx.session) or {}
        number = int(counter.get("n", 0)) + 1
        row, change = {**row, "number": number}, dict[str, object](n=number)
        if seal is not None:
            row["prev"] = counter.get("seal", "")
            change["seal"] = row["seal"] = seal(row)
        await self._counters.update_one({"_id": self._name}, {"$set": change}, session=tx.session)
        await self.rows.insert_one(row, session=tx.session)
        return number

    async def newest(self) -> int:
        """The number given last; 0 before the first."""
        return (await self.end())[0]

    async def end(self) -> tuple[int, str]:
        """The number given last, and the seal of the last row that has one; 0 and "" before the first."""
        counter = await self._counters.find_one({"_id": self._name}) or {}
        return int(counter.get("n", 0)), str(counter.get("seal", ""))

    async def window(self, low: int, high: int) -> list[Document]:
        """All rows numbered `low <= … < high`, in that order. Keep it narrow."""
        rows = await self.rows.find({"number": {"$gte": low, "$lt": high}}).to_list(None)
        return sorted(rows, key=lambda row: int(row["number"]))

    async def page(self, match: Document, before: int | None, limit: int) -> tuple[list[Document], int | None]:
        """The newest rows below `before` that match, and what to pass as `before` for those beyond; None at the end.

        A page may hold fewer than `limit` rows, even none, though more lie beyond.
        """
        newest = await self.newest()
        high = newest + 1 if before is None else min(before, newest + 1)
        found: list[Document] = []
        for _ in range(_WINDOWS):
            if high <= 1:
                break
            low = max(1, high - WINDOW)
            rows = await self.rows.find({**match, "number": {"$gte": low, "$lt": high}}).to_list(WINDOW)
            rows.sort(key=lambda row: int(row["number"]), reverse=True)
            room = limit - len(found)
            found += rows[:room]
            if len(rows) >= room:
                return found, (found[-1]["number"] if found[-1]["number"] > 1 else None)
            high = low
        return found, (high if high > 1 else None)
