"""When tasks are due: what was written on the wall's clock of a zone, as moments. Pure.

An hour that the clock skips moves forward, one that comes twice is meant the first time. Everything else (grace, time
to judge, how long before it can be done) is counted in hours that pass, not on the wall.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec

from server.errors import Code, VouchError
from server.people.rules import time_zone
from server.supervision.model import Task
from server.supervision.rules import recurrence
from server.supervision.terms import OCCURRENCES_MOST, TaskTerms, Terms

#: how long after its first time a task may be repeated
LONGEST = timedelta(days=366)
_YEARS = range(2000, 2200)
_NO_TIME = "There is no such day or time."
_TOO_LONG = f"It does not end within {LONGEST.days} days."


class Occurrence(msgspec.Struct, frozen=True):
    """`shifted`: on that day the clock is turned, and the time that was asked for does not exist, or exists twice."""

    task: Task
    shifted: bool


def occurrences(terms: Terms) -> tuple[Task, ...]:
    """The tasks of a pledge, numbered by when they are due. Raises `bad_request` for a zone or time that does not
    exist, for a repetition that does not end within a year, and for more than 200 in all."""
    return tuple(one.task for one in expand(terms))


def expand(terms: Terms) -> tuple[Occurrence, ...]:
    """The same, with what is worth showing before it is agreed."""
    zone = _zone(terms.zone)
    found = [
        (*moment(at, zone), number, task)
        for number, task in enumerate(terms.tasks)
        for at in _times(task, zone, f"terms.tasks.{number}")
    ]
    if len(found) > OCCURRENCES_MOST:
        raise _refuse("terms.tasks", f"At most {OCCURRENCES_MOST} times in all.")
    found.sort(key=lambda one: (one[0], one[2]))
    return tuple(
        Occurrence(_task(n, due, task, terms), shifted) for n, (due, shifted, _, task) in enumerate(found, start=1)
    )


def moment(wall: datetime, zone: ZoneInfo) -> tuple[datetime, bool]:
    """The moment of a time on the wall's clock, and whether that needed a choice."""
    first, second = wall.replace(tzinfo=zone, fold=0), wall.replace(tzinfo=zone, fold=1)
    return first.astimezone(UTC), first.utcoffset() != second.utcoffset()


def _task(n: int, due: datetime, task: TaskTerms, terms: Terms) -> Task:
    late = due + timedelta(minutes=terms.grace)
    return Task(
        n=n,
        title=task.title,
        opens_at=due - timedelta(minutes=task.opens),
        due_at=due,
        late_until=late,
        judge_until=late + timedelta(hours=terms.judge),
    )


def _times(task: TaskTerms, zone: ZoneInfo, field: str) -> Iterator[datetime]:
    first = _first(task.due, f"{field}.due")
    if not task.repeat:
        return iter([first])
    try:
        rule = recurrence.parse(task.repeat, zone)
    except ValueError as fault:
        raise _refuse(f"{field}.repeat", str(fault)) from None
    return iter(_repeated(rule, first, f"{field}.repeat"))


def _first(due: str, field: str) -> datetime:
    try:
        first = datetime.fromisoformat(due)
    except ValueError:
        raise _refuse(field, _NO_TIME) from None
    if first.year not in _YEARS:
        raise _refuse(field, _NO_TIME)
    return first


def _repeated(rule: recurrence.Rule, first: datetime, field: str) -> list[datetime]:
    last = rule.until or first + LONGEST
    if last.date() > (first + LONGEST).date():
        raise _refuse(field, _TOO_LONG)
    times = (datetime.combine(day, first.time()) for day in recurrence.days(rule, first.date(), last.date()))
    found = list(islice((at for at in times if at <= last), rule.count or OCCURRENCES_MOST + 1))
    if not found:
        raise _refuse(field, "There is no such day.")
    if rule.count is not None and len(found) < rule.count:
        raise _refuse(field, _TOO_LONG)
    return found


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(time_zone(name))
    except VouchError:
        raise _refuse("terms.zone", "This is not the name of an IANA time zone.") from None


def _refuse(field: str, sentence: str) -> VouchError:
    return VouchError(Code.BAD_REQUEST, sentence, field=field)
