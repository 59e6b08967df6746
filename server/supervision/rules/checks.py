"""Spot checks (R-13): "are you at it?", asked by a supervisor or by the server at a moment that nobody foresees. Pure.

Asked between the opening of a task's window and the time when it is due, never in quiet hours. "Not yet" is no failure.
What the owner lets pass is `missed`; what could not be answered (the task was judged meanwhile, the server was not
there) is `expired`. Neither decides anything: supervisors do.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from server.clock import to_ms
from server.errors import Code, VouchError
from server.people.rules import local_day
from server.supervision.model import CheckState, Pledge, PledgeState, SpotCheck, Task, TaskState
from server.supervision.rules import tasks
from server.supervision.rules.change import Attached, Change, Draw, Line, What, tell, with_task
from server.supervision.rules.schedule import moment
from server.supervision.words import Checked

#: what comes later than this was not kept waiting by people: the server was not there
LATE = timedelta(minutes=10)
SYSTEM = "system"
_NOTHING = Attached()


# ── On demand ───────────────────────────────────────────────────────────────────────────────────────────────────────


def ask(pledge: Pledge, me: str, n: int, now: datetime) -> Change:
    """A supervisor asks. Raises `not_found`, `forbidden`, `closed`, `already` (it is asked or reported, or oneself has
    stamped it), `conflict` outside the window and in quiet hours, `limit_reached` for the day."""
    tasks.of_supervisor(pledge, me)
    task = tasks.open_task(pledge, n, now)
    if now >= task.due_at:
        raise VouchError(Code.CLOSED, "A spot check comes before the task is due.")
    stamped = any(vote.person == me for vote in task.votes)
    if stamped or task.reported_at is not None or asked(task) is not None:
        raise VouchError(Code.ALREADY)
    if is_quiet(pledge, now):
        raise VouchError(Code.CONFLICT, "Nobody is asked in quiet hours.")
    if left_today(pledge, now) <= 0:
        raise VouchError(Code.LIMIT_REACHED, "Enough spot checks for today.")
    return _asked(pledge, task, me, now)


def left_today(pledge: Pledge, now: datetime) -> int:
    """How many more may be asked for on this day, in the pledge's zone."""
    zone = pledge.terms.zone
    today = local_day(now, zone)
    asked = (check for task in pledge.tasks for check in task.checks if check.by != SYSTEM)
    return pledge.terms.checks.on_demand - sum(local_day(check.at, zone) == today for check in asked)


def asked(task: Task) -> SpotCheck | None:
    """The one that waits for an answer: one at a time."""
    return next((check for check in task.checks if check.state is CheckState.ASKED), None)


def answer(
    pledge: Pledge, me: str, n: int, id: str, done: bool, now: datetime, attached: Attached = _NOTHING
) -> Change:
    """The owner answers: done already (which reports the task), or not yet. Raises `not_found`, `forbidden`, `already`,
    `closed` when its time is over."""
    tasks.of_owner(pledge, me)
    task = pledge.task(n)
    check = next((one for one in task.checks if one.id == id), None) if task else None
    if task is None or check is None:
        raise VouchError(Code.NOT_FOUND)
    if check.state in (CheckState.DONE, CheckState.NOT_YET):
        raise VouchError(Code.ALREADY)
    if check.state is not CheckState.ASKED or check.until <= now:
        raise VouchError(Code.CLOSED, "The time to answer is over.")
    task = tasks.open_task(pledge, n, now)
    answered = replace(
        check,
        state=CheckState.DONE if done else CheckState.NOT_YET,
        answered_at=now,
        words=attached.words,
        evidence=attached.evidence,
    )
    change = _with(pledge, task, answered, me, attached)
    if done and task.reported_at is None:
        reported = replace(_checked(task, answered), reported_at=now, reported_evidence=attached.evidence)
        change = replace(change, pledge=with_task(change.pledge, reported))
    return change.told(news=tell(pledge.seated, What.CHECK_ANSWERED, me, n))


def _asked(pledge: Pledge, task: Task, by: str, now: datetime) -> Change:
    check = SpotCheck(
        id=f"s{len(task.checks) + 1}", by=by, at=now, until=now + timedelta(minutes=pledge.terms.checks.answer)
    )
    return _with(pledge, task, check, by).told(news=tell([pledge.owner], What.CHECK_ASKED, by, task.n))


def _with(pledge: Pledge, task: Task, check: SpotCheck, by: str, attached: Attached = _NOTHING) -> Change:
    """The pledge with this check as it is now, and the line that says so."""
    body = Checked(
        task=task.n,
        check=check.id,
        state=check.state,
        until=to_ms(check.until),
        words=attached.words,
        evidence=list(attached.evidence),
        media=list(attached.media),
    )
    said: dict[str, Any] = msgspec.to_builtins(body)
    return Change(with_task(pledge, _checked(task, check)), (Line("checked", said, by),))


def _checked(task: Task, check: SpotCheck) -> Task:
    others = [one for one in task.checks if one.id != check.id]
    return replace(task, checks=(*others, check))


# ── Quiet hours ─────────────────────────────────────────────────────────────────────────────────────────────────────


def is_quiet(pledge: Pledge, at: datetime) -> bool:
    return any(begin <= at < end for begin, end in _quiet(pledge, at, at))


def _quiet(pledge: Pledge, begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The quiet hours that may touch this time, in order: from one moment to another, by the clock on the wall."""
    checks, zone = pledge.terms.checks, ZoneInfo(pledge.terms.zone)
    if checks.quiet_from == checks.quiet_to:
        return
    from_, to = time.fromisoformat(checks.quiet_from), time.fromisoformat(checks.quiet_to)
    day, last = local_day(begin, pledge.terms.zone) - timedelta(days=1), local_day(end, pledge.terms.zone)
    while day <= last:
        next_day = day if from_ < to else day + timedelta(days=1)
        yield moment(datetime.combine(day, from_), zone)[0], moment(datetime.combine(next_day, to), zone)[0]
        day += timedelta(days=1)


def _free(pledge: Pledge, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The parts of this time in which somebody may be asked."""
    edges = [begin]
    for quiet_from, quiet_to in _quiet(pledge, begin, end):
        edges += [max(begin, min(quiet_from, end)), max(begin, min(quiet_to, end))]
    edges.append(end)
    return [(one, other) for number, (one, other) in enumerate(pairwise(edges)) if number % 2 == 0 and one < other]


# ── At random ───────────────────────────────────────────────────────────────────────────────────────────────────────


def moments(pledge: Pledge) -> list[datetime]:
    """When moments are drawn, the server asks, and the time to answer is over."""
    if pledge.state is not PledgeState.ACTIVE:
        return []
    found: list[datetime] = []
    for task in pledge.tasks:
        if task.state is TaskState.OPEN:
            found += [check.until for check in task.checks if check.state is CheckState.ASKED]
            found += task.planned if task.drawn else [task.opens_at] if pledge.terms.checks.random else []
    return found


def tick(pledge: Pledge, now: datetime, draw: Draw) -> Change:
    """Draws the moments of a task's checks when its window opens, asks at each of them, and says what was missed."""
    change = Change(pledge)
    if pledge.state is not PledgeState.ACTIVE:
        return change
    for n in range(1, len(pledge.tasks) + 1):
        for step in (_drawn, _over, _due):
            task = change.pledge.tasks[n - 1]
            if task.state is TaskState.OPEN:
                change = change.then(step(change.pledge, task, now, draw))
    return change


def _drawn(pledge: Pledge, task: Task, now: datetime, draw: Draw) -> Change:
    """Early enough for an answer before the task is due. Each second that is not quiet is as likely as the others."""
    if task.drawn or not pledge.terms.checks.random or now < task.opens_at:
        return Change(pledge)
    last = task.due_at - timedelta(minutes=pledge.terms.checks.answer)
    free = _free(pledge, max(now, task.opens_at), last) if now < last else []
    seconds = sum(int((end - begin).total_seconds()) for begin, end in free)
    wanted = [draw(seconds) for _ in range(pledge.terms.checks.random)] if seconds else []
    planned = tuple(sorted(_at(free, second) for second in wanted))
    return Change(with_task(pledge, replace(task, drawn=True, planned=planned)))


def _at(free: list[tuple[datetime, datetime]], second: int) -> datetime:
    for begin, end in free:
        long = int((end - begin).total_seconds())
        if second < long:
            return begin + timedelta(seconds=second)
        second -= long
    raise AssertionError("a moment was drawn beyond the last one")


def _over(pledge: Pledge, task: Task, now: datetime, _: Draw) -> Change:
    """The owner had all the time; where the server was not there at its end, nobody knows whether they would have."""
    check = asked(task)
    if check is None or now < check.until:
        return Change(pledge)
    if now - check.until > LATE:
        return _with(pledge, task, replace(check, state=CheckState.EXPIRED), SYSTEM)
    missed = _with(pledge, task, replace(check, state=CheckState.MISSED), SYSTEM)
    return missed.told(news=tell([pledge.owner, *pledge.seated], What.CHECK_MISSED, task=task.n))


def _due(pledge: Pledge, task: Task, now: datetime, _: Draw) -> Change:
    """Asks at a moment that has come. When it is reported, or asked already, there is nothing to ask; a moment at which
    the server was not there is recorded as such."""
    due = [at for at in task.planned if at <= now]
    if not due:
        return Change(pledge)
    task = replace(task, planned=task.planned[len(due) :])
    change = Change(with_task(pledge, task))
    if task.reported_at is not None or asked(task) is not None:
        return change
    if now - due[-1] <= LATE and now < task.due_at and not is_quiet(pledge, now):
        return _asked(change.pledge, task, SYSTEM, now)
    lapsed = SpotCheck(
        id=f"s{len(task.checks) + 1}",
        by=SYSTEM,
        at=due[-1],
        until=due[-1] + timedelta(minutes=pledge.terms.checks.answer),
        state=CheckState.EXPIRED,
    )
    return _with(change.pledge, task, lapsed, SYSTEM)


def tidy(change: Change) -> Change:
    """A check that waits where nothing is judged any more cannot be answered."""
    pledge = change.pledge
    for task in pledge.tasks:
        check = asked(task)
        if check is not None and (task.state is not TaskState.OPEN or pledge.state is not PledgeState.ACTIVE):
            expired = replace(check, state=CheckState.EXPIRED)
            change = change.then(_with(change.pledge, task, expired, SYSTEM))
    return change
