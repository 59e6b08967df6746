"""What happens next with a pledge, and what of it waits for somebody: the countdown of its page and of lists. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from server.supervision.model import WAITING, CaseKind, CheckState, Pledge, PledgeState, SeatState, Task, TaskState
from server.supervision.rules import cases, lifecycle, permits, seats, stakes
from server.supervision.rules.change import concerned


def next_for(pledge: Pledge, person: str, now: datetime) -> tuple[datetime, str] | None:
    """The moment that concerns this person next, and what it is: `check` (answer by then), `report`, `stamp` (by
    then), `due`, `judged_by`, `challenge_ends`, `evidence_ends`, `decided_by`, `consent_ends`, `invitation_ends`,
    `expires`; None when nothing comes any more."""
    return min((moment for moment in _moments(pledge, person) if moment[0] > now), default=None)


def _moments(pledge: Pledge, person: str) -> Iterator[tuple[datetime, str]]:
    if pledge.state in WAITING:
        yield from _before(pledge, person)
    elif pledge.state is PledgeState.ACTIVE:  # while staff looks at the whole, tasks wait for nobody
        for task in pledge.tasks:
            yield from _of_task(pledge, task, person)
    elif pledge.state is PledgeState.CHALLENGE_WINDOW and pledge.until is not None:
        yield pledge.until, "challenge_ends"
    for case in cases.open_cases(pledge):
        if case.kind is not CaseKind.REVIEW:
            yield case.evidence_until, "evidence_ends"
        yield case.decide_until, "decided_by"


def _before(pledge: Pledge, person: str) -> Iterator[tuple[datetime, str]]:
    seat = pledge.seat(person)
    if seat is not None and seat.state is SeatState.INVITED and seat.expires_at is not None:
        yield seat.expires_at, "invitation_ends"
    if pledge.consent_until is not None:
        yield pledge.consent_until, "consent_ends"
    if pledge.expires_at is not None:
        yield pledge.expires_at, "expires"


def _of_task(pledge: Pledge, task: Task, person: str) -> Iterator[tuple[datetime, str]]:
    if task.state is not TaskState.OPEN:
        return
    if person == pledge.owner:
        yield from ((check.until, "check") for check in task.checks if check.state is CheckState.ASKED)
    if task.reported_at is None:
        yield task.due_at, "report" if person == pledge.owner else "due"
    elif person not in pledge.seated:
        yield task.judge_until, "judged_by"
    if person in pledge.seated and all(vote.person != person for vote in task.votes):
        yield task.judge_until, "stamp"


def waits_for(pledge: Pledge, person: str, now: datetime, *, payee: str | None = None) -> str:
    """What oneself is to do now: `finish` (a draft), `consent`, `answer`, `decide`, `fund`, `check`, `report`, `stamp`,
    `rule`, `agree`, `chore`, or nothing. `payee` is who pays for the one who is asked for the money."""
    match pledge.state:
        case PledgeState.DRAFT:
            return "finish" if person == pledge.drafted_by else ""
        case state if state in WAITING:
            return _wanted_before(pledge, person, lifecycle.payer(pledge) if payee is None else payee)
        case PledgeState.ACTIVE:
            wanted = _wanted_of_tasks(pledge, person, now)
        case PledgeState.CHALLENGE_WINDOW:
            wanted = "agree" if person in concerned(pledge) and person not in pledge.agreed else ""
        case _:
            wanted = "chore" if permits.is_owed(pledge, person) and pledge.stake.done_at is None else ""
    ruling = any(case.reviewer == person for case in cases.open_cases(pledge))
    return wanted or ("rule" if ruling else "")


def _wanted_before(pledge: Pledge, person: str, payer: str) -> str:
    seat = pledge.seat(person)
    if person == pledge.owner and not pledge.consented:
        return "consent"
    if seat is not None and seat.state is SeatState.INVITED:
        return "answer"
    if person == pledge.owner and any(seat.state is SeatState.APPLIED for seat in pledge.seats):
        return "decide"
    return "fund" if person == payer and stakes.is_asked(pledge) else ""


def _wanted_of_tasks(pledge: Pledge, person: str, now: datetime) -> str:
    open = [task for task in pledge.tasks if task.state is TaskState.OPEN and task.opens_at <= now]
    if person == pledge.owner:
        if any(check.state is CheckState.ASKED and check.until > now for task in open for check in task.checks):
            return "check"
        return "report" if any(task.reported_at is None and now <= task.late_until for task in open) else ""
    return "stamp" if any(_to_stamp(pledge, task, person, now) for task in open) else ""


def _to_stamp(pledge: Pledge, task: Task, person: str, now: datetime) -> bool:
    """It is done, or its time has come; before that nobody is to do anything."""
    fresh = person in pledge.seated and all(vote.person != person for vote in task.votes)
    return fresh and now <= task.judge_until and (task.reported_at is not None or task.due_at <= now)


def seats_left(pledge: Pledge) -> int:
    """Seats for which somebody new may apply."""
    return pledge.terms.most - len(pledge.seated) if seats.seats_open(pledge) else 0
