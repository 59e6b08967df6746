"""The words of the wallet as they travel."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.money.model import Amount, Balance, Currency, Minor, TransferKind
from server.payments.model import OrderKind, OrderState
from server.people.model import Millis, PersonCard, PersonId
from server.realtime.protocol import ClientId

PayoutAccountId = Annotated[str, Meta(pattern=r"^b_[0-9a-z]{20}$", max_length=22)]
Note = Annotated[str, Meta(max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]

# ── What one has ────────────────────────────────────────────────────────────────────────────────────────────────────


class Purse(msgspec.Struct, frozen=True):
    """One currency. `held`: set aside for promises and for what leaves (`leaving`, a part of it); `owed`: has
    to be given back."""

    currency: Currency
    available: int
    held: int
    leaving: int
    owed: int


class ProviderChoice(msgspec.Struct, frozen=True):
    """A provider that takes and pays money here; per currency the least and the most of one charge."""

    name: str
    charges: dict[Currency, tuple[int, int]]
    pay_outs: bool
    test: bool


class Limit(msgspec.Struct, frozen=True):
    """How much of a kind may still be moved: at once, today and this month. `four_eyes`: what is more is looked at by
    somebody else first; null where that is never so."""

    kind: OrderKind | None  # null: payments to people
    currency: Currency
    single: int
    day_left: int
    month_left: int
    four_eyes: int | None


class Standing(StrEnum):
    """Whether one may move money: `open`; `minor`: a guardian does it."""

    OPEN = "open"
    MINOR = "minor"


class Wallet(msgspec.Struct, frozen=True):
    """`guardian` is who does it for a minor, null where nobody is known yet. `factor`: a second factor is set up."""

    standing: Standing
    guardian: PersonCard | None
    currency: Currency  # the one that is offered first
    purses: list[Purse]
    providers: list[ProviderChoice]
    limits: list[Limit]
    factor: bool


# ── Orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class TopUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`id` makes it once: asked again with the same content, the same payment is answered."""

    id: ClientId
    provider: Annotated[str, Meta(max_length=32)]
    amount: Minor
    currency: Currency


class GiveBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sends (a part of) a top-up back the way it came; `amount` null: all that is left of it."""

    id: ClientId
    amount: Minor | None = None


class PayOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`proof` is the id of a proof by second factor, made for exactly this (docs/security.md)."""

    id: ClientId
    account: PayoutAccountId
    amount: Minor
    currency: Currency
    proof: Annotated[str, Meta(max_length=64)]


class Payment(msgspec.Struct, frozen=True):
    """A charge, refund or pay-out as its person sees it. `check_out` is where it is confirmed, while it is open;
    `can_cancel`, `can_give_back` (how much) say what may be done now; `fault` is a stable word for why it failed;
    `to` names the pay-out account."""

    id: str
    kind: OrderKind
    state: OrderState
    provider: str
    amount: Amount
    purpose: str
    created_at: Millis
    changed_at: Millis
    check_out: str | None
    fault: str | None
    charge: str | None
    refunded: int
    to: str | None
    can_cancel: bool
    can_give_back: int
    disputable: bool
    dispute: str | None


class Payments(msgspec.Struct, frozen=True):
    payments: list[Payment]
    next: str | None


# ── To people ───────────────────────────────────────────────────────────────────────────────────────────────────────


class PayPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To a friend. To a minor: the money goes to their guardian, who sees for whom it is."""

    id: ClientId
    to: PersonId
    amount: Minor
    currency: Currency
    note: Note = ""


class Paid(msgspec.Struct, frozen=True):
    """`to` is who has it now: the guardian of a minor, else whom it was meant for."""

    transfer: str
    to: PersonCard
    beneficiary: PersonCard
    amount: Amount
    at: Millis


# ── Statement ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Line(msgspec.Struct, frozen=True):
    """A transfer as one person sees it. `available` and `held` are signed changes, `balance` is what was available
    after it. `with_` is the other person, where there is one; `order` the payment it belongs to."""

    transfer: str
    at: Millis
    kind: TransferKind
    available: Balance
    held: Balance
    balance: Balance
    note: str
    about: str
    order: str | None
    other: PersonCard | None
    beneficiary: PersonCard | None


class Statement(msgspec.Struct, frozen=True):
    """Newest first."""

    currency: Currency
    lines: list[Line]
    next: str | None


class Day(msgspec.Struct, frozen=True):
    """Of one day in the person's time zone: what came in, what went out (over 0), what was available at its end."""

    date: str
    incoming: int
    outgoing: int
    balance: int


class Course(msgspec.Struct, frozen=True):
    currency: Currency
    days: list[Day]


# ── Where pay-outs go ───────────────────────────────────────────────────────────────────────────────────────────────


class NewPayoutAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`holder` is the name at the bank, `number` an IBAN, card or Alipay account: encrypted at rest, shown by its last
    characters only."""

    provider: Annotated[str, Meta(max_length=32)]
    holder: Name
    number: Annotated[str, Meta(min_length=4, max_length=64)]
    proof: Annotated[str, Meta(max_length=64)]


class PayoutAccount(msgspec.Struct, frozen=True):
    """`usable_at`: money goes there from then on; until then it cools down, so that the owner can object."""

    id: str
    provider: str
    holder: str
    ending: str
    added_at: Millis
    usable_at: Millis


class PayoutAccounts(msgspec.Struct, frozen=True):
    accounts: list[PayoutAccount]


# ── Receipts ────────────────────────────────────────────────────────────────────────────────────────────────────────


class CheckedReceipt(msgspec.Struct, frozen=True):
    """What a genuine receipt must say, for whoever holds one: no names. `test`: no real money was moved."""

    transfer: str
    kind: TransferKind
    amount: Amount
    at: Millis
    test: bool


# ── What is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A pay-out account with its number in clear; at rest it is encrypted."""

    id: str
    person: str
    provider: str
    holder: str
    number: str
    ending: str
    added_at: datetime
    usable_at: datetime


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has asked for under one id: a top-up, refund or pay-out.

    `content` tells a repeat from another request. `day` is where the amount was counted, None where nothing was.
    `order` is None until there is one; `open` until the order is final.
    """

    id: str
    person: str
    kind: OrderKind
    content: str
    amount: int
    currency: Currency
    day: str | None
    approval: bool
    order: str | None = None
    open: bool = True
    at: datetime
