"""The words of the ledger: amounts, accounts, transfers with their legs, holds.

Amounts are integers in the currency's minor unit (fen, cents; yen have none). A leg's amount is signed: over 0
comes into the account. The legs of a transfer sum to 0, so all accounts of a currency do. What people own stands in
their accounts and is never below 0; what providers owe us, and what comes from outside, is below 0.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

#: The largest amount of one transfer and of a balance: what a client written in JavaScript still counts exactly.
MOST = 2**53 - 1

Minor = Annotated[int, Meta(ge=1, le=MOST, description="an amount over 0 in minor units (fen, cents)")]
Balance = Annotated[int, Meta(ge=-MOST, le=MOST, description="an amount in minor units (fen, cents)")]
TransferId = Annotated[str, Meta(pattern=r"^t_[0-9a-z]{20}$", max_length=22)]
HoldId = Annotated[str, Meta(pattern=r"^h_[0-9a-z]{20}$", max_length=22)]


class Currency(StrEnum):
    """ISO 4217."""

    CNY = "CNY"
    HKD = "HKD"
    TWD = "TWD"
    JPY = "JPY"
    SGD = "SGD"
    USD = "USD"
    EUR = "EUR"
    GBP = "GBP"


#: How many decimals people write (ISO 4217's exponent).
DECIMALS: dict[Currency, int] = {currency: 0 if currency is Currency.JPY else 2 for currency in Currency}


class Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Over 0."""

    amount: Minor
    currency: Currency


class AccountKind(StrEnum):
    """`available` and `held` belong to a person; `owed` is what a person still has to give back (0 or below, a claim of
    the platform); `department` earns what forfeits to staff; `clearing` is what a provider holds for us (0 or below);
    `fee` is the platform's income and what providers charge; `external` is the rest of the world."""

    AVAILABLE = "available"
    HELD = "held"
    OWED = "owed"
    DEPARTMENT = "department"
    CLEARING = "clearing"
    FEE = "fee"
    EXTERNAL = "external"


#: Kinds of accounts whose balance is never below 0.
NEVER_NEGATIVE = frozenset({AccountKind.AVAILABLE, AccountKind.HELD})


class Account(msgspec.Struct, frozen=True, order=True):
    """`owner` is a person's id, a department's name, a provider's name; written `available:p_…`, `clearing:sandbox`."""

    kind: AccountKind
    owner: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.owner}"

    @classmethod
    def parse(cls, text: str) -> Account:
        """Raises ValueError for what is no account."""
        kind, _, owner = text.partition(":")
        if not owner:
            raise ValueError(f"{text!r} names no account")
        return cls(AccountKind(kind), owner)


def available(person: str) -> Account:
    return Account(AccountKind.AVAILABLE, person)


def held(person: str) -> Account:
    return Account(AccountKind.HELD, person)


def owed(person: str) -> Account:
    return Account(AccountKind.OWED, person)


def clearing(provider: str) -> Account:
    return Account(AccountKind.CLEARING, provider)


STAFF_DEPARTMENT = Account(AccountKind.DEPARTMENT, "staff")
PLATFORM_FEE = Account(AccountKind.FEE, "platform")


class TransferKind(StrEnum):
    """Why money moved; statements show a sentence for each."""

    TOP_UP = "top_up"
    PAYMENT = "payment"
    HOLD = "hold"
    RELEASE = "release"
    REFUND = "refund"
    SPLIT = "split"
    SENT_BACK = "sent_back"  # a top-up went back through its provider
    PAY_OUT = "pay_out"
    FEE = "fee"
    CLAW_BACK = "claw_back"
    SETTLE_CLAIM = "settle_claim"
    CHARGE_BACK = "charge_back"  # the provider took a top-up back
    ADJUSTMENT = "adjustment"


class Leg(msgspec.Struct, frozen=True):
    """`amount` is signed: over 0 comes into the account."""

    account: Account
    amount: Balance


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer to be posted.

    `key` makes it once: the same key with the same content is the same transfer, with other content a conflict; it says
    what moved it, such as `charge:y_…`. `about` is the object that the transfer belongs to (`order:y_…`,
    `pledge:…`), `note` a few words that those concerned read, `by` the person who caused it, or `system`. `reverses` is
    the transfer that it claws back, `hold` the hold that it begins or ends: the ledger sets both.
    """

    key: str
    kind: TransferKind
    currency: Currency
    legs: tuple[Leg, ...]
    about: str = ""
    note: str = ""
    by: str = "system"
    reverses: str | None = None
    hold: str | None = None


class Transfer(Draft, frozen=True, kw_only=True):
    """A row of the journal: never changed, never deleted."""

    id: str
    at: datetime


class HoldState(StrEnum):
    """A hold leaves `held` once: all to others (`released`), all back to whom it was taken from (`refunded`), or to
    several (`split`)."""

    HELD = "held"
    RELEASED = "released"
    REFUNDED = "refunded"
    SPLIT = "split"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Money of `person` set aside for `about`. `resolved_by` is the transfer that ended it."""

    id: str
    person: str
    amount: int
    currency: Currency
    about: str
    state: HoldState = HoldState.HELD
    at: datetime
    resolved_by: str | None = None
    version: int = 1


class Share(msgspec.Struct, frozen=True):
    """A part of what is split, by weight: 1 and 1 are halves, and weights that sum to the whole are exact amounts.
    Remainders go to the largest fractions, then in order."""

    account: Account
    weight: Annotated[int, Meta(ge=0, le=MOST)]


class Balances(msgspec.Struct, frozen=True):
    """What a person has in one currency. `owed` is over 0 when something has to be given back."""

    currency: Currency
    available: int
    held: int
    owed: int


# ── Statements ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Line(msgspec.Struct, frozen=True):
    """A transfer in somebody's statement, with what they had right after it."""

    transfer: Transfer
    available: int
    held: int
    owed: int


class History(msgspec.Struct, frozen=True):
    """Newest first. A page may be short, or empty, though `next` is set: so far back nothing was found."""

    lines: list[Line]
    next: str | None


class Day(msgspec.Struct, frozen=True):
    """What came into a person's available money and left it on one day, and what there was at its end."""

    day: date
    came: int
    went: int
    available: int
