"""The words of the finance desk: approvals, disputes, adjustments, reconciliations, and the state of the books."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.money.model import Amount, Balance, Currency, Minor, TransferId, TransferKind
from server.payments.model import Difference, OrderKind, OrderState, Sums
from server.people.model import Millis, PersonCard
from server.realtime.protocol import ClientId

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


# ── Orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Refuse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Reason


class OrderLine(msgspec.Struct, frozen=True):
    """An order as the desk sees it. `by` asked for it, `person` is whose money it is; `reference` is the provider's
    id; `destination` where a pay-out goes, shortened; `reason` why it was refused; `may_decide`: whoever asks may
    approve or refuse it now."""

    id: str
    kind: OrderKind
    state: OrderState
    provider: str
    person: str
    by: str
    amount: Amount
    purpose: str
    reference: str | None
    charge: str | None
    refunded: int
    disputed: int
    destination: str | None
    fault: str | None
    approved_by: str | None
    reason: str
    tries: int
    created_at: Millis
    changed_at: Millis
    may_decide: bool


class OrderList(msgspec.Struct, frozen=True):
    """The newest first; `people` are the cards of all who are named. A page may be short though `next` is set."""

    orders: list[OrderLine]
    people: list[PersonCard]
    next: int | None


class LegLine(msgspec.Struct, frozen=True):
    """`amount` is signed: over 0 comes into the account."""

    account: str
    amount: Balance


class TransferLine(msgspec.Struct, frozen=True):
    """A row of the journal. `received` is how much people got by it: so much may be taken back, if any."""

    id: str
    at: Millis
    kind: TransferKind
    currency: Currency
    legs: list[LegLine]
    about: str
    note: str
    by: str
    reverses: str | None
    received: int


class OrderView(msgspec.Struct, frozen=True):
    """An order with all that moved for it and, where there is one, its dispute."""

    order: OrderLine
    transfers: list[TransferLine]
    dispute: str | None
    people: list[PersonCard]


class AccountBalance(msgspec.Struct, frozen=True):
    """`account` as it is written in exports: `clearing:sandbox`, `fee:platform`."""

    account: str
    currency: Currency
    balance: Balance


class Holdings(msgspec.Struct, frozen=True):
    """What somebody has, and their latest orders and transfers."""

    person: PersonCard
    balances: list[AccountBalance]
    orders: list[OrderLine]
    transfers: list[TransferLine]
    people: list[PersonCard]


# ── Adjustments ─────────────────────────────────────────────────────────────────────────────────────────────────────


class AdjustmentKind(StrEnum):
    """`move`: from one account to another. `claw_back`: a transfer is taken back from those who received it; what they
    do not have any more, they owe."""

    MOVE = "move"
    CLAW_BACK = "claw_back"


class AdjustmentState(StrEnum):
    PROPOSED = "proposed"
    DONE = "done"
    REFUSED = "refused"


class Propose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Moves `amount` from `source` to `target`. `id` makes it once; `reason` is read by those whose money moves."""

    id: ClientId
    source: AccountName
    target: AccountName
    amount: Minor
    currency: Currency
    reason: Reason


class ProposeClawBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Takes `amount` of a transfer back; null: all of it."""

    id: ClientId
    transfer: TransferId
    reason: Reason
    amount: Minor | None = None


class AdjustmentLine(msgspec.Struct, frozen=True):
    """`transfer` is what a claw-back takes back, `done_by` the transfer that carried the adjustment out; `answer` is
    why it was refused."""

    id: str
    number: int
    kind: AdjustmentKind
    state: AdjustmentState
    amount: Amount
    source: str
    target: str
    transfer: str | None
    reason: str
    answer: str
    proposed_by: str
    proposed_at: Millis
    decided_by: str | None
    decided_at: Millis | None
    done_by: str | None
    may_decide: bool


class Adjustments(msgspec.Struct, frozen=True):
    """`open` proposals wait in all."""

    adjustments: list[AdjustmentLine]
    people: list[PersonCard]
    next: int | None
    open: int


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """An adjustment as it is kept: nothing moves before a second person approves. `gainers` and `losers` are the people
    whose accounts it touches; `key` makes the proposal once."""

    id: str
    number: int = 0
    key: str
    kind: AdjustmentKind
    state: AdjustmentState = AdjustmentState.PROPOSED
    amount: int
    currency: Currency
    source: str
    target: str
    transfer: str | None = None
    gainers: tuple[str, ...] = ()
    losers: tuple[str, ...] = ()
    about: str = ""
    reason: str
    answer: str = ""
    proposed_by: str
    at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    done_by: str | None = None
    version: int = 1


# ── Reconciliation ──────────────────────────────────────────────────────────────────────────────────────────────────


class Reconcile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Compares what a provider lists from `from` until (without) `to` with our orders."""

    provider: Annotated[str, Meta(max_length=32)]
    from_: Millis
    to: Millis


class RunState(StrEnum):
    """`failed`: the provider did not answer; nothing was learnt."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class DifferenceState(StrEnum):
    """`open` waits for somebody. `mended`: done by itself on somebody's word. `explained`: somebody wrote why."""

    OPEN = "open"
    MENDED = "mended"
    EXPLAINED = "explained"


class DifferenceLine(msgspec.Struct, frozen=True):
    """Something on which the provider and we do not agree, and what came of it; `by` is who settled it."""

    difference: Difference
    state: DifferenceState
    note: str
    by: str | None


class ReconciliationLine(msgspec.Struct, frozen=True):
    """`compared` things were looked at, `caught_up` orders were behind and are not any more; `open` differences still
    wait. `by` is `system` for the daily run. `fault` is the code of why it failed."""

    id: str
    number: int
    provider: str
    from_: Millis = msgspec.field(name="from")
    to: Millis
    state: RunState
    by: str
    at: Millis
    finished_at: Millis | None
    compared: int
    caught_up: int
    differences: int
    open: int
    fault: str | None


class Reconciliations(msgspec.Struct, frozen=True):
    reconciliations: list[ReconciliationLine]
    people: list[PersonCard]
    providers: list[str]
    next: int | None


class ReconciliationView(msgspec.Struct, frozen=True):
    reconciliation: ReconciliationLine
    sums: list[Sums]
    differences: list[DifferenceLine]
    people: list[PersonCard]
    version: int


class Settle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`mend` takes over what the provider has; otherwise `note` says why nothing is to be done."""

    version: Version
    mend: bool
    note: Reason


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A reconciliation as it is kept. `key` makes the daily one once on all nodes; who works on it holds it until
    `lease`."""

    id: str
    number: int = 0
    key: str
    provider: str
    since: datetime
    until: datetime
    state: RunState = RunState.RUNNING
    by: str
    at: datetime
    lease: datetime
    finished_at: datetime | None = None
    compared: int = 0
    caught_up: int = 0
    sums: tuple[Sums, ...] = ()
    differences: tuple[DifferenceLine, ...] = ()
    fault: str | None = None
    version: int = 1


# ── The state of the books ──────────────────────────────────────────────────────────────────────────────────────────


class Book(StrEnum):
    """`ledger`: the journal against the balances. `trail`: the chain of the audit trail."""

    LEDGER = "ledger"
    TRAIL = "trail"


class BookState(msgspec.Struct, frozen=True):
    """How a book was when it was verified last; nulls when it never was. `running`: it is being verified now, `done` of
    `of` rows are looked at (of 0: not known yet). `faults` are sentences in English, the first hundred of `count`."""

    book: Book
    running: bool
    done: int
    of: int
    verified_at: Millis | None
    rows: int
    count: int
    faults: list[str]
    head: str | None
    by: str | None


class Books(msgspec.Struct, frozen=True):
    """`accounts` are those of the platform that hold anything: with providers, what was earned, the bank."""

    books: list[BookState]
    accounts: list[AccountBalance]
    providers: list[str]
    people: list[PersonCard]


class Waiting(msgspec.Struct, frozen=True):
    """How much waits on each page of the desk; `faults` counts the books that are not whole."""

    approvals: int
    disputes: int
    adjustments: int
    differences: int
    faults: int


# ── Export ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class ExportKind(StrEnum):
    """`journal`: one line per leg of each transfer. `orders`: one line per order."""

    JOURNAL = "journal"
    ORDERS = "orders"
