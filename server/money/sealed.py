"""Compares the journal with its seals, as it is read in the order of time."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from server.money.repo import SealedUntil
from server.money.report import FaultKind, Head, Tally
from server.money.seals import Seal, Signer, digest, read_seal
from server.money.survey import Survey
from server.store import Document

#: Seals that are read at once; each names some thousand transfers at most.
_SOME = 20


class SealExamination:
    """`row` for every row, then `finish`. Seals that are made meanwhile are for the next examination."""

    def __init__(self, survey: Survey, signer: Signer, mark: SealedUntil, tally: Tally, expected: Head | None) -> None:
        self._survey = survey
        self._signer = signer
        self._mark = mark
        self._tally = tally
        self._expected = expected
        self._read: dict[int, Seal] = {}
        self._number = 0
        self._seal: Seal | None = None
        self._seen: dict[str, bytes] = {}
        self._before = b""
        self._until = mark.opened
        self._begun = False

    async def row(self, row: Document) -> None:
        await self._begin()
        while self._seal is not None and row["at"] >= self._seal.until:
            await self._next()
        if self._seal is not None and row["at"] >= self._seal.since:
            self._seen[str(row["_id"])] = digest(row)

    async def finish(self) -> None:
        await self._begin()
        while self._seal is not None:
            await self._next()
        mark, tally = self._mark, self._tally
        if (self._before, self._until) != (mark.signature, mark.until):
            tally.fault(FaultKind.SEAL, str(mark.seals))
        if mark.seals:
            tally.head, tally.sealed_until = Head(mark.seals, mark.signature.hex()), mark.until
        if self._expected is not None and self._expected.number > mark.seals:
            tally.fault(FaultKind.SEAL, str(self._expected.number))

    async def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._seal = await self._following()

    async def _next(self) -> None:
        assert self._seal is not None
        self._close(self._seal)
        self._seen = {}
        self._seal = await self._following()

    async def _following(self) -> Seal | None:
        while self._number < self._mark.seals:
            self._number += 1
            if self._number not in self._read:
                last = min(self._mark.seals, self._number + _SOME - 1)
                self._read = await self._some(range(self._number, last + 1))
            if (seal := self._read.pop(self._number, None)) is not None:
                return seal
            self._tally.fault(FaultKind.SEAL, str(self._number))
        return None

    async def _some(self, numbers: Iterable[int]) -> dict[int, Seal]:
        found: dict[int, Seal] = {}
        for row in await self._survey.seals(numbers):
            try:
                found[row["_id"]] = read_seal(row)
            except (KeyError, ValueError, TypeError):
                continue  # it counts as one that is missing
        return found

    def _close(self, seal: Seal) -> None:
        tally = self._tally
        tally.seals += 1
        signature = self._signer.sign(self._before, seal.number, seal.since, seal.until, seal.digests)
        genuine = hmac.compare_digest(signature, seal.signature) and seal.since == self._until
        if self._expected is not None and self._expected.number == seal.number:
            genuine = genuine and seal.signature.hex() == self._expected.signature
        if not genuine:
            tally.fault(FaultKind.SEAL, str(seal.number))
        for transfer, told in seal.digests.items():
            if (seen := self._seen.pop(transfer, None)) is None:
                tally.fault(FaultKind.MISSING, transfer)
            elif seen != told:
                tally.fault(FaultKind.CHANGED, transfer)
        for transfer in self._seen:
            tally.fault(FaultKind.INSERTED, transfer)
        self._before, self._until = seal.signature, seal.until
