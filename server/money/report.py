"""What a verification of the ledger finds."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from server.money.model import Currency

#: Faults that are named; more are counted only.
NAMED = 100


class FaultKind(StrEnum):
    """Of an account: `balance` (it is not what the journal says), `changes` (some are missing, doubled or not what they
    were), `statement` (its lines are not those of the journal), `negative`. Of a transfer: `malformed`, `unbalanced`,
    `outside` (at a time at which there is no journal). `hold` and `reversal`: they are not what the journal says.
    What was sealed: `changed`, `missing`, `inserted`; and `seal`: it is not genuine, or it is not there."""

    BALANCE = "balance"
    CHANGES = "changes"
    STATEMENT = "statement"
    NEGATIVE = "negative"
    MALFORMED = "malformed"
    UNBALANCED = "unbalanced"
    OUTSIDE = "outside"
    HOLD = "hold"
    REVERSAL = "reversal"
    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    SEAL = "seal"


class Fault(msgspec.Struct, frozen=True):
    """`what` is the id of the account's folio, the transfer, the hold or the seal. `stored` and `journal` are amounts
    in minor units, for kinds that compare some."""

    kind: FaultKind
    what: str
    stored: int | None = None
    journal: int | None = None


class Head(msgspec.Struct, frozen=True):
    """The newest seal. Whoever writes it down finds out later whether the journal up to it is still the same, even if
    somebody had both the database and the secrets."""

    number: int
    signature: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`difference` is what all balances together differ from the journal by; `sums` are the sums of all legs: 0 both.
    `faults` are the first of `count`. `sealed_until` is null where nothing is sealed yet."""

    at: datetime
    seconds: float
    transfers: int
    accounts: int
    holds: int
    seals: int
    sealed_until: datetime | None
    head: Head | None
    sums: dict[Currency, int]
    difference: int
    faults: list[Fault]
    count: int

    @property
    def whole(self) -> bool:
        return self.count == 0 and self.difference == 0


#: what is told of each
_SAYS = {
    FaultKind.BALANCE: "account {what}: it says {stored}, the journal says {journal}",
    FaultKind.CHANGES: "account {what}: changes are missing, doubled, or not what they were",
    FaultKind.STATEMENT: "account {what}: its statement has other lines than the journal",
    FaultKind.NEGATIVE: "{what}: a person's money was below 0",
    FaultKind.MALFORMED: "transfer {what}: nothing of ours writes such a row",
    FaultKind.UNBALANCED: "transfer {what}: its legs do not sum to 0",
    FaultKind.OUTSIDE: "transfer {what}: at that time there is no journal",
    FaultKind.HOLD: "hold {what}: it is not what the journal says",
    FaultKind.REVERSAL: "transfer {what}: {stored} is said to have been taken back, the journal says {journal}",
    FaultKind.CHANGED: "transfer {what}: it does not say what was sealed",
    FaultKind.MISSING: "transfer {what}: it was sealed, and is not there any more",
    FaultKind.INSERTED: "transfer {what}: it was not there when its time was sealed",
    FaultKind.SEAL: "seal {what}: it is not genuine, or not there",
}


def sentence(fault: Fault) -> str:
    """For people, in English."""
    return _SAYS[fault.kind].format(what=fault.what, stored=fault.stored, journal=fault.journal)


class Tally:
    """A report in the making."""

    def __init__(self) -> None:
        self.transfers = 0
        self.accounts = 0
        self.holds = 0
        self.seals = 0
        self.sealed_until: datetime | None = None
        self.head: Head | None = None
        self.sums: dict[Currency, int] = {}
        self.difference = 0
        self._faults: list[Fault] = []
        self._count = 0

    def fault(self, kind: FaultKind, what: str, stored: int | None = None, journal: int | None = None) -> None:
        self._count += 1
        if len(self._faults) < NAMED:
            self._faults.append(Fault(kind, what, stored, journal))

    def report(self, at: datetime, seconds: float) -> Report:
        return Report(
            at=at,
            seconds=round(seconds, 3),
            transfers=self.transfers,
            accounts=self.accounts,
            holds=self.holds,
            seals=self.seals,
            sealed_until=self.sealed_until,
            head=self.head,
            sums=self.sums,
            difference=self.difference,
            faults=self._faults,
            count=self._count,
        )
