"""Pay-out accounts: where somebody's money goes when it leaves. Each cools down before the first of it does."""

from __future__ import annotations

from datetime import timedelta

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.money.model import Currency
from server.people.inbox import PayoutAccountNews
from server.people.news import Newsroom
from server.people.rules import name
from server.store import Store, Tx
from server.wallet import destinations, rules
from server.wallet.model import Destination, NewPayoutAccount, PayoutAccount, PayoutAccounts
from server.wallet.neighbours import Limits, Money, Payments, Proofs
from server.wallet.repo import MOST_ACCOUNTS, AccountsRepo
from server.wallet.standings import Standings


class AccountBook:
    def __init__(
        self,
        *,
        store: Store,
        repo: AccountsRepo,
        standings: Standings,
        money: Money,
        payments: Payments,
        proofs: Proofs,
        news: Newsroom,
        limits: Limits,
        clock: Clock,
        cooling: timedelta,
    ) -> None:
        self._store = store
        self._repo = repo
        self._standings = standings
        self._money = money
        self._payments = payments
        self._proofs = proofs
        self._news = news
        self._limits = limits
        self._clock = clock
        self._cooling = cooling

    async def all_of(self, me: str) -> PayoutAccounts:
        """The newest first."""
        return PayoutAccounts([_view(account) for account in await self._repo.of(me)])

    async def add(self, me: str, session: str, wanted: NewPayoutAccount) -> PayoutAccount:
        """Raises `guardian_needed`, `bad_request`, `factor_needed`, `already`, `limit_reached`, `too_often`."""
        await self._standings.may_move(me)
        number, holder = destinations.number(wanted.number, wanted.provider), name(wanted.holder, field="holder")
        terms = self._payments.terms.get(wanted.provider)
        if terms is None or not terms.pay_outs:
            raise VouchError(Code.BAD_REQUEST, "This provider pays nothing out.", field="provider")
        await self._limits.hit("payout_account", me)
        now = self._clock.now()
        account = Destination(
            id=new_id("b"),
            person=me,
            provider=wanted.provider,
            holder=holder,
            number=number,
            ending=destinations.ending(number),
            added_at=now,
            usable_at=rules.usable_at(now, self._cooling),
        )
        facts: dict[str, str | int] = {"provider": wanted.provider, "number": wanted.number}

        async def body(tx: Tx) -> None:
            others = await self._repo.of(me, tx)
            if any((one.provider, one.number) == (account.provider, account.number) for one in others):
                raise VouchError(Code.ALREADY, "This account is in the list.")
            if len(others) >= MOST_ACCOUNTS:
                raise VouchError(Code.LIMIT_REACHED, f"At most {MOST_ACCOUNTS} accounts. Remove one first.")
            await self._proofs.spend(tx, me, session, wanted.proof, "payout_account", facts)
            await self._repo.insert(tx, account)
            await self._tell(tx, account, "added")

        await self._store.transact(body)
        return _view(account)

    async def remove(self, me: str, id: str) -> None:
        """What is on its way there goes on. Raises `not_found`."""
        account = await self.own(me, id)

        async def body(tx: Tx) -> None:
            if not await self._repo.delete(tx, id):
                raise VouchError(Code.NOT_FOUND)
            await self._tell(tx, account, "removed")

        await self._store.transact(body)

    async def own(self, me: str, id: str) -> Destination:
        """Raises `not_found`."""
        account = await self._repo.get(id)
        if account is None or account.person != me:
            raise VouchError(Code.NOT_FOUND)
        return account

    async def covered(self, me: str, amount: int, currency: Currency) -> None:
        """Raises `insufficient_funds` before anything is asked of anybody; the ledger is the judge later."""
        found = (one.available for one in await self._money.balances(me) if one.currency is currency)
        if next(found, 0) < amount:
            raise VouchError(Code.INSUFFICIENT_FUNDS)

    async def _tell(self, tx: Tx, account: Destination, done: str) -> None:
        body = PayoutAccountNews(account=account.id, ending=account.ending, done=done)
        order = to_ms(self._clock.now())
        await self._news.tell(tx, account.person, f"{account.id}:{done}", order, "payout_account_changed", body)


def _view(account: Destination) -> PayoutAccount:
    return PayoutAccount(
        id=account.id,
        provider=account.provider,
        holder=account.holder,
        ending=account.ending,
        added_at=to_ms(account.added_at),
        usable_at=to_ms(account.usable_at),
    )
