"""Play money: the sandbox platform (server/payments/sandbox), asked over HTTP like any other party.

An order's id is its idempotency key there. What the platform refuses under a key it refuses for ever, so a refusal that
it has signed with one of its codes is certain; anything else – no answer, a fault, an answer that is none of the
platform's – leaves open what was done. A key that does not fit is a matter of ours: once it is put right, the same
request may be done, so nothing is certain there either.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from server.clock import from_ms, to_ms
from server.errors import StartupError
from server.money.model import Currency
from server.payments.model import Notice, Order, OrderKind, Remote, RemoteState, Terms
from server.payments.provider import Forged, ProviderFault
from server.payments.providers import Surroundings
from server.payments.providers.line import Line, Silence

T = TypeVar("T")

NAME = "sandbox"
#: seconds for one request, and by which a notice may be older or newer than our clock
ANSWER_WITHIN = 10.0
NOTICE_SECONDS = 300
_OPEN_FOR = 1_800.0
_CHARGES: dict[Currency, tuple[int, int]] = {
    Currency.CNY: (1, 5_000_000),
    Currency.HKD: (1, 5_000_000),
    Currency.TWD: (1, 20_000_000),
    Currency.JPY: (1, 1_000_000),
    Currency.SGD: (1, 1_000_000),
    Currency.USD: (1, 1_000_000),
    Currency.EUR: (1, 1_000_000),
    Currency.GBP: (1, 1_000_000),
}
_PATHS = {OrderKind.CHARGE: "charges", OrderKind.REFUND: "refunds", OrderKind.PAY_OUT: "pay-outs"}
#: the platform's refusals that hold for ever → our words for them
_CERTAIN = {
    "bad_request": "bad_request",
    "unknown": "unknown",
    "idempotency_conflict": "conflict",
    "order_exists": "conflict",
    "amount_limit": "amount_limit",
    "wrong_currency": "wrong_currency",
    "over_refund": "over_refund",
    "not_paid": "not_paid",
    "declined": "declined",
}
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")
#: what a charge is for, as its page says it
_PURPOSES = {"top_up": {"en": "Top-up of your wallet", "zh-CN": "给钱包充值"}}


class _Movement(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: OrderKind
    order: str
    state: RemoteState
    amount: int
    currency: Currency
    refunded: int
    disputed: int
    created_at: int
    url: str | None = None
    fault: str | None = None


class _Listed(msgspec.Struct, frozen=True):
    items: list[_Movement]
    next: int | None


class _Error(msgspec.Struct, frozen=True):
    code: str


class _Refused(msgspec.Struct, frozen=True):
    error: _Error


class _About(msgspec.Struct, frozen=True):
    kind: OrderKind
    id: str
    order: str


class _Told(msgspec.Struct, frozen=True):
    id: str
    about: _About


def build(surroundings: Surroundings) -> Sandbox:
    """Raises StartupError when there is no platform to ask."""
    settings, keys = surroundings.settings, surroundings.keys
    url = settings.sandbox_url
    if not url:
        raise StartupError(
            "bad_setting",
            "VOUCH_PAYMENTS names the sandbox, and none runs.",
            hint="`serve` starts one; for others name its address in VOUCH_SANDBOX_URL.",
        )
    authority = settings.secrets_path / "authority.pem" if url.startswith("https://") else None
    return Sandbox(url, api_key=keys.sandbox_key, webhook_secret=keys.sandbox_webhook, authorities=authority)


class Sandbox:
    """`url` is the platform's address, `authorities` a PEM file of certificates believed besides the system's,
    `open_for` the seconds for which a check-out stays open."""

    name = NAME

    def __init__(
        self,
        url: str,
        *,
        api_key: str,
        webhook_secret: str,
        authorities: Path | None = None,
        open_for: float = _OPEN_FOR,
        within: float = ANSWER_WITHIN,
    ) -> None:
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._webhook_secret = webhook_secret.encode()
        self._terms = Terms(charges=_CHARGES, open_for=open_for, test=True)
        self._line = Line(authorities=authorities, within=within)

    @property
    def terms(self) -> Terms:
        return self._terms

    async def charge(self, order: Order, return_url: str, language: str) -> Remote:
        asked = _money(order) | {
            "return_url": return_url,
            "description": _PURPOSES.get(order.purpose, {}).get(language, ""),
            "language": language,
            "open_for": self._terms.open_for,
        }
        return await self._ask(order, "/v1/charges", asked)

    async def cancel(self, order: Order) -> Remote:
        """One that never arrived there is cancelled too: should it still arrive, it stays closed."""
        return await self._ask(order, "/v1/charges/cancel", _money(order))

    async def refund(self, order: Order, charge: Order) -> Remote:
        reference = charge.reference
        if reference is None:
            found = await self.find(charge)
            if found is None:
                raise ProviderFault("unknown", certain=True)
            reference = found.reference
        return await self._ask(order, "/v1/refunds", _money(order) | {"charge": reference})

    async def pay_out(self, order: Order) -> Remote:
        return await self._ask(order, "/v1/pay-outs", _money(order) | {"destination": order.destination})

    async def find(self, order: Order) -> Remote | None:
        query = urlencode({"order": order.id})
        body = await self._request("GET", f"/v1/{_PATHS[order.kind]}?{query}")
        items = _read(body, _Listed).items
        return _remote(items[0]) if items else None

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice | None:
        match = _SIGNATURE.fullmatch(headers.get("practice-signature", ""))
        if match is None:
            raise Forged("it is not signed")
        made = hmac.new(self._webhook_secret, match[1].encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(made, match[2]):
            raise Forged("its signature does not hold")
        if abs(now.timestamp() - int(match[1])) > NOTICE_SECONDS:
            raise Forged("it is too old")
        try:
            told = msgspec.json.decode(body, type=_Told)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None  # genuine, and of a kind that a newer platform sends
        return Notice(told.id, told.about.kind, told.about.order, told.about.id)

    async def everything(self, kind: OrderKind, since: datetime, until: datetime) -> AsyncIterator[Remote]:
        """By the time of making."""
        after: int | None = 0
        while after is not None:
            query = urlencode({"since": to_ms(since), "until": to_ms(until), "after": after})
            page = _read(await self._request("GET", f"/v1/{_PATHS[kind]}?{query}"), _Listed)
            for item in page.items:
                yield _remote(item)
            after = page.next

    async def close(self) -> None:
        self._line.close()

    async def _ask(self, order: Order, path: str, content: Mapping[str, object]) -> Remote:
        answer = await self._request("POST", path, key=order.id, body=msgspec.json.encode(content))
        movement = _read(answer, _Movement)
        if (movement.order, movement.amount, movement.currency) != (order.id, order.amount, order.currency):
            raise ProviderFault("garbled", certain=False)
        return _remote(movement)

    async def _request(self, method: str, path: str, *, key: str = "", body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self._api_key}"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            answer = await self._line.request(method, self._url + path, headers, body)
        except Silence as silence:
            raise ProviderFault(silence.code, certain=False) from None
        if answer.status == 200:
            return answer.body
        try:
            code = msgspec.json.decode(answer.body, type=_Refused).error.code
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise ProviderFault("down", certain=False) from None
        if code == "credentials":
            raise ProviderFault("credentials", certain=False)
        if code in _CERTAIN and 400 <= answer.status < 500:
            raise ProviderFault(_CERTAIN[code], certain=True)
        raise ProviderFault("down", certain=False)


def _money(order: Order) -> dict[str, object]:
    return {"order": order.id, "amount": order.amount, "currency": order.currency}


def _read(body: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ProviderFault("garbled", certain=False) from None


def _remote(movement: _Movement) -> Remote:
    return Remote(
        kind=movement.kind,
        reference=movement.id,
        order=movement.order,
        state=movement.state,
        amount=movement.amount,
        currency=movement.currency,
        refunded=movement.refunded,
        disputed=movement.disputed,
        url=movement.url if movement.state is RemoteState.OPEN else None,
        fault=movement.fault,
        at=from_ms(movement.created_at),
    )
