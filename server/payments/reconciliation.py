"""Compares a provider's list with our books, both ways, and books what somebody decides to believe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from server.clock import Clock
from server.errors import Code, VouchError
from server.money.model import Currency
from server.payments import differences, metrics
from server.payments.books import Books, Stale
from server.payments.differences import kind
from server.payments.driver import Driver
from server.payments.model import (
    Difference,
    DifferenceKind,
    Order,
    OrderKind,
    OrderState,
    Reconciliation,
    Remote,
    RemoteState,
    Sums,
)
from server.payments.provider import PaymentProvider, ProviderFault
from server.payments.repo import OrdersRepo

#: things of a provider's list that are compared together
_PORTION = 100
_TRIES = 8
#: Charges last: how much of one went back is right once its refunds are.
_ORDER = (OrderKind.PAY_OUT, OrderKind.REFUND, OrderKind.CHARGE)


class _Run:
    """One reconciliation under way."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.looked_at = 0
        self.caught_up = 0
        self.theirs: dict[Currency, int] = defaultdict(int)
        self.ours: dict[Currency, int] = defaultdict(int)
        self.found: dict[str, Difference] = {}

    def count(self, order: Order | None, remote: Remote | None) -> None:
        if remote is not None and remote.state is RemoteState.DONE:
            signed = remote.amount if remote.kind is OrderKind.CHARGE else -remote.amount
            self.theirs[remote.currency] += signed - remote.disputed
        if order is not None and order.state is OrderState.DONE:
            signed = order.amount if order.kind is OrderKind.CHARGE else -order.amount
            self.ours[order.currency] += signed - order.disputed


class Reconciler:
    def __init__(
        self,
        repo: OrdersRepo,
        books: Books,
        driver: Driver,
        providers: Mapping[str, PaymentProvider],
        clock: Clock,
    ) -> None:
        self._repo = repo
        self._books = books
        self._driver = driver
        self._providers = providers
        self._clock = clock

    async def reconcile(self, name: str, since: datetime, until: datetime) -> Reconciliation:
        """All that either side dates into [since, until). Raises `unavailable` when the provider does not answer."""
        provider, run = self._providers[name], _Run()
        try:
            for what in _ORDER:
                portion: list[Remote] = []
                async for remote in provider.everything(what, since, until):
                    portion.append(remote)
                    if len(portion) == _PORTION:
                        await self._compare(provider, portion, run)
                        portion = []
                await self._compare(provider, portion, run)
            async for order in self._repo.made(name, since, until):
                if order.id not in run.seen and order.state is OrderState.DONE:
                    await self._one(provider, order, await provider.find(order), run)
        except ProviderFault as fault:
            raise VouchError(Code.UNAVAILABLE, f"The provider does not answer ({fault.code}).") from None
        metrics.DIFFERENCES.labels(name).set(len(run.found))
        return Reconciliation(
            provider=name,
            since=since,
            until=until,
            at=self._clock.now(),
            looked_at=run.looked_at,
            caught_up=run.caught_up,
            sums=[Sums(c, run.theirs[c], run.ours[c]) for c in sorted({*run.theirs, *run.ours})],
            differences=sorted(run.found.values(), key=lambda one: one.id),
        )

    async def _compare(self, provider: PaymentProvider, remotes: Sequence[Remote], run: _Run) -> None:
        orders = await self._repo.many([remote.order for remote in remotes if remote.order is not None])
        for remote in remotes:
            order = orders.get(remote.order or "")
            if order is None:
                order = await self._repo.by_reference(provider.name, remote.reference)
            if order is not None and (order.provider != provider.name or order.kind is not remote.kind):
                order = None
            if order is None or order.id not in run.seen:
                await self._one(provider, order, remote, run)

    async def _one(self, provider: PaymentProvider, order: Order | None, remote: Remote | None, run: _Run) -> None:
        run.looked_at += 1
        what = kind(order, remote, await self._sent_back(order, remote))
        if what is not None and order is not None and remote is not None:
            # Perhaps a notice was lost, or the list is older than what was booked meanwhile: ask about this one.
            if what is DifferenceKind.REFUNDED:
                for refund in await self._repo.refunds_of([order.id]):
                    await self._driver.advance(refund)
            order = await self._driver.advance(await self._repo.get(order.id) or order)
            remote = await provider.find(order)
            what = kind(order, remote, await self._sent_back(order, remote))
            run.caught_up += what is None
        if order is not None:
            run.seen.add(order.id)
        run.count(order, remote)
        if what is not None:
            found = differences.difference(provider.name, what, order, remote, self._clock.now())
            run.found[found.id] = found

    async def _sent_back(self, order: Order | None, remote: Remote | None) -> int:
        if order is None or remote is None or order.kind is not OrderKind.CHARGE or order.refunded == remote.refunded:
            return 0
        refunds = await self._repo.refunds_of([order.id])
        return sum(refund.amount for refund in refunds if refund.state is OrderState.DONE)

    async def mend(self, difference: Difference, by: str) -> Order:
        """By what both sides say now. Raises `conflict`, `already` when they agree, `not_found`, `unavailable`."""
        if difference.order is None or difference.kind in (DifferenceKind.MISSING_HERE, DifferenceKind.MISSING_THERE):
            raise VouchError(Code.CONFLICT, "This cannot be put right by itself: adjust it by hand.")
        provider = self._providers[difference.provider]
        for _ in range(_TRIES):
            order = await self._repo.get(difference.order)
            if order is None or order.provider != provider.name:
                raise VouchError(Code.NOT_FOUND)
            if by == order.person:
                raise VouchError(Code.FORBIDDEN, "Somebody else decides this: not who gains or loses by it.")
            try:
                remote = await provider.find(order)
            except ProviderFault as fault:
                raise VouchError(Code.UNAVAILABLE, f"The provider does not answer ({fault.code}).") from None
            what = kind(order, remote, await self._sent_back(order, remote))
            if what is None or remote is None:
                raise VouchError(Code.ALREADY if what is None else Code.CONFLICT)
            try:
                return await self._books.carry_out(order, differences.mended(what, order, remote, self._clock.now()))
            except Stale:
                continue
        raise VouchError(Code.TRY_LATER)
