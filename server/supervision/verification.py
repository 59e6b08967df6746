"""Verifies all evidence: every chain, every verdict that pledges tell of, and what the things of evidence contain.

It may run while people add to it: a pledge that seems wrong and has changed meanwhile is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from server.store import Store
from server.supervision.evidence_repo import EvidenceRepo
from server.supervision.model import Pledge
from server.supervision.repo import PledgesRepo
from server.supervision.rules.evidence import Fault, FaultKind, evidence_key, examine

#: faults that are named; more are counted only
NAMED = 100

#: Hears how many pledges that have evidence, of how many, were looked at.
Progress = Callable[[int, int], None]

_SAYS = {
    FaultKind.CHANGED: "row {n} does not say what was sealed: it was changed",
    FaultKind.MISSING: "row {n} is missing",
    FaultKind.INSERTED: "row {n} was inserted",
    FaultKind.UNLINKED: "row {n} does not follow the row before it",
    FaultKind.CUT: "it ended otherwise, at row {n}",
    FaultKind.VERDICT: "a verdict is not the one that was sealed (row {n})",
    FaultKind.UNKNOWN: "it names evidence that is not there",
    FaultKind.CONTENT: "what row {n} shows is not what was added",
}


def sentence(fault: Fault) -> str:
    """The fault in English."""
    return f"pledge {fault.pledge}: {_SAYS[fault.kind].format(n=fault.n)}"


class EvidenceReport(msgspec.Struct, frozen=True):
    """`rows` of so many `pledges` were looked at. `faults` are the first hundred of `count`."""

    pledges: int
    rows: int
    faults: list[Fault]
    count: int


class Contents(Protocol):
    async def digest(self, id: str) -> str | None: ...


class EvidenceVerification:
    """`secret` is 32 bytes that are not in the database."""

    def __init__(self, store: Store, contents: Contents, secret: bytes) -> None:
        self._repo = EvidenceRepo(store)
        self._pledges = PledgesRepo(store)
        self._contents = contents
        self._key = evidence_key(secret)

    async def run(self, progress: Progress | None = None) -> EvidenceReport:
        """Looks at every row, and at every pledge: one whose verdicts were never sealed is found, too."""
        wanted = await self._repo.pledges_with_rows()
        total, done, rows = len(wanted), 0, 0
        faults: list[Fault] = []
        async for pledge in self._repo.pledges():
            known = wanted.pop(pledge.id, 0)
            found = await self._of(pledge, known)
            faults += found
            if known:
                done, rows = done + 1, rows + known
                if progress is not None:
                    progress(done, total)
        for id, count in wanted.items():  # of pledges that nobody knows
            faults += [Fault(FaultKind.INSERTED, id, 0)] * count
            rows += count
        return EvidenceReport(done, rows, faults[:NAMED], len(faults))

    async def _of(self, pledge: Pledge, known: int) -> list[Fault]:
        while True:
            rows = await self._repo.of(pledge.id) if known or pledge.evidence.n else []
            faults = examine(self._key, pledge, rows)
            if not faults:
                break
            later = await self._pledges.get(pledge.id)
            if later is None or later.version == pledge.version:
                break
            pledge = later  # it has changed while we looked
        for row in rows:
            for id, digest in zip(row.media, row.digests, strict=False):
                # What an account's deletion has taken along is gone, which is no fault.
                if (await self._contents.digest(id)) not in (None, digest):
                    faults.append(Fault(FaultKind.CONTENT, pledge.id, row.n))
        return faults
