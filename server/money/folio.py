"""Folios: the sheets on which the ledger keeps its balances, so that nobody has to add up the journal.

A person has one per currency with three columns: what is available, held and owed. One sheet for all three makes their
transfers wait for each other and for nobody else. The accounts of the house (clearing, fee, department, external) are
in everybody's way, so each is spread over some lanes: sheets of their own, of which a transaction under way has one
alone.

Every change of a folio takes its next number and is kept with the transfer: the journal alone rebuilds the folio.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from server.errors import Code, VouchError
from server.money.model import MOST, NEVER_NEGATIVE, Account, AccountKind, Currency, Leg

#: Sheets of one account of the house.
LANES = 16
PERSONAL = (AccountKind.AVAILABLE, AccountKind.HELD, AccountKind.OWED)
#: Lines that a folio carries itself; when there are more, they are filed as a page of this size.
PAGE = 32


class Folio(msgspec.Struct, frozen=True):
    """`number` counts its changes, `at` is when the last one was. `balances` are in the order of `columns`."""

    id: str
    number: int
    at: datetime | None
    balances: tuple[int, ...]

    @property
    def personal(self) -> bool:
        return len(self.balances) > 1

    @property
    def available(self) -> int:
        return self.balances[0]

    @property
    def held(self) -> int:
        return self.balances[1]

    @property
    def owed(self) -> int:
        return self.balances[2]


class Change(msgspec.Struct, frozen=True):
    """What a transfer made of a folio; kept with the transfer."""

    folio: str
    number: int
    balances: tuple[int, ...]


def folio_id(account: Account, currency: Currency, lane: int) -> str:
    """`CNY p_…` for all accounts of a person, `CNY clearing:sandbox#7` for a lane of an account of the house."""
    if account.kind in PERSONAL:
        return f"{currency} {account.owner}"
    return f"{currency} {account}#{lane}"


def folio_ids(account: Account, currency: Currency) -> list[str]:
    """All folios on which the account's money stands."""
    return sorted({folio_id(account, currency, lane) for lane in range(LANES)})


def is_personal(folio: str) -> bool:
    return "#" not in folio


def empty(folio: str) -> Folio:
    return Folio(folio, 0, None, (0, 0, 0) if is_personal(folio) else (0,))


def column(account: Account) -> int:
    return PERSONAL.index(account.kind) if account.kind in PERSONAL else 0


def enter(folio: Folio, legs: list[Leg], at: datetime) -> Folio:
    """The folio after these legs, all of which belong to it.

    Raises `insufficient_funds` where a person's money would be below 0, `amount_limit` beyond what is counted exactly,
    `bad_request` where a claim would become more than settled.
    """
    balances = list(folio.balances)
    for leg in legs:
        balances[column(leg.account)] += leg.amount
    for leg in legs:
        balance = balances[column(leg.account)]
        if balance < 0 and leg.account.kind in NEVER_NEGATIVE:
            raise VouchError(Code.INSUFFICIENT_FUNDS)
        if balance > 0 and leg.account.kind is AccountKind.OWED:
            raise VouchError(Code.BAD_REQUEST, "This is more than is owed.")
        if abs(balance) > MOST:
            raise VouchError(Code.AMOUNT_LIMIT, "No account holds that much.")
    return Folio(folio.id, folio.number + 1, at, tuple(balances))
