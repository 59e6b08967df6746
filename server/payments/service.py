"""Payments: charges, refunds and pay-outs are asked for here, and go on by themselves until they have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from server.clock import Clock
from server.errors import Code, VouchError
from server.ids import new_id
from server.limits import Limits
from server.money.model import Currency
from server.payments import metrics, rules
from server.payments.books import Books, Hook, Ledger, Outbox, Stale
from server.payments.driver import LEASE, Driver
from server.payments.model import FINAL, Difference, Order, OrderKind, OrderState, Reconciliation, Terms
from server.payments.provider import Forged, PaymentProvider
from server.payments.reconciliation import Reconciler
from server.payments.repo import OrdersRepo
from server.payments.rules import Step
from server.store import Duplicate, Store, Tx

#: seconds for which somebody who begins or cancels something waits for its provider
PATIENCE = 3.0
#: how long somebody who looks at an order waits until this process asks, too
SLOW = timedelta(seconds=5)
_TRIES = 8

log = structlog.get_logger(__name__)


class Payments:
    """Who may ask for what, and how much, is the callers' rule (the wallet, the finance desk); `by` is who asks."""

    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        money: Ledger,
        limits: Limits,
        clock: Clock,
        field: Sequence[bytes],
        providers: Mapping[str, PaymentProvider],
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._repo = OrdersRepo(store, field)
        self._books = Books(self._repo, money, outbox, clock)
        self._providers = dict(providers)
        self.driver = Driver(self._repo, self._books, self._providers, clock)
        self._reconciler = Reconciler(self._repo, self._books, self.driver, self._providers, clock)

    async def start(self) -> None:
        """Makes the indexes and goes on with what an earlier run has left."""
        await self._repo.ensure_indexes()
        await self._repo.ensure_counter()
        self.driver.start()

    async def stop(self) -> None:
        await self.driver.stop()
        for provider in self._providers.values():
            await provider.close()

    def on_done(self, hook: Hook) -> None:
        """`hook(tx, order)` joins each transaction that ends an order, whichever way; it may run again with its
        transaction."""
        self._books.on_done(hook)

    def on_taken_back(self, hook: Hook) -> None:
        """`hook(tx, order)` joins each transaction that books what a payer's bank has taken back."""
        self._books.on_taken_back(hook)

    @property
    def terms(self) -> dict[str, Terms]:
        """Who takes and pays money here, and what they take."""
        return {name: provider.terms for name, provider in self._providers.items()}

    def away(self) -> set[str]:
        """The providers that do not answer at the moment."""
        return {name for name in self._providers if self.driver.away(name)}

    # ── Asking for something ────────────────────────────────────────────────────────────────────────────────────────

    async def begin_charge(
        self,
        *,
        key: str,
        person: str,
        provider: str,
        amount: int,
        currency: Currency,
        purpose: str,
        by: str,
        return_url: str,
        language: str,
    ) -> Order:
        """Opens a check-out for a person. With its `url`, or `waiting` when the provider takes its time. `{order}` in
        `return_url` becomes the order's id.

        Raises `idempotency_conflict`, `amount_limit`, `bad_request`, `not_found` for a provider that is not used here,
        `too_often`.
        """
        new = self._new(OrderKind.CHARGE, person, provider, amount, currency, by)
        back = return_url.replace("{order}", new.id)
        order = msgspec.structs.replace(new, purpose=purpose, return_url=back, language=language)
        return await self._begin(order, key)

    async def begin_refund(
        self, *, key: str, charge: str, amount: int | None, by: str, approval: bool = False
    ) -> Order:
        """Sends (a part of) a charge back the way it came; `amount` None: all that is left of it. The person's money is
        set aside first.

        Raises `not_found`, `conflict`, `amount_limit`, `bad_request`, `insufficient_funds`, `idempotency_conflict`.
        """
        if (known := await self._repo.by_key(key)) is None:
            try:
                return await self._new_refund(key, charge, amount, by, approval=approval)
            except VouchError:
                # Whoever begins the same at the same moment takes what is left: then it is not refused.
                if (known := await self._repo.by_key(key)) is None:
                    raise
        if known.charge != charge or amount not in (None, known.amount):
            raise VouchError(Code.IDEMPOTENCY_CONFLICT)
        return await self._soon(known)

    async def _new_refund(self, key: str, charge: str, amount: int | None, by: str, *, approval: bool) -> Order:
        given = await self.order(charge)
        terms = self._provider(given.provider).terms
        wanted = rules.give_back(given, amount, terms)
        order = msgspec.structs.replace(
            self._new(OrderKind.REFUND, given.person, given.provider, wanted, given.currency, by, approval=approval),
            purpose=given.purpose,
            charge=charge,
        )

        async def reserve(tx: Tx) -> None:
            now = await self._repo.get(charge, tx)
            if now is None:
                raise VouchError(Code.NOT_FOUND)
            rules.give_back(now, wanted, terms)
            after = msgspec.structs.replace(now, refunded=now.refunded + wanted, version=now.version + 1)
            if not await self._repo.replace(after, tx):
                raise VouchError(Code.TRY_LATER)

        return await self._begin(order, key, reserve)

    async def begin_pay_out(
        self,
        *,
        key: str,
        person: str,
        provider: str,
        amount: int,
        currency: Currency,
        destination: dict[str, str],
        by: str,
        approval: bool,
    ) -> Order:
        """Sends a person's money out; it is set aside first. `approval`: somebody else has to look at it before.

        Raises `insufficient_funds`, `bad_request`, `not_found`, `idempotency_conflict`, `too_often`.
        """
        order = msgspec.structs.replace(
            self._new(OrderKind.PAY_OUT, person, provider, amount, currency, by, approval=approval),
            destination=destination,
        )
        return await self._begin(order, key)

    def _new(
        self,
        kind: OrderKind,
        person: str,
        provider: str,
        amount: int,
        currency: Currency,
        by: str,
        *,
        approval: bool = False,
    ) -> Order:
        now = self._clock.now()
        return Order(
            id=new_id("y"),
            kind=kind,
            provider=provider,
            person=person,
            amount=amount,
            currency=currency,
            state=OrderState.APPROVAL if approval else OrderState.WAITING,
            by=by,
            asked=not approval,
            due=None if approval else now + LEASE,
            created_at=now,
            changed_at=now,
        )

    async def _begin(self, order: Order, key: str, before: Callable[[Tx], Awaitable[None]] | None = None) -> Order:
        for attempt in range(_TRIES):
            if (known := await self._repo.by_key(key)) is not None:
                if not rules.same(known, order):
                    raise VouchError(Code.IDEMPOTENCY_CONFLICT)
                return await self._soon(known)
            if not attempt:
                rules.in_terms(order, self._provider(order.provider).terms)
                if order.by != "system":
                    await self._limits.hit("payment", order.by)
            try:
                begun = await self._books.begin(order, key, before)
            except Duplicate:
                continue  # somebody was faster with this key
            except VouchError:
                if await self._repo.by_key(key) is None:
                    raise
                continue  # as above, and took the money that it needs
            if begun.state is OrderState.WAITING:
                self.driver.work(begun)
            return await self._soon(begun)
        raise VouchError(Code.TRY_LATER)

    async def _soon(self, order: Order) -> Order:
        """Waits a moment for what this process does about it, which goes on in any case."""
        if (task := self.driver.working(order.id)) is None:
            return order
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        if done and not task.cancelled() and task.exception() is None:
            return task.result()
        return await self.order(order.id)

    # ── Deciding, cancelling, looking ───────────────────────────────────────────────────────────────────────────────

    async def approve(self, order: str, by: str, join: Hook | None = None) -> Order:
        """`join` takes part in the transaction. Raises `not_found`, `forbidden` for who asked or gains by it,
        `already`."""
        return await self._decide(order, lambda known, now: rules.approve(known, by, now), join)

    async def refuse(self, order: str, by: str, reason: str, join: Hook | None = None) -> Order:
        """What was set aside is the person's again. Raises as `approve` does."""
        return await self._decide(order, lambda known, now: rules.refuse(known, by, reason, now), join)

    async def cancel(self, order: str, by: str) -> Order:
        """Raises `not_found`, `already` for what has ended, `conflict` for what cannot be called back."""
        log.info("a payment is cancelled", order=order, by=by)
        return await self._decide(order, rules.cancel)

    async def _decide(self, id: str, rule: Callable[[Order, datetime], Step | None], join: Hook | None = None) -> Order:
        for _ in range(_TRIES):
            order = await self.order(id)
            step = rule(order, self._clock.now())
            if step is None:
                return await self._soon(order)
            try:
                saved = await self._books.carry_out(order, step, join)
            except Stale:
                continue
            if saved.state in FINAL:
                return saved
            if saved.stopping:
                self.driver.work(saved)
            else:
                self.driver.hurry()
            return await self._soon(saved)
        raise VouchError(Code.TRY_LATER)

    async def look(self, order: Order) -> Order:
        """Asks the provider now, for the page to which one comes back."""
        if order.state in FINAL or order.state is OrderState.APPROVAL:
            return order
        if order.state is OrderState.WAITING:
            # Whoever began with it has died, unless it is slow: asking twice does no harm.
            left = self._clock.now() - order.changed_at > SLOW
            if (order.tries or left) and self.driver.working(order.id) is None:
                await self._repo.wake(order.id, self._clock.now())
                self.driver.hurry()
        else:
            self.driver.work(order)
        return await self._soon(order)

    async def order(self, id: str) -> Order:
        """Raises `not_found`."""
        if (order := await self._repo.get(id)) is None:
            raise VouchError(Code.NOT_FOUND)
        return order

    async def by_key(self, key: str) -> Order | None:
        """What was begun under a key."""
        return await self._repo.by_key(key)

    async def of_person(self, person: str, before: int | None, limit: int) -> tuple[list[Order], int | None]:
        """A person's orders, the newest first, below a number, and the number to go on with; None at the end."""
        return await self._repo.of_person(person, before, limit)

    async def open_of(self, person: str) -> list[Order]:
        """A person's orders that have not ended."""
        return await self._repo.open_of(person)

    async def in_state(
        self, state: OrderState | None, before: int | None, limit: int
    ) -> tuple[list[Order], int | None]:
        """Everybody's orders, the newest first; a page may hold fewer than `limit` though more lie beyond."""
        return await self._repo.in_state(state, before, limit)

    # ── What providers say ──────────────────────────────────────────────────────────────────────────────────────────

    async def notice(self, provider: str, headers: Mapping[str, str], body: bytes, ip: str = "") -> None:
        """A notification has arrived. It is a hint: its order is looked at now, which is kept before this returns.

        Raises `not_found` for a provider that is not used here, `forbidden` for a forged one, `too_often` for many.
        """
        known = self._provider(provider)
        try:
            notice = known.read_notice(
                {name.lower(): value for name, value in headers.items()}, body, self._clock.now()
            )
        except Forged:
            metrics.NOTICES.labels(provider, "forged").inc()
            await self._limits.hit("forged_notice", ip)
            raise VouchError(Code.FORBIDDEN, "The signature does not hold.") from None
        if notice is None:
            metrics.NOTICES.labels(provider, "other").inc()
            return
        order = await self._repo.get(notice.order) if notice.order else None
        if order is None and notice.reference:
            order = await self._repo.by_reference(provider, notice.reference)
        if order is None or order.provider != provider or order.state is OrderState.APPROVAL:
            # The next reconciliation shows it, if there is anything behind it.
            metrics.NOTICES.labels(provider, "unknown").inc()
            return
        metrics.NOTICES.labels(provider, "known").inc()
        await self._repo.wake(order.id, self._clock.now())
        self.driver.hurry(provider)

    async def reconcile(self, provider: str, since: datetime, until: datetime) -> Reconciliation:
        """Compares what a provider has with what is booked. Raises `not_found`, `unavailable`."""
        self._provider(provider)
        return await self._reconciler.reconcile(provider, since, until)

    async def mend(self, difference: Difference, by: str) -> Order:
        """Books what the provider says. Raises `conflict` for what only an adjustment by hand can put right."""
        self._provider(difference.provider)
        return await self._reconciler.mend(difference, by)

    def _provider(self, name: str) -> PaymentProvider:
        if (provider := self._providers.get(name)) is None:
            raise VouchError(Code.NOT_FOUND, "This provider is not used here.")
        return provider
