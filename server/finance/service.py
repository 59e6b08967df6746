"""The front door of the domain: what the edge calls, and what comes round by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from server.clock import Clock
from server.errors import Code, VouchError
from server.finance import exports
from server.finance.adjustments import AdjustmentService
from server.finance.books import BookService, Verify
from server.finance.disputes import DisputeService
from server.finance.model import AccountBalance, Adjustment, AdjustmentState, Book, Books, ExportKind, Waiting
from server.finance.neighbours import Desk, Money, Payments, People, Registry, Trail
from server.finance.orders import OrderService
from server.finance.reconciliations import ReconciliationService
from server.finance.repo import AdjustmentsRepo, BooksRepo, DisputesRepo, RunsRepo
from server.limits import Limits
from server.money.model import PLATFORM_FEE, STAFF_DEPARTMENT, Account, AccountKind, Currency, clearing
from server.people.model import PersonCard
from server.realtime.outbox import Outbox
from server.realtime.rounds import Rounds
from server.store import Store, Tx

#: seconds between looks for what is to be done by itself
SWEEP_EVERY = 60.0
#: The longest time that one export covers.
LONGEST_EXPORT = timedelta(days=366)

#: What was counted in the world outside: whoever sent the money, or got it, beyond any provider.
BANK = Account(AccountKind.EXTERNAL, "bank")


class Finance:
    """`orders`, `disputes`, `adjustments`, `reconciliations` and `books` are for the HTTP edge."""

    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        money: Money,
        payments: Payments,
        providers: Collection[str],
        people: People,
        registry: Registry,
        trail: Trail,
        verifies: Mapping[Book, Verify],
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._store = store
        self._money = money
        self._people = people
        self._providers = sorted(providers)
        desk = self._desk = Desk(outbox, people, trail, clock)
        disputes, adjustments = DisputesRepo(store), AdjustmentsRepo(store)
        runs, books = RunsRepo(store), BooksRepo(store)
        self._repos = (disputes, adjustments, runs)
        self._books_repo = books
        self.orders = OrderService(store, desk, money, payments, disputes)
        self.disputes = DisputeService(store, desk, payments, disputes, adjustments, limits)
        self.adjustments = AdjustmentService(store, desk, money, registry, adjustments, self._providers)
        self.reconciliations = ReconciliationService(store, desk, runs, payments, self._providers)
        self.books = BookService(store, desk, books, verifies)
        self.adjustments.on_decided(self._on_decided)
        self._rounds = Rounds("finance", self._round, every=SWEEP_EVERY)
        self._begins = 0.0

    async def start(self) -> None:
        """Makes the indexes, and begins to come round."""
        for repo in self._repos:
            await repo.ensure_indexes()
            await repo.ensure_counter()
        await self._books_repo.ensure_rows()
        self._begins = time.monotonic() + SWEEP_EVERY / 2
        self._rounds.start()

    async def stop(self) -> None:
        await asyncio.gather(self._rounds.stop(), self.reconciliations.stop(), self.books.stop())

    async def _round(self) -> None:
        if time.monotonic() >= self._begins:  # a server that has just started has better things to do
            await self.sweep()

    async def sweep(self) -> None:
        """What is to be done by itself: what a crash has left, and what comes every day."""
        chores: Sequence[Callable[[], Awaitable[None]]] = (
            self.disputes.resume,
            self.reconciliations.resume,
            self.reconciliations.daily,
            self.books.daily,
        )
        for chore in chores:
            await chore()

    async def waiting(self) -> Waiting:
        """How much waits on each page."""
        return Waiting(
            approvals=await self.orders.waiting(),
            disputes=await self.disputes.waiting(),
            adjustments=await self.adjustments.waiting(),
            differences=await self.reconciliations.waiting(),
            faults=await self.books.faults(),
        )

    async def person(self, handle: str) -> PersonCard:
        """Whose whole handle this is. Raises `not_found`."""
        known = await self._people.id_of(handle.strip().removeprefix("@").lower())
        if known is None:
            raise VouchError(Code.NOT_FOUND)
        return (await self._desk.cards([known]))[0]

    async def state(self) -> Books:
        """How the books are, and what the platform's own accounts hold; those that were never used are left out."""
        accounts = [*(clearing(name) for name in self._providers), PLATFORM_FEE, STAFF_DEPARTMENT, BANK]
        balances = [
            AccountBalance(str(account), currency, balance)
            for account in accounts
            for currency in Currency
            if (balance := await self._money.balance(account, currency))
        ]
        states = await self.books.states()
        return Books(states, balances, self._providers, await self._desk.cards(state.by for state in states))

    async def export(self, actor: str, kind: ExportKind, since: datetime, until: datetime) -> AsyncIterator[bytes]:
        """A table in pieces. Raises `bad_request` for a time that is empty or too long."""
        if not since < until:
            raise VouchError(Code.BAD_REQUEST, "This is no time.", field="to")
        if until - since > LONGEST_EXPORT:
            raise VouchError(Code.BAD_REQUEST, "At most a year at once.", field="from")

        async def body(tx: Tx) -> None:
            await self._desk.still(tx, actor)
            facts = {"from": since.date().isoformat(), "to": until.date().isoformat()}
            await self._desk.note(tx, actor, "export.made", kind.value, **facts)

        await self._store.transact(body)
        if kind is ExportKind.JOURNAL:
            return exports.journal(self._money.journal(since, until))
        return exports.orders(self.orders.between(since, until))

    async def _on_decided(self, tx: Tx, adjustment: Adjustment) -> None:
        await self.disputes.on_adjustment(tx, adjustment, done=adjustment.state is AdjustmentState.DONE)
