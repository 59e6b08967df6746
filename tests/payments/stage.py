"""Payments on the real database and ledger, with the provider in memory and a clock that tests turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.clock import Clock
from server.errors import Code, VouchError
from server.limits import Limits
from server.money.model import AccountKind, Currency
from server.money.service import Money
from server.payments.model import FINAL, Order, OrderKind, OrderState, Remote, RemoteState
from server.payments.service import Payments
from server.realtime.outbox import Outbox
from server.store import Store
from tests.payments.contract import BACK
from tests.payments.counterpart import Sent
from tests.payments.strict import StrictProvider

LIN, CHEN, BO = "p_" + "1" * 20, "p_" + "2" * 20, "p_" + "3" * 20
FIELD = [bytes(32)]


async def refusal(asking: Awaitable[object]) -> Code:
    with pytest.raises(VouchError) as caught:
        await asking
    return caught.value.code


class HandClock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


class Stage:
    """One node's payments. `again` is the next life of the process, `other` another node."""

    def __init__(self, store: Store, redis_url: str, clock: HandClock, provider: StrictProvider) -> None:
        self.store = store
        self.clock = clock
        self.provider = provider
        self._redis_url = redis_url
        self._keys = 0
        self._made: list[Payments] = []
        self._limits = Limits(redis_url, factor=10_000)
        self.money = Money(store, clock)
        self.payments = self.another()

    def another(
        self, *, providers: dict[str, Any] | None = None, money: Any = None, clock: Clock | None = None
    ) -> Payments:
        """Another process on the same database."""
        made = Payments(
            store=self.store,
            outbox=Outbox(self.store, self.clock),
            money=money or self.money,
            limits=self._limits,
            clock=clock or self.clock,
            field=FIELD,
            providers={self.provider.name: self.provider} if providers is None else providers,
        )
        self._made.append(made)
        return made

    async def begin(self) -> None:
        """The driver is not started: `work` is its round, when the test says so."""
        await self.money.start()
        for made in self._made:
            await made._repo.ensure_indexes()
            await made._repo.ensure_counter()

    async def end(self) -> None:
        for made in self._made:
            await made.driver.stop()
        await self._limits.stop()

    # ── What people do ──────────────────────────────────────────────────────────────────────────────────────────────

    def key(self) -> str:
        self._keys += 1
        return f"test:{self._keys}"

    async def charge(self, amount: int = 10_00, person: str = LIN, **more: Any) -> Order:
        usual: dict[str, Any] = {
            "key": self.key(),
            "person": person,
            "provider": self.provider.name,
            "amount": amount,
            "currency": Currency.CNY,
            "purpose": "top_up",
            "by": person,
            "return_url": BACK,
            "language": "en",
        }
        return await self.payments.begin_charge(**(usual | more))

    async def paid(self, amount: int = 10_00, person: str = LIN) -> Order:
        order = await self.charge(amount, person)
        self.there(order, RemoteState.DONE)
        done = await self.payments.look(order)
        assert done.state is OrderState.DONE, done
        return done

    async def refund(self, charge: Order, amount: int | None = None, **more: Any) -> Order:
        asked: dict[str, Any] = {"key": self.key(), "charge": charge.id, "amount": amount, "by": charge.person}
        return await self.payments.begin_refund(**(asked | more))

    async def pay_out(self, amount: int, person: str = LIN, **more: Any) -> Order:
        usual: dict[str, Any] = {
            "key": self.key(),
            "person": person,
            "provider": self.provider.name,
            "amount": amount,
            "currency": Currency.CNY,
            "destination": {"number": "6217000010001234567"},
            "by": person,
            "approval": False,
        }
        return await self.payments.begin_pay_out(**(usual | more))

    # ── What happens there ──────────────────────────────────────────────────────────────────────────────────────────

    def remote(self, order: Order) -> Remote:
        thing = self.provider.of(order.id, order.kind)
        assert thing is not None
        return thing

    def there(self, order: Order, state: RemoteState, **more: Any) -> None:
        self.provider.settle(self.remote(order), state, **more)

    async def deliver(self, sent: Sent, payments: Payments | None = None) -> None:
        await (payments or self.payments).notice(self.provider.name, sent.headers, sent.body, "192.0.2.1")

    # ── Time ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def work(self, *nodes: Payments) -> None:
        """A round of each node's driver, with what it begins."""
        for node in nodes or (self.payments,):
            await node.driver.look()
            await node.driver.idle()

    async def pass_time(self, hours: float = 3, *nodes: Payments) -> None:
        """Rounds, as often as something is due within this time."""
        end = self.clock.at + timedelta(hours=hours)
        for _ in range(400):
            await self.work(*nodes)
            due = [order.due for order in await self.payments._repo.open() if order.due is not None]
            following = min((at for at in due if at > self.clock.at), default=end)
            if not any(at <= self.clock.at for at in due):
                self.clock.at = min(max(following, self.clock.at + timedelta(seconds=1)), end)
            if self.clock.at >= end:
                return

    # ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────────

    async def has(self, person: str = LIN, currency: Currency = Currency.CNY) -> tuple[int, int, int]:
        """(available, held, owed)"""
        for one in await self.money.balances(person):
            if one.currency is currency:
                return one.available, one.held, one.owed
        return 0, 0, 0

    async def sums(self) -> dict[str, int]:
        """Of the journal: all legs by currency, which must be 0."""
        totals: dict[str, int] = defaultdict(int)
        async for transfer in self.money.journal(self.clock.at - timedelta(days=3), self.clock.at + timedelta(days=3)):
            totals[transfer.currency] += sum(leg.amount for leg in transfer.legs)
        return dict(totals)

    async def books(self) -> dict[tuple[str, str, str], int]:
        """Every account from the journal alone: (kind, owner, currency) → balance."""
        totals: dict[tuple[str, str, str], int] = defaultdict(int)
        async for transfer in self.money.journal(self.clock.at - timedelta(days=3), self.clock.at + timedelta(days=3)):
            for leg in transfer.legs:
                totals[(leg.account.kind.value, leg.account.owner, transfer.currency.value)] += leg.amount
        return {account: value for account, value in totals.items() if value}

    async def holds_true(self) -> None:
        """Σ = 0, nobody below 0, and what the house says is what the journal says."""
        assert set((await self.sums()).values()) <= {0}
        books = await self.books()
        for (kind, owner, currency), value in books.items():
            if kind in (AccountKind.AVAILABLE, AccountKind.HELD):
                assert value >= 0, (kind, owner)
            if kind == AccountKind.AVAILABLE:
                assert (await self.has(owner, Currency(currency)))[0] == value

    async def agrees(self) -> None:
        """What the provider holds for us is, to the last fen, what it says to have moved."""
        moved: dict[Currency, int] = defaultdict(int)
        for thing in self.provider.all():
            if thing.state is RemoteState.DONE:
                signed = thing.amount if thing.kind is OrderKind.CHARGE else -thing.amount
                moved[thing.currency] += signed - thing.disputed
        books = await self.books()
        for currency, amount in moved.items():
            assert books.get(("clearing", self.provider.name, currency.value), 0) == -amount

    async def open(self) -> list[Order]:
        orders, _ = await self.payments.in_state(None, None, 100)
        return [order for order in orders if order.state not in FINAL]
