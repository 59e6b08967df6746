"""Operations on the wallet: what one has, topping up, paying out, paying people, statements, receipts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.operations import Binary, Call, operation
from server.clock import from_ms
from server.errors import Code
from server.money.model import Currency, TransferId, TransferKind
from server.payments.model import OrderId
from server.people.model import Language, Millis
from server.principals import ANYBODY, IN_PERSON, PEOPLE
from server.wallet.model import (
    CheckedReceipt,
    Course,
    GiveBack,
    NewPayoutAccount,
    Paid,
    Payment,
    Payments,
    PayOut,
    PayoutAccount,
    PayoutAccountId,
    PayoutAccounts,
    PayPerson,
    Statement,
    TopUp,
    Wallet,
)
from server.wallet.receipts import ReceiptCode

TAG = "wallet"
#: what every operation that begins a movement may answer
MOVING = (
    *(Code.GUARDIAN_NEEDED, Code.AMOUNT_LIMIT, Code.IDEMPOTENCY_CONFLICT),
    *(Code.LIMIT_REACHED, Code.TOO_OFTEN, Code.TRY_LATER),
)


class PaymentsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`before` is the `next` of the page before."""

    before: Annotated[int, Meta(ge=1, le=2**53 - 1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 30


class StatementQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Lines of one currency from `from` until (without) `to`; `before` is the `next` of the page before."""

    currency: Currency
    kind: TransferKind | None = None
    from_: Millis | None = None
    to: Millis | None = None
    before: Annotated[str, Meta(pattern=r"^[0-9]{1,15}$")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class CourseQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """From `from` until (without) `to`, at most 400 days."""

    currency: Currency
    from_: Millis
    to: Millis


class ReceiptQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In one's own language, or in this one."""

    language: Language | None = None


@operation("GET", "/me/wallet", allow=PEOPLE, tag=TAG)
async def get_wallet(call: Call) -> Wallet:
    """What one has, and what may be done with it.

    Per currency what is available, what is set aside and what has to be given back; who takes and pays money here; and
    how much may still be moved today and this month, by the calendar of one's time zone.
    """
    return await call.services.wallet.contents(call.principal.id)


@operation("POST", "/me/wallet/top-ups", allow=IN_PERSON, tag=TAG, errors=MOVING)
async def top_up(call: Call, body: TopUp) -> Payment:
    """Put money in.

    Answers a payment with `check_out`, the page of the provider where it is confirmed, or without one while that takes
    its time: look at the payment again. The same `id` with the same content answers the same payment.
    """
    return await call.services.wallet.movements.top_up(call.principal.id, body, call.origin)


@operation("GET", "/me/wallet/payments", allow=PEOPLE, tag=TAG)
async def list_payments(call: Call, query: PaymentsQuery) -> Payments:
    """Top-ups, what was sent back, and pay-outs, the newest first."""
    return await call.services.wallet.movements.all_of(call.principal.id, query.before, query.limit)


@operation("GET", "/me/wallet/payments/{order}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_payment(call: Call, order: OrderId) -> Payment:
    """Look at a payment.

    While it is under way the provider is asked: this is the page to which one comes back from the check-out.
    """
    return await call.services.wallet.movements.payment(call.principal.id, order)


@operation(
    "DELETE",
    "/me/wallet/payments/{order}",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.ALREADY, Code.CONFLICT, Code.TRY_LATER),
)
async def cancel_payment(call: Call, order: OrderId) -> Payment:
    """Call a payment off.

    One that waits, or a check-out that nobody has confirmed. What was paid in the meantime is booked all the same.
    """
    return await call.services.wallet.movements.cancel(call.principal.id, order)


@operation(
    "POST",
    "/me/wallet/payments/{order}/refunds",
    allow=IN_PERSON,
    tag=TAG,
    errors=(*MOVING, Code.NOT_FOUND, Code.CONFLICT, Code.INSUFFICIENT_FUNDS),
)
async def give_back(call: Call, order: OrderId, body: GiveBack) -> Payment:
    """Send a top-up back the way it came, in whole or in part.

    The money is set aside at once. Larger sums are looked at by somebody else first (`approval`).
    """
    return await call.services.wallet.movements.give_back(call.principal.id, order, body)


@operation(
    "POST",
    "/me/wallet/pay-outs",
    allow=IN_PERSON,
    tag=TAG,
    errors=(*MOVING, Code.NOT_FOUND, Code.COOLING, Code.FACTOR_NEEDED, Code.INSUFFICIENT_FUNDS),
)
async def pay_out(call: Call, body: PayOut) -> Payment:
    """Send money to a pay-out account.

    Needs a proof by second factor for exactly this account, amount and currency. The money is set aside at once. What
    is more than the day's limit for one pair of eyes is looked at by somebody else first (`approval`).
    """
    principal = call.principal
    return await call.services.wallet.movements.pay_out(principal.id, principal.session, body)


@operation(
    "POST",
    "/me/wallet/transfers",
    allow=IN_PERSON,
    tag=TAG,
    errors=(
        *(Code.GUARDIAN_NEEDED, Code.AMOUNT_LIMIT, Code.IDEMPOTENCY_CONFLICT, Code.TOO_OFTEN, Code.TRY_LATER),
        *(Code.BLOCKED, Code.CONFLICT, Code.INSUFFICIENT_FUNDS),
    ),
)
async def pay_person(call: Call, body: PayPerson) -> Paid:
    """Pay a friend, at once.

    What is meant for a minor goes to the guardian who receives money for them, and says for whom it is.
    """
    return await call.services.wallet.transfers.pay(call.principal.id, body)


@operation("GET", "/me/wallet/statement", allow=PEOPLE, tag=TAG)
async def get_statement(call: Call, query: StatementQuery) -> Statement:
    """Everything that has moved, the newest first, with what was available after each line.

    New lines do not shift older pages. A page may be short, or empty, though there is a next one.
    """
    return await call.services.wallet.statements.statement(
        call.principal.id,
        query.currency,
        kind=query.kind,
        since=None if query.from_ is None else from_ms(query.from_),
        until=None if query.to is None else from_ms(query.to),
        before=query.before,
        limit=query.limit,
    )


@operation("GET", "/me/wallet/course", allow=PEOPLE, tag=TAG)
async def get_course(call: Call, query: CourseQuery) -> Course:
    """Day by day in one's time zone: what came, what went, what was available in the evening."""
    statements = call.services.wallet.statements
    return await statements.course(call.principal.id, query.currency, from_ms(query.from_), from_ms(query.to))


@operation(
    "GET",
    "/me/wallet/receipts/{transfer}",
    allow=PEOPLE,
    tag=TAG,
    produces="application/pdf",
    errors=(Code.NOT_FOUND, Code.TOO_OFTEN),
)
async def get_receipt(call: Call, transfer: TransferId, query: ReceiptQuery) -> Binary:
    """A receipt of a line of one's statement, as PDF.

    Its QR code leads to a page on which anybody sees whether it is genuine.
    """
    data = await call.services.wallet.statements.receipt(call.principal.id, transfer, query.language, call.origin)
    name = f"vouch-{transfer}.pdf"
    return Binary("application/pdf", data, {"Content-Disposition": f'attachment; filename="{name}"'})


@operation("GET", "/receipts/{code}", allow=ANYBODY, tag=TAG, errors=(Code.NOT_FOUND, Code.TOO_OFTEN))
async def check_receipt(call: Call, code: ReceiptCode) -> CheckedReceipt:
    """Whether a receipt is genuine: what it must say, without names. A forged one is not found."""
    return await call.services.wallet.statements.check(code, call.ip)


@operation("GET", "/me/wallet/payout-accounts", allow=IN_PERSON, tag=TAG)
async def list_payout_accounts(call: Call) -> PayoutAccounts:
    """Where one's money may go, the newest first; numbers by their last characters only."""
    return await call.services.wallet.accounts.all_of(call.principal.id)


@operation(
    "POST",
    "/me/wallet/payout-accounts",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    errors=(Code.GUARDIAN_NEEDED, Code.FACTOR_NEEDED, Code.ALREADY, Code.LIMIT_REACHED, Code.TOO_OFTEN),
)
async def add_payout_account(call: Call, body: NewPayoutAccount) -> PayoutAccount:
    """Add a pay-out account.

    Needs a proof by second factor for this provider and number. Money goes there from `usable_at` on; until then the
    owner, who is told, can object. At most 5 accounts.
    """
    principal = call.principal
    return await call.services.wallet.accounts.add(principal.id, principal.session, body)


@operation("DELETE", "/me/wallet/payout-accounts/{id}", allow=IN_PERSON, tag=TAG, errors=(Code.NOT_FOUND,))
async def remove_payout_account(call: Call, id: PayoutAccountId) -> None:
    """Remove a pay-out account. What is on its way there goes on."""
    await call.services.wallet.accounts.remove(call.principal.id, id)


OPERATIONS = [
    get_wallet,
    top_up,
    list_payments,
    get_payment,
    cancel_payment,
    give_back,
    pay_out,
    pay_person,
    get_statement,
    get_course,
    get_receipt,
    check_receipt,
    list_payout_accounts,
    add_payout_account,
    remove_payout_account,
]
