"""Who of staff may look after a pledge: never somebody whom it concerns, their family or friends, or who has judged it
before. Nobody decides on what they gain by, or twice."""

from __future__ import annotations

from collections.abc import Collection

from server.supervision.model import Case, CaseKind, Pledge, SeatState

_NEVER_SAT = (SeatState.DECLINED, SeatState.WITHDRAWN, SeatState.EXPIRED)


def parties(pledge: Pledge) -> set[str]:
    """Everybody who has, or may get, a part in it."""
    seats = {seat.person for seat in pledge.seats if seat.state not in _NEVER_SAT}
    paid = {person for part in pledge.stake.parts for person in (part.person, part.payee)}
    people = {pledge.owner, pledge.drafted_by, *seats, *paid, pledge.stake.payer, pledge.terms.stake.to}
    return {person for person in people if person}


def judged(pledge: Pledge) -> set[str]:
    """Everybody who has stamped a task of it, or ruled on it."""
    stamped = {vote.person for task in pledge.tasks for vote in task.votes}
    return stamped | {case.reviewer for case in pledge.cases if case.reviewer and case.reasons}


def why_not(pledge: Pledge, case: Case | None, person: str, family: Collection[str], friends: Collection[str]) -> str:
    """Why somebody of staff may not rule on this case, or (None) supervise: `party`, `ruled` (the ruling that is
    appealed), `judged`, `family`, `friend`; empty when they may. `family` and `friends` are those of theirs who are
    parties."""
    concerned = parties(pledge)
    if case is None and (seat := pledge.seat(person)) is not None and seat.state is SeatState.LEFT:
        return "judged"  # who has left it does not come back
    if person in concerned:
        return "party"
    if case is not None and case.kind is CaseKind.APPEAL and person == _ruled(pledge):
        return "ruled"
    if person in judged(pledge):
        return "judged"
    if concerned & set(family):
        return "family"
    return "friend" if concerned & set(friends) else ""


def _ruled(pledge: Pledge) -> str | None:
    """Who ruled on the dispute."""
    return next((case.reviewer for case in pledge.cases if case.kind is CaseKind.DISPUTE), None)
