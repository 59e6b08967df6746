"""Alipay's gateway as far as we use it, on this machine: stricter than the real one where that tells more.

It believes no request whose RSA2 signature does not hold for the app's public key, signs its answers and
notifications, gives back no more than was paid, does each of our ids once, can be down, and can do something and not
say so. Written from Alipay's published documents; that it is like Alipay, only Alipay can show (docs/payments.md).
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tests.payments.alipay_books import BEIJING, METHODS, TIME, Books, Fields, Refused, read_amount


class Gateway(Books):
    """`app` is the app's key, `key` the gateway's own. `sent` are the notifications, as bodies, in order."""

    def __init__(self, app_id: str, app: rsa.RSAPublicKey, key: rsa.RSAPrivateKey) -> None:
        super().__init__()
        self.app_id = app_id
        self.key = key
        self.sent: list[bytes] = []
        self.asked: list[str] = []
        #: what is answered instead, once each: (status, body)
        self.instead: list[tuple[int, bytes]] = []
        #: how many of the next answers are lost, after the work is done
        self.lose = 0
        #: how many of the next requests are never answered
        self.hang = 0
        #: sub_codes that the next requests are refused with
        self.refuse: list[tuple[str, str]] = []
        #: fields that requests must have, with these values
        self.required: Fields = {}
        #: how bills are refused, where the app may not see them
        self.without_bills: tuple[str, str] | None = None
        self.app = app
        self._server: HTTPServer | None = None
        self._never = asyncio.Event()
        [listening] = bind_sockets(0, "127.0.0.1")
        self.port = listening.getsockname()[1]
        self._listen(listening)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/gateway.do"

    async def down(self) -> None:
        if self._server is not None:
            self._server.stop()
            await self._server.close_all_connections()
            self._server = None

    def up(self) -> None:
        if self._server is None:
            [listening] = bind_sockets(self.port, "127.0.0.1")
            self._listen(listening)

    async def stop(self) -> None:
        self._never.set()
        await self.down()

    def _listen(self, listening: Any) -> None:
        self._server = HTTPServer(Application([(r"/gateway\.do", _Handler, {"gateway": self})]))
        self._server.add_socket(listening)

    # ── The payer ───────────────────────────────────────────────────────────────────────────────────────────────────

    def visit(self, url: str) -> str:
        """The payer opens the check-out page; the trade comes into being. Answers its number of ours."""
        fields = dict(parse_qsl(urlsplit(url).query))
        content = self._checked(fields)
        assert fields["method"] in ("alipay.trade.page.pay", "alipay.trade.wap.pay")
        code = {"alipay.trade.page.pay": "FAST_INSTANT_TRADE_PAY", "alipay.trade.wap.pay": "QUICK_WAP_WAY"}
        assert content["product_code"] == code[fields["method"]]
        assert content["subject"]
        assert "\n" not in fields["return_url"]
        number: str = content["out_trade_no"]
        trade = self.trades.get(number)
        if trade is None:
            expires = datetime.strptime(content["time_expire"], TIME).replace(tzinfo=BEIJING)
            if expires <= datetime.now(UTC):
                raise Refused("ACQ.TIME_EXPIRE_ERROR")
            self.trades[number] = {
                "status": "WAIT_BUYER_PAY",
                "amount": read_amount(content["total_amount"]),
                "created": self._now(),
                "paid": None,
                "notify": fields.get("notify_url"),
            }
        elif trade["amount"] != read_amount(content["total_amount"]):
            raise Refused("ACQ.CONTEXT_INCONSISTENT")
        return number

    def pay(self, url: str) -> None:
        number = self.visit(url)
        trade = self.trades[number]
        if trade["status"] != "WAIT_BUYER_PAY":
            raise Refused("ACQ.TRADE_HAS_CLOSE")
        trade.update(status="TRADE_SUCCESS", paid=self._now())
        self.notify_trade(number)

    def time_out(self, number: str) -> None:
        """Nobody paid in time."""
        self.trades[number]["status"] = "TRADE_CLOSED"

    def agree(self, voucher: str) -> None:
        """The payer lets the money be frozen."""
        freeze = self.freezes[voucher.rpartition("/")[2]]
        assert freeze["status"] == "INIT"
        freeze.update(status="SUCCESS", order="AUTHORIZED", rest=freeze["amount"])
        self.send(
            freeze["notify"],
            {
                "notify_type": "fund_auth_freeze",
                "out_order_no": freeze["number"],
                "out_request_no": freeze["number"],
                "auth_no": freeze["auth"],
                "operation_id": secrets.token_hex(8),
                "status": "SUCCESS",
                "total_freeze_amount": str(freeze["amount"]),
            },
        )

    # ── Notifications ───────────────────────────────────────────────────────────────────────────────────────────────

    def notify_trade(self, number: str, **more: str) -> None:
        trade = self.trades[number]
        self.send(
            trade["notify"],
            {
                "notify_type": "trade_status_sync",
                "out_trade_no": number,
                "trade_no": "2026" + number[-12:],
                "trade_status": trade["status"],
                "total_amount": str(trade["amount"]),
                "body": "",
                **more,
            },
        )

    def send(self, url: str | None, fields: dict[str, str]) -> None:
        if url:
            self.sent.append(self.signed_notice(fields))

    def signed_notice(
        self, fields: dict[str, str], *, keep_kind: bool = False, key: rsa.RSAPrivateKey | None = None
    ) -> bytes:
        """`keep_kind`: as messages are signed, with the kind of signature among what is signed."""
        fields = {
            "app_id": self.app_id,
            "charset": "utf-8",
            "notify_id": secrets.token_hex(16),
            "notify_time": self._now(),
            "version": "1.0",
            "sign_type": "RSA2",
            **fields,
        }
        signed = {name: value for name, value in fields.items() if value and (keep_kind or name != "sign_type")}
        return urlencode({**fields, "sign": signature(key or self.key, _joined(signed))}).encode()

    # ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def answer(self, fields: dict[str, str]) -> tuple[int, bytes] | None:
        """None: no answer comes."""
        method = fields.get("method", "")
        self.asked.append(method)
        if self.hang:
            self.hang -= 1
            await self._never.wait()
            return None
        if self.instead:
            return self.instead.pop(0)
        try:
            content = self._checked(fields)
            if self.refuse:
                raise Refused(*self.refuse.pop(0))
            if self.without_bills and ".bill." in method:
                raise Refused(*self.without_bills)
            did = METHODS[method](self, content, fields)
            said = {"code": "10000", "msg": "Success", **did}
        except Refused as refused:
            said = {
                "code": refused.code,
                "msg": "Business Failed",
                "sub_code": refused.reason,
                "sub_msg": "原因 / reason",
            }
        if self.lose:
            self.lose -= 1
            return None
        # As Alipay does: Chinese as it is, slashes escaped; the signature is over these very bytes.
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
        name = method.replace(".", "_") + "_response"
        return 200, f'{{"{name}":{text},"sign":"{signature(self.key, text.encode())}"}}'.encode()

    def _checked(self, fields: dict[str, str]) -> Fields:
        signed = {name: value for name, value in fields.items() if name != "sign" and value}
        if fields.get("app_id") != self.app_id:
            raise Refused("isv.invalid-app-id", "40002")
        try:
            signed_with = base64.b64decode(fields["sign"], validate=True)
            self.app.verify(signed_with, _joined(signed), padding.PKCS1v15(), hashes.SHA256())
        except (KeyError, ValueError, InvalidSignature):
            raise Refused("isv.invalid-signature", "40002") from None
        for name, value in {"charset": "utf-8", "sign_type": "RSA2", "version": "1.0", **self.required}.items():
            if fields.get(name) != value:
                raise Refused(f"isv.invalid-{name}", "40002")
        sent = datetime.strptime(fields["timestamp"], TIME).replace(tzinfo=BEIJING)
        if abs(datetime.now(UTC) - sent) > timedelta(minutes=30):
            raise Refused("isv.invalid-timestamp", "40002")
        if fields["method"] not in METHODS and not fields["method"].endswith((".page.pay", ".wap.pay")):
            raise Refused("isv.invalid-method", "40002")
        content: Fields = json.loads(fields["biz_content"])
        return content


class _Handler(RequestHandler):
    def initialize(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def post(self) -> None:
        fields = dict(parse_qsl(self.request.query)) | dict(parse_qsl(self.request.body.decode()))
        answered = await self._gateway.answer(fields)
        if answered is None:
            self.detach().close()
            return
        self.set_status(answered[0])
        self.set_header("Content-Type", "text/html;charset=utf-8")
        self.write(answered[1])


def signature(key: rsa.RSAPrivateKey, content: bytes) -> str:
    return base64.b64encode(key.sign(content, padding.PKCS1v15(), hashes.SHA256())).decode()


def _joined(fields: dict[str, str]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in sorted(fields.items())).encode()
