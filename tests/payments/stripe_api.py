"""Stripe's API as our adapter meets it: localstripe, and before it what localstripe lacks.

localstripe does payment intents, charges, refunds, pay-outs and signed webhooks. It has no check-out sessions, no
transfers to connected accounts and no disputes, ignores idempotency keys, gives back more than was paid, and cannot
list by time. These are here, after Stripe's documents; that they are like Stripe, only Stripe can show
(docs/payments.md).
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.web import Application, RequestHandler

Fields = dict[str, Any]
KEY = "sk_test_vouch"
#: A direct debit of this account is refused by its bank, half a second later.
_NO_MONEY = "DE62370400440532013001"


class Refused(Exception):
    def __init__(self, status: int, **error: str) -> None:
        self.status = status
        self.error = {"type": "invalid_request_error", "message": "no", **error}


class StripeApi:
    """`received` are the webhooks that localstripe has sent of what was made here, `asked` the adapter's requests
    (method, path, headers), `forwarded` what localstripe was asked."""

    def __init__(self, localstripe: int) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        #: orders without a session of which webhooks are wanted too
        self.expected: set[str] = set()
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.forwarded: list[str] = []
        #: what is answered instead, once each: (status, body)
        self.instead: list[tuple[int, bytes]] = []
        #: how many of the next answers to POST are lost, after the work is done
        self.lose = 0
        #: how many of the next requests are never answered
        self.hang = 0
        #: pay-outs that Stripe makes by itself, of our balance to our bank
        self.automatic: set[str] = set()
        self.sessions: dict[str, Fields] = {}
        self.transfers: dict[str, Fields] = {}
        self.disputes: dict[str, Fields] = {}
        #: idempotency key → content, status, answer
        self.done: dict[str, tuple[str, int, bytes]] = {}
        self._there = f"http://127.0.0.1:{localstripe}"
        self._client = SimpleAsyncHTTPClient(force_instance=True)
        self._never = asyncio.Event()
        self._server: HTTPServer | None = None
        [listening] = bind_sockets(0, "127.0.0.1")
        self.port = listening.getsockname()[1]
        self._listen(listening)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, webhook_secret: str, to: str = "") -> None:
        """Empties it. Webhooks go to `to`, or else are kept in `received`."""
        await self._client.fetch(f"{self._there}/_config/data", method="DELETE")
        body = json.dumps({"url": to or f"{self.url}/received", "secret": webhook_secret})
        await self._client.fetch(f"{self._there}/_config/webhooks/vouch", method="POST", body=body)

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
        self._client.close()

    def _listen(self, listening: Any) -> None:
        routes = [(r"/received", _Received, {"api": self}), (r"/(v1/.*)", _Api, {"api": self})]
        self._server = HTTPServer(Application(routes))
        self._server.add_socket(listening)

    # ── The payer, and their bank ───────────────────────────────────────────────────────────────────────────────────

    async def pay(self, session: str, *, has_money: bool = True) -> None:
        """By card; who has no money pays by direct debit, which is refused later."""
        made = self.sessions[session]
        assert made["status"] == "open"
        method = "pm_card_visa" if has_money else (await self._debit())["id"]
        intent = await self.ask(
            "POST",
            "v1/payment_intents",
            {
                "amount": made["amount_total"],
                "currency": made["currency"],
                "payment_method": method,
                "confirm": "true",
                **{f"metadata[{name}]": value for name, value in made["_intent_metadata"].items()},
            },
        )
        made.update(status="complete", url=None, payment_intent=intent["id"])

    async def _debit(self) -> Fields:
        return await self.ask("POST", "v1/payment_methods", {"type": "sepa_debit", "sepa_debit[iban]": _NO_MONEY})

    def dispute(self, session: str, amount: int, status: str = "needs_response") -> str:
        id = f"du_{secrets.token_hex(8)}"
        self.disputes[id] = {
            "id": id,
            "object": "dispute",
            "amount": amount,
            "status": status,
            "payment_intent": self.sessions[session]["payment_intent"],
            "created": int(time.time()),
        }
        return id

    # ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def answer(self, method: str, path: str, fields: Fields, headers: dict[str, str]) -> tuple[int, bytes] | None:
        """None: no answer comes."""
        self.asked.append((method, path, headers))
        if self.hang:
            self.hang -= 1
            await self._never.wait()
            return None
        if self.instead:
            return self.instead.pop(0)
        answer = await self._once(method, path, fields, headers)
        if self.lose and method == "POST":
            self.lose -= 1
            return None
        return answer

    async def _once(self, method: str, path: str, fields: Fields, headers: dict[str, str]) -> tuple[int, bytes]:
        """The same idempotency key with the same content is answered with what was answered first."""
        if headers.get("authorization") != f"Bearer {KEY}":
            return 401, b'{"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}}'
        key = headers.get("idempotency-key", "") if method == "POST" else ""
        content = json.dumps([path, sorted(fields.items())])
        if key in self.done:
            first, status, body = self.done[key]
            if first != content:
                error = {"type": "idempotency_error", "message": "Keys can only be used with the same parameters."}
                return 400, json.dumps({"error": error}).encode()
            return status, body
        try:
            status, answer = 200, await self._do(method, path, fields)
        except Refused as refused:
            status, answer = refused.status, {"error": refused.error}
        body = json.dumps(answer).encode()
        if key and status == 200:
            self.done[key] = (content, status, body)
        return status, body

    async def _do(self, method: str, path: str, fields: Fields) -> Fields:
        parts = path.split("/")[1:]
        match method, parts:
            case "POST", ["checkout", "sessions"]:
                return self._open(fields)
            case "GET", ["checkout", "sessions"]:
                return await self._list(list(self.sessions.values()), fields, "payment_intent")
            case "GET", ["checkout", "sessions", id]:
                return await self._shown(self._known(self.sessions, id), fields)
            case "POST", ["checkout", "sessions", id, "expire"]:
                session = self._known(self.sessions, id)
                if session["status"] != "open":
                    raise Refused(400, message="Only Checkout Sessions with a status in [open] can be expired.")
                session.update(status="expired", url=None)
                return session
            case "POST", ["transfers"]:
                return self._transfer(fields)
            case "GET", ["transfers"]:
                return await self._list(list(self.transfers.values()), fields, "transfer_group")
            case "GET", ["transfers", id]:
                return self._known(self.transfers, id)
            case "GET", ["disputes"]:
                return await self._list(list(self.disputes.values()), fields, "payment_intent")
            case "POST", ["refunds"]:
                await self._leaves_enough(fields)
            case "GET", ["refunds" | "payouts"]:
                rows = [row | {"automatic": row["id"] in self.automatic} for row in await self._all(path)]
                return await self._list(rows, fields)
        return await self.ask(method, path, fields)

    def _open(self, fields: Fields) -> Fields:
        item = "line_items[0][price_data]"
        now, expires = time.time(), int(fields["expires_at"])
        if not now + 30 * 60 - 5 <= expires <= now + 24 * 3600:
            raise Refused(400, param="expires_at", message="must be between 30 minutes and 24 hours from now")
        assert fields["mode"] == "payment"
        assert fields[f"{item}[product_data][name]"]
        assert fields["success_url"].startswith("http")
        assert fields["cancel_url"].startswith("http")
        assert fields["locale"] in ("zh", "en", "auto")
        id = f"cs_test_{secrets.token_hex(12)}"
        self.sessions[id] = {
            "id": id,
            "object": "checkout.session",
            "amount_total": int(fields[f"{item}[unit_amount]"]) * int(fields["line_items[0][quantity]"]),
            "currency": fields[f"{item}[currency]"],
            "client_reference_id": fields["client_reference_id"],
            "created": int(now),
            "expires_at": expires,
            "status": "open",
            "url": f"https://checkout.stripe.com/c/pay/{id}",
            "payment_intent": None,
            "metadata": {"order": fields["metadata[order]"]},
            "_intent_metadata": {"order": fields["payment_intent_data[metadata][order]"]},
        }
        return self.sessions[id]

    def _transfer(self, fields: Fields) -> Fields:
        if not fields["destination"].startswith("acct_") or fields["destination"] == "acct_missing":
            message = f"No such destination: '{fields['destination']}'"
            raise Refused(400, code="resource_missing", param="destination", message=message)
        id = f"tr_{secrets.token_hex(8)}"
        self.transfers[id] = {
            "id": id,
            "object": "transfer",
            "amount": int(fields["amount"]),
            "amount_reversed": 0,
            "currency": fields["currency"],
            "created": int(time.time()),
            "transfer_group": fields["transfer_group"],
            "metadata": {"order": fields["metadata[order]"]},
        }
        return self.transfers[id]

    async def _leaves_enough(self, fields: Fields) -> None:
        charge = (await self.ask("GET", f"v1/payment_intents/{fields['payment_intent']}", {}))["latest_charge"]
        left = charge["amount"] - charge["amount_refunded"]
        if not left:
            raise Refused(400, code="charge_already_refunded", message="Charge has already been refunded.")
        if int(fields["amount"]) > left:
            raise Refused(400, param="amount", message="Refund amount is greater than unrefunded amount on charge")

    async def _shown(self, session: Fields, fields: Fields) -> Fields:
        expanded = any(name.startswith("expand") and "payment_intent" in value for name, value in fields.items())
        if session.get("payment_intent") is None or not expanded:
            return session
        intent = await self.ask("GET", f"v1/payment_intents/{session['payment_intent']}", {})
        intent["latest_charge"]["disputed"] = any(
            dispute["payment_intent"] == intent["id"] for dispute in self.disputes.values()
        )
        return session | {"payment_intent": intent}

    async def _list(self, rows: list[Fields], fields: Fields, *filters: str) -> Fields:
        """Newest first, as Stripe lists."""
        rows = [row for row in reversed(rows) if all(row[name] == fields.get(name, row[name]) for name in filters)]
        since, until = int(fields.get("created[gte]", 0)), int(fields.get("created[lt]", 2**40))
        rows = [row for row in rows if since <= row["created"] < until]
        rows.sort(key=lambda row: -int(row["created"]))
        if "starting_after" in fields:
            ids = [row["id"] for row in rows]
            rows = rows[ids.index(fields["starting_after"]) + 1 :]
        limit = int(fields.get("limit", 10))
        assert 1 <= limit <= 100
        shown = [await self._shown(row, fields) for row in rows[:limit]]
        return {"object": "list", "url": "/v1", "has_more": len(rows) > limit, "data": shown}

    async def _all(self, path: str) -> list[Fields]:
        rows: list[Fields] = []
        while True:
            after = {"starting_after": rows[-1]["id"]} if rows else {}
            page = await self.ask("GET", path, {"limit": "100", **after})
            rows += page["data"]
            if not page["has_more"]:
                return rows

    async def ask(self, method: str, path: str, fields: Fields) -> Fields:
        """Of localstripe."""
        self.forwarded.append(f"{method} {re.sub(r'_[A-Za-z0-9]{14,}', '_…', path)}")
        url, body = f"{self._there}/{path}", urlencode(fields)
        if method == "GET":
            url, body = f"{url}?{body}", ""
        answer = await self._client.fetch(
            url,
            method=method,
            body=body or None,
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"},
            raise_error=False,
            allow_nonstandard_methods=True,
        )
        try:
            said: Fields = json.loads(answer.body)
        except ValueError:
            raise Refused(500, type="api_error", message=answer.body.decode()[:200]) from None
        if answer.code != 200:
            raise Refused(answer.code, **said["error"])
        return said

    @staticmethod
    def _known(rows: dict[str, Fields], id: str) -> Fields:
        if id not in rows:
            raise Refused(404, code="resource_missing", param="id", message=f"No such object: '{id}'")
        return rows[id]


class _Api(RequestHandler):
    def initialize(self, api: StripeApi) -> None:
        self._api = api

    async def get(self, path: str) -> None:
        await self._answer(path, dict(parse_qsl(self.request.query)))

    async def post(self, path: str) -> None:
        await self._answer(path, dict(parse_qsl(self.request.body.decode())))

    async def _answer(self, path: str, fields: Fields) -> None:
        headers = {name.lower(): value for name, value in self.request.headers.items()}
        answered = await self._api.answer(self.request.method or "", path, fields, headers)
        if answered is None:
            self.detach().close()
            return
        self.set_status(answered[0])
        self.set_header("Content-Type", "application/json")
        self.set_header("Request-Id", f"req_{secrets.token_hex(6)}")
        self.write(answered[1])


class _Received(RequestHandler):
    def initialize(self, api: StripeApi) -> None:
        self._api = api

    def post(self) -> None:
        # They come a second late, those of the test before too.
        subject = json.loads(self.request.body)["data"]["object"]
        ours = {session["client_reference_id"] for session in self._api.sessions.values()} | self._api.expected
        if subject.get("metadata", {}).get("order") in ours:
            headers = {name.lower(): value for name, value in self.request.headers.items()}
            self._api.received.append((headers, self.request.body))
