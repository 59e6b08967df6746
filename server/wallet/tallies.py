"""Counting what people move: in the transaction that begins it, and given back when it did not come to pass."""

from __future__ import annotations

from datetime import date

import msgspec

from server.clock import Clock
from server.money.model import Currency
from server.payments.model import OrderKind
from server.store import Tx
from server.wallet import rules
from server.wallet.model import Limit
from server.wallet.repo import Tally, WalletsRepo, slot


class Counted(msgspec.Struct, frozen=True):
    """`approval`: somebody else looks at it first. `day` is where it was counted."""

    day: date
    approval: bool


class Tallies:
    """`factor` multiplies every bound."""

    def __init__(self, repo: WalletsRepo, clock: Clock, factor: float) -> None:
        self._repo = repo
        self._clock = clock
        self._factor = factor

    async def count(
        self, tx: Tx, person: str, zone: str, kind: OrderKind | None, currency: Currency, amount: int
    ) -> Counted:
        """Raises `amount_limit`. Two at once meet in the person's document: one of them is run again."""
        tally = await self._repo.get(person, tx)
        spent = self._of(tally, kind, currency, zone)
        limits = rules.bounds(kind, currency, self._factor)
        more = rules.admitted(spent, limits, amount)
        await self._write(tx, tally, slot(kind, currency), more)
        return Counted(spent.day, rules.needs_approval(spent, limits, amount))

    async def meet(self, tx: Tx, person: str) -> None:
        """Makes a payment to somebody and the end of their account wait for each other. Raises `blocked` after it."""
        await self._repo.touch(tx, person)

    async def close(self, tx: Tx, person: str) -> None:
        """The person's wallet takes nothing any more."""
        await self._repo.close(tx, person)

    async def give_back(
        self, tx: Tx, person: str, kind: OrderKind | None, currency: Currency, day: date, amount: int
    ) -> None:
        tally = await self._repo.get(person, tx)
        spent = tally.spent.get(slot(kind, currency))
        if spent is not None:
            await self._write(tx, tally, slot(kind, currency), rules.given_back(spent, day, amount))

    async def left(self, person: str, zone: str, wanted: list[tuple[OrderKind | None, Currency]]) -> list[Limit]:
        """What may still be moved, of each kind and currency asked for."""
        tally = await self._repo.get(person)
        return [
            rules.left(
                kind, currency, rules.bounds(kind, currency, self._factor), self._of(tally, kind, currency, zone)
            )
            for kind, currency in wanted
        ]

    def _of(self, tally: Tally, kind: OrderKind | None, currency: Currency, zone: str) -> rules.Spent:
        return rules.turned(tally.spent.get(slot(kind, currency)), rules.day_of(self._clock.now(), zone))

    async def _write(self, tx: Tx, tally: Tally, name: str, spent: rules.Spent) -> None:
        await self._repo.put(tx, msgspec.structs.replace(tally, spent={**tally.spent, name: spent}))
