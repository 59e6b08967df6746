"""Verifies the ledger: every balance, every statement, every hold and every seal, recomputed from the journal alone.

It may run while others move money. Balances are read first, each with the number of its last change; of the journal,
which only grows, those changes count that have no higher number. The journal is read in the order of time, some rows at
a time, so memory does not grow with it; where there are more accounts than fit, it is read again for each lot of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from zlib import crc32

from server.clock import Clock
from server.money.folio import Change
from server.money.model import Transfer
from server.money.recount import Recount, faults_of
from server.money.repo import SealedUntil, read_changes, read_transfer
from server.money.report import FaultKind, Head, Report, Tally
from server.money.sealed import SealExamination
from server.money.seals import Signer
from server.money.standing import StandingCheck
from server.money.survey import Survey
from server.store import Document, Store

#: Told how many transfers of how many are done.
Progress = Callable[[int, int], None]

#: Accounts that are recounted at once, about 100 MB.
AT_ONCE = 200_000
#: Nobody writes later than this.
_FUTURE = timedelta(days=1)
#: Rows after which others have their turn.
_BREATH = 100


class Verification:
    def __init__(self, store: Store, clock: Clock, secret: bytes, *, at_once: int = AT_ONCE) -> None:
        self._clock = clock
        self._survey = Survey(store)
        self._signer = Signer(secret)
        self._at_once = at_once

    async def last(self) -> Report | None:
        """What the last one has found, whoever asked for it; None where there was none."""
        return await self._survey.last_report()

    async def run(self, progress: Progress = lambda done, of: None, expected: Head | None = None) -> Report:
        """`expected` is a seal that was written down earlier, which must still be there. Changes nothing but what
        `last` answers."""
        at, began = self._clock.now(), time.monotonic()
        tally = Tally()
        mark = await self._survey.mark()
        if mark is not None:
            await self._all(mark, at + _FUTURE, tally, progress, expected)
        report = tally.report(at, time.monotonic() - began)
        await self._survey.keep_report(report)
        return report

    async def _all(
        self, mark: SealedUntil, horizon: datetime, tally: Tally, progress: Progress, expected: Head | None
    ) -> None:
        rows = await self._survey.count_transfers()
        lots = await self._survey.count_folios() // self._at_once + 1
        total = rows * lots
        seals = SealExamination(self._survey, self._signer, mark, tally, expected)
        standing = StandingCheck(self._survey, tally)
        done = 0
        for lot in range(lots):
            recount = Recount(tally)
            await self._expect(recount, lot, lots)
            unknown: dict[str, int] = {}
            async for row in self._survey.journal(mark.opened, horizon):
                done += 1
                if done % _BREATH == 0:
                    progress(min(done, total), total)
                    await asyncio.sleep(0)
                read = _read(row)
                if lot == 0:
                    tally.transfers += 1
                    await seals.row(row)
                    if read is None:
                        tally.fault(FaultKind.MALFORMED, str(row["_id"]))
                    else:
                        self._look(*read, tally)
                        await standing.transfer(read[0])
                if read is not None:
                    for change in recount.transfer(*read):
                        if crc32(change.folio.encode()) % lots == lot:
                            unknown[change.folio] = max(change.number, unknown.get(change.folio, 0))
            await self._later(unknown | recount.finish(), tally)
        await seals.finish()
        await standing.finish()
        for transfer in await self._survey.outside(mark.opened, horizon):
            tally.fault(FaultKind.OUTSIDE, transfer)
            rows -= 1
        if tally.transfers < rows:
            tally.fault(FaultKind.OUTSIDE, f"{rows - tally.transfers} rows")
        progress(total, total)

    async def _expect(self, recount: Recount, lot: int, lots: int) -> None:
        async for folio, tail in self._survey.folios():
            if crc32(folio.id.encode()) % lots == lot:
                recount.expect(folio, tail)
        async for name, number, rows in self._survey.pages():
            recount.page(name, number, rows)

    def _look(self, transfer: Transfer, changes: Sequence[Change], tally: Tally) -> None:
        currency = transfer.currency
        tally.sums[currency] = tally.sums.get(currency, 0) + sum(leg.amount for leg in transfer.legs)
        for kind in faults_of(transfer, changes):
            tally.fault(kind, transfer.id)

    async def _later(self, numbers: dict[str, int], tally: Tally) -> None:
        """Folios that were changed, or made, after they were read are by now at least at these numbers."""
        names = list(numbers)
        for start in range(0, len(names), 1_000):
            some = names[start : start + 1_000]
            folios = await self._survey.folios_of(some)
            for name in some:
                if name not in folios or folios[name].number < numbers[name]:
                    tally.fault(FaultKind.CHANGES, name)


def _read(row: Document) -> tuple[Transfer, list[Change]] | None:
    """None for a row that is no transfer: nothing of ours writes one."""
    try:
        return read_transfer(row), read_changes(row)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
