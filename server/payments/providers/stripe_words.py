"""Stripe's objects as far as we read them, and what they mean to us. Pure: no network, no clock.

The SDK's objects carry whatever the API sent; here that is checked once, and everything beyond is typed. Words and
states are those of https://docs.stripe.com/api.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Protocol, TypeVar

import msgspec

from server.money.model import MOST, Currency
from server.payments.model import Notice, OrderKind, Remote, RemoteState
from server.payments.provider import ProviderFault

T = TypeVar("T", bound=msgspec.Struct)

#: In `metadata` of everything that we make there: our order's id.
ORDER = "order"


Amount = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
#: A time of theirs: seconds since 1970.
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**33)]


class ApiObject(Protocol):
    """What all objects of the SDK can do."""

    def to_dict(self) -> dict[str, object]: ...


class Charge(msgspec.Struct, frozen=True):
    id: str
    amount_refunded: Amount = 0
    disputed: bool = False
    failure_code: str | None = None


class Failure(msgspec.Struct, frozen=True):
    code: str | None = None


class Intent(msgspec.Struct, frozen=True):
    id: str
    status: str
    latest_charge: Charge | str | None = None
    last_payment_error: Failure | None = None


class Session(msgspec.Struct, frozen=True):
    """A check-out; its payment intent appears when the payer confirms."""

    id: str
    amount_total: Amount
    currency: str
    created: Seconds
    expires_at: Seconds
    status: str
    client_reference_id: str | None = None
    payment_intent: Intent | str | None = None
    url: str | None = None


class Refund(msgspec.Struct, frozen=True):
    id: str
    amount: Amount
    currency: str
    created: Seconds
    status: str
    metadata: dict[str, str] = {}
    failure_reason: str | None = None


class Transfer(msgspec.Struct, frozen=True):
    id: str
    amount: Amount
    currency: str
    created: Seconds
    amount_reversed: Amount = 0
    metadata: dict[str, str] = {}


class PayOut(msgspec.Struct, frozen=True):
    id: str
    amount: Amount
    currency: str
    created: Seconds
    status: str
    automatic: bool = False
    metadata: dict[str, str] = {}
    failure_code: str | None = None


class Dispute(msgspec.Struct, frozen=True):
    id: str
    amount: Amount
    status: str
    payment_intent: str | None = None


class _Subject(msgspec.Struct, frozen=True):
    """What a notification is about."""

    id: str
    object: str = ""
    client_reference_id: str | None = None
    payment_intent: str | None = None
    metadata: dict[str, str] = {}


class _Data(msgspec.Struct, frozen=True):
    object: _Subject


class Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    data: _Data
    livemode: bool = False


_INTENTS = {
    "succeeded": RemoteState.DONE,
    "processing": RemoteState.PENDING,
    "requires_capture": RemoteState.PENDING,
    "requires_action": RemoteState.PENDING,
    "requires_confirmation": RemoteState.PENDING,
    "requires_payment_method": RemoteState.FAILED,
    "canceled": RemoteState.CANCELLED,
}
_REFUNDS = {
    "succeeded": RemoteState.DONE,
    "pending": RemoteState.PENDING,
    "requires_action": RemoteState.PENDING,
    "failed": RemoteState.FAILED,
    "canceled": RemoteState.CANCELLED,
}
_PAY_OUTS = {
    "paid": RemoteState.DONE,
    "pending": RemoteState.PENDING,
    "in_transit": RemoteState.PENDING,
    "failed": RemoteState.FAILED,
    "canceled": RemoteState.CANCELLED,
}
#: A dispute in which the money has been taken from us. Inquiries (`warning_…`) take none; what is won comes back.
_TAKEN = frozenset({"needs_response", "under_review", "lost"})

#: kind of object in a notification → what it concerns
_KINDS = {
    "checkout.session": OrderKind.CHARGE,
    "payment_intent": OrderKind.CHARGE,
    "charge": OrderKind.CHARGE,
    "dispute": OrderKind.CHARGE,
    "refund": OrderKind.REFUND,
    "transfer": OrderKind.PAY_OUT,
    "payout": OrderKind.PAY_OUT,
}


def read(thing: ApiObject, kind: type[T]) -> T:
    """Raises ProviderFault `unknown` for what is no such object."""
    try:
        return msgspec.convert(thing.to_dict(), kind)
    except msgspec.ValidationError:
        raise ProviderFault("unknown", certain=False) from None


def charge_of(session: Session, *, disputed: int, now: datetime) -> Remote:
    """`disputed`: the sum of what was taken back, in minor units."""
    intent = session.payment_intent if isinstance(session.payment_intent, Intent) else None
    charge = intent.latest_charge if intent and isinstance(intent.latest_charge, Charge) else None
    state, fault = _charge_state(session, intent, now)
    return Remote(
        kind=OrderKind.CHARGE,
        reference=session.id,
        order=session.client_reference_id,
        state=state,
        amount=session.amount_total,
        currency=currency_of(session.currency),
        refunded=charge.amount_refunded if charge else 0,
        disputed=disputed,
        url=session.url if state is RemoteState.OPEN else None,
        fault=fault,
        at=_at(session.created),
    )


def _charge_state(session: Session, intent: Intent | None, now: datetime) -> tuple[RemoteState, str | None]:
    if session.status == "expired":  # before its time only by us
        return (RemoteState.CANCELLED if _at(session.expires_at) > now else RemoteState.EXPIRED), None
    if session.status == "open":
        # A card that was declined leaves the page open for another one.
        return (RemoteState.PENDING if intent and intent.status == "processing" else RemoteState.OPEN), None
    if intent is None:
        return RemoteState.PENDING, None
    state = _INTENTS.get(intent.status, RemoteState.PENDING)
    return state, "declined" if state is RemoteState.FAILED else None


def refund_of(refund: Refund) -> Remote:
    return Remote(
        kind=OrderKind.REFUND,
        reference=refund.id,
        order=refund.metadata.get(ORDER),
        state=_REFUNDS.get(refund.status, RemoteState.PENDING),
        amount=refund.amount,
        currency=currency_of(refund.currency),
        fault=_word(refund.failure_reason),
        at=_at(refund.created),
    )


def transfer_of(transfer: Transfer) -> Remote:
    """Money in somebody's own account there; it pays their bank by itself."""
    back = transfer.amount_reversed >= transfer.amount
    return Remote(
        kind=OrderKind.PAY_OUT,
        reference=transfer.id,
        order=transfer.metadata.get(ORDER),
        state=RemoteState.FAILED if back else RemoteState.DONE,
        amount=transfer.amount,
        currency=currency_of(transfer.currency),
        fault="returned" if back else None,
        at=_at(transfer.created),
    )


def pay_out_of(pay_out: PayOut) -> Remote:
    return Remote(
        kind=OrderKind.PAY_OUT,
        reference=pay_out.id,
        order=pay_out.metadata.get(ORDER),
        state=_PAY_OUTS.get(pay_out.status, RemoteState.PENDING),
        amount=pay_out.amount,
        currency=currency_of(pay_out.currency),
        fault=_word(pay_out.failure_code),
        at=_at(pay_out.created),
    )


def taken_back(disputes: list[Dispute]) -> int:
    return sum(dispute.amount for dispute in disputes if dispute.status in _TAKEN)


def notice_of(event: Event) -> Notice | None:
    """None for what is none of our concern: other objects, and things that we did not make."""
    subject = event.data.object
    kind = _KINDS.get(subject.object)
    if kind is None:
        return None
    order = subject.client_reference_id or subject.metadata.get(ORDER)
    reference = subject.payment_intent if subject.object == "dispute" else subject.id
    if subject.object in ("payment_intent", "charge"):
        reference = None  # a charge goes by its session
    if order is None and reference is None:
        return None
    return Notice(event.id, kind, order, reference)


def currency_of(text: str) -> Currency:
    try:
        return Currency(text.upper())
    except ValueError:
        raise ProviderFault("unknown", certain=False) from None


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _word(text: str | None) -> str | None:
    """A stable word as it may be shown; None for what is none."""
    return text if text and len(text) <= 64 and text.replace("_", "").isalnum() and text.isascii() else None
