"""Tasks (R-11, R-12): the owner reports, supervisors stamp, a vote closes, staff is asked. Pure.

What somebody does not do in time is never held against the other side: a late stamp is no failure, and a vote that
decides nothing goes to staff. How others have voted is known to those only who have voted themselves, until it closes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from server.clock import to_ms
from server.errors import Code, VouchError
from server.supervision.model import (
    CheckState,
    EvidenceKind,
    Outcome,
    Pledge,
    PledgeState,
    SeatState,
    Task,
    TaskState,
    Verdict,
    Vote,
)
from server.supervision.rules import cases, tally
from server.supervision.rules.change import (
    Attached,
    Change,
    Line,
    News,
    Tally,
    What,
    concerned,
    tell,
    turned,
    with_task,
)
from server.supervision.words import EvidenceAdded, Judged, Reported, Stamped

#: the owner is reminded so long before a task is due
REMINDER = timedelta(hours=2)
#: a phone's clock may be ahead of the server's by so much
AHEAD = timedelta(minutes=5)

ADMITTED = "admitted"
_JUDGING = frozenset({PledgeState.ACTIVE, PledgeState.UNDER_REVIEW})
_NOTHING = Attached()


# ── Who, and which task ─────────────────────────────────────────────────────────────────────────────────────────────


def of_owner(pledge: Pledge, me: str) -> None:
    """Raises `not_found` to whom it does not concern, `forbidden` to the others who are not the owner."""
    if me != pledge.owner:
        raise VouchError(Code.FORBIDDEN if concerns(pledge, me) else Code.NOT_FOUND)


def of_supervisor(pledge: Pledge, me: str) -> None:
    """The same for whoever does not supervise: an owner never stamps."""
    if me not in pledge.seated:
        raise VouchError(Code.FORBIDDEN if concerns(pledge, me) else Code.NOT_FOUND)


def concerns(pledge: Pledge, me: str) -> bool:
    """Whether somebody has, or had, a part in it."""
    left = any(seat.person == me and seat.state is SeatState.LEFT for seat in pledge.seats)
    return left or me in concerned(pledge) or me == pledge.drafted_by


def open_task(pledge: Pledge, n: int, now: datetime) -> Task:
    """A task that can be done and judged now. Raises `not_found`, `closed` when that is over, `conflict` before."""
    task = pledge.task(n)
    if task is None:
        raise VouchError(Code.NOT_FOUND)
    if pledge.state is not PledgeState.ACTIVE or task.state is not TaskState.OPEN or now >= task.judge_until:
        raise VouchError(Code.CLOSED, "This task is not judged any more.")
    if now < task.opens_at:
        raise VouchError(Code.CONFLICT, "This task cannot be done yet.")
    return task


# ── The owner ───────────────────────────────────────────────────────────────────────────────────────────────────────


def report(pledge: Pledge, me: str, n: int, now: datetime, attached: Attached = _NOTHING) -> Change:
    """The owner says that it is done. Raises `not_found`, `forbidden`, `already`, `closed`, `conflict`."""
    of_owner(pledge, me)
    task = pledge.task(n)
    if task is not None and task.reported_at is not None:
        raise VouchError(Code.ALREADY)
    return _reported(pledge, open_task(pledge, n, now), now, attached)


def _reported(pledge: Pledge, task: Task, now: datetime, attached: Attached) -> Change:
    """The task as one of which the owner says that it is done; that answers a spot check, too."""
    checks = tuple(
        replace(check, state=CheckState.DONE, answered_at=now) if check.state is CheckState.ASKED else check
        for check in task.checks
    )
    done = replace(task, reported_at=now, reported_evidence=attached.evidence, checks=checks)
    body = Reported(task.n, attached.words, list(attached.evidence), list(attached.media))
    told = tell(pledge.seated, What.REPORTED, pledge.owner, task.n)
    return Change(with_task(pledge, done), (_line("reported", body, pledge.owner),), told)


def admit(pledge: Pledge, me: str, n: int, now: datetime, attached: Attached = _NOTHING) -> Change:
    """The owner admits that a task, or (0) the whole, was not kept: that needs no vote.

    Raises `not_found`, `forbidden`, and `closed` when it is decided."""
    of_owner(pledge, me)
    if n and pledge.task(n) is None:
        raise VouchError(Code.NOT_FOUND)
    wanted = [task for task in pledge.tasks if n in (0, task.n) and _undecided(task)]
    if not wanted or pledge.state not in _JUDGING:
        raise VouchError(Code.CLOSED, "This is decided.")
    missed = {task.n: _decided(task, TaskState.MISSED, ADMITTED, now) for task in wanted}
    after = turned(pledge, tasks=tuple(missed.get(task.n, task) for task in pledge.tasks))
    lines = [
        _line("evidence", EvidenceAdded(id, _kind(attached), n, attached.words, list(attached.media)), me)
        for id in attached.evidence
    ]
    if n:
        lines += _stamps(wanted[0])
    lines.append(_line("judged", Judged(n, TaskState.MISSED, ADMITTED), me))
    if n == 0:
        after = turned(after, outcome=Outcome.FAILED)
    return Change(after, tuple(lines), tell(concerned(pledge), What.STAMPED, me, n))


def agree(pledge: Pledge, me: str, now: datetime) -> Change:
    """Somebody accepts the outcome; when all have, nobody waits for the end of the challenge window.

    Raises `not_found` to whom it does not concern, `closed` outside the window."""
    if me not in concerned(pledge):
        raise VouchError(Code.NOT_FOUND)
    if pledge.state is not PledgeState.CHALLENGE_WINDOW:
        raise VouchError(Code.CLOSED, "There is no outcome to accept now.")
    return Change(pledge) if me in pledge.agreed else Change(turned(pledge, agreed=(*pledge.agreed, me)))


# ── Supervisors ─────────────────────────────────────────────────────────────────────────────────────────────────────


def stamp(
    pledge: Pledge,
    me: str,
    n: int,
    verdict: Verdict,
    now: datetime,
    *,
    done_at: datetime | None = None,
    attached: Attached = _NOTHING,
    in_person: bool = False,
) -> Change:
    """A supervisor's word on a task, given once. Done by `done_at` (by itself when the owner has said so, else now): in
    time, or within the grace that was agreed, it counts as kept, later as missed.

    Raises `not_found`, `forbidden`, `already`, `closed`, `conflict` (too early for this verdict), `bad_request`."""
    of_supervisor(pledge, me)
    known = pledge.task(n)
    if known is not None and any(vote.person == me for vote in known.votes):
        raise VouchError(Code.ALREADY)
    task = open_task(pledge, n, now)
    if verdict is Verdict.NOT_DONE and now <= task.late_until:
        raise VouchError(Code.CONFLICT, "It can still be done in time.")
    done = _done_at(task, done_at, now) if verdict is Verdict.DONE else None
    vote = Vote(
        person=me,
        verdict=verdict,
        at=now,
        done_at=done,
        counts=None if verdict is Verdict.ABSTAIN else done is not None and done <= task.late_until,
        words=attached.words,
        evidence=attached.evidence,
        media=attached.media,
        in_person=in_person,
    )
    voted = replace(task, votes=(*task.votes, vote))
    return Change(with_task(pledge, voted), tallies=_tallies(pledge, voted))


def _done_at(task: Task, wanted: datetime | None, now: datetime) -> datetime:
    if wanted is None:
        return task.reported_at or now
    if wanted > now + AHEAD:
        raise VouchError(Code.BAD_REQUEST, "Nothing is done in the future.", field="done_at")
    if wanted < task.opens_at:
        raise VouchError(Code.BAD_REQUEST, "This is before the task could be done.", field="done_at")
    return min(wanted, now)


def _tallies(pledge: Pledge, task: Task) -> tuple[Tally, ...]:
    """For those who have voted, and supervise still."""
    counted = tally.count(task, pledge.seated)
    return tuple(
        Tally(vote.person, task.n, counted.done, counted.not_done, counted.abstained, counted.of)
        for vote in task.votes
        if vote.person in pledge.seated
    )


# ── Votes close ─────────────────────────────────────────────────────────────────────────────────────────────────────


def close(pledge: Pledge, now: datetime) -> Change | None:
    """Closes the votes that are decided, complete or out of time; None when there is none. Time may have passed, a vote
    may have come, or a supervisor may have left."""
    change, unclear = Change(pledge), dict[str, list[int]]()
    for task in pledge.tasks:
        if task.state is not TaskState.OPEN:
            continue
        counted = tally.count(task, pledge.seated)
        found = tally.decided(counted, pledge.terms.rule)
        if found is not None:
            change = change.then(_close(change.pledge, task, counted, found, now))
        elif now >= task.judge_until or (counted.complete and counted.of):
            change = change.told(*_stamps(task))
            unclear.setdefault(tally.why_open(counted, pledge.terms.rule), []).append(task.n)
    for cause, tasks in unclear.items():
        change = change.then(cases.open_review(change.pledge, now, cause=cause, tasks=tuple(tasks)))
    return None if change == Change(pledge) else change


def _close(pledge: Pledge, task: Task, counted: tally.Count, found: TaskState, now: datetime) -> Change:
    """Whoever has just voted sees what became of it; the others are told."""
    judged = _decided(task, found, "vote", now)
    body = Judged(task.n, found, "vote", judged.early, counted.done, counted.not_done, counted.abstained)
    just = {vote.person for vote in task.votes if vote.at == now}
    by = task.votes[0].person if len(task.votes) == 1 else "system"
    news = tell(concerned(pledge, *just), What.STAMPED, by, task.n)
    return Change(with_task(pledge, judged), (*_stamps(task), _line("judged", body)), news)


def _decided(task: Task, state: TaskState, by: str, now: datetime) -> Task:
    done = [vote.done_at for vote in task.votes if vote.counts and vote.done_at is not None]
    early = state is TaskState.KEPT and bool(done) and max(done) < task.due_at
    return replace(task, state=state, early=early, decided_at=now, decided_by=by)


def _undecided(task: Task) -> bool:
    return task.state in (TaskState.OPEN, TaskState.REVIEW)


def _stamps(task: Task) -> list[Line]:
    """The votes as the thread tells them: once they are closed, in the order in which they came."""
    return (
        []
        if task.state is TaskState.REVIEW
        else [_line("stamped", _stamped(task.n, vote), vote.person) for vote in task.votes]
    )


def _stamped(n: int, vote: Vote) -> Stamped:
    return Stamped(
        task=n,
        person=vote.person,
        verdict=vote.verdict,
        at=to_ms(vote.at),
        counts=vote.counts,
        done_at=to_ms(vote.done_at) if vote.done_at else None,
        words=vote.words,
        evidence=list(vote.evidence),
        media=list(vote.media),
        in_person=vote.in_person,
    )


# ── Time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def moments(pledge: Pledge) -> list[datetime]:
    """When the owner is reminded, supervisors are asked, and votes are over."""
    if pledge.state is not PledgeState.ACTIVE:
        return []
    found: list[datetime] = []
    for task in pledge.tasks:
        if task.state is TaskState.OPEN:
            found.append(task.judge_until)
            found += [] if task.reminded else [_reminds_at(task)]
            found += [] if task.wanted else [_asks_at(task)]
    return found


def tick(pledge: Pledge, now: datetime) -> Change:
    """Reminders. A vote that is over is closed by `close`, which is asked after every change."""
    if pledge.state is not PledgeState.ACTIVE:
        return Change(pledge)
    news: list[News] = []
    tasks = tuple(_reminded(pledge, task, now, news) if task.state is TaskState.OPEN else task for task in pledge.tasks)
    return Change(turned(pledge, tasks=tasks), news=tuple(news)) if tasks != pledge.tasks else Change(pledge)


def _reminded(pledge: Pledge, task: Task, now: datetime, news: list[News]) -> Task:
    """The task with its reminders given; one that comes too late to be of use is left out."""
    if not task.reminded and now >= _reminds_at(task):
        if now < task.due_at and task.reported_at is None:
            news += tell([pledge.owner], What.DUE_SOON, task=task.n)
        task = replace(task, reminded=True)
    if not task.wanted and now >= _asks_at(task):
        if now < task.judge_until:
            voted = {vote.person for vote in task.votes}
            news += tell((one for one in pledge.seated if one not in voted), What.STAMP_WANTED, task=task.n)
        task = replace(task, wanted=True)
    return task


def _reminds_at(task: Task) -> datetime:
    return max(task.opens_at, task.due_at - REMINDER)


def _asks_at(task: Task) -> datetime:
    """When it is due; where nothing was reported, when it cannot be done in time any more."""
    return task.due_at if task.reported_at is not None else task.late_until


def _kind(attached: Attached) -> EvidenceKind:
    return EvidenceKind.MEDIA if attached.media else EvidenceKind.WORDS


def _line(kind: str, body: msgspec.Struct, by: str = "system") -> Line:
    said: dict[str, Any] = msgspec.to_builtins(body)
    return Line(kind, said, by)
