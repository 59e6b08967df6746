"""What a stake does when its pledge comes into another state: sets money aside, pays it out, gives it back; sends the
words, asks for the chore, counts the points. In the transaction of that change, so that each happens once.
"""

from __future__ import annotations

import msgspec

from server.clock import Clock
from server.errors import Code, VouchError
from server.money.model import (
    STAFF_DEPARTMENT,
    Account,
    Currency,
    Share,
    available,
    held,
    owed,
)
from server.people.inbox import PledgeNews
from server.people.news import Newsroom
from server.store import Duplicate, Tx
from server.supervision.changes import Stale
from server.supervision.model import Outcome, Part, Pledge, Stake, StakeState
from server.supervision.neighbours import Conversations, Guardians, Money, Outbox
from server.supervision.rules import lifecycle
from server.supervision.rules import stakes as rules
from server.supervision.rules.change import Line, What, turned
from server.supervision.rules.shares import Due, dues
from server.supervision.rules.stakes import Move
from server.supervision.terms import StakeKind


class Stakes:
    """The `Stakes` of changes.py."""

    def __init__(self, money: Money, guardians: Guardians, voice: Conversations, outbox: Outbox, clock: Clock) -> None:
        self._voice = voice
        self._news = Newsroom(outbox)
        self._money = money
        self._guardians = guardians
        self._clock = clock

    async def accounts(self, before: Pledge, after: Pledge) -> list[Account]:
        move = rules.move(before, after)
        payer = after.stake.payer
        if not after.money or payer is None or move not in (Move.HOLD, Move.SETTLE):
            return []
        people = {payer}
        if move is Move.SETTLE:
            people |= {part.payee for part in await self._parts(after, payer) if part.payee}
        return [kind(person) for person in sorted(people) for kind in (available, held, owed)]

    async def follow(self, tx: Tx, before: Pledge | None, after: Pledge) -> tuple[Stake, tuple[Line, ...]]:
        """Raises `insufficient_funds` and what else the ledger raises where money is to be set aside."""
        move = rules.move(before, after)
        match move:
            case Move.HOLD:
                stake = await self._hold(tx, after) if after.money else self._begin(after)
                return stake, ()
            case Move.SETTLE:
                stake = await self._settle(tx, after) if after.money else await self._turn(tx, after)
                return stake, (rules.line(turned(after, stake=stake)),)
            case Move.VOID:
                return msgspec.structs.replace(after.stake, state=StakeState.VOIDED), ()
            case Move.NONE:
                return await self._asked(tx, after), ()

    async def _asked(self, tx: Tx, pledge: Pledge) -> Stake:
        """From publication on it is known who is to pay: a minor's guardian, where a minor promises."""
        stake = pledge.stake
        if not rules.is_asked(pledge) or stake.payer is not None:
            return stake
        asked = lifecycle.payer(pledge)
        payer = await self._guardians.payee_of(asked, tx)
        if payer is not None and payer != asked:
            news = PledgeNews(pledge.id, What.FUNDS_WANTED.value, asked)
            await self._news.tell(tx, payer, f"pledge:{pledge.id}:asked", 0, "pledge_news", news)
        return msgspec.structs.replace(stake, payer=payer)

    # ── Money ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _hold(self, tx: Tx, pledge: Pledge) -> Stake:
        terms, payer = pledge.terms.stake, _payer(pledge)
        hold = await self._money.hold(
            tx,
            key=f"stake:{pledge.id}",
            person=payer,
            amount=terms.amount,
            currency=_currency(pledge),
            about=about(pledge),
            note=pledge.terms.title,
            by=payer,
        )
        return msgspec.structs.replace(pledge.stake, hold=hold.id)

    async def _settle(self, tx: Tx, pledge: Pledge) -> Stake:
        """Once: the hold resolves under one key for ever, whatever dies meanwhile (R-18)."""
        payer, hold = _payer(pledge), pledge.stake.hold
        if hold is None:
            raise VouchError(Code.INTERNAL, "A stake is held that was never set aside.")
        parts = await self._parts(pledge, payer, tx)
        key, note = f"settle:{pledge.id}", pledge.terms.title
        state = rules.resolved(parts, payer)
        accounts = {Account.parse(part.account) for part in parts}
        if state is StakeState.REFUNDED:
            done = await self._money.refund(tx, hold, key=key, note=note)
        elif len(accounts) == 1:
            done = await self._money.release(tx, hold, key=key, to=accounts.pop(), note=note)
        else:
            shares = [Share(Account.parse(part.account), part.amount) for part in parts]
            done = await self._money.split(tx, hold, key=key, shares=shares, note=note)
        return msgspec.structs.replace(pledge.stake, state=state, transfer=done.id, parts=parts)

    async def _parts(self, pledge: Pledge, payer: str, tx: Tx | None = None) -> tuple[Part, ...]:
        """To whom it goes as things stand: what nobody can receive (a minor without a guardian, an account that is
        gone) goes back to who paid. In a transaction it holds until that has ended."""
        parts = []
        for due in dues(pledge.terms.stake, rules.outcome(pledge), pledge.owner, pledge.seated, payer):
            payee = due.payee
            if payee is None and due.person is not None:
                payee = await self._guardians.payee_of(due.person, tx)
            parts.append(_part(due, payee, payer))
        return tuple(parts)

    # ── What is no money ────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, pledge: Pledge) -> Stake:
        return msgspec.structs.replace(pledge.stake, state=StakeState.HELD, held_at=self._clock.now())

    async def _turn(self, tx: Tx, pledge: Pledge) -> Stake:
        """Failed: the words are sent, the chore is owed. Points are counted with the record (records.py)."""
        if rules.outcome(pledge) is not Outcome.FAILED:
            return msgspec.structs.replace(pledge.stake, state=StakeState.REFUNDED)
        stake = msgspec.structs.replace(pledge.stake, state=StakeState.RELEASED)
        terms = pledge.terms.stake
        if terms.to is not None and terms.kind is StakeKind.MESSAGE and await self._send(tx, pledge, terms.to):
            return msgspec.structs.replace(stake, done_at=self._clock.now())
        if terms.to is not None and terms.kind is StakeKind.CHORE:
            news = PledgeNews(pledge.id, What.CHORE_DUE.value)
            for person in (pledge.owner, terms.to):
                await self._news.tell(tx, person, f"pledge:{pledge.id}:chore", 0, "pledge_news", news)
        return stake

    async def _send(self, tx: Tx, pledge: Pledge, to: str) -> bool:
        """The owner's words, into the conversation of the two; False where they do not speak any more. Raises Stale."""
        id = f"stake:{pledge.id}"
        try:
            return await self._voice.say(tx, pledge.owner, to, pledge.terms.stake.words, id=id, pledge=pledge.id)
        except Duplicate:
            raise Stale from None


def about(pledge: Pledge) -> str:
    """What the ledger's rows of a pledge say that they belong to."""
    return f"pledge:{pledge.id}"


def _part(due: Due, payee: str | None, payer: str) -> Part:
    if due.person is None:
        return Part(str(STAFF_DEPARTMENT), "", "", due.amount)
    if payee is None:
        return Part(str(available(payer)), payer, payer, due.amount)
    return Part(str(available(payee)), due.person, payee, due.amount)


def _payer(pledge: Pledge) -> str:
    if pledge.stake.payer is None:
        raise VouchError(Code.INTERNAL, "A stake of money has no payer.")
    return pledge.stake.payer


def _currency(pledge: Pledge) -> Currency:
    if pledge.terms.stake.currency is None:
        raise VouchError(Code.INTERNAL, "A stake of money has no currency.")
    return pledge.terms.stake.currency
