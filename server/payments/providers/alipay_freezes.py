"""Money that stays with its payer at Alipay, but frozen for us (fund authorisation), for deposits.

The payer agrees by a code or a link; then parts of it are captured as charges, and the rest is unfrozen. A freeze and
each step go by ids of ours: the same id again is the same step.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from server.payments.provider import ProviderFault
from server.payments.providers.alipay_line import AlipayLine, Refusal
from server.payments.providers.alipay_requests import request
from server.payments.providers.alipay_words import UNHEARD_OF, Trade, Yuan, fen, refusal, yuan

_PRODUCT = "PREAUTH_PAY"


class FreezeState(StrEnum):
    """`open`: the payer has not agreed yet. `frozen`: some of it may still be captured. `ended`: nothing is frozen any
    more, or the payer never agreed."""

    OPEN = "open"
    FROZEN = "frozen"
    ENDED = "ended"


class Freeze(msgspec.Struct, frozen=True, kw_only=True):
    """Fen. `captured` has become ours, `rest` is still frozen. `authorisation` is Alipay's number of it, `url` what
    the payer opens or scans while it is open."""

    id: str
    state: FreezeState
    amount: int
    captured: int = 0
    rest: int = 0
    authorisation: str | None = None
    url: str | None = None


class Capture(msgspec.Struct, frozen=True):
    """`done`: the money is ours; otherwise it is under way. It is given back as a charge is, by its id."""

    id: str
    amount: int
    done: bool


class _Voucher(msgspec.Struct, frozen=True):
    code_value: str


class _Detail(msgspec.Struct, frozen=True):
    """alipay.fund.auth.operation.detail.query, of the freezing itself."""

    amount: Yuan
    status: str
    auth_no: str | None = None
    order_status: str = ""
    rest_amount: Yuan = "0.00"
    total_pay_amount: Yuan = "0.00"


class _Step(msgspec.Struct, frozen=True):
    status: str = ""


class Freezes:
    """`notify_url` is where notifications go; empty: none. All methods raise ProviderFault, and nothing else."""

    def __init__(self, gateway: AlipayLine, notify_url: str) -> None:
        self._gateway = gateway
        self._notify_url = notify_url

    async def freeze(self, id: str, amount: int, title: str) -> Freeze:
        """Asks the payer for so many fen; `url` of the answer is what they open in Alipay, or scan."""
        asked = request(
            "FundAuthOrderVoucherCreate",
            out_order_no=id,
            out_request_no=id,
            amount=yuan(amount),
            order_title=title,
            product_code=_PRODUCT,
        )
        try:
            made = await self._gateway.ask(asked, _Voucher, notify_url=self._notify_url)
        except Refusal as refused:
            found = await self.find(id)
            if found is not None and found.amount == amount:
                return found
            raise refusal(refused.reason) from None
        return Freeze(id=id, state=FreezeState.OPEN, amount=amount, url=made.code_value)

    async def find(self, id: str) -> Freeze | None:
        """None for one that the payer has not seen."""
        asked = request("FundAuthOperationDetailQuery", out_order_no=id, out_request_no=id, operation_type="FREEZE")
        try:
            found = await self._gateway.ask(asked, _Detail)
        except Refusal as refused:
            if refused.reason in UNHEARD_OF:
                return None
            raise refusal(refused.reason) from None
        rest = fen(found.rest_amount)
        if found.status == "INIT":
            state = FreezeState.OPEN
        else:
            state = FreezeState.FROZEN if found.order_status == "AUTHORIZED" and rest else FreezeState.ENDED
        return Freeze(
            id=id,
            state=state,
            amount=fen(found.amount),
            captured=fen(found.total_pay_amount),
            rest=rest,
            authorisation=found.auth_no,
        )

    async def capture(self, id: str, freeze: Freeze, amount: int, title: str, *, last: bool) -> Capture:
        """Charges so many fen of what is frozen; with `last` the rest is unfrozen."""
        asked = request(
            "TradePay",
            out_trade_no=id,
            auth_no=_authorised(freeze),
            total_amount=yuan(amount),
            subject=title,
            product_code=_PRODUCT,
            auth_confirm_mode="COMPLETE" if last else "NOT_COMPLETE",
        )
        try:
            await self._gateway.ask(asked, _Step, notify_url=self._notify_url)
        except Refusal as refused:
            found = await self.captured(id)
            if found is not None and found.amount == amount:
                return found
            raise refusal(refused.reason) from None
        return await self.captured(id) or Capture(id, amount, done=False)

    async def captured(self, id: str) -> Capture | None:
        """What Alipay knows of a capture."""
        try:
            trade = await self._gateway.ask(request("TradeQuery", out_trade_no=id), Trade)
        except Refusal as refused:
            if refused.reason in UNHEARD_OF:
                return None
            raise refusal(refused.reason) from None
        paid = trade.trade_status in ("TRADE_SUCCESS", "TRADE_FINISHED") or bool(trade.send_pay_date)
        return Capture(id, fen(trade.total_amount), paid)

    async def unfreeze(self, id: str, freeze: Freeze, amount: int, note: str) -> Freeze:
        """Gives so many fen back to where they were; answers what is left."""
        asked = request(
            "FundAuthOrderUnfreeze",
            auth_no=_authorised(freeze),
            out_request_no=id,
            amount=yuan(amount),
            remark=note,
        )
        try:
            await self._gateway.ask(asked, _Step, notify_url=self._notify_url)
        except Refusal as refused:
            raise refusal(refused.reason) from None
        return await self._now(freeze)

    async def cancel(self, freeze: Freeze) -> Freeze:
        """Takes back the question, or unfreezes everything of which nothing was captured."""
        asked = request("FundAuthOperationCancel", out_order_no=freeze.id, out_request_no=freeze.id, remark="cancelled")
        try:
            await self._gateway.ask(asked, _Step, notify_url=self._notify_url)
        except Refusal as refused:
            if refused.reason not in UNHEARD_OF:
                raise refusal(refused.reason) from None
        return await self._now(freeze)

    async def _now(self, freeze: Freeze) -> Freeze:
        found = await self.find(freeze.id)
        return found or Freeze(id=freeze.id, state=FreezeState.ENDED, amount=freeze.amount)


def _authorised(freeze: Freeze) -> str:
    if freeze.authorisation is None or freeze.state is not FreezeState.FROZEN:
        raise ProviderFault("not_frozen", certain=True)
    return freeze.authorisation
