"""The front door of the wallet: a view on the ledger, with rules about who may move how much."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.limits import Limits
from server.money.model import Balances, Currency, Transfer
from server.payments.model import OrderKind
from server.people.inbox import MoneyNews, ReceivedNews
from server.people.news import Newsroom
from server.store import Store, Tx
from server.wallet import rules
from server.wallet.accounts import AccountBook
from server.wallet.lines import ORDER, people_of, received_from, seen
from server.wallet.model import ProviderChoice, Purse, Standing
from server.wallet.model import Wallet as Contents
from server.wallet.movements import Movements
from server.wallet.neighbours import Factors, Guardians, Money, Outbox, Payments, People, Proofs
from server.wallet.receipts import Notary
from server.wallet.repo import AccountsRepo, RequestsRepo, WalletsRepo
from server.wallet.standings import Standings
from server.wallet.statements import Statements
from server.wallet.tallies import Tallies
from server.wallet.transfers import Transfers


class Wallet:
    """`movements`, `transfers`, `statements` and `accounts` are for the HTTP edge."""

    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        money: Money,
        payments: Payments,
        people: People,
        factors: Factors,
        proofs: Proofs,
        guardians: Guardians,
        limits: Limits,
        clock: Clock,
        field_keys: Sequence[bytes],
        receipt_key: bytes,
        cooling: timedelta,
        factor: float,
    ) -> None:
        self._money = money
        self._payments = payments
        self._people = people
        self._factors = factors
        self._clock = clock
        self._news = Newsroom(outbox)
        self._wallets = WalletsRepo(store)
        self._requests = RequestsRepo(store)
        self._accounts = AccountsRepo(store, field_keys)
        self._standings = Standings(guardians)
        self._tallies = Tallies(self._wallets, clock, factor)
        self.accounts = AccountBook(
            store=store,
            repo=self._accounts,
            standings=self._standings,
            money=money,
            payments=payments,
            proofs=proofs,
            news=self._news,
            limits=limits,
            clock=clock,
            cooling=cooling,
        )
        self.movements = Movements(
            store=store,
            requests=self._requests,
            tallies=self._tallies,
            accounts=self.accounts,
            standings=self._standings,
            payments=payments,
            people=people,
            proofs=proofs,
            clock=clock,
        )
        self.transfers = Transfers(
            money=money,
            tallies=self._tallies,
            standings=self._standings,
            people=people,
            limits=limits,
        )
        self.statements = Statements(
            money=money, payments=payments, people=people, limits=limits, notary=Notary(receipt_key)
        )

    async def start(self) -> None:
        """Makes the indexes."""
        await self._requests.ensure_indexes()
        await self._accounts.ensure_indexes()

    async def contents(self, me: str) -> Contents:
        """What one has and what may be done with it. Some point reads and two short lists, however long the journal."""
        await self.movements.settle(me)
        standing, balances, holds, (_, zone), factor = await asyncio.gather(
            self._standings.of(me),
            self._money.balances(me),
            self._money.holds(me),
            self._people.locale(me),
            self._factors.has(me),
        )
        guardian = await self._standings.guardian(me) if standing is Standing.MINOR else None
        cards = await self._people.cards([guardian] if guardian else [])
        leaving: dict[Currency, int] = {}
        for hold in holds:
            if hold.about.startswith(ORDER):
                leaving[hold.currency] = leaving.get(hold.currency, 0) + hold.amount
        providers = [] if standing is Standing.MINOR else self._providers()
        offered = [currency for provider in providers for currency in provider.charges]
        filled = [one.currency for one in balances if one.available or one.held or one.owed]
        first = rules.first_currency(zone, filled, offered)
        kinds = list(dict.fromkeys([first, *filled, *offered]))
        wanted = [(kind, currency) for kind in (*OrderKind, None) for currency in kinds]
        return Contents(
            standing=standing,
            guardian=cards.get(guardian or ""),
            currency=first,
            purses=_purses(first, balances, leaving),
            providers=providers,
            limits=[] if standing is Standing.MINOR else await self._tallies.left(me, zone, wanted),
            factor=factor,
        )

    def _providers(self) -> list[ProviderChoice]:
        return [
            ProviderChoice(name, dict(terms.charges), terms.pay_outs, terms.test)
            for name, terms in self._payments.terms.items()
        ]

    async def pledge(self, tx: Tx, person: str, currency: Currency, amount: int) -> None:
        """Counts what somebody stakes from their wallet like a payment to people, which it may become. Raises
        `guardian_needed`, `amount_limit`, and `stale` or Duplicate when another payment came in between."""
        await self._standings.may_move(person, tx)
        _, zone = await self._people.locale(person)
        await self._tallies.count(tx, person, zone, None, currency, amount)

    # ── What goes along with others ─────────────────────────────────────────────────────────────────────────────────

    async def on_post(self, tx: Tx, transfer: Transfer) -> None:
        """Tells everybody whose money a transfer moves, in its transaction; who was paid by somebody is told so."""
        order = to_ms(transfer.at)
        paid = received_from(transfer)
        for person in people_of(transfer):
            if paid is not None and person == paid[1]:
                line = seen(transfer, person)
                received = ReceivedNews(
                    transfer=transfer.id,
                    by=paid[0],
                    beneficiary=line.beneficiary or person,
                    amount=line.available,
                    currency=transfer.currency.value,
                )
                await self._news.tell(tx, person, f"money:{transfer.id}", order, "money_received", received)
            else:
                moved = MoneyNews(transfer.id, transfer.currency.value)
                await self._news.tell(tx, person, f"money:{transfer.id}", order, "money_moved", moved)

    async def on_delete(self, tx: Tx, person: str) -> None:
        """Raises `money_left` while the person has money, owes some, or waits for a payment."""
        await self._tallies.close(tx, person)
        balances = await self._money.balances(person)
        if any(one.available or one.held or one.owed for one in balances):
            raise VouchError(Code.MONEY_LEFT)
        if await self.movements.under_way(tx, person):
            raise VouchError(Code.MONEY_LEFT)
        await self._requests.delete_all(tx, person)
        await self._accounts.delete_all(tx, person)


def _purses(first: Currency, balances: list[Balances], leaving: dict[Currency, int]) -> list[Purse]:
    """The first currency always, the others where there is something; the first one first."""
    known = {one.currency: one for one in balances}
    empty = Balances(first, 0, 0, 0)
    shown = [known.get(first, empty)]
    shown += [one for one in balances if one.currency is not first and (one.available or one.held or one.owed)]
    return [Purse(one.currency, one.available, one.held, leaving.get(one.currency, 0), one.owed) for one in shown]
