"""What tests do with a ledger, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from server.money.model import (
    Account,
    Currency,
    Draft,
    Hold,
    Leg,
    Share,
    Transfer,
    TransferKind,
    available,
    clearing,
    held,
    owed,
)
from server.money.service import Money

CNY = Currency.CNY
SANDBOX = clearing("sandbox")


class Bank:
    """Keys that are not given are new ones."""

    def __init__(self, money: Money) -> None:
        self.money = money
        self._keys = (f"key:{n}" for n in count())

    def key(self) -> str:
        return next(self._keys)

    async def post(self, draft: Draft) -> Transfer:
        return await self.money.transact([leg.account for leg in draft.legs], lambda tx: self.money.post(tx, draft))

    async def move(
        self,
        source: Account,
        target: Account,
        amount: int,
        *,
        key: str | None = None,
        currency: Currency = CNY,
        kind: TransferKind = TransferKind.PAYMENT,
    ) -> Transfer:
        return await self.post(moving(source, target, amount, key=key or self.key(), currency=currency, kind=kind))

    async def give(self, person: str, amount: int, currency: Currency = CNY) -> Transfer:
        """A top-up."""
        return await self.move(SANDBOX, available(person), amount, currency=currency, kind=TransferKind.TOP_UP)

    async def pay(self, source: str, target: str, amount: int, key: str | None = None) -> Transfer:
        return await self.move(available(source), available(target), amount, key=key)

    async def pay_often(self, source: str, target: str, amount: int, times: int) -> None:
        """In one transaction: that is quicker."""
        accounts = available(source), available(target)
        drafts = [moving(*accounts, amount, key=self.key()) for _ in range(times)]

        await self.money.transact(accounts, lambda tx: self.money.post_all(tx, drafts))

    async def hold(self, person: str, amount: int, *, key: str | None = None, currency: Currency = CNY) -> Hold:
        key = key or self.key()
        return await self.money.transact(
            [held(person)],
            lambda tx: self.money.hold(tx, key=key, person=person, amount=amount, currency=currency, about="pledge:1"),
        )

    async def release(self, hold: Hold, to: Account, key: str | None = None) -> Transfer:
        key = key or self.key()
        return await self.money.transact(
            [held(hold.person), to], lambda tx: self.money.release(tx, hold.id, key=key, to=to)
        )

    async def refund(self, hold: Hold, key: str | None = None) -> Transfer:
        key = key or self.key()
        return await self.money.transact([held(hold.person)], lambda tx: self.money.refund(tx, hold.id, key=key))

    async def split(self, hold: Hold, shares: Sequence[Share], key: str | None = None) -> Transfer:
        key = key or self.key()
        accounts = [held(hold.person), *(share.account for share in shares)]
        return await self.money.transact(accounts, lambda tx: self.money.split(tx, hold.id, key=key, shares=shares))

    async def claw_back(self, transfer: Transfer, amount: int | None = None, key: str | None = None) -> Transfer:
        key = key or self.key()
        return await self.money.transact(
            [leg.account for leg in transfer.legs],
            lambda tx: self.money.claw_back(tx, transfer.id, key=key, amount=amount, by="p_chen"),
        )

    async def funds(self, person: str, currency: Currency = CNY) -> tuple[int, int, int]:
        """(available, held, owed), owed at 0 or over."""
        for balances in await self.money.balances(person):
            if balances.currency is currency:
                return balances.available, balances.held, balances.owed
        return 0, 0, 0


def moving(
    source: Account,
    target: Account,
    amount: int,
    *,
    key: str,
    currency: Currency = CNY,
    kind: TransferKind = TransferKind.PAYMENT,
) -> Draft:
    return Draft(key=key, kind=kind, currency=currency, legs=(Leg(source, -amount), Leg(target, amount)))


__all__ = ["CNY", "SANDBOX", "Bank", "available", "clearing", "held", "moving", "owed"]
