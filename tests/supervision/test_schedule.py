"""When tasks are due: repetition as RFC 5545 has it, on walls whose clocks are turned."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.supervision.model import Task
from server.supervision.rules import recurrence
from server.supervision.rules.schedule import LONGEST, expand, occurrences
from server.supervision.terms import OCCURRENCES_MOST, StakeKind, StakeTerms, TaskTerms, Terms

FIRST = date(2026, 11, 25)


def terms(*tasks: TaskTerms, zone: str = "Asia/Shanghai", **fields: Any) -> Terms:
    return Terms(title="Read", zone=zone, tasks=tasks, stake=StakeTerms(kind=StakeKind.NONE), **fields)


def task(due: str, repeat: str = "", title: str = "Read", **fields: Any) -> TaskTerms:
    return TaskTerms(title=title, due=due, repeat=repeat, **fields)


def dues(zone: str, due: str, repeat: str = "") -> list[str]:
    found = occurrences(terms(task(due, repeat), zone=zone))
    return [one.due_at.strftime("%Y-%m-%d %H:%MZ") for one in found]


def refused(made: Terms) -> str | None:
    with pytest.raises(VouchError) as fault:
        occurrences(made)
    assert fault.value.code is Code.BAD_REQUEST
    return fault.value.field


# ── The wall's clock ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_counts_its_hours_from_when_it_is_due() -> None:
    (one,) = occurrences(terms(task("2026-11-25T21:00", opens=90), grace=30, judge=48))
    due = datetime(2026, 11, 25, 13, tzinfo=UTC)
    assert one == Task(
        n=1,
        title="Read",
        opens_at=due - timedelta(minutes=90),
        due_at=due,
        late_until=due + timedelta(minutes=30),
        judge_until=due + timedelta(minutes=30, hours=48),
    )


def test_nine_in_the_morning_stays_nine_when_the_clock_is_turned() -> None:
    assert dues("Europe/London", "2026-03-28T09:00", "FREQ=DAILY;COUNT=3") == [
        "2026-03-28 09:00Z",
        "2026-03-29 08:00Z",
        "2026-03-30 08:00Z",
    ]


def test_an_hour_that_is_skipped_moves_forward() -> None:
    assert dues("Europe/London", "2026-03-29T01:30") == ["2026-03-29 01:30Z"]  # half past two on the wall
    # in São Paulo it was midnight that did not exist
    assert dues("America/Sao_Paulo", "2018-11-03T00:00", "FREQ=DAILY;COUNT=3") == [
        "2018-11-03 03:00Z",
        "2018-11-04 03:00Z",
        "2018-11-05 02:00Z",
    ]


def test_an_hour_that_comes_twice_is_meant_the_first_time() -> None:
    assert dues("Europe/London", "2026-10-25T01:30") == ["2026-10-25 00:30Z"]
    assert dues("America/Sao_Paulo", "2018-02-17T23:30") == ["2018-02-18 01:30Z"]
    assert dues("Australia/Lord_Howe", "2026-04-05T01:45") == ["2026-04-04 14:45Z"]  # turned by half an hour


def test_what_needed_a_choice_is_said_before() -> None:
    made = terms(task("2026-10-24T01:30", "FREQ=DAILY;COUNT=3"), zone="Europe/London")
    assert [one.shifted for one in expand(made)] == [False, True, False]
    assert not any(one.shifted for one in expand(terms(task("2026-10-24T01:30", "FREQ=DAILY;COUNT=3"))))


def test_tasks_are_numbered_by_when_they_are_due() -> None:
    made = terms(
        task("2026-11-25T21:00", "FREQ=DAILY;COUNT=2", title="Read"),
        task("2026-11-26T07:00", title="Run"),
        task("2026-11-25T21:00", title="Write"),
    )
    assert [(one.n, one.title) for one in occurrences(made)] == [(1, "Read"), (2, "Write"), (3, "Run"), (4, "Read")]


# ── Repetition ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_until_includes_its_day_or_its_moment() -> None:
    assert len(dues("Asia/Shanghai", "2026-11-25T21:00", "FREQ=DAILY;UNTIL=20261127")) == 3
    assert len(dues("Asia/Shanghai", "2026-11-25T21:00", "FREQ=DAILY;UNTIL=20261127T210000")) == 3
    assert len(dues("Asia/Shanghai", "2026-11-25T21:00", "FREQ=DAILY;UNTIL=20261127T130000Z")) == 3
    assert len(dues("Asia/Shanghai", "2026-11-25T21:00", "FREQ=DAILY;UNTIL=20261127T125959Z")) == 2


@pytest.mark.parametrize(
    "repeat",
    [
        "FREQ=DAILY",  # for ever
        "FREQ=DAILY;COUNT=5;UNTIL=20261231",
        "FREQ=DAILY;COUNT=0",
        "FREQ=WEEKLY;COUNT=54",
        "FREQ=YEARLY;COUNT=3",
        "FREQ=DAILY;UNTIL=20300101",
        "FREQ=DAILY;UNTIL=20261124",
        "FREQ=DAILY;UNTIL=20261341",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=HOURLY;COUNT=3",
        "FREQ=DAILY;COUNT=3;BYHOUR=8",
        "FREQ=DAILY;COUNT=3;COUNT=3",
        "FREQ=DAILY;COUNT=3;INTERVAL=0",
        "FREQ=DAILY;COUNT=3;BYDAY=1MO",
        "FREQ=MONTHLY;COUNT=3;BYDAY=0MO",
        "FREQ=MONTHLY;COUNT=3;BYDAY=MON",
        "FREQ=MONTHLY;COUNT=3;BYMONTHDAY=0",
        "FREQ=MONTHLY;COUNT=3;BYMONTHDAY=32",
        "FREQ=MONTHLY;COUNT=3;BYMONTHDAY=٣",
        "FREQ=WEEKLY;COUNT=3;BYMONTHDAY=3",
        "FREQ=MONTHLY;COUNT=3;BYSETPOS=1",
        "FREQ=WEEKLY;COUNT=3;WKST=XX",
        "FREQ=DAILY;COUNT=1;BYMONTH=2;BYMONTHDAY=30",  # never
        "RRULE:FREQ=DAILY;COUNT=3",
        ";",
        "COUNT=3",
    ],
)
def test_what_does_not_end_soon_is_refused(repeat: str) -> None:
    assert refused(terms(task("2026-11-25T21:00"), task("2026-11-25T21:00", repeat))) == "terms.tasks.1.repeat"


def test_bounds() -> None:
    daily = task("2026-11-25T21:00", "FREQ=DAILY;COUNT=100")
    assert len(occurrences(terms(daily, daily))) == OCCURRENCES_MOST
    assert refused(terms(daily, daily, task("2026-11-25T21:00"))) == "terms.tasks"
    assert refused(terms(task("2026-11-25T21:00", "FREQ=DAILY;COUNT=300"))) == "terms.tasks"
    assert refused(terms(task("2026-11-31T21:00"))) == "terms.tasks.0.due"
    assert refused(terms(task("2026-11-30T24:00"))) == "terms.tasks.0.due"
    assert refused(terms(task("9999-12-31T21:00"))) == "terms.tasks.0.due"
    assert refused(terms(task("2026-11-25T21:00"), zone="Asia/Atlantis")) == "terms.zone"
    assert refused(terms(task("2026-11-25T21:00"), zone="../etc/passwd")) == "terms.zone"


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Those of which dateutil and RFC 5545 think alike, and that come true at some time: dateutil looks for the others
    until the year 9999."""
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    days = draw(st.lists(weekdays, max_size=3, unique=True))
    if days and frequency in ("MONTHLY", "YEARLY") and draw(st.booleans()):
        days = [f"{draw(st.sampled_from([-4, -2, -1, 1, 2, 4]))}{day}" for day in days]
    months = draw(st.lists(st.integers(1, 12), max_size=3, unique=True))
    numbered = any(day not in recurrence.WEEKDAYS for day in days)
    dates = draw(st.lists(st.sampled_from([1, 15, 28, -1, -28]), max_size=0 if numbered else 2, unique=True))
    if months and not days:
        dates = dates or [1]
    interval = 1 if months else draw(st.integers(1, 4))
    parts = [f"FREQ={frequency}", f"INTERVAL={interval}", f"WKST={draw(weekdays)}"]
    parts += [f"BYDAY={','.join(days)}"] if days else []
    parts += [f"BYMONTH={','.join(map(str, months))}"] if months else []
    parts += [f"BYMONTHDAY={','.join(map(str, dates))}"] if dates and frequency != "WEEKLY" else []
    if frequency == "MONTHLY" and (days or dates) and draw(st.booleans()):
        parts.append(f"BYSETPOS={draw(st.sampled_from(['1', '-1']))}")
    return ";".join(parts)


weekdays = st.sampled_from(recurrence.WEEKDAYS)


@settings(deadline=None)
@given(rules(), st.dates(date(2024, 1, 1), date(2028, 12, 31)))
def test_days_are_those_of_rfc_5545(rule: str, first: date) -> None:
    last = first + LONGEST
    at = datetime(first.year, first.month, first.day, 9)
    rule = f"{rule};UNTIL={last:%Y%m%d}T235959"
    expected = [day.date() for day in rrulestr(rule, dtstart=at)]
    assert list(recurrence.days(recurrence.parse(rule, ZoneInfo("UTC")), first, last)) == expected


@given(
    st.sampled_from(
        ["Europe/London", "America/Sao_Paulo", "Asia/Shanghai", "Australia/Lord_Howe", "Africa/Casablanca"]
    ),
    st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1)),
    st.integers(1, 60),
)
def test_times_go_forward_and_are_what_the_wall_says(zone: str, first: datetime, count: int) -> None:
    wall = first.replace(second=0, microsecond=0)
    found = expand(terms(task(f"{wall:%Y-%m-%dT%H:%M}", f"FREQ=DAILY;COUNT={count}"), zone=zone))
    assert [one.task.n for one in found] == list(range(1, count + 1))
    assert all(one.task.due_at < next_one.task.due_at for one, next_one in pairwise(found))
    for number, one in enumerate(found):
        asked = wall + timedelta(days=number)
        there = one.task.due_at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert there == asked or (one.shifted and timedelta() < there - asked <= timedelta(hours=1))


@given(st.text(alphabet="FREQDAILY=;:COUNT0123456789,-+BYMOSTPUNWK", max_size=60))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        recurrence.parse(text, ZoneInfo("UTC"))
