"""Alipay: charges on its check-out pages, refunds, pay-outs to accounts there; yuan only.

A top-up is charged at once (alipay.trade.page.pay, or wap.pay for phones); setting money aside first is in
alipay_freezes.py. Alipay goes by our ids, so they are the references. It hears of a charge only when the payer opens
the page: until then the page's URL, which is signed here, is all there is, and closing it means waiting until it
expires. Who pays nevertheless is believed: asked again, Alipay says that it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import structlog

from server.clock import Clock
from server.errors import StartupError
from server.money.model import Currency
from server.payments.model import Notice, Order, OrderKind, OrderState, Remote, RemoteState, Terms
from server.payments.provider import ProviderFault
from server.payments.providers import Surroundings
from server.payments.providers.alipay_freezes import Freezes
from server.payments.providers.alipay_line import AlipayLine, Credentials, Refusal, credentials
from server.payments.providers.alipay_requests import request
from server.payments.providers.alipay_words import (
    UNHEARD_OF,
    AccountLog,
    Closed,
    Refunded,
    RefundFound,
    Sold,
    Trade,
    TransferFound,
    Transferred,
    fen,
    logged_of,
    moment,
    notice_of,
    refund_of,
    refusal,
    sold_of,
    trade_state,
    transfer_of,
    written,
    yuan,
)
from server.payments.providers.line import Line

Result = TypeVar("Result")

#: Seconds for one method of ours.
WITHIN = 14.0
#: How long a page stays open from when its order was made, and how far Alipay's clock and ours may differ.
OPEN_FOR = timedelta(minutes=30)
SKEW = timedelta(minutes=1)
#: Fen; the most is what one payment of a verified account may be.
_TERMS = (1, 50_000_00)
_LEAST_TRANSFER = 10
_TITLES = {"zh-CN": "守约钱包充值", "en": "Vouch wallet top-up"}
_TRANSFER = {"product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}
#: Lists are asked for a day at a time, and in pages.
_SPAN = timedelta(days=1)
_PAGE = 500

log = structlog.get_logger("vouch.payments.alipay")


def build(surroundings: Surroundings) -> Alipay:
    """Raises StartupError where the settings do not suffice; no key is ever repeated."""
    settings = surroundings.settings
    if not settings.alipay_app_id or settings.alipay_key is None or settings.alipay_public_key is None:
        raise StartupError(
            "bad_setting",
            "Alipay needs VOUCH_ALIPAY_APP_ID, VOUCH_ALIPAY_KEY and VOUCH_ALIPAY_PUBLIC_KEY.",
            hint="docs/operations.md says where they come from.",
        )
    try:
        is_ = credentials(
            settings.alipay_app_id,
            settings.alipay_key,
            settings.alipay_public_key,
            settings.alipay_certificate,
            settings.alipay_root_certificate,
        )
    except OSError as error:
        raise StartupError("bad_setting", f"A file of Alipay's keys cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise StartupError("bad_setting", f"Alipay: {error}.") from None
    origin = next((origin for origin in settings.public_origins if origin.startswith("https://")), "")
    return Alipay(
        is_,
        gateway=settings.alipay_gateway,
        clock=surroundings.clock,
        notify_url=f"{origin}/api/v1/payments/notices/alipay" if origin else "",
        check_out=settings.alipay_check_out,
        authorities=settings.outbound_ca,
    )


class Alipay:
    """`notify_url` is where Alipay sends notifications; empty: none, and it is asked instead. `check_out` is `page`
    (for desktops) or `wap` (for phones)."""

    name = "alipay"

    def __init__(
        self,
        is_: Credentials,
        *,
        gateway: str,
        clock: Clock,
        notify_url: str = "",
        check_out: str = "page",
        authorities: Path | None = None,
    ) -> None:
        self._line = Line(authorities=authorities)
        self._gateway = AlipayLine(is_, gateway, self._line, clock)
        self._clock = clock
        self._pay_outs = bool(is_.certificates)  # Alipay makes none without
        self._notify_url = notify_url
        self._check_out = check_out
        #: money of payers that is set aside before it is charged
        self.freezes = Freezes(self._gateway, notify_url)

    @property
    def terms(self) -> Terms:
        return Terms(charges={Currency.CNY: _TERMS}, pay_outs=self._pay_outs, open_for=OPEN_FOR.total_seconds())

    async def charge(self, order: Order, return_url: str, language: str) -> Remote:
        _in_yuan(order)

        async def open_() -> Remote:
            trade = await self._trade(order.id)
            if trade is not None:
                if fen(trade.total_amount) != order.amount:
                    raise ProviderFault("conflict", certain=True)
                return await self._charge(order, trade, return_url, language)
            if self._clock.now() > _expires(order) - SKEW:
                raise ProviderFault("expired", certain=True)
            return self._unopened(order, RemoteState.OPEN, self._page(order, return_url, language))

        return await self._asked(open_)

    async def cancel(self, order: Order) -> Remote:
        async def close() -> Remote:
            try:
                await self._gateway.ask(request("TradeClose", out_trade_no=order.id), Closed)
            except Refusal as refused:
                if not refusal(refused.reason).certain:
                    raise
            trade = await self._trade(order.id)
            if trade is None:  # the payer has not opened the page
                return self._unopened(order, RemoteState.CANCELLED)
            return await self._charge(order, trade, order.return_url, order.language)

        return await self._asked(close)

    async def refund(self, order: Order, charge: Order) -> Remote:
        _in_yuan(order)
        asked = request(
            "TradeRefund", out_trade_no=charge.id, out_request_no=order.id, refund_amount=yuan(order.amount)
        )

        async def refund() -> Remote:
            done = await self._gateway.ask(asked, Refunded)
            if done.fund_change == "Y":
                return _sent(order, RemoteState.DONE)
            return await self._found(order) or _sent(order, RemoteState.PENDING)

        return await self._made(order, refund)

    async def pay_out(self, order: Order) -> Remote:
        _in_yuan(order)
        number, holder = order.destination.get("number", ""), order.destination.get("holder", "")
        if not number or not holder or order.amount < _LEAST_TRANSFER:
            raise ProviderFault("destination" if order.amount >= _LEAST_TRANSFER else "refused", certain=True)
        kind = "ALIPAY_USER_ID" if _is_user_id(number) else "ALIPAY_LOGON_ID"
        asked = request(
            "FundTransUniTransfer",
            out_biz_no=order.id,
            trans_amount=yuan(order.amount),
            order_title="守约钱包提现",
            payee_info={"identity": number, "identity_type": kind, "name": holder},
            **_TRANSFER,
        )

        async def transfer() -> Remote:
            done = await self._gateway.ask(asked, Transferred)
            state = {"SUCCESS": RemoteState.DONE, "FAIL": RemoteState.FAILED}.get(done.status, RemoteState.PENDING)
            return _sent(order, state, moment(done.trans_date))

        return await self._made(order, transfer)

    async def find(self, order: Order) -> Remote | None:
        return await self._asked(lambda: self._found(order))

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice | None:
        return notice_of(self._gateway.verified(body, now))

    async def everything(self, kind: OrderKind, since: datetime, until: datetime) -> AsyncIterator[Remote]:
        list_ = self._sold if kind is OrderKind.CHARGE else lambda a, b: self._logged(kind, a, b)
        listed: set[str] = set()
        while since < until:
            end = min(since + _SPAN, until)
            async for one in list_(since, end):
                # Bounds are whole seconds and belong to both days.
                if one.reference not in listed and one.at is not None and since <= one.at < end:
                    listed.add(one.reference)
                    yield one
            since = end

    async def close(self) -> None:
        self._line.close()

    # ── Finding ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _found(self, order: Order) -> Remote | None:
        if order.kind is OrderKind.REFUND:
            asked = request(
                "TradeFastpayRefundQuery",
                out_trade_no=order.charge,
                out_request_no=order.id,
                query_options=["gmt_refund_pay"],
            )
            refund = await self._look(asked, RefundFound)
            return None if refund is None else refund_of(order.id, refund)
        if order.kind is OrderKind.PAY_OUT:
            asked = request("FundTransCommonQuery", out_biz_no=order.id, **_TRANSFER)
            transfer = await self._look(asked, TransferFound)
            return None if transfer is None else transfer_of(order.id, transfer)
        trade = await self._trade(order.id)
        if trade is not None:
            return await self._charge(order, trade, order.return_url, order.language)
        if order.reference is None and not order.asked:
            return None
        if order.stopping or order.state is OrderState.CANCELLED:
            return self._unopened(order, RemoteState.CANCELLED)
        if self._clock.now() > _expires(order) + SKEW:
            return self._unopened(order, RemoteState.EXPIRED)
        return self._unopened(order, RemoteState.OPEN, self._page(order, order.return_url, order.language))

    async def _trade(self, order: str) -> Trade | None:
        return await self._look(request("TradeQuery", out_trade_no=order), Trade)

    async def _look(self, asked: Any, kind: type[Result]) -> Result | None:
        """None for what Alipay has never heard of."""
        try:
            return await self._gateway.ask(asked, kind)
        except Refusal as refused:
            if refused.reason in UNHEARD_OF:
                return None
            raise

    async def _charge(self, order: Order, trade: Trade, return_url: str, language: str) -> Remote:
        state = trade_state(trade, expires_at=_expires(order), now=self._clock.now())
        amount = fen(trade.total_amount)
        refunded = 0
        if state is RemoteState.DONE:
            refunded = amount if trade.trade_status == "TRADE_CLOSED" else await self._given_back(order)
        return Remote(
            kind=OrderKind.CHARGE,
            reference=order.id,
            order=trade.out_trade_no,
            state=state,
            amount=amount,
            currency=Currency.CNY,
            refunded=refunded,
            url=self._page(order, return_url, language) if state is RemoteState.OPEN else None,
            at=moment(trade.send_pay_date) or order.created_at,
        )

    async def _given_back(self, order: Order) -> int:
        """Fen of a paid trade that have gone back. The trade does not say it, only the account's bills do; without
        the right to see those it is what we know ourselves."""
        try:
            sold = await self._bill(order.created_at - SKEW, order.created_at + OPEN_FOR + SKEW, 1, order.id)
        except Refusal as refused:
            log.warning("Alipay does not show its bills; refunds made elsewhere stay unseen", reason=refused.reason)
            return order.refunded
        except ProviderFault as fault:
            if fault.code != "credentials":
                raise
            log.warning("Alipay does not show its bills; refunds made elsewhere stay unseen", reason=fault.code)
            return order.refunded
        return max((fen(item.refund_amount or 0) for item in sold.detail_list), default=0)

    def _unopened(self, order: Order, state: RemoteState, url: str | None = None) -> Remote:
        return Remote(
            kind=OrderKind.CHARGE,
            reference=order.id,
            order=order.id,
            state=state,
            amount=order.amount,
            currency=order.currency,
            url=url,
            at=order.created_at,
        )

    def _page(self, order: Order, return_url: str, language: str) -> str:
        wap = self._check_out == "wap"
        asked = request(
            "TradeWapPay" if wap else "TradePagePay",
            out_trade_no=order.id,
            total_amount=yuan(order.amount),
            subject=_TITLES.get(language, _TITLES["en"]),
            product_code="QUICK_WAP_WAY" if wap else "FAST_INSTANT_TRADE_PAY",
            time_expire=written(_expires(order)),
        )
        return self._gateway.page(asked, order.created_at, notify_url=self._notify_url, return_url=return_url)

    # ── Lists ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _sold(self, since: datetime, until: datetime) -> AsyncIterator[Remote]:
        page = 0
        while True:
            page += 1
            bill = await self._asked(lambda page=page: self._bill(since, until, page))  # type: ignore[misc]
            for item in bill.detail_list:
                if (remote := sold_of(item)) is not None:
                    yield remote
            if len(bill.detail_list) < _PAGE:
                return

    async def _bill(self, since: datetime, until: datetime, page: int, order: str | None = None) -> Sold:
        asked = request("DataBillSellQuery", **_within(since, until, page), merchant_order_no=order)
        return await self._gateway.ask(asked, Sold)

    async def _logged(self, kind: OrderKind, since: datetime, until: datetime) -> AsyncIterator[Remote]:
        page = 0
        while True:
            page += 1
            asked = request("DataBillAccountlogQuery", **_within(since, until, page))
            lines = await self._asked(lambda asked=asked: self._gateway.ask(asked, AccountLog))  # type: ignore[misc]
            for item in lines.detail_list:
                if (remote := logged_of(item, kind)) is not None:
                    yield remote
            if len(lines.detail_list) < _PAGE:
                return

    # ── Faults ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _made(self, order: Order, make: Callable[[], Awaitable[Remote]]) -> Remote:
        """What was made; where it was refused, what an earlier try has made all the same."""

        async def made() -> Remote:
            try:
                return await self._asked(make)
            except ProviderFault as fault:
                if not fault.certain:
                    raise
                found = await self.find(order)
                if found is not None and found.amount == order.amount:
                    return found
                raise

        return await self._asked(made)

    async def _asked(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Runs it in time, and with faults of ours."""
        try:
            async with asyncio.timeout(WITHIN):
                return await ask()
        except TimeoutError:
            raise ProviderFault("timeout", certain=False) from None
        except Refusal as refused:
            raise refusal(refused.reason) from None


def _expires(order: Order) -> datetime:
    return order.created_at + OPEN_FOR


def _in_yuan(order: Order) -> None:
    if order.currency is not Currency.CNY:
        raise ProviderFault("currency", certain=True)


def _sent(order: Order, state: RemoteState, at: datetime | None = None) -> Remote:
    return Remote(
        kind=order.kind,
        reference=order.id,
        order=order.id,
        state=state,
        amount=order.amount,
        currency=Currency.CNY,
        at=at,
    )


def _within(since: datetime, until: datetime, page: int) -> dict[str, str]:
    return {
        "start_time": written(since),
        "end_time": written(until),
        "page_no": str(page),
        "page_size": str(_PAGE),
    }


def _is_user_id(number: str) -> bool:
    return len(number) == 16 and number.startswith("2088") and number.isascii() and number.isdigit()
