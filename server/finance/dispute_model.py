"""The words of disputes: what a person says of a payment, and what was decided."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.money.model import Amount, Currency, Minor
from server.payments.model import OrderKind
from server.people.model import Millis, PersonCard

REASON_LONGEST = 500
WORDS_LONGEST = 2_000

DisputeId = Annotated[str, Meta(pattern=r"^di_[0-9a-z]{20}$", max_length=23)]
AdjustmentId = Annotated[str, Meta(pattern=r"^ad_[0-9a-z]{20}$", max_length=23)]
ReconciliationId = Annotated[str, Meta(pattern=r"^rc_[0-9a-z]{20}$", max_length=23)]
#: what a person writes about their payment
Words = Annotated[str, Meta(min_length=1, max_length=WORDS_LONGEST)]
#: what somebody writes so that others understand it later; never empty
Reason = Annotated[str, Meta(min_length=1, max_length=REASON_LONGEST)]
Version = Annotated[int, Meta(ge=0, le=2**31 - 1)]
AccountName = Annotated[str, Meta(pattern=r"^[a-z_]+:[A-Za-z0-9_.-]+$", max_length=80)]


class DisputeState(StrEnum):
    """`open` waits for a decision. `giving_back`: decided so, and being carried out (a second person approves what no
    provider can send back). `given_back`: the money went back, or is on its way. `refused`: it stays."""

    OPEN = "open"
    GIVING_BACK = "giving_back"
    GIVEN_BACK = "given_back"
    REFUSED = "refused"


class DisputeSource(StrEnum):
    """`person`: whose payment it is has opened it here. `bank`: the payer's bank has taken the charge back."""

    PERSON = "person"
    BANK = "bank"


class OpenDispute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong with the payment, in one's own words."""

    words: Words


class OwnDispute(msgspec.Struct, frozen=True):
    """A dispute as its person sees it: `answer` is the reason of the decision. `again`: it was open already."""

    id: str
    payment: str
    state: DisputeState
    amount: Amount
    words: str
    answer: str
    opened_at: Millis
    decided_at: Millis | None
    again: bool


class DisputeVerdict(StrEnum):
    GIVE_BACK = "give_back"
    REFUSE = "refuse"


class DecideDispute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`version` is that of the dispute as one has seen it. `reason` is what the person reads. `amount` gives back a
    part; null: all that is left."""

    version: Version
    verdict: DisputeVerdict
    reason: Reason
    amount: Minor | None = None


class DisputeLine(msgspec.Struct, frozen=True):
    """`refund` is the order that gives the money back, `adjustment` the correction that was proposed instead (what went
    out cannot be refunded by its provider)."""

    id: str
    number: int
    source: DisputeSource
    state: DisputeState
    order: str
    order_kind: OrderKind
    person: str
    amount: Amount
    words: str
    answer: str
    opened_at: Millis
    decided_at: Millis | None
    decided_by: str | None
    refund: str | None
    adjustment: str | None
    may_decide: bool
    version: int


class Disputes(msgspec.Struct, frozen=True):
    """`open` disputes wait in all."""

    disputes: list[DisputeLine]
    people: list[PersonCard]
    next: int | None
    open: int


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute as it is kept. `amount` is what was disputed, `giving` how much of it goes back; `version` counts its
    changes."""

    id: str
    number: int = 0
    source: DisputeSource = DisputeSource.PERSON
    state: DisputeState = DisputeState.OPEN
    order: str
    order_kind: OrderKind
    person: str
    amount: int
    currency: Currency
    words: str
    answer: str = ""
    giving: int = 0
    at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None
    refund: str | None = None
    adjustment: str | None = None
    version: int = 1
