"""What Alipay's gateway says, as far as we read it, and what that means to us. Pure: no network, no clock.

Amounts travel as decimal yuan and times as Beijing's, both as text. Words and states are those of
https://opendocs.alipay.com/open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated

import msgspec

from server.money.model import MOST, Currency
from server.payments.model import Notice, OrderKind, Remote, RemoteState
from server.payments.provider import ProviderFault

BEIJING = timezone(timedelta(hours=8))
_TIME = "%Y-%m-%d %H:%M:%S"
_YUAN = re.compile(r"[0-9]{1,14}(?:\.[0-9]{1,2})?")

#: Amounts come as text or, from some interfaces, as JSON numbers.
Yuan = Annotated[str, msgspec.Meta(max_length=20)] | float | int


def yuan(fen: int) -> str:
    """1234 → "12.34"."""
    return f"{fen // 100}.{fen % 100:02d}"


def fen(amount: Yuan) -> int:
    """ "12.34", "12.3" or 12.34 → 1234. Raises ProviderFault for what is no amount with at most two decimals."""
    text = amount if isinstance(amount, str) else repr(amount)  # repr is the shortest text of a float: 12.34
    if not _YUAN.fullmatch(text):
        raise ProviderFault("unknown", certain=False)
    whole, _, part = text.partition(".")
    total = int(whole) * 100 + int(part.ljust(2, "0"))
    if total > MOST:
        raise ProviderFault("unknown", certain=False)
    return total


def written(at: datetime) -> str:
    """As Alipay writes it: 2026-11-22 21:00:00, in Beijing."""
    return at.astimezone(BEIJING).strftime(_TIME)


def moment(text: str | None) -> datetime | None:
    """None for what is no time."""
    try:
        return datetime.strptime(text or "", _TIME).replace(tzinfo=BEIJING).astimezone(UTC)
    except ValueError:
        return None


# ── Answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Trade(msgspec.Struct, frozen=True):
    """alipay.trade.query. There is `send_pay_date` once it was paid: a trade that went back whole is closed too."""

    out_trade_no: str
    trade_status: str
    total_amount: Yuan
    trade_no: str = ""
    send_pay_date: str | None = None


class Closed(msgspec.Struct, frozen=True):
    out_trade_no: str = ""


class Refunded(msgspec.Struct, frozen=True):
    """alipay.trade.refund. `fund_change` is N for one that had been done before."""

    out_trade_no: str = ""
    fund_change: str = "N"


class RefundFound(msgspec.Struct, frozen=True):
    """alipay.trade.fastpay.refund.query; without an amount there is no such refund."""

    out_request_no: str = ""
    refund_amount: Yuan | None = None
    refund_status: str = ""
    gmt_refund_pay: str | None = None


class Transferred(msgspec.Struct, frozen=True):
    """alipay.fund.trans.uni.transfer."""

    status: str
    out_biz_no: str = ""
    order_id: str = ""
    trans_date: str | None = None


class TransferFound(msgspec.Struct, frozen=True):
    """alipay.fund.trans.common.query."""

    status: str
    trans_amount: Yuan
    out_biz_no: str = ""
    order_id: str = ""
    pay_date: str | None = None
    error_code: str | None = None


class SoldItem(msgspec.Struct, frozen=True):
    """A line of alipay.data.bill.sell.query."""

    alipay_order_no: str
    total_amount: Yuan
    merchant_order_no: str | None = None
    refund_amount: Yuan | None = None
    gmt_create: str | None = None
    gmt_pay: str | None = None


class Sold(msgspec.Struct, frozen=True):
    detail_list: list[SoldItem] = []
    total_size: int | str = 0


class AccountItem(msgspec.Struct, frozen=True):
    """A line of alipay.data.bill.accountlog.query: money that came into the account or left it."""

    trans_dt: str
    trans_amount: Yuan
    type: str = ""
    direction: str = ""
    alipay_order_no: str | None = None
    merchant_order_no: str | None = None
    merchant_out_refund_no: str | None = None


class AccountLog(msgspec.Struct, frozen=True):
    detail_list: list[AccountItem] = []
    total_size: int | str = 0


# ── What they mean ──────────────────────────────────────────────────────────────────────────────────────────────────


#: sub_code of a refusal → our word for it, and whether it is certain. What is not named is refused for good.
_REFUSALS: dict[str, tuple[str, bool]] = {
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL": ("over_refund", True),
    "ACQ.REASON_TRADE_REFUND_FEE_ERR": ("over_refund", True),
    "ACQ.REFUND_FEE_ERROR": ("over_refund", True),
    "ACQ.TRADE_NOT_EXIST": ("not_paid", True),
    "ACQ.TRADE_STATUS_ERROR": ("not_paid", True),
    "ACQ.DISCORDANT_REPEAT_REQUEST": ("conflict", True),
    "ACQ.CONTEXT_INCONSISTENT": ("conflict", True),
    "ACQ.TRADE_HAS_FINISHED": ("too_late", True),
    "PAYEE_NOT_EXIST": ("destination", True),
    "PAYEE_USER_INFO_ERROR": ("destination", True),
    "PAYEE_ACC_OCUPIED": ("destination", True),
    "ACQ.SELLER_BALANCE_NOT_ENOUGH": ("no_funds", False),
    "PAYER_BALANCE_NOT_ENOUGH": ("no_funds", False),
    "BALANCE_IS_NOT_ENOUGH": ("no_funds", False),
    "ACQ.SYSTEM_ERROR": ("unknown", False),
    "SYSTEM_ERROR": ("unknown", False),
    "ACQ.ACCESS_FORBIDDEN": ("credentials", False),
    "PERMIT_NON_BANK_LIMIT_PAYEE": ("credentials", False),
    "REQUEST_PROCESSING": ("busy", False),
    "EXCEED_LIMIT_DM_AMOUNT": ("limit", False),
    "EXCEED_LIMIT_DM_MAX_AMOUNT": ("limit", False),
    "EXCEED_LIMIT_MM_AMOUNT": ("limit", False),
}
#: What says that it has never heard of it.
UNHEARD_OF = frozenset(
    {
        "ACQ.TRADE_NOT_EXIST",
        "ORDER_NOT_EXIST",
        "ACQ.REFUND_NOT_EXIST",
        "AUTH_ORDER_NOT_EXIST",
        "AUTH_OPERATION_NOT_EXIST",
    }
)

_REFUNDS = {"REFUND_SUCCESS": RemoteState.DONE, "REFUND_FAIL": RemoteState.FAILED}
_TRANSFERS = {
    "SUCCESS": RemoteState.DONE,
    "FAIL": RemoteState.FAILED,
    "CLOSED": RemoteState.FAILED,
    "REFUND": RemoteState.FAILED,  # the bank of the payee sent it back
}


def refusal(sub_code: str) -> ProviderFault:
    code, certain = _REFUSALS.get(sub_code, ("refused", True))
    return ProviderFault(code, certain=certain)


def trade_state(trade: Trade, *, expires_at: datetime, now: datetime) -> RemoteState:
    match trade.trade_status:
        case "TRADE_SUCCESS" | "TRADE_FINISHED":
            return RemoteState.DONE
        case "TRADE_CLOSED" if trade.send_pay_date:
            return RemoteState.DONE
        case "TRADE_CLOSED":
            return RemoteState.CANCELLED if now < expires_at else RemoteState.EXPIRED
        case "WAIT_BUYER_PAY":
            return RemoteState.OPEN
        case _:
            return RemoteState.PENDING


def refund_of(order: str, found: RefundFound) -> Remote | None:
    """An answer without a state is of a refund that is under way, one without an amount of none."""
    if found.refund_amount is None:
        return None
    return Remote(
        kind=OrderKind.REFUND,
        reference=order,
        order=order,
        state=_REFUNDS.get(found.refund_status, RemoteState.PENDING),
        amount=fen(found.refund_amount),
        currency=Currency.CNY,
        at=moment(found.gmt_refund_pay),
    )


def transfer_of(order: str, found: TransferFound) -> Remote:
    state = _TRANSFERS.get(found.status, RemoteState.PENDING)
    fault = "returned" if found.status == "REFUND" else "refused"
    return Remote(
        kind=OrderKind.PAY_OUT,
        reference=order,
        order=order,
        state=state,
        amount=fen(found.trans_amount),
        currency=Currency.CNY,
        fault=fault if state is RemoteState.FAILED else None,
        at=moment(found.pay_date),
    )


def sold_of(item: SoldItem) -> Remote | None:
    """None for what was never paid: no money moved."""
    if item.gmt_pay is None:
        return None
    return Remote(
        kind=OrderKind.CHARGE,
        reference=item.merchant_order_no or item.alipay_order_no,
        order=item.merchant_order_no,
        state=RemoteState.DONE,
        amount=fen(item.total_amount),
        currency=Currency.CNY,
        refunded=fen(item.refund_amount) if item.refund_amount is not None else 0,
        at=moment(item.gmt_create),
    )


def logged_of(item: AccountItem, kind: OrderKind) -> Remote | None:
    """The refund or transfer that a line of the account is about; None for other lines."""
    amount = str(item.trans_amount)
    if item.direction != "支出" and not amount.startswith("-"):
        return None
    if kind is OrderKind.REFUND:
        order = item.merchant_out_refund_no
    else:
        order = (item.merchant_order_no or item.alipay_order_no) if "转账" in item.type else None
    if not order:
        return None
    return Remote(
        kind=kind,
        reference=order,
        order=order,
        state=RemoteState.DONE,
        amount=fen(amount.removeprefix("-")),
        currency=Currency.CNY,
        at=moment(item.trans_dt),
    )


class _Transfer(msgspec.Struct, frozen=True):
    out_biz_no: str


def notice_of(fields: Mapping[str, str]) -> Notice | None:
    """What a verified notification is about; None for what is none of our concern."""
    id = fields.get("notify_id", "")
    if fields.get("msg_method") == "alipay.fund.trans.order.changed":
        try:
            order = msgspec.json.decode(fields.get("biz_content", ""), type=_Transfer).out_biz_no
        except msgspec.DecodeError:
            return None
        return Notice(id, OrderKind.PAY_OUT, order, order)
    if refund := fields.get("out_biz_no"):
        return Notice(id, OrderKind.REFUND, refund, refund)
    order = fields.get("out_trade_no") or fields.get("out_order_no") or ""
    return Notice(id, OrderKind.CHARGE, order, order) if order else None
