"""Whose money it is in each outcome (R-08, R-09, R-10): parts in minor units that sum to the stake, always. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from server.money.rules import split
from server.supervision.model import Outcome
from server.supervision.terms import StakeKind, StakeTerms


class Party(StrEnum):
    """In which capacity somebody has a part: `payer` is whose money it was, where that is not the owner's."""

    OWNER = "owner"
    SUPERVISOR = "supervisor"
    PAYER = "payer"
    DEPARTMENT = "department"


class Due(msgspec.Struct, frozen=True):
    """A part of the stake. `person` is None for the department, and for supervisors who are not known yet: then `many`
    share it alike. What goes back goes to `payee`, who paid; everything else to whoever receives money for `person`."""

    party: Party
    person: str | None
    amount: int
    payee: str | None = None
    many: int = 1


def dues(
    stake: StakeTerms, outcome: Outcome, owner: str, supervisors: Sequence[str], payer: str, *, unknown: int = 0
) -> tuple[Due, ...]:
    """The parts of a stake of money, the other side's first; nobody has one of 0.

    `supervisors` have alike, what cannot be divided going to the first ones. Where none is left to have it, it goes
    back to who paid. `unknown` over 0: so many supervisors are not known yet.
    """
    moving = moves(stake, outcome)
    match stake.kind:
        case StakeKind.STAFF:
            others = [Due(Party.DEPARTMENT, None, moving)]
        case StakeKind.REWARD:
            others = [Due(Party.OWNER, owner, moving)]
        case _ if unknown:
            others = [Due(Party.SUPERVISOR, None, moving, many=unknown)]
        case _ if supervisors:
            parts = split(moving, [1] * len(supervisors))
            others = [Due(Party.SUPERVISOR, person, part) for person, part in zip(supervisors, parts, strict=True)]
        case _:
            others = []
            moving = 0
    back = Due(Party.PAYER, payer, stake.amount - moving, payee=payer)
    if stake.kind is not StakeKind.REWARD:
        back = Due(Party.OWNER, owner, stake.amount - moving, payee=payer)
    return tuple(due for due in (*others, back) if due.amount)


def moves(stake: StakeTerms, outcome: Outcome) -> int:
    """How much goes to the other side. A deposit that staff judges comes back whole when it is kept, a reward when it
    is not."""
    match outcome:
        case Outcome.KEPT if stake.kind is not StakeKind.STAFF:
            return stake.moves_if_kept
        case Outcome.FAILED if stake.kind is not StakeKind.REWARD:
            return stake.moves_if_failed
    return 0
