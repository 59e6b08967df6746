"""Stripe: charges on its hosted check-out pages, refunds, pay-outs to people's own accounts there.

A charge is a Checkout Session; whether it is paid, its payment intent says. A pay-out to `acct_…` (an account connected
to ours, https://docs.stripe.com/connect) is a transfer, after which Stripe pays the owner's bank by itself; one to
`ba_…` goes to a bank account of our own. Everything that is asked carries the order's id as its idempotency key, in
repeats by the SDK too. Stripe forgets keys after a day at the earliest: a check-out is opened within minutes of its
order or not at all, anything older is looked for before it is asked again, and so is what was refused before that is
called certain.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import stripe

from server.clock import Clock
from server.errors import StartupError
from server.money.model import Currency
from server.payments.model import Notice, Order, OrderKind, Remote, RemoteState, Terms
from server.payments.provider import Forged, ProviderFault
from server.payments.providers import Surroundings
from server.payments.providers.line import Line
from server.payments.providers.stripe_wire import Wire, fault_of
from server.payments.providers.stripe_words import (
    ORDER,
    Dispute,
    Event,
    Intent,
    PayOut,
    Refund,
    Session,
    Transfer,
    charge_of,
    notice_of,
    pay_out_of,
    read,
    refund_of,
    taken_back,
    transfer_of,
)

T = TypeVar("T", bound=msgspec.Struct)
Result = TypeVar("Result")

#: Seconds for one method of ours, with the SDK's repeats.
WITHIN = 14.0
#: How often the SDK repeats by itself what had no answer; the driver of orders goes on from there.
REPEATS = 1
#: A page must stay open for at least half an hour from when it is made; made later than START_WITHIN it is not.
OPEN_FOR = timedelta(hours=1)
START_WITHIN = timedelta(minutes=25)
#: For how long Stripe remembers idempotency keys at least, less an hour.
KEYS_HOLD = timedelta(hours=23)
#: The largest difference between a notification's time and ours.
NOTICE_HOLDS = timedelta(minutes=5)
NOTICE_MOST_BYTES = 256 * 1024
_PAGE = 100
#: Least charges (https://docs.stripe.com/currencies); those for CNY and TWD, which it settles in another currency, are
#: a little above its 0.50 USD. The most it counts to is eight digits.
_LEAST = {
    Currency.CNY: 4_00,
    Currency.HKD: 4_00,
    Currency.TWD: 20_00,
    Currency.JPY: 50,
    Currency.SGD: 50,
    Currency.USD: 50,
    Currency.EUR: 50,
    Currency.GBP: 30,
}
_MOST = 99_999_999
_LOCALES = {"zh-CN": "zh", "en": "en"}
_TITLES = {"zh-CN": "守约钱包充值", "en": "Vouch wallet top-up"}


def build(surroundings: Surroundings) -> Stripe:
    """Raises StartupError where the settings do not suffice; the keys themselves are never repeated."""
    settings = surroundings.settings
    if not settings.stripe_key.startswith(("sk_", "rk_")):
        raise StartupError("bad_setting", "VOUCH_STRIPE_KEY is no secret key of Stripe (sk_… or rk_…).")
    if not settings.stripe_webhook_secret:
        raise StartupError(
            "bad_setting",
            "VOUCH_STRIPE_WEBHOOK_SECRET is missing.",
            hint="Stripe shows it where the webhook's address is entered (docs/operations.md).",
        )
    return Stripe(
        key=settings.stripe_key,
        webhook_secret=settings.stripe_webhook_secret,
        clock=surroundings.clock,
        api_base=settings.stripe_api_base,
        authorities=settings.outbound_ca,
    )


class Stripe:
    """`api_base` is empty for Stripe itself."""

    name = "stripe"

    def __init__(
        self, *, key: str, webhook_secret: str, clock: Clock, api_base: str = "", authorities: Path | None = None
    ) -> None:
        self._line = Line(authorities=authorities)
        self._client = stripe.StripeClient(
            key,
            base_addresses={"api": api_base} if api_base else None,
            max_network_retries=REPEATS,
            http_client=Wire(self._line),
        )
        self._webhook_secret = webhook_secret
        self._live = "_live_" in key
        self._clock = clock

    @property
    def terms(self) -> Terms:
        return Terms(
            charges={currency: (least, _MOST) for currency, least in _LEAST.items()},
            open_for=OPEN_FOR.total_seconds(),
        )

    async def charge(self, order: Order, return_url: str, language: str) -> Remote:
        if order.reference is not None:
            return await self._asked(lambda: self._session(order.reference or ""))
        if self._clock.now() > order.created_at + START_WITHIN:
            if (made := await self.find(order)) is not None:
                return made
            raise ProviderFault("expired", certain=True)
        params: Any = {
            "mode": "payment",
            "client_reference_id": order.id,
            "metadata": {ORDER: order.id},
            "payment_intent_data": {"metadata": {ORDER: order.id}},
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": order.currency.lower(),
                        "unit_amount": order.amount,
                        "product_data": {"name": _TITLES.get(language, _TITLES["en"])},
                    },
                }
            ],
            "success_url": return_url,
            "cancel_url": return_url,
            "adaptive_pricing": {"enabled": False},  # what is paid is what was asked
            "locale": _LOCALES.get(language, "auto"),
            "expires_at": int((order.created_at + OPEN_FOR).timestamp()),
        }

        async def create() -> Remote:
            made = await self._client.v1.checkout.sessions.create_async(params, _once(order.id))
            return await self._charge(read(made, Session))

        return await self._made(order, create)

    async def cancel(self, order: Order) -> Remote:
        async def expire() -> Remote:
            found = await self._find_session(order)
            if found is None:
                return _never_opened(order)
            if found.status != "open":
                return await self._session(found.id)
            with contextlib.suppress(stripe.InvalidRequestError):  # it was paid or has expired since
                await self._client.v1.checkout.sessions.expire_async(found.id)
            return await self._session(found.id)

        return await self._asked(expire)

    async def refund(self, order: Order, charge: Order) -> Remote:
        async def create() -> Remote:
            session = await self._find_session(charge)
            intent = session.payment_intent if session else None
            if not isinstance(intent, Intent) or intent.status != "succeeded":
                raise ProviderFault("not_paid", certain=True)
            params: Any = {"payment_intent": intent.id, "amount": order.amount, "metadata": {ORDER: order.id}}
            made = await self._client.v1.refunds.create_async(params, _once(order.id))
            return refund_of(read(made, Refund))

        return await self._made(order, create, over=True)

    async def pay_out(self, order: Order) -> Remote:
        to = order.destination.get("number", "")
        params: Any = {"amount": order.amount, "currency": order.currency.lower(), "metadata": {ORDER: order.id}}

        async def create() -> Remote:
            if to.startswith("acct_"):
                params.update(destination=to, transfer_group=order.id)
                return transfer_of(
                    read(await self._client.v1.transfers.create_async(params, _once(order.id)), Transfer)
                )
            if to.startswith("ba_"):
                params.update(destination=to)
                return pay_out_of(read(await self._client.v1.payouts.create_async(params, _once(order.id)), PayOut))
            raise ProviderFault("destination", certain=True)

        return await self._made(order, create)

    async def find(self, order: Order) -> Remote | None:
        async def look() -> Remote | None:
            try:
                return await self._found(order)
            except stripe.InvalidRequestError as error:
                if error.http_status == 404:  # asked with a key of another account, perhaps
                    return None
                raise

        return await self._asked(look)

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice | None:
        signature = headers.get("stripe-signature", "")
        if not body or len(body) > NOTICE_MOST_BYTES:
            raise Forged
        try:
            stripe.WebhookSignature.verify_header(body.decode(), signature, self._webhook_secret, None)
            sent = next(int(part[2:]) for part in signature.split(",") if part.startswith("t="))
            if abs(now.timestamp() - sent) > NOTICE_HOLDS.total_seconds():
                raise Forged
        except (stripe.SignatureVerificationError, ValueError, TypeError, StopIteration, IndexError):
            raise Forged from None
        try:
            event = msgspec.json.decode(body, type=Event)
        except msgspec.DecodeError:
            return None
        return notice_of(event) if event.livemode is self._live else None

    async def everything(self, kind: OrderKind, since: datetime, until: datetime) -> AsyncIterator[Remote]:
        # Times there are whole seconds: what was made within the first one of ours may have been before it.
        within: Any = {"created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())}}
        if kind is OrderKind.CHARGE:
            listed: set[str] = set()
            async for session in self._sessions(within):
                listed.add(session.id)
                yield await self._asked(lambda session=session: self._charge(session))  # type: ignore[misc]
            # A bank takes back weeks later: what was disputed now belongs to now, whenever it was paid.
            async for session in self._disputed(within):
                if session.id not in listed:
                    listed.add(session.id)
                    yield await self._asked(lambda session=session: self._charge(session))  # type: ignore[misc]
        elif kind is OrderKind.REFUND:
            async for refund in self._each(self._client.v1.refunds.list_async, within, Refund):
                yield refund_of(refund)
        else:
            async for transfer in self._each(self._client.v1.transfers.list_async, within, Transfer):
                yield transfer_of(transfer)
            async for pay_out in self._each(self._client.v1.payouts.list_async, within, PayOut):
                if not pay_out.automatic:  # Stripe's own, of our balance to our bank
                    yield pay_out_of(pay_out)

    async def close(self) -> None:
        self._line.close()

    # ── Finding ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _found(self, order: Order) -> Remote | None:
        v1 = self._client.v1
        if order.kind is OrderKind.CHARGE:
            session = await self._find_session(order)
            return None if session is None else await self._charge(session)
        made = _around(order)
        if order.kind is OrderKind.REFUND:
            if order.reference is not None:
                return refund_of(read(await v1.refunds.retrieve_async(order.reference), Refund))
            async for refund in self._each(v1.refunds.list_async, made, Refund):
                if refund.metadata.get(ORDER) == order.id:
                    return refund_of(refund)
            return None
        if order.destination.get("number", "").startswith("acct_"):
            if order.reference is not None:
                return transfer_of(read(await v1.transfers.retrieve_async(order.reference), Transfer))
            async for transfer in self._each(v1.transfers.list_async, {"transfer_group": order.id}, Transfer):
                return transfer_of(transfer)
            return None
        if order.reference is not None:
            return pay_out_of(read(await v1.payouts.retrieve_async(order.reference), PayOut))
        async for pay_out in self._each(v1.payouts.list_async, made, PayOut):
            if pay_out.metadata.get(ORDER) == order.id:
                return pay_out_of(pay_out)
        return None

    async def _find_session(self, order: Order) -> Session | None:
        if order.reference is not None:
            return await self._retrieve(order.reference)
        async for session in self._sessions(_around(order, START_WITHIN + timedelta(minutes=5))):
            if session.client_reference_id == order.id:
                return session
        return None

    async def _retrieve(self, session: str) -> Session:
        params: Any = {"expand": ["payment_intent.latest_charge"]}
        return read(await self._client.v1.checkout.sessions.retrieve_async(session, params), Session)

    async def _session(self, session: str) -> Remote:
        return await self._charge(await self._retrieve(session))

    async def _charge(self, session: Session) -> Remote:
        intent = session.payment_intent
        if isinstance(intent, str):
            session = await self._retrieve(session.id)
            intent = session.payment_intent
        disputed = 0
        if isinstance(intent, Intent) and getattr(intent.latest_charge, "disputed", False):
            params: Any = {"payment_intent": intent.id, "limit": _PAGE}
            listed = await self._client.v1.disputes.list_async(params)
            disputed = taken_back([read(dispute, Dispute) for dispute in listed.data])
        return charge_of(session, disputed=disputed, now=self._clock.now())

    def _sessions(self, params: Any) -> AsyncIterator[Session]:
        expand = {"expand": ["data.payment_intent.latest_charge"]}
        return self._each(self._client.v1.checkout.sessions.list_async, params | expand, Session)

    async def _disputed(self, within: Any) -> AsyncIterator[Session]:
        async for dispute in self._each(self._client.v1.disputes.list_async, within, Dispute):
            if dispute.payment_intent is not None:
                async for session in self._sessions({"payment_intent": dispute.payment_intent}):
                    yield session

    async def _each(
        self, list_: Callable[[Any], Awaitable[Any]], params: Mapping[str, Any], kind: type[T]
    ) -> AsyncIterator[T]:
        """All pages; each of them may take WITHIN."""
        after: dict[str, str] = {}
        while True:
            asked = {**params, **after, "limit": _PAGE}
            page = await self._asked(lambda asked=asked: list_(asked))  # type: ignore[misc]
            for one in page.data:
                yield read(one, kind)
            if not page.has_more or not page.data:
                return
            after = {"starting_after": page.data[-1].id}

    # ── Faults ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _made(self, order: Order, create: Callable[[], Awaitable[Remote]], *, over: bool = False) -> Remote:
        """What was made; where it was refused, what an earlier try has made all the same."""

        async def make() -> Remote:
            if self._clock.now() > order.created_at + KEYS_HOLD and (found := await self.find(order)) is not None:
                return found
            try:
                return await self._asked(create, over=over)
            except ProviderFault as fault:
                if not fault.certain:
                    raise
                found = await self.find(order)
                if found is not None and (found.amount, found.currency) == (order.amount, order.currency):
                    return found
                raise

        return await self._asked(make)

    async def _asked(self, ask: Callable[[], Awaitable[Result]], *, over: bool = False) -> Result:
        """Runs it in time, and with faults of ours."""
        try:
            async with asyncio.timeout(WITHIN):
                return await ask()
        except TimeoutError:
            raise ProviderFault("timeout", certain=False) from None
        except stripe.StripeError as error:
            raise fault_of(error, over=over) from None


def _once(key: str) -> Any:
    return {"idempotency_key": key}


def _around(order: Order, within: timedelta | None = None) -> dict[str, Any]:
    """When something made for the order was made, with room for clocks that differ."""
    created = {"gte": int((order.created_at - timedelta(minutes=5)).timestamp())}
    if within is not None:
        created["lt"] = int((order.created_at + within).timestamp())
    return {"created": created}


def _never_opened(order: Order) -> Remote:
    return Remote(
        kind=OrderKind.CHARGE,
        reference=order.reference or order.id,
        order=order.id,
        state=RemoteState.CANCELLED,
        amount=order.amount,
        currency=order.currency,
    )
