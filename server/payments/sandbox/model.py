"""The words of the platform: movements of play money, requests, refusals, notices, and the trouble a tester makes.

Amounts are integers in the currency's minor unit, times are milliseconds since 1970-01-01T00:00Z.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta


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


class Kind(StrEnum):
    CHARGE = "charge"
    REFUND = "refund"
    PAY_OUT = "pay_out"


class State(StrEnum):
    """`open`: the payer has not decided. `pending`: a bank works on it. The others are final, except that a done charge
    may be refunded or taken back."""

    OPEN = "open"
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """A charge, a refund or a pay-out.

    `order` is the merchant's id of it, one per kind for ever. `token` opens a charge's page. `due` is when it moves on
    by itself: an open charge expires, what is pending ends – with `fault` if one is set by then. `refunded` and
    `disputed` are parts of a charge that went back; `charge` is what a refund gives back.
    """

    id: str
    kind: Kind
    order: str
    state: State
    amount: int
    currency: Currency
    refunded: int = 0
    disputed: int = 0
    fault: str | None = None
    charge: str | None = None
    destination: dict[str, str] = msgspec.field(default_factory=dict)
    token: str | None = None
    description: str = ""
    return_url: str = ""
    language: str = "en"
    due: int | None = None
    created_at: int
    changed_at: int
    #: place in the order of making, for paging
    number: int = 0

    @property
    def left(self) -> int:
        """What can still go back of a charge."""
        return self.amount - self.refunded - self.disputed


# ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────────────

MOST = 2**53 - 1

Amount = Annotated[int, Meta(ge=1, le=MOST)]
OrderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
MovementId = Annotated[str, Meta(pattern=r"^(ch|re|po)_[0-9a-f]{24}\Z")]
Word = Annotated[str, Meta(pattern=r"^[a-z_]{1,40}\Z")]


class ChargeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`open_for` is in seconds; after them the page is closed."""

    order: OrderName
    amount: Amount
    currency: Currency
    return_url: Annotated[str, Meta(max_length=2048)]
    description: Annotated[str, Meta(max_length=140)] = ""
    language: Annotated[str, Meta(max_length=16)] = "en"
    open_for: Annotated[float, Meta(gt=0, le=86_400)] = 1_800.0


class CancelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order that never arrived is kept as cancelled: should it arrive late, it stays so."""

    order: OrderName
    amount: Amount
    currency: Currency


class RefundRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    order: OrderName
    charge: MovementId
    amount: Amount
    currency: Currency


class PayOutRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    order: OrderName
    amount: Amount
    currency: Currency
    destination: Annotated[
        dict[Annotated[str, Meta(max_length=40)], Annotated[str, Meta(max_length=200)]],
        Meta(min_length=1, max_length=10),
    ]


# ── Refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


class RefusalCode(StrEnum):
    BAD_REQUEST = "bad_request"
    CREDENTIALS = "credentials"
    UNKNOWN = "unknown"
    CONFLICT = "idempotency_conflict"
    ORDER_EXISTS = "order_exists"
    LIMIT = "amount_limit"
    CURRENCY = "wrong_currency"
    OVER_REFUND = "over_refund"
    NOT_PAID = "not_paid"
    DECLINED = "declined"
    STATE = "wrong_state"
    DOWN = "down"
    METHOD = "wrong_method"
    FAULT = "fault"


STATUS: dict[RefusalCode, int] = {
    RefusalCode.BAD_REQUEST: 400,
    RefusalCode.CREDENTIALS: 401,
    RefusalCode.UNKNOWN: 404,
    RefusalCode.CONFLICT: 409,
    RefusalCode.ORDER_EXISTS: 409,
    RefusalCode.LIMIT: 422,
    RefusalCode.CURRENCY: 422,
    RefusalCode.OVER_REFUND: 422,
    RefusalCode.NOT_PAID: 422,
    RefusalCode.DECLINED: 402,
    RefusalCode.STATE: 409,
    RefusalCode.DOWN: 503,
    RefusalCode.METHOD: 405,
    RefusalCode.FAULT: 500,
}


class Refusal(Exception):
    """Why the platform did not do it; the text helps whoever reads the answer."""

    def __init__(self, code: RefusalCode, text: str = "") -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code}: {text}")


# ── Notices ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class DeliveryState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    LOST = "lost"
    GIVEN_UP = "given_up"


class _About(msgspec.Struct):
    order: str


class _Said(msgspec.Struct):
    type: str
    about: _About


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One notice on its way to the merchant. `answer` is the last status, or a word for why there was none."""

    id: int
    notice: str
    body: bytes
    due: int
    tries: int
    state: DeliveryState
    answer: str
    created_at: int

    @property
    def type(self) -> str:
        """Such as `charge.done`."""
        return msgspec.json.decode(self.body, type=_Said).type

    @property
    def order(self) -> str:
        return msgspec.json.decode(self.body, type=_Said).about.order


# ── Trouble ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Outage(StrEnum):
    """`refusing`: 503, nothing is done. `mute`: everything is done and nothing answered. `slow`: everything is done and
    answered much too late."""

    NONE = "none"
    REFUSING = "refusing"
    MUTE = "mute"
    SLOW = "slow"


Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Troubles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tester has asked for. Counts go down by one each time they take effect.

    `outage_requests` ends the outage after so many requests (0: it lasts). `decline` refuses charges, refunds and
    pay-outs. `fail_pay_outs` lets pay-outs fail at the bank, `hold_pay_outs` keeps them pending until the tester ends
    them. Of notices: `delay` seconds, `copies` of each, `lose` so many, `reorder` lets every second overtake the one
    before.
    """

    outage: Outage = Outage.NONE
    outage_requests: Count = 0
    decline: Count = 0
    fail_pay_outs: Count = 0
    hold_pay_outs: bool = False
    delay: Annotated[float, Meta(ge=0, le=3_600)] = 0.0
    copies: Annotated[int, Meta(ge=1, le=5)] = 1
    lose: Count = 0
    reorder: bool = False
