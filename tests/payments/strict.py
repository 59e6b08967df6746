"""A payment provider in memory, as strict as one can be, and its other side: for tests that play thousands of payments.

It passes the very suite that every provider passes (test_strict.py), so what holds with it holds with them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from server.money.model import Currency
from server.payments.model import Notice, Order, OrderKind, Remote, RemoteState, Terms
from server.payments.provider import Forged, ProviderFault
from tests.payments.counterpart import Sent

SECRET = b"the other side"
_OPEN = (RemoteState.OPEN, RemoteState.PENDING)


class StrictProvider:
    """`down`, `lose` (so many answers), and `refuse` (so many requests) are for tests to set. `sent` are the notices,
    in the order in which they were sent; nobody delivers them by himself."""

    def __init__(self, name: str = "strict", clock: Any = None) -> None:
        self.name = name
        self.down = False
        self.lose = 0
        self.refuse = 0
        self.sent: list[Sent] = []
        self.asked = 0
        self._clock = clock
        self._things: dict[tuple[OrderKind, str], Remote] = {}
        self._charge_of: dict[str, str] = {}
        self._terms = Terms(
            charges=dict.fromkeys((Currency.CNY, Currency.EUR, Currency.JPY), (1, 100000000)),
            open_for=1800.0,
            test=True,
        )

    @property
    def terms(self) -> Terms:
        return self._terms

    # ── The contract ────────────────────────────────────────────────────────────────────────────────────────────────

    async def charge(self, order: Order, return_url: str, language: str) -> Remote:
        self._reach()
        if (known := self._known(order)) is None:
            self._maybe_refuse()
            reference = self._reference(order)
            url = f"https://pay.invalid/{reference}?back={return_url}&language={language}"
            known = self._keep(order, reference, RemoteState.OPEN, url)
        return self._answered(known)

    async def cancel(self, order: Order) -> Remote:
        self._reach()
        known = self._known(order)
        if known is None:
            raise ProviderFault("unknown", certain=True)
        if known.state is RemoteState.OPEN:
            known = self._change(known, state=RemoteState.CANCELLED)
        return self._answered(known)

    async def refund(self, order: Order, charge: Order) -> Remote:
        self._reach()
        if (known := self._known(order)) is None:
            self._maybe_refuse()
            paid = self._things.get((OrderKind.CHARGE, charge.id))
            if paid is None or paid.state is not RemoteState.DONE:
                raise ProviderFault("not_paid", certain=True)
            if paid.refunded + paid.disputed + order.amount > paid.amount:
                raise ProviderFault("over_refund", certain=True)
            self._change(paid, refunded=paid.refunded + order.amount)
            self._charge_of[order.id] = charge.id
            known = self._keep(order, self._reference(order), RemoteState.DONE)
        return self._answered(known)

    async def pay_out(self, order: Order) -> Remote:
        self._reach()
        if (known := self._known(order)) is None:
            self._maybe_refuse()
            known = self._keep(order, self._reference(order), RemoteState.PENDING)
            if order.destination.get("fails"):
                known = self._change(known, state=RemoteState.FAILED, fault="closed_account")
        return self._answered(known)

    async def find(self, order: Order) -> Remote | None:
        self._reach()
        found = self._things.get((order.kind, order.id))
        return None if found is None else self._answered(found)

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice | None:
        signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature.encode(), headers.get("strict-signature", "").encode()):
            raise Forged
        return msgspec.json.decode(body, type=Notice | None)

    async def everything(self, kind: OrderKind, since: datetime, until: datetime) -> AsyncIterator[Remote]:
        self._reach()
        for (one, _), thing in list(self._things.items()):
            if one is kind and thing.at is not None and since <= thing.at < until:
                yield thing

    async def close(self) -> None: ...

    # ── The other side ──────────────────────────────────────────────────────────────────────────────────────────────

    def of(self, order: str, kind: OrderKind = OrderKind.CHARGE) -> Remote | None:
        return self._things.get((kind, order))

    def all(self) -> list[Remote]:
        return list(self._things.values())

    def settle(self, thing: Remote, state: RemoteState, **more: Any) -> None:
        """The payer confirms or refuses, a pay-out arrives or does not, a check-out expires."""
        now = self._things[(thing.kind, thing.order or "")]
        if now.state in _OPEN or (thing.kind is not OrderKind.CHARGE and now.state is RemoteState.DONE):
            self._change(now, state=state, **more)
            if state is RemoteState.FAILED and thing.kind is OrderKind.REFUND:
                paid = self._things[(OrderKind.CHARGE, self._charge_of[thing.order or ""])]
                self._change(paid, refunded=paid.refunded - now.amount)

    def dispute(self, thing: Remote, amount: int) -> None:
        """The payer's bank has taken back so much altogether."""
        self._change(self._things[(thing.kind, thing.order or "")], disputed=amount)

    def invent(self, thing: Remote) -> None:
        """Something that nobody here has asked for."""
        self._things[(thing.kind, thing.order or thing.reference)] = thing

    def tell(self, notice: Notice) -> Sent:
        body = msgspec.json.encode(notice)
        signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        return Sent({"strict-signature": signature, "content-type": "application/json"}, body)

    # ── Inside ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _reach(self) -> None:
        self.asked += 1
        if self.down:
            raise ProviderFault("down", certain=False)

    def _maybe_refuse(self) -> None:
        if self.refuse:
            self.refuse -= 1
            raise ProviderFault("declined", certain=True)

    def _answered(self, thing: Remote) -> Remote:
        if self.lose:
            self.lose -= 1
            raise ProviderFault("timeout", certain=False)
        return thing

    def _known(self, order: Order) -> Remote | None:
        known = self._things.get((order.kind, order.id))
        if known is not None and (known.amount, known.currency) != (order.amount, order.currency):
            raise ProviderFault("conflict", certain=True)
        return known

    def _reference(self, order: Order) -> str:
        return f"{order.kind}-{len(self._things) + 1}-{order.id[-6:]}"

    def _keep(self, order: Order, reference: str, state: RemoteState, url: str | None = None) -> Remote:
        thing = Remote(
            kind=order.kind,
            reference=reference,
            order=order.id,
            state=state,
            amount=order.amount,
            currency=order.currency,
            url=url,
            at=self._now(),
        )
        return self._note(thing)

    def _change(self, thing: Remote, **changes: Any) -> Remote:
        return self._note(msgspec.structs.replace(self._things[(thing.kind, thing.order or "")], **changes))

    def _note(self, thing: Remote) -> Remote:
        self._things[(thing.kind, thing.order or "")] = thing
        self.sent.append(self.tell(Notice(f"n{len(self.sent)}", thing.kind, thing.order, thing.reference)))
        return thing

    def _now(self) -> datetime:
        return self._clock.now() if self._clock is not None else datetime.now(UTC)


class StrictCounterpart:
    """The other side of a StrictProvider, as the contract asks for it."""

    signs_headers = True

    def __init__(self, provider: StrictProvider) -> None:
        self.provider = provider
        self.currency = Currency.CNY
        self._read = 0

    def destination(self, *, fails: bool = False) -> dict[str, str]:
        return {"number": "6217000010001234567"} | ({"fails": "yes"} if fails else {})

    async def confirm(self, remote: Remote) -> None:
        self.provider.settle(remote, RemoteState.DONE)

    async def refuse(self, remote: Remote) -> None:
        self.provider.settle(remote, RemoteState.FAILED, fault="refused")

    async def charge_back(self, remote: Remote, amount: int) -> None:
        self.provider.dispute(remote, amount)

    async def take_down(self) -> None:
        self.provider.down = True

    async def bring_up(self) -> None:
        self.provider.down = False

    async def lose_next_answer(self) -> None:
        self.provider.lose = 1

    async def notices(self) -> Sequence[Sent]:
        sent, self._read = self.provider.sent[self._read :], len(self.provider.sent)
        await asyncio.sleep(0)
        return sent
