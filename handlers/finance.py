"""Operations of the finance desk, and those by which people dispute their payments."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.operations import Call, Feed, operation
from server.clock import from_ms
from server.errors import Code
from server.finance.dispute_model import DecideDispute, DisputeLine, Disputes, OpenDispute, OwnDispute
from server.finance.exports import CONTENT_TYPE
from server.finance.model import (
    AdjustmentId,
    AdjustmentLine,
    Adjustments,
    Book,
    Books,
    DisputeId,
    ExportKind,
    Holdings,
    OrderLine,
    OrderList,
    OrderView,
    Propose,
    ProposeClawBack,
    Reconcile,
    ReconciliationId,
    ReconciliationLine,
    Reconciliations,
    ReconciliationView,
    Refuse,
    Settle,
    TransferLine,
    Waiting,
)
from server.money.model import TransferId
from server.payments.model import OrderId, OrderKind, OrderState
from server.people.model import Millis, PersonCard, PersonId
from server.principals import FINANCE, IN_PERSON

TAG = "finance"
Before = Annotated[int, Meta(ge=1, le=2**53 - 1)]
#: a difference's place in its reconciliation, from 0 on
Place = Annotated[int, Meta(ge=0, le=100_000)]


class OrdersQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    state: OrderState | None = None
    kind: OrderKind | None = None
    provider: Annotated[str, Meta(max_length=32)] | None = None
    person: PersonId | None = None
    before: Before | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class HandleQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    handle: Annotated[str, Meta(min_length=1, max_length=40)]


class CasesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`decided`: the newest of those that wait no more; otherwise those that wait, the oldest first."""

    decided: bool = False
    before: Before | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class RunsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    before: Before | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 30


class ExportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """From `from` until (without) `to`; at most a year."""

    from_: Millis
    to: Millis


# ── One's own payments ──────────────────────────────────────────────────────────────────────────────────────────────


@operation(
    "POST",
    "/me/wallet/payments/{order}/disputes",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    also={200: "It was open already."},
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.ALREADY, Code.TOO_OFTEN, Code.TRY_LATER),
)
async def open_dispute(call: Call, order: OrderId, body: OpenDispute) -> OwnDispute:
    """Say that something is wrong with a payment.

    Somebody of the finance desk decides about it, with a written reason. A payment can be disputed for 120 days after
    it was done, once; what was given back cannot.
    """
    opened = await call.services.finance.disputes.open(call.principal.id, order, body)
    if opened.again:
        call.status = 200
    return opened


@operation("GET", "/me/wallet/payments/{order}/disputes", allow=IN_PERSON, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_own_dispute(call: Call, order: OrderId) -> OwnDispute:
    """Look at one's dispute of a payment."""
    return await call.services.finance.disputes.own(call.principal.id, order)


# ── Orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@operation("GET", "/finance/waiting", allow=FINANCE, tag=TAG)
async def get_finance_waiting(call: Call) -> Waiting:
    """How much waits on each page of the desk."""
    return await call.services.finance.waiting()


@operation("GET", "/finance/orders", allow=FINANCE, tag=TAG)
async def list_orders(call: Call, query: OrdersQuery) -> OrderList:
    """Charges, refunds and pay-outs of everybody, the newest first.

    `before` is the `next` of the page before. A page may be short, or empty, though `next` is set.
    """
    return await call.services.finance.orders.page(
        call.principal.id,
        state=query.state,
        kind=query.kind,
        provider=query.provider,
        person=query.person,
        before=query.before,
        limit=query.limit,
    )


@operation("GET", "/finance/orders/{id}", allow=FINANCE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_order(call: Call, id: OrderId) -> OrderView:
    """Look at an order, with all that moved for it."""
    return await call.services.finance.orders.one(call.principal.id, id)


@operation("POST", "/finance/orders/{id}/look", allow=FINANCE, tag=TAG, errors=(Code.NOT_FOUND, Code.TRY_LATER))
async def look_at_order(call: Call, id: OrderId) -> OrderView:
    """Ask the provider about an order now."""
    return await call.services.finance.orders.look(call.principal.id, id)


@operation(
    "POST",
    "/finance/orders/{id}/approval",
    allow=FINANCE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.ALREADY, Code.TRY_LATER),
)
async def approve_order(call: Call, id: OrderId) -> OrderLine:
    """Let an order go to its provider.

    Never by the one who asked for it, nor by the one whose money it is.
    """
    return await call.services.finance.orders.approve(call.principal.id, id)


@operation(
    "POST",
    "/finance/orders/{id}/refusal",
    allow=FINANCE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.ALREADY, Code.TRY_LATER),
)
async def refuse_order(call: Call, id: OrderId, body: Refuse) -> OrderLine:
    """Refuse an order. What was set aside for it is the person's again; they read the reason."""
    return await call.services.finance.orders.refuse(call.principal.id, id, body)


@operation("GET", "/finance/people", allow=FINANCE, tag=TAG, errors=(Code.NOT_FOUND,))
async def find_by_handle(call: Call, query: HandleQuery) -> PersonCard:
    """Find somebody by their whole handle."""
    return await call.services.finance.person(query.handle)


@operation("GET", "/finance/people/{person}", allow=FINANCE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_holdings(call: Call, person: PersonId) -> Holdings:
    """What somebody has, and what moved for them lately."""
    return await call.services.finance.orders.holdings(call.principal.id, person)


@operation("GET", "/finance/transfers/{id}", allow=FINANCE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_transfer(call: Call, id: TransferId) -> TransferLine:
    """Look at a row of the journal."""
    return await call.services.finance.orders.transfer(id)


# ── Disputes ────────────────────────────────────────────────────────────────────────────────────────────────────────


@operation("GET", "/finance/disputes", allow=FINANCE, tag=TAG)
async def list_disputes(call: Call, query: CasesQuery) -> Disputes:
    """Disputes of payments, and what payers' banks have taken back."""
    disputes = call.services.finance.disputes
    return await disputes.page(call.principal.id, decided=query.decided, before=query.before, limit=query.limit)


@operation("GET", "/finance/disputes/{id}", allow=FINANCE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_dispute(call: Call, id: DisputeId) -> DisputeLine:
    """Look at a dispute."""
    return await call.services.finance.disputes.one(call.principal.id, id)


@operation(
    "POST",
    "/finance/disputes/{id}/decision",
    allow=FINANCE,
    tag=TAG,
    errors=(
        *(Code.NOT_FOUND, Code.ALREADY, Code.STALE, Code.CONFLICT, Code.AMOUNT_LIMIT, Code.INSUFFICIENT_FUNDS),
        *(Code.IDEMPOTENCY_CONFLICT, Code.TOO_OFTEN, Code.TRY_LATER),
    ),
)
async def decide_dispute(call: Call, id: DisputeId, body: DecideDispute) -> DisputeLine:
    """Give a disputed payment back, or refuse to.

    A charge goes back through its provider. What had left cannot: then an adjustment is proposed, which a second person
    approves. Nobody decides about their own payment.
    """
    return await call.services.finance.disputes.decide(call.principal.id, id, body)


# ── Adjustments ─────────────────────────────────────────────────────────────────────────────────────────────────────


@operation("GET", "/finance/adjustments", allow=FINANCE, tag=TAG)
async def list_adjustments(call: Call, query: CasesQuery) -> Adjustments:
    """Corrections of the ledger by hand."""
    adjustments = call.services.finance.adjustments
    return await adjustments.page(call.principal.id, decided=query.decided, before=query.before, limit=query.limit)


@operation("GET", "/finance/adjustments/{id}", allow=FINANCE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_adjustment(call: Call, id: AdjustmentId) -> AdjustmentLine:
    """Look at an adjustment."""
    return await call.services.finance.adjustments.one(call.principal.id, id)


@operation(
    "POST",
    "/finance/adjustments",
    allow=FINANCE,
    tag=TAG,
    status=201,
    errors=(Code.IDEMPOTENCY_CONFLICT, Code.TRY_LATER),
)
async def propose_adjustment(call: Call, body: Propose) -> AdjustmentLine:
    """Propose to move money from one account to another.

    Nothing moves before a second person approves. Nobody proposes what moves their own money. Asked again with the same
    `id`, the same proposal is answered.
    """
    return await call.services.finance.adjustments.propose(call.principal.id, body)


@operation(
    "POST",
    "/finance/claw-backs",
    allow=FINANCE,
    tag=TAG,
    status=201,
    errors=(Code.NOT_FOUND, Code.AMOUNT_LIMIT, Code.IDEMPOTENCY_CONFLICT, Code.TRY_LATER),
)
async def propose_claw_back(call: Call, body: ProposeClawBack) -> AdjustmentLine:
    """Propose to take a transfer back from those who received it.

    What they do not have any more they owe: it is settled by itself from what they get later. A second person approves.
    """
    return await call.services.finance.adjustments.propose_claw_back(call.principal.id, body)


@operation(
    "POST",
    "/finance/adjustments/{id}/approval",
    allow=FINANCE,
    tag=TAG,
    errors=(
        *(Code.NOT_FOUND, Code.ALREADY, Code.STALE, Code.BAD_REQUEST, Code.INSUFFICIENT_FUNDS, Code.AMOUNT_LIMIT),
        Code.TRY_LATER,
    ),
)
async def approve_adjustment(call: Call, id: AdjustmentId) -> AdjustmentLine:
    """Carry an adjustment out.

    Never by the one who proposed it, nor by anybody whose account it touches. `bad_request`: less than that is left of
    the transfer to be taken back.
    """
    return await call.services.finance.adjustments.approve(call.principal.id, id)


@operation(
    "POST",
    "/finance/adjustments/{id}/refusal",
    allow=FINANCE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.ALREADY, Code.STALE),
)
async def refuse_adjustment(call: Call, id: AdjustmentId, body: Refuse) -> AdjustmentLine:
    """Refuse an adjustment. Nothing moves."""
    return await call.services.finance.adjustments.refuse(call.principal.id, id, body)


# ── Reconciliation ──────────────────────────────────────────────────────────────────────────────────────────────────


@operation("GET", "/finance/reconciliations", allow=FINANCE, tag=TAG)
async def list_reconciliations(call: Call, query: RunsQuery) -> Reconciliations:
    """What was compared with providers' lists, the newest first."""
    return await call.services.finance.reconciliations.page(query.before, query.limit)


@operation("POST", "/finance/reconciliations", allow=FINANCE, tag=TAG, status=202, errors=(Code.CONFLICT,))
async def begin_reconciliation(call: Call, body: Reconcile) -> ReconciliationLine:
    """Compare a provider's list with our orders.

    It goes on in the background; `conflict` while the same provider is being compared. The day before is compared every
    day by itself.
    """
    return await call.services.finance.reconciliations.begin(call.principal.id, body)


@operation("GET", "/finance/reconciliations/{id}", allow=FINANCE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_reconciliation(call: Call, id: ReconciliationId) -> ReconciliationView:
    """Look at a reconciliation and its differences."""
    return await call.services.finance.reconciliations.one(id)


@operation(
    "POST",
    "/finance/reconciliations/{id}/differences/{place}",
    allow=FINANCE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.ALREADY, Code.STALE, Code.CONFLICT, Code.INSUFFICIENT_FUNDS, Code.TRY_LATER),
)
async def settle_difference(call: Call, id: ReconciliationId, place: Place, body: Settle) -> ReconciliationView:
    """Mend a difference by taking over what the provider has, or write down why nothing is to be done."""
    return await call.services.finance.reconciliations.settle(call.principal.id, id, place, body)


# ── Books and exports ───────────────────────────────────────────────────────────────────────────────────────────────


@operation("GET", "/finance/books", allow=FINANCE, tag=TAG)
async def get_books(call: Call) -> Books:
    """How the ledger and the audit trail were when they were verified last, and what the platform's accounts hold."""
    return await call.services.finance.state()


@operation("POST", "/finance/books/{book}", allow=FINANCE, tag=TAG, status=202, errors=(Code.NOT_FOUND, Code.CONFLICT))
async def verify_book(call: Call, book: Book) -> Books:
    """Verify a book in the background.

    `ledger` recomputes every balance from the journal, `trail` every seal of the audit trail. Each is verified every
    day by itself.
    """
    await call.services.finance.books.begin(call.principal.id, book)
    return await call.services.finance.state()


@operation("GET", "/finance/exports/{kind}", allow=FINANCE, tag=TAG, errors=(Code.NOT_FOUND,), produces="text/csv")
async def export_table(call: Call, kind: ExportKind, query: ExportQuery) -> Feed:
    """A table for spreadsheets and other programs (CSV, UTF-8).

    `journal` has a line per leg of each transfer: they sum to 0 per currency. `orders` has a line per order. Texts that
    a spreadsheet would take for formulas have an apostrophe before them. A connection that breaks off gave a part.
    """
    since, until = from_ms(query.from_), from_ms(query.to)
    pieces = await call.services.finance.export(call.principal.id, kind, since, until)
    name = f"vouch-{kind}-{since:%Y-%m-%d}-{until:%Y-%m-%d}.csv"
    return Feed(CONTENT_TYPE, pieces, {"Content-Disposition": f'attachment; filename="{name}"'})


OPERATIONS = [
    open_dispute,
    get_own_dispute,
    get_finance_waiting,
    list_orders,
    get_order,
    look_at_order,
    approve_order,
    refuse_order,
    find_by_handle,
    get_holdings,
    get_transfer,
    list_disputes,
    get_dispute,
    decide_dispute,
    list_adjustments,
    get_adjustment,
    propose_adjustment,
    propose_claw_back,
    approve_adjustment,
    refuse_adjustment,
    list_reconciliations,
    begin_reconciliation,
    get_reconciliation,
    settle_difference,
    get_books,
    verify_book,
    export_table,
]
