"""The audit trail: who did what to whom, written in the transaction that does it. Rows are never changed.

The server has no operation that changes or deletes one. Their numbers have no holes, and each is chained to the one
before by a seal (`chain.py`): what somebody did to the rows in the database is found by `verify`, and named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import structlog

from server.administration.chain import ChainHead, ChainReport, Examination, chain_key, seal_of
from server.administration.model import Act, Audit
from server.clock import Clock, to_ms
from server.store import Document, Numbered, Store, Tx

#: what a fact may be: never words that people wrote to each other
Fact = str | int | bool | None
#: rows looked at with one query of `verify`
_WINDOW = 500
_NOTED = "audit_head"

#: Hears how many rows of how many were looked at.
Progress = Callable[[int, int], None]

log = structlog.get_logger(__name__)


class AuditTrail:
    """`secret` is 32 bytes that are not in the database (`Keys.digest`)."""

    def __init__(self, store: Store, clock: Clock, secret: bytes) -> None:
        self._trail = Numbered(store, "audit")
        self._meta = store.collection("meta")
        self._clock = clock
        self._key = chain_key(secret)

    async def ensure_indexes(self) -> None:
        await self._trail.ensure_indexes()

    async def ensure_counter(self) -> None:
        """Before the first row."""
        await self._trail.ensure_counter()

    async def write(self, tx: Tx, by: str, action: str, target: str, facts: Mapping[str, Fact]) -> None:
        """`action` is a short stable word (`report.decided`), `target` the id of whom or what it was done to."""
        row: Document = {
            "at": self._clock.now(),
            "by": by,
            "action": action,
            "target": target,
            "facts": {name: fact for name, fact in facts.items() if fact is not None},
        }
        await self._trail.insert(tx, row, partial(seal_of, self._key))

    async def page(self, match: Mapping[str, str], before: int | None, limit: int) -> Audit:
        """The newest first. `match` names exact values of `by`, `action` and `target`. A page may be short, or empty,
        though `next` is set: so far back nothing was found."""
        rows, following = await self._trail.page(dict(match), before, limit)
        return Audit([_act(row) for row in rows], [], following)

    async def verify(self, progress: Progress | None = None, expected: ChainHead | None = None) -> ChainReport:
        """Looks at every row. `expected` is an end that was written down elsewhere; the end that was noted here when
        all was whole is compared in any case. An end that is whole is noted, in the database and in the log."""
        number, seal = await self._trail.end()
        head, examination = ChainHead(number, seal), Examination(self._key)
        for low in range(1, number + 1, _WINDOW):
            high = min(low + _WINDOW, number + 1)
            examination.take(await self._trail.window(low, high), low, high)
            if progress is not None:
                progress(high - 1, number)
        await self._strays(examination)
        noted = await self._meta.find_one({"_id": _NOTED})
        known = [ChainHead(noted["number"], noted["seal"])] if noted else []
        if expected is not None:
            known.append(expected)
        for former in known:
            examination.compare(former, await self._trail.rows.find_one({"number": former.number}))
        report = examination.end(head, max(known, key=lambda former: former.number, default=None))
        if report.count == 0 and number > 0:
            await self._note(head)
        return report

    async def _strays(self, examination: Examination) -> None:
        """Rows that no window holds: without a number, or with one that was never given."""
        odd: list[object] = []
        known = await self._trail.newest()
        async for row in self._trail.rows.find({}, {"number": 1}, batch_size=1_000):
            number = row.get("number")
            if isinstance(number, bool) or not isinstance(number, int | float) or not 1 <= number <= known:
                odd.append(number)
        known = await self._trail.newest()  # rows may have come meanwhile
        for number in odd:
            if type(number) is not int or not 1 <= number <= known:
                examination.stray(number)

    async def _note(self, head: ChainHead) -> None:
        row = {"number": head.number, "seal": head.seal, "at": self._clock.now()}
        await self._meta.update_one({"_id": _NOTED}, {"$set": row}, upsert=True)
        log.info("the audit trail is whole", number=head.number, seal=head.seal)


def _act(row: Document) -> Act:
    return Act(row["number"], to_ms(row["at"]), row["by"], row["action"], row["target"], row["facts"])
