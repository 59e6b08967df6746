"""Paying a person: from one wallet to another, at once. What is meant for a minor goes to their guardian."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from server.clock import to_ms
from server.errors import Code, VouchError
from server.money.model import Amount, Draft, Leg, Transfer, TransferKind, available
from server.people.rules import NOTE_LONGEST, words
from server.store import Duplicate, Tx
from server.wallet.lines import FOR, seen
from server.wallet.model import Paid, PayPerson
from server.wallet.neighbours import Limits, Money, People
from server.wallet.standings import Standings
from server.wallet.tallies import Tallies

_TRIES = 3


class Transfers:
    def __init__(
        self,
        *,
        money: Money,
        tallies: Tallies,
        standings: Standings,
        people: People,
        limits: Limits,
    ) -> None:
        self._money = money
        self._tallies = tallies
        self._standings = standings
        self._people = people
        self._limits = limits

    async def pay(self, me: str, wanted: PayPerson) -> Paid:
        """Raises `guardian_needed` (by or for minors), `blocked` unless the two are friends, `amount_limit`,
        `insufficient_funds`, `idempotency_conflict`, `conflict` for a minor for whom one receives money oneself."""
        if wanted.to == me:
            raise VouchError(Code.BAD_REQUEST, "Nobody can do this with themselves.", field="to")
        note = words(wanted.note, NOTE_LONGEST, field="note")
        key = f"pay:{me}:{wanted.id}"
        if (known := await self._money.by_key(key)) is not None:
            return await self._answer(_same(known, me, wanted, note), me)
        await self._standings.may_move(me)
        await self._limits.hit("pay_person", me)
        if not await self._people.are_friends(me, [wanted.to]):  # before anything is told of them
            raise VouchError(Code.BLOCKED)
        payee = await self._standings.payee(wanted.to)
        if payee == me:
            raise VouchError(Code.CONFLICT, "You receive money for them yourself.", field="to")
        if payee != wanted.to and await self._people.blocked_between(me, payee):
            raise VouchError(Code.BLOCKED)
        _, zone = await self._people.locale(me)
        draft = Draft(
            key=key,
            kind=TransferKind.PAYMENT,
            currency=wanted.currency,
            legs=(Leg(available(me), -wanted.amount), Leg(available(payee), wanted.amount)),
            about="" if payee == wanted.to else FOR + wanted.to,
            note=note,
            by=me,
        )

        async def body(tx: Tx) -> Transfer:
            # These first: they fix what this transaction sees, and meet every other that pays, or closes a wallet.
            await self._tallies.meet(tx, payee)
            await self._tallies.count(tx, me, zone, None, wanted.currency, wanted.amount)
            if (known := await self._money.by_key(key)) is not None:
                raise _Known(known)
            await self._people.hold_friendship(tx, me, wanted.to)
            if await self._standings.payee(wanted.to, tx) != payee:
                raise VouchError(Code.TRY_LATER)  # custody has just changed: asked again, it goes to the right one
            return await self._money.post(tx, draft)

        return await self._answer(await self._once(me, payee, body, wanted, note), me)

    async def _once(
        self, me: str, payee: str, body: Callable[[Tx], Awaitable[Transfer]], wanted: PayPerson, note: str
    ) -> Transfer:
        for _ in range(_TRIES):
            try:
                return await self._money.transact([available(me), available(payee)], body)
            except _Known as found:
                return _same(found.transfer, me, wanted, note)
            except Duplicate:
                continue  # the first payment of one of them, at the same moment as another one
        raise VouchError(Code.TRY_LATER)

    async def _answer(self, transfer: Transfer, me: str) -> Paid:
        line = seen(transfer, me)
        payee = line.other or ""
        beneficiary = line.beneficiary or payee
        cards = await self._people.cards({payee, beneficiary})
        return Paid(
            transfer=transfer.id,
            to=cards[payee],
            beneficiary=cards[beneficiary],
            amount=Amount(-line.available, transfer.currency),
            at=to_ms(transfer.at),
        )


class _Known(Exception):
    """Leaves the transaction: somebody else has made the same payment meanwhile, and nothing is written here."""

    def __init__(self, transfer: Transfer) -> None:
        super().__init__(transfer.id)
        self.transfer = transfer


def _same(transfer: Transfer, me: str, wanted: PayPerson, note: str) -> Transfer:
    """The first payment of this id. Raises `idempotency_conflict` when it was another one. For whom it was matters, not
    who received it: a guardian may have changed since."""
    line = seen(transfer, me)
    meant = (line.beneficiary or line.other, -line.available, transfer.currency, transfer.note)
    if meant != (wanted.to, wanted.amount, wanted.currency, note):
        raise VouchError(Code.IDEMPOTENCY_CONFLICT)
    return transfer
