"""What Alipay's gateway keeps in the tests: trades, refunds, transfers, bills and freezes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

BEIJING = timezone(timedelta(hours=8))
TIME = "%Y-%m-%d %H:%M:%S"
Fields = dict[str, Any]


class Refused(Exception):
    def __init__(self, reason: str, code: str = "40004") -> None:
        self.reason = reason
        self.code = code


class Books:
    """Everything by our numbers. The methods are Alipay's own (`METHODS`), from their content to the answer."""

    def __init__(self) -> None:
        self.trades: dict[str, Fields] = {}
        self.refunds: dict[tuple[str, str], Decimal] = {}
        self.transfers: dict[str, Fields] = {}
        self.freezes: dict[str, Fields] = {}
        self.unfrozen: dict[str, tuple[str, Decimal]] = {}

    def notify_trade(self, number: str, **more: str) -> None:
        """Tells the app what has become of a trade."""
        raise NotImplementedError

    # ── Trades ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _query(self, content: Fields, fields: dict[str, str]) -> Fields:
        trade = self.trades.get(content["out_trade_no"])
        if trade is None:
            raise Refused("ACQ.TRADE_NOT_EXIST")
        said = {
            "out_trade_no": content["out_trade_no"],
            "trade_no": "2026" + content["out_trade_no"][-12:],
            "trade_status": trade["status"],
            "total_amount": str(trade["amount"]),
            "buyer_logon_id": "lin***@example.com",
        }
        return said | ({"send_pay_date": trade["paid"]} if trade["paid"] else {})

    def _close(self, content: Fields, fields: dict[str, str]) -> Fields:
        trade = self.trades.get(content["out_trade_no"])
        if trade is None:
            raise Refused("ACQ.TRADE_NOT_EXIST")
        if trade["status"] != "WAIT_BUYER_PAY":
            raise Refused("ACQ.TRADE_STATUS_ERROR")
        trade["status"] = "TRADE_CLOSED"
        return {"out_trade_no": content["out_trade_no"]}

    def _refund(self, content: Fields, fields: dict[str, str]) -> Fields:
        number, request = content["out_trade_no"], content["out_request_no"]
        trade, amount = self.trades.get(number), read_amount(content["refund_amount"])
        if trade is None:
            raise Refused("ACQ.TRADE_NOT_EXIST")
        done = self.refunds.get((number, request))
        if done is not None:
            if done != amount:
                raise Refused("ACQ.DISCORDANT_REPEAT_REQUEST")
            return {"out_trade_no": number, "fund_change": "N", "refund_fee": str(self._back(number))}
        if trade["paid"] is None:
            raise Refused("ACQ.TRADE_STATUS_ERROR")
        if self._back(number) + amount > trade["amount"]:
            raise Refused("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")
        self.refunds[number, request] = amount
        if self._back(number) == trade["amount"]:
            trade["status"] = "TRADE_CLOSED"
        self.notify_trade(number, out_biz_no=request, refund_fee=str(self._back(number)))
        return {"out_trade_no": number, "fund_change": "Y", "refund_fee": str(self._back(number))}

    def _back(self, number: str) -> Decimal:
        return sum((amount for (trade, _), amount in self.refunds.items() if trade == number), Decimal("0.00"))

    def _refund_query(self, content: Fields, fields: dict[str, str]) -> Fields:
        if content["out_trade_no"] not in self.trades:
            raise Refused("ACQ.TRADE_NOT_EXIST")
        amount = self.refunds.get((content["out_trade_no"], content["out_request_no"]))
        if amount is None:
            return {}
        said = {"out_request_no": content["out_request_no"], "refund_amount": str(amount)}
        return {**said, "refund_status": "REFUND_SUCCESS", "gmt_refund_pay": self._now()}

    # ── Transfers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _transfer(self, content: Fields, fields: dict[str, str]) -> Fields:
        number, amount = content["out_biz_no"], read_amount(content["trans_amount"])
        assert (content["product_code"], content["biz_scene"]) == ("TRANS_ACCOUNT_NO_PWD", "DIRECT_TRANSFER")
        payee = content["payee_info"]
        done = self.transfers.get(number)
        if done is None:
            if amount < Decimal("0.1"):
                raise Refused("INVALID_PARAMETER")
            if payee["identity"].startswith("nobody"):
                raise Refused("PAYEE_NOT_EXIST")
            kind = "ALIPAY_USER_ID" if payee["identity"].startswith("2088") else "ALIPAY_LOGON_ID"
            assert payee["identity_type"] == kind
            assert payee["name"]
            done = self.transfers[number] = {"amount": amount, "status": "SUCCESS", "at": self._now()}
        elif done["amount"] != amount:
            raise Refused("DISCORDANT_REPEAT_REQUEST")
        return {"out_biz_no": number, "order_id": f"o{number}", "status": done["status"], "trans_date": done["at"]}

    def _transfer_query(self, content: Fields, fields: dict[str, str]) -> Fields:
        done = self.transfers.get(content["out_biz_no"])
        if done is None:
            raise Refused("ORDER_NOT_EXIST")
        number = content["out_biz_no"]
        said = {"out_biz_no": number, "order_id": f"o{number}", "status": done["status"], "pay_date": done["at"]}
        return {**said, "trans_amount": str(done["amount"])}

    # ── Bills ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _sold(self, content: Fields, fields: dict[str, str]) -> Fields:
        lines = [
            {
                "alipay_order_no": "2026" + number[-12:],
                "merchant_order_no": number,
                "total_amount": str(trade["amount"]),
                "refund_amount": str(self._back(number)),
                "gmt_create": trade["created"],
                **({"gmt_pay": trade["paid"]} if trade["paid"] else {}),
            }
            for number, trade in self.trades.items()
            if content["start_time"] <= trade["created"] <= content["end_time"]
            and content.get("merchant_order_no") in (None, number)
        ]
        return _page(content, lines)

    def _account(self, content: Fields, fields: dict[str, str]) -> Fields:
        now = self._now()
        lines: list[Fields] = [
            {
                "merchant_order_no": trade,
                "merchant_out_refund_no": request,
                "type": "交易退款",
                "direction": "支出",
                "trans_amount": str(amount),
            }
            for (trade, request), amount in self.refunds.items()
        ]
        lines += [
            {"merchant_order_no": number, "type": "转账", "direction": "支出", "trans_amount": str(transfer["amount"])}
            for number, transfer in self.transfers.items()
        ]
        lines += [
            {"merchant_order_no": number, "type": "在线支付", "direction": "收入", "trans_amount": str(trade["amount"])}
            for number, trade in self.trades.items()
            if trade["paid"]
        ]
        lines.append({"alipay_order_no": "1", "type": "转账", "direction": "收入", "trans_amount": 5.25})
        within = [line | {"trans_dt": now} for line in lines if content["start_time"] <= now <= content["end_time"]]
        return _page(content, within)

    # ── Freezes ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _voucher(self, content: Fields, fields: dict[str, str]) -> Fields:
        number, amount = content["out_order_no"], read_amount(content["amount"])
        assert content["product_code"] == "PREAUTH_PAY"
        freeze = self.freezes.setdefault(
            number,
            {
                "number": number,
                "amount": amount,
                "status": "INIT",
                "order": "INIT",
                "auth": f"auth{number}",
                "rest": Decimal("0.00"),
                "paid": Decimal("0.00"),
                "notify": fields.get("notify_url"),
            },
        )
        if freeze["amount"] != amount:
            raise Refused("DISCORDANT_REPEAT_REQUEST")
        return {"out_order_no": number, "code_type": "qrcode", "code_value": f"https://qr.example/{number}"}

    def _freeze_query(self, content: Fields, fields: dict[str, str]) -> Fields:
        freeze = self.freezes.get(content["out_order_no"])
        if freeze is None:
            raise Refused("AUTH_ORDER_NOT_EXIST")
        assert content["operation_type"] == "FREEZE"
        return {
            "auth_no": freeze["auth"],
            "out_order_no": freeze["number"],
            "amount": str(freeze["amount"]),
            "status": freeze["status"],
            "order_status": freeze["order"],
            "rest_amount": str(freeze["rest"]),
            "total_pay_amount": str(freeze["paid"]),
        }

    def _by_auth(self, auth: str) -> Fields:
        for freeze in self.freezes.values():
            if freeze["auth"] == auth:
                return freeze
        raise Refused("AUTH_ORDER_NOT_EXIST")

    def _capture(self, content: Fields, fields: dict[str, str]) -> Fields:
        number, amount = content["out_trade_no"], read_amount(content["total_amount"])
        freeze = self._by_auth(content["auth_no"])
        assert content["product_code"] == "PREAUTH_PAY"
        if number in self.trades:
            raise Refused("ACQ.TRADE_HAS_SUCCESS")
        if amount > freeze["rest"]:
            raise Refused("ACQ.AUTH_AMOUNT_NOT_ENOUGH")
        at = self._now()
        self.trades[number] = {"status": "TRADE_SUCCESS", "amount": amount, "created": at, "paid": at, "notify": None}
        freeze["paid"] += amount
        freeze["rest"] = Decimal("0.00") if content["auth_confirm_mode"] == "COMPLETE" else freeze["rest"] - amount
        if not freeze["rest"]:
            freeze["order"] = "FINISH"
        return {"out_trade_no": number, "total_amount": str(amount)}

    def _unfreeze(self, content: Fields, fields: dict[str, str]) -> Fields:
        freeze, amount = self._by_auth(content["auth_no"]), read_amount(content["amount"])
        request = content["out_request_no"]
        done = self.unfrozen.get(request)
        if done is None:
            if amount > freeze["rest"]:
                raise Refused("UNFREEZE_AMOUNT_EXCEED")
            self.unfrozen[request] = (freeze["number"], amount)
            freeze["rest"] -= amount
            if not freeze["rest"]:
                freeze["order"] = "FINISH"
        elif done != (freeze["number"], amount):
            raise Refused("DISCORDANT_REPEAT_REQUEST")
        return {"status": "SUCCESS", "amount": str(amount)}

    def _freeze_cancel(self, content: Fields, fields: dict[str, str]) -> Fields:
        freeze = self.freezes.get(content["out_order_no"])
        if freeze is None:
            raise Refused("AUTH_ORDER_NOT_EXIST")
        if freeze["paid"]:
            raise Refused("AUTH_ORDER_HAS_PAID")
        freeze.update(status="CLOSED", order="CLOSED", rest=Decimal("0.00"))
        return {"out_order_no": freeze["number"], "action": "close"}

    @staticmethod
    def _now() -> str:
        return datetime.now(BEIJING).strftime(TIME)


METHODS: dict[str, Callable[[Books, Fields, dict[str, str]], Fields]] = {
    "alipay.trade.query": Books._query,
    "alipay.trade.close": Books._close,
    "alipay.trade.refund": Books._refund,
    "alipay.trade.fastpay.refund.query": Books._refund_query,
    "alipay.fund.trans.uni.transfer": Books._transfer,
    "alipay.fund.trans.common.query": Books._transfer_query,
    "alipay.data.bill.sell.query": Books._sold,
    "alipay.data.bill.accountlog.query": Books._account,
    "alipay.fund.auth.order.voucher.create": Books._voucher,
    "alipay.fund.auth.operation.detail.query": Books._freeze_query,
    "alipay.fund.auth.operation.cancel": Books._freeze_cancel,
    "alipay.fund.auth.order.unfreeze": Books._unfreeze,
    "alipay.trade.pay": Books._capture,
}


def read_amount(text: str) -> Decimal:
    """What Alipay takes: yuan with at most two decimals, over 0."""
    amount = Decimal(text)
    if amount <= 0 or amount != amount.quantize(Decimal("0.01")) or "e" in text.lower():
        raise Refused("INVALID_PARAMETER")
    return amount.quantize(Decimal("0.01"))


def _page(content: Fields, lines: list[Fields]) -> Fields:
    assert content["start_time"] <= content["end_time"]
    number, size = int(content["page_no"]), int(content["page_size"])
    assert 1 <= size <= 2000
    return {
        "page_no": content["page_no"],
        "page_size": content["page_size"],
        "total_size": str(len(lines)),
        "detail_list": lines[(number - 1) * size : number * size],
    }
