"""The words of payments: orders, and what a provider says of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.money.model import Currency

OrderId = Annotated[str, Meta(pattern=r"^y_[0-9a-z]{20}$", max_length=22)]


class OrderKind(StrEnum):
    """`charge`: somebody pays us. `refund`: a charge goes back, in whole or in part. `pay_out`: money leaves."""

    CHARGE = "charge"
    REFUND = "refund"
    PAY_OUT = "pay_out"


class OrderState(StrEnum):
    """`approval`: waits for a second pair of eyes. `waiting`: to be told to the provider (again). `open`: the payer is
    to confirm at the provider's page. `sent`: the provider works on it. The others are final."""

    APPROVAL = "approval"
    WAITING = "waiting"
    OPEN = "open"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


FINAL = frozenset({OrderState.DONE, OrderState.FAILED, OrderState.CANCELLED, OrderState.EXPIRED})


class Regained(msgspec.Struct, frozen=True):
    """What the payer's bank had taken back and gave back: the key of its transfer, and how much of it stands."""

    key: str
    left: int


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is asked of a provider, under one idempotency key (its `id`) for ever.

    `reference` is the provider's id of it, `url` its check-out page. `charge` is the order that a refund gives back,
    `refunded` how much of a charge has gone back or is on its way, `disputed` how much the payer's bank has taken back.
    `taken` is how much of a charge's transfer was ever taken back, `regained` what came again after that.
    `destination` is where a pay-out goes (as the provider wants it). `hold` sets aside what leaves (refunds and
    pay-outs). `fault` is a short stable word for why it failed or cannot go on, or what was odd about it (`paid_late`).
    `due` is when it is looked at next, None when it is not. `purpose` names what a charge is for (`top_up`). `asked`:
    the provider may have heard of it. `stopping`: somebody has cancelled it, which the provider has still to be told.
    `reason` is what was written when it was not approved. `changed_at` is when it came into its state.
    """

    id: str
    kind: OrderKind
    provider: str
    person: str
    amount: int
    currency: Currency
    state: OrderState
    purpose: str = ""
    by: str
    reference: str | None = None
    url: str | None = None
    charge: str | None = None
    refunded: int = 0
    disputed: int = 0
    taken: int = 0
    regained: tuple[Regained, ...] = ()
    destination: dict[str, str] = msgspec.field(default_factory=dict)
    hold: str | None = None
    fault: str | None = None
    approved_by: str | None = None
    reason: str = ""
    return_url: str = ""
    language: str = "en"
    asked: bool = False
    stopping: bool = False
    tries: int = 0
    due: datetime | None = None
    created_at: datetime
    changed_at: datetime
    version: int = 1


# ── What a provider can do, and says ────────────────────────────────────────────────────────────────────────────────


class Terms(msgspec.Struct, frozen=True):
    """What a provider takes: per currency the least and the most of one charge, in minor units."""

    charges: dict[Currency, tuple[int, int]]
    pay_outs: bool = True
    partial_refunds: bool = True
    #: seconds for which a check-out page stays open
    open_for: float = 1800.0
    #: it moves play money
    test: bool = False


class RemoteState(StrEnum):
    """`open`: the payer has not confirmed yet. `pending`: under way. `done`, `failed`, `cancelled`, `expired`: final,
    except that a done charge may be refunded or taken back later."""

    OPEN = "open"
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """A charge, refund or pay-out as the provider knows it: the truth about what happened there.

    `order` is our id of it, where the provider keeps that. `refunded` and `disputed` are sums in minor units (charges):
    `disputed` is what the payer's bank has taken back.
    """

    kind: OrderKind
    reference: str
    order: str | None
    state: RemoteState
    amount: int
    currency: Currency
    refunded: int = 0
    disputed: int = 0
    url: str | None = None
    fault: str | None = None
    at: datetime | None = None


class Notice(msgspec.Struct, frozen=True):
    """What a verified notification is about. It is a hint only: what happened is asked of the provider."""

    id: str
    kind: OrderKind
    order: str | None
    reference: str | None


# ── What differs ────────────────────────────────────────────────────────────────────────────────────────────────────


class DifferenceKind(StrEnum):
    """`missing_here`: the provider has something that we never asked for. `missing_there`: it does not know what we
    have booked. `amount`: it moved another amount, or another currency. `state`: it did what we hold for not done, or
    the other way round. `refunded`: more of a charge has gone back than we asked for. `disputed`: what the payer's bank
    has taken back is not what we have booked."""

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    AMOUNT = "amount"
    STATE = "state"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


class Reckoning(msgspec.Struct, frozen=True):
    """What one side's books say of an order."""

    state: str
    amount: int
    currency: Currency
    refunded: int
    disputed: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the same each time it is found. `mendable`: `mend` books what the provider says."""

    id: str
    kind: DifferenceKind
    provider: str
    about: OrderKind
    order: str | None
    reference: str | None
    person: str | None
    ours: Reckoning | None
    theirs: Reckoning | None
    mendable: bool


class Sums(msgspec.Struct, frozen=True):
    """Of one currency in one reconciliation: what the provider says it moved (over 0 is ours), and what we have booked
    for the same things."""

    currency: Currency
    theirs: int
    ours: int


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """`looked_at` things of the provider's list; `caught_up` orders were behind, and are not any more."""

    provider: str
    since: datetime
    until: datetime
    at: datetime
    looked_at: int
    caught_up: int
    sums: list[Sums]
    differences: list[Difference]
