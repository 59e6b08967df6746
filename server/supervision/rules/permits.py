"""What somebody is in a pledge, and what they may do with it now. Pure.

Nothing is decided here a second time: one may do what the rule for it does not refuse, and what would change something.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from server.errors import VouchError
from server.supervision.model import FINAL, Pledge, PledgeState, SeatState, StakeState, Task, TaskState, Verdict
from server.supervision.rules import cases, checks, drafting, evidence, lifecycle, seats, stakes, tasks, thread
from server.supervision.rules.change import Change
from server.supervision.terms import StakeKind

_JUDGED = frozenset({PledgeState.ACTIVE, PledgeState.UNDER_REVIEW})
_OPEN = {SeatState.APPLIED: "applied", SeatState.INVITED: "invited"}


def role_of(pledge: Pledge, person: str, *, guards: bool = False) -> str:
    """`owner`, `supervisor`, `invited`, `applied`, `payer`, `staff` (who reviews a case), or empty. `guards`: they are
    the guardian who pays for the owner."""
    if person == pledge.owner:
        return "owner"
    seat = pledge.seat(person)
    if seat is not None and seat.state is SeatState.SEATED:
        return "supervisor"
    if seat is not None and seat.state in _OPEN:
        return _OPEN[seat.state]
    if person == pledge.stake.payer or (guards and pays_for_owner(pledge)):
        return "payer"
    if any(case.reviewer == person for case in pledge.cases):
        return "staff"
    return "supervisor" if person == pledge.drafted_by else ""


def pays_for_owner(pledge: Pledge) -> bool:
    """Whether it is the owner's money, or the guardian's of an owner who is a minor."""
    return pledge.money and lifecycle.payer(pledge) == pledge.owner


def can(pledge: Pledge, person: str, now: datetime, *, payee: str | None = None) -> set[str]:
    """What this person may do with the whole. `payee` is who pays for whoever is asked for the money: empty where that
    is a minor, and not oneself."""
    if pledge.state is PledgeState.DRAFT:
        return {"edit", "publish", "delete"} if person == pledge.drafted_by else set()
    tries: dict[str, Callable[[], Change]] = {
        "consent": lambda: seats.consent(pledge, person, now),
        "apply": lambda: seats.apply(pledge, person, "", now),
        "withdraw": lambda: seats.withdraw(pledge, person, now),
        "answer": lambda: seats.answer(pledge, person, True, now),
        "invite": lambda: seats.invite(pledge, person, [_SOMEBODY], 1, now),
        "leave": lambda: seats.leave(pledge, person, now),
        "cancel": lambda: drafting.cancel(pledge, person, now),
        "admit": lambda: tasks.admit(pledge, person, 0, now),
        "agree": lambda: tasks.agree(pledge, person, now),
        "add_evidence": lambda: evidence.added(pledge, person, 0, now, "…", (), "…"),
        "chore_done": lambda: stakes.chore_done(pledge, person, now),
    }
    may = {name for name, rule in tries.items() if _does(pledge, rule)}
    if _decides(pledge, person):
        may.add("decide")
    if person == (lifecycle.payer(pledge) if payee is None else payee) and _pays(pledge, now):
        may.add("fund")
    if objection := cases.may_object(pledge, person, now):
        may.add(objection)
    if any(case.reviewer == person for case in cases.open_cases(pledge)):
        may.add("rule")
    if thread.writes(pledge, person, now):
        may.add("write")
    return may


#: nobody in particular
_SOMEBODY = "p_somebody"


def _does(pledge: Pledge, rule: Callable[[], Change]) -> bool:
    try:
        return rule() != Change(pledge)
    except VouchError:
        return False


def _decides(pledge: Pledge, person: str) -> bool:
    waits = any(seat.state is SeatState.APPLIED for seat in pledge.seats)
    return person == pledge.owner and waits and pledge.state not in FINAL


def _pays(pledge: Pledge, now: datetime) -> bool:
    try:
        stakes.check_open(pledge, now)
    except VouchError:
        return False
    return True


def is_owed(pledge: Pledge, person: str) -> bool:
    """Whether a chore has come due that is for this person."""
    stake = pledge.terms.stake
    return stake.kind is StakeKind.CHORE and stake.to == person and pledge.stake.state is StakeState.RELEASED


def task_can(pledge: Pledge, task: Task, person: str, now: datetime) -> set[str]:
    """What this person may do with one task: `report`, `stamp`, `admit`, `ask_check`, `answer_check`, `meet` (the owner
    shows a code that a supervisor scans)."""
    if task.state not in (TaskState.OPEN, TaskState.REVIEW) or pledge.state not in _JUDGED:
        return set()
    n, asked = task.n, checks.asked(task)
    tries: dict[str, Callable[[], Change]] = {}
    if person == pledge.owner:
        tries["report"] = lambda: tasks.report(pledge, person, n, now)
        tries["admit"] = lambda: tasks.admit(pledge, person, n, now)
        if asked is not None:
            tries["answer_check"] = lambda: checks.answer(pledge, person, n, asked.id, False, now)
    elif person in pledge.seated:
        tries["stamp"] = lambda: tasks.stamp(pledge, person, n, Verdict.ABSTAIN, now)
        tries["ask_check"] = lambda: checks.ask(pledge, person, n, now)
    may = {name for name, rule in tries.items() if _does(pledge, rule)}
    if person == pledge.owner and any(_may_attest(pledge, n, one, now) for one in pledge.seated):
        may.add("meet")
    return may


def _may_attest(pledge: Pledge, n: int, supervisor: str, now: datetime) -> bool:
    return _does(pledge, lambda: tasks.stamp(pledge, supervisor, n, Verdict.DONE, now, in_person=True))
