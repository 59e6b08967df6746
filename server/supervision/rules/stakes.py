"""The stake's own machine: who may pay it when, and what it does when its pledge comes into another state. Pure.

created → authorised → held → released | refunded | split          beside: voided (never paid)
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from server.errors import Code, VouchError
from server.supervision.model import FINAL, WAITING, Outcome, Part, Pledge, PledgeState, Stake, StakeState
from server.supervision.rules.change import Change, Line, News, What, concerned, tell, turned
from server.supervision.terms import StakeKind
from server.supervision.words import MoneyMoved

#: nothing moves any more
RESOLVED = frozenset({StakeState.RELEASED, StakeState.REFUNDED, StakeState.SPLIT, StakeState.VOIDED})
_UNPAID = frozenset({StakeState.CREATED, StakeState.AUTHORISED})


# ── Paying it ───────────────────────────────────────────────────────────────────────────────────────────────────────


def check_open(pledge: Pledge, now: datetime) -> None:
    """Raises unless the stake may be paid now: `already` when it was (funding twice), `conflict` for a draft, for what
    has ended or runs out, and where nothing is to be paid."""
    if not pledge.money:
        raise VouchError(Code.CONFLICT, "No money is at stake here.")
    if pledge.stake.state not in _UNPAID:
        raise VouchError(Code.ALREADY, "The stake was paid.")
    if pledge.state not in WAITING or (pledge.expires_at is not None and pledge.expires_at <= now):
        raise VouchError(Code.CONFLICT, "Nobody waits for this money.")


def may_open(pledge: Pledge, now: datetime) -> Change:
    """Whether a check-out may be opened; changes nothing. Raises what `check_open` does, `conflict` while one is
    open."""
    check_open(pledge, now)
    if pledge.stake.state is StakeState.AUTHORISED:
        raise VouchError(Code.CONFLICT, "Another check-out is open: finish or cancel that one.")
    return Change(pledge)


def authorise(pledge: Pledge, payer: str, key: str, order: str, now: datetime) -> Change:
    """The payer is at the provider's page; when that has paid already, nothing changes. Raises what `may_open`
    does."""
    if pledge.stake.order == order:
        return Change(pledge)
    may_open(pledge, now)
    stake = Stake(state=StakeState.AUTHORISED, payer=payer, key=key, order=order)
    return Change(turned(pledge, stake=stake))


def ask(pledge: Pledge, payer: str | None) -> Change:
    """Somebody else is to pay: custody of a minor has changed. What the one before may still pay at a provider's page
    stays theirs. Once it is paid, nothing changes."""
    unpaid = pledge.money and pledge.state in WAITING and pledge.stake.state in _UNPAID
    if not unpaid or pledge.stake.payer == payer:
        return Change(pledge)
    return Change(turned(pledge, stake=Stake(payer=payer)), (), tell([payer] if payer else [], What.FUNDS_WANTED))


def close(pledge: Pledge, order: str) -> Change:
    """That check-out has ended without money; one that is not the stake's own changes nothing."""
    stake = pledge.stake
    if stake.state is not StakeState.AUTHORISED or stake.order != order:
        return Change(pledge)
    return Change(turned(pledge, stake=Stake(payer=stake.payer)))


def pay(pledge: Pledge, payer: str, key: str, now: datetime, order: str | None = None) -> Change:
    """The payer's money is there, and is set aside with this change. Asked again under the same key it changes nothing.
    Raises what `check_open` does."""
    known = pledge.stake
    if key and known.key == key and known.payer == payer and known.held_at is not None:
        return Change(pledge)
    check_open(pledge, now)
    if order is None and known.state is StakeState.AUTHORISED:
        raise VouchError(Code.CONFLICT, "A check-out is open: finish or cancel that one.")
    held = Stake(state=StakeState.HELD, payer=payer, key=key, order=order, held_at=now)
    paid = turned(pledge, stake=held)
    return Change(paid, (line(paid, payer),), tell(concerned(paid), What.FUNDED, payer))


# ── What it does by itself ──────────────────────────────────────────────────────────────────────────────────────────


class Move(StrEnum):
    """`hold` sets money aside, or begins what is no money; `settle` follows the outcome; `void`: it was never paid."""

    NONE = "none"
    HOLD = "hold"
    SETTLE = "settle"
    VOID = "void"


def move(before: Pledge | None, after: Pledge) -> Move:
    """What the change asks of the stake. Each is asked for once: it ends in another state."""
    state = after.stake.state
    if state in RESOLVED or after.state is PledgeState.DRAFT:
        return Move.NONE
    if after.state in FINAL:
        if before is None:
            return Move.NONE
        return Move.SETTLE if state is StakeState.HELD else Move.VOID
    if after.money:
        fresh = state is StakeState.HELD and (before is None or before.stake.state is not StakeState.HELD)
        return Move.HOLD if fresh else Move.NONE
    return Move.HOLD if after.state not in WAITING and state is StakeState.CREATED else Move.NONE


def is_asked(pledge: Pledge) -> bool:
    """Somebody is to pay the stake, from publication on."""
    return pledge.money and pledge.state in WAITING and pledge.stake.state is StakeState.CREATED


def outcome(pledge: Pledge) -> Outcome:
    """By which the stake is settled: what was cancelled or has expired is void."""
    return (pledge.outcome or Outcome.VOID) if pledge.state is PledgeState.SETTLED else Outcome.VOID


def resolved(parts: tuple[Part, ...], payer: str) -> StakeState:
    """How money has gone: all back, all to others, or both."""
    back = [part.payee == payer for part in parts]
    return StakeState.REFUNDED if all(back) else StakeState.SPLIT if any(back) else StakeState.RELEASED


def line(pledge: Pledge, by: str = "system") -> Line:
    """What the thread tells of the stake as it is now."""
    terms, stake = pledge.terms.stake, pledge.stake
    amount = terms.amount if pledge.money else terms.points
    told = MoneyMoved(stake.state, amount, terms.currency if pledge.money else None, list(stake.parts))
    return Line("money", msgspec.to_builtins(told), by)


# ── Chores ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def chore_done(pledge: Pledge, by: str, now: datetime) -> Change:
    """For whom the chore is says that it was done. Raises `not_found` to others, `conflict` while none is owed,
    `already`."""
    stake = pledge.terms.stake
    if stake.kind is not StakeKind.CHORE or by != stake.to:
        raise VouchError(Code.NOT_FOUND)
    if pledge.stake.state is not StakeState.RELEASED:
        raise VouchError(Code.CONFLICT, "No chore is owed.")
    if pledge.stake.done_at is not None:
        raise VouchError(Code.ALREADY)
    done = turned(pledge, stake=msgspec.structs.replace(pledge.stake, done_at=now))
    return Change(done, (line(done, by),), (News(pledge.owner, What.CHORE_DONE, by),))
