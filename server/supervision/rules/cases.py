"""Cases: what the two sides cannot settle between themselves, and staff decides with written reasons.

A review asks what became of tasks that the supervisors could not judge (a tie, abstentions, silence), or, without
tasks, of a pledge whose two sides may be one. A dispute objects to the outcome, an appeal to the ruling on that, once.
What a ruling leads to is `lifecycle`'s business.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from msgspec.structs import replace

from server.errors import Code, VouchError
from server.supervision.model import (
    Case,
    CaseKind,
    Outcome,
    Pledge,
    PledgeState,
    SeatState,
    Task,
    TaskState,
)
from server.supervision.rules.change import Change, Line, What, concerned, tell, turned
from server.supervision.rules.outcome import LAPSED

#: both sides add evidence for so long
EVIDENCE = timedelta(hours=48)
#: and staff has so long after that; then all goes back to who paid
DECISION = timedelta(days=7)
#: whoever has taken a case and not ruled within this time may be relieved by another reviewer
HOLDS = timedelta(hours=24)
#: the cause of a review before money moves between two who may be one
FLAGGED = "flagged"

_JUDGING = frozenset({PledgeState.ACTIVE, PledgeState.UNDER_REVIEW})
_TASK = {Outcome.KEPT: TaskState.KEPT, Outcome.FAILED: TaskState.MISSED, Outcome.VOID: TaskState.VOID}


# ── Opening ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def open_review(pledge: Pledge, now: datetime, *, cause: str, tasks: tuple[int, ...] = ()) -> Change:
    """Staff shall say what became of these tasks, which are in review from now on; without tasks, of the whole.

    `cause` is a stable word: `tie`, `abstained`, `silent`, `left`, `flagged`. Changes nothing where it is asked
    already."""
    asked = {n for case in open_cases(pledge) for n in case.tasks}
    wanted = tuple(n for n in tasks if n not in asked)
    if (tasks and not wanted) or (not tasks and whole_review(pledge) is not None):
        return Change(pledge)
    reviewed = tuple(replace(task, state=TaskState.REVIEW) if task.n in wanted else task for task in pledge.tasks)
    opened = _opened(turned(pledge, tasks=reviewed), CaseKind.REVIEW, "system", now, cause=cause, tasks=wanted)
    return opened.told(news=tell(concerned(pledge), What.REVIEW, task=wanted[0] if len(wanted) == 1 else 0))


def dispute(pledge: Pledge, person: str, words: str, now: datetime) -> Change:
    """Objects to the outcome: the stake is frozen until staff has ruled.

    Raises `not_found` to whom it does not concern, `closed` outside the challenge window, `already` after a ruling on
    a dispute: then there is an appeal."""
    _may_object(pledge, person, now)
    if disputed(pledge):
        raise VouchError(Code.ALREADY, "This was disputed and ruled upon; what remains is an appeal.")
    return _object(pledge, CaseKind.DISPUTE, person, words, now)


def appeal(pledge: Pledge, person: str, words: str, now: datetime) -> Change:
    """Objects to the ruling on a dispute, once; another reviewer decides, and that settles it.

    Raises `not_found`, `closed`, and `conflict` where there is no ruling on a dispute."""
    _may_object(pledge, person, now)
    if not disputed(pledge):
        raise VouchError(Code.CONFLICT, "There is no ruling to appeal.")
    return _object(pledge, CaseKind.APPEAL, person, words, now)


def disputed(pledge: Pledge) -> bool:
    """A dispute about it was opened before."""
    return any(case.kind is CaseKind.DISPUTE for case in pledge.cases)


def may_object(pledge: Pledge, person: str, now: datetime) -> str:
    """Which objection is open to somebody now: `dispute`, `appeal`, or none."""
    try:
        _may_object(pledge, person, now)
    except VouchError:
        return ""
    return CaseKind.APPEAL.value if disputed(pledge) else CaseKind.DISPUTE.value


def _may_object(pledge: Pledge, person: str, now: datetime) -> None:
    if person not in concerned(pledge):
        raise VouchError(Code.NOT_FOUND)
    if pledge.state is not PledgeState.CHALLENGE_WINDOW or (pledge.until is not None and pledge.until <= now):
        raise VouchError(Code.CLOSED, "The outcome can be objected to in the challenge window only.")


def _object(pledge: Pledge, kind: CaseKind, person: str, words: str, now: datetime) -> Change:
    opened = _opened(turned(pledge, agreed=()), kind, person, now, words=words)
    return opened.told(news=tell(concerned(pledge), What.DISPUTED, person))


def _opened(
    pledge: Pledge,
    kind: CaseKind,
    by: str,
    now: datetime,
    *,
    cause: str = "",
    words: str = "",
    tasks: tuple[int, ...] = (),
) -> Change:
    case = Case(
        id=f"c{len(pledge.cases) + 1}",
        kind=kind,
        opened_by=by,
        opened_at=now,
        evidence_until=now + EVIDENCE,
        decide_until=now + EVIDENCE + DECISION,
        cause=cause,
        words=words,
        tasks=tasks,
    )
    return Change(turned(pledge, cases=(*pledge.cases, case)), (_told(case, "opened", by),))


# ── Deciding ────────────────────────────────────────────────────────────────────────────────────────────────────────


def take(pledge: Pledge, id: str, reviewer: str, now: datetime) -> Change:
    """A reviewer works on it; that they are impartial is asked before (`impartial.why_not`).

    Raises `not_found`, `already` when it is ruled, `conflict` while somebody else works on it."""
    case = waiting(pledge, id)
    if case.reviewer == reviewer:
        return Change(pledge)
    if case.reviewer is not None and case.taken_at is not None and now - case.taken_at < HOLDS:
        raise VouchError(Code.CONFLICT, "Somebody else works on this.")
    taken = replace(case, reviewer=reviewer, taken_at=now)
    return Change(_with(pledge, taken), (_told(taken, "taken"),))


def rule(
    pledge: Pledge, id: str, reviewer: str, ruling: Outcome, reasons: str, heard: Collection[str], now: datetime
) -> Change:
    """A reviewer decides it. `heard` are those who have added evidence since it was opened: a dispute waits for the
    other side's, or until their time is over.

    Raises `not_found`, `already`, `conflict` unless one has taken it, or before both sides were heard."""
    case = waiting(pledge, id)
    if case.reviewer != reviewer:
        raise VouchError(Code.CONFLICT, "Take the case first.")
    if not may_rule(pledge, case, heard, now):
        raise VouchError(Code.CONFLICT, "Both sides may still be heard.")
    ruled = replace(case, ruling=ruling, reasons=reasons, decided_at=now)
    change = _decided(pledge, ruled, "staff", now)
    task = case.tasks[0] if len(case.tasks) == 1 else 0
    news = tell(concerned(pledge), What.RULED, task=task)
    return change.told(_told(ruled, "ruled"), *_judged(change.pledge, ruled, "staff"), news=news)


def may_rule(pledge: Pledge, case: Case, heard: Collection[str], now: datetime) -> bool:
    """A review may be ruled upon at once: both sides have said what they had to say when they reported and stamped,
    and whoever is not content objects in the challenge window."""
    if case.kind is CaseKind.REVIEW or case.evidence_until <= now:
        return True
    spoken = {*heard, case.opened_by}
    return all(any(person in spoken for person in side) for side in sides(pledge))


def sides(pledge: Pledge) -> tuple[list[str], list[str]]:
    """Those who speak for the owner, and for the supervisors; a guardian who has paid stands with the ward."""
    supervisors = [seat.person for seat in pledge.seats if seat.state in (SeatState.SEATED, SeatState.LEFT)]
    payer = [pledge.stake.payer] if pledge.stake.payer and pledge.stake.payer not in supervisors else []
    return [pledge.owner, *payer], supervisors or [pledge.owner]


# ── Time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def moments(pledge: Pledge) -> list[datetime]:
    """When a case is over though nobody has decided it."""
    return [case.decide_until for case in open_cases(pledge)]


def tick(pledge: Pledge, now: datetime) -> Change:
    """What nobody has decided in time is void: who paid has all of it back, nobody forfeits anything."""
    change = Change(pledge)
    for case in open_cases(pledge):
        if case.decide_until <= now:
            over = replace(case, ruling=Outcome.VOID, decided_at=now)
            lapsed = _decided(change.pledge, over, LAPSED, now)
            lines = (_told(over, "lapsed"), *_judged(lapsed.pledge, over, LAPSED))
            change = change.then(lapsed.told(*lines, news=tell(concerned(pledge), What.RULED)))
    return change


def tidy(change: Change, now: datetime) -> Change:
    """Takes off the desk what needs no ruling any more: the owner has admitted, the outcome is known by other tasks,
    or the pledge has ended."""
    for case in open_cases(change.pledge):
        if not _needed(change.pledge, case):
            dropped = replace(case, ruling=Outcome.VOID, decided_at=now)
            change = change.then(Change(_with(change.pledge, dropped), (_told(dropped, "dropped"),)))
    return change


def _needed(pledge: Pledge, case: Case) -> bool:
    if case.kind is not CaseKind.REVIEW:
        return pledge.state in (PledgeState.CHALLENGE_WINDOW, PledgeState.DISPUTED)
    if pledge.state not in _JUDGING:
        return False
    tasks = [pledge.task(n) for n in case.tasks]
    return not tasks or any(task is not None and task.state is TaskState.REVIEW for task in tasks)


# ── What is asked of cases ──────────────────────────────────────────────────────────────────────────────────────────


def open_cases(pledge: Pledge) -> tuple[Case, ...]:
    """Those that wait for a ruling."""
    return tuple(case for case in pledge.cases if case.ruling is None)


def waiting(pledge: Pledge, id: str) -> Case:
    """The case of this id. Raises `not_found`, and `already` when it is ruled."""
    case = next((case for case in pledge.cases if case.id == id), None)
    if case is None:
        raise VouchError(Code.NOT_FOUND)
    if case.ruling is not None:
        raise VouchError(Code.ALREADY)
    return case


def whole_review(pledge: Pledge) -> Case | None:
    """The open review that asks for the outcome itself."""
    return next((case for case in open_cases(pledge) if case.kind is CaseKind.REVIEW and not case.tasks), None)


def objection(pledge: Pledge) -> Case | None:
    """The dispute or appeal that waits for a ruling."""
    return next((case for case in open_cases(pledge) if case.kind is not CaseKind.REVIEW), None)


def must_be_looked_at(pledge: Pledge) -> bool:
    """Money would move between two who may be one, and nobody of staff has looked at it yet."""
    looked = any(case.cause == FLAGGED for case in pledge.cases)
    return pledge.money and bool(pledge.suspicions) and not looked


def _with(pledge: Pledge, case: Case) -> Pledge:
    return turned(pledge, cases=tuple(case if each.id == case.id else each for each in pledge.cases))


def _decided(pledge: Pledge, case: Case, by: str, now: datetime) -> Change:
    """The case closed, and what it asked for decided: its tasks, or the outcome."""
    closed = _with(pledge, case)
    assert case.ruling is not None
    if not case.tasks:
        return Change(turned(closed, outcome=case.ruling))
    state = _TASK[case.ruling]

    def decided(task: Task) -> Task:
        if task.n not in case.tasks or task.state is not TaskState.REVIEW:
            return task
        return replace(task, state=state, decided_at=now, decided_by=by)

    return Change(turned(closed, tasks=tuple(decided(task) for task in pledge.tasks)))


def _judged(pledge: Pledge, case: Case, by: str) -> list[Line]:
    """What became of each task, for the thread."""
    tasks = [task for n in case.tasks if (task := pledge.task(n)) is not None and task.decided_by == by]
    return [Line("judged", {"task": task.n, "state": task.state.value, "by": by}) for task in tasks]


def _told(case: Case, done: str, by: str = "system") -> Line:
    body: dict[str, object] = {"case": case.id, "kind": case.kind.value, "done": done}
    if case.tasks:
        body["tasks"] = list(case.tasks)
    if done == "opened":
        body |= {"words": case.words} if case.words else {}
        body |= {"cause": case.cause} if case.cause else {}
    if done == "ruled" and case.ruling is not None:
        body |= {"ruling": case.ruling.value, "reasons": case.reasons}
    return Line("case", body, by)
