"""Spot checks: on demand and at random, never in quiet hours, and what each answer means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.supervision.model import CheckState, Pledge, SpotCheck, TaskState, Verdict
from server.supervision.rules import checks, lifecycle, tasks, timing
from server.supervision.rules.change import Attached, Change, News, What
from server.supervision.terms import CheckTerms
from server.supervision.views import CheckAnswer, Stamp
from tests.conftest import Run
from tests.supervision.conftest import Stage
from tests.supervision.examples import AT, DEPOSIT, MAX, NOTHING, OWNER, TOM, pledge, task

DUE = AT + timedelta(days=1)
OPENS = DUE - timedelta(hours=12)
#: in the window, and by day in Tunis
DAY = DUE - timedelta(hours=3)
MINUTE = timedelta(minutes=1)


def checked(*people: str, count: int = 1, opens: timedelta = timedelta(hours=12), **words: Any) -> Pledge:
    """Tasks on the same day, of which one may ask."""
    made = tuple(task(n, DUE, opens_at=DUE - opens) for n in range(1, count + 1))
    return pledge(DEPOSIT, *people, words={"checks": CheckTerms(**words)}, tasks=made)


def refused(act: Callable[[], object]) -> Code:
    with pytest.raises(VouchError) as fault:
        act()
    return fault.value.code


def last(made: Pledge, n: int = 1) -> SpotCheck:
    return made.tasks[n - 1].checks[-1]


def ticked(before: Pledge, now: datetime, draw: Callable[[int], int] = lambda _: 0) -> Change:
    return lifecycle.progress(timing.tick(before, now, draw), now)


# ── On demand ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_done_early_by_a_spot_check() -> None:
    asked = checks.ask(checked(TOM), TOM, 1, DAY)
    assert asked.news == (News(OWNER, What.CHECK_ASKED, TOM, 1),)
    assert (last(asked.pledge).until, last(asked.pledge).state) == (DAY + timedelta(minutes=30), CheckState.ASKED)
    attached = Attached("Back already.", ("e_1",))
    answered = checks.answer(asked.pledge, OWNER, 1, "s1", True, DAY + MINUTE, attached)
    assert answered.news == (News(TOM, What.CHECK_ANSWERED, OWNER, 1),)
    assert answered.lines[0].body["state"] == "done"
    (one,) = answered.pledge.tasks
    assert (one.reported_at, one.reported_evidence, last(answered.pledge).words) == (
        DAY + MINUTE,
        ("e_1",),
        "Back already.",
    )
    judged = lifecycle.progress(tasks.stamp(answered.pledge, TOM, 1, Verdict.DONE, DUE + MINUTE), DUE + MINUTE).pledge
    assert (judged.tasks[0].state, judged.tasks[0].early) == (TaskState.KEPT, True)


def test_not_yet_is_no_failure() -> None:
    asked = checks.ask(checked(TOM), TOM, 1, DAY).pledge
    answered = checks.answer(asked, OWNER, 1, "s1", False, DAY + MINUTE).pledge
    assert (last(answered).state, answered.tasks[0].reported_at) == (CheckState.NOT_YET, None)
    assert refused(lambda: checks.answer(answered, OWNER, 1, "s1", True, DAY + MINUTE)) is Code.ALREADY
    assert checks.ask(answered, TOM, 1, DAY + MINUTE).pledge.tasks[0].checks[1].id == "s2"


def test_missed_is_when_there_was_time_expired_when_there_was_none() -> None:
    asked = checks.ask(checked(TOM), TOM, 1, DAY).pledge
    until = last(asked).until
    assert timing.next_due(asked) == min(until, DUE - timedelta(hours=2))
    missed = ticked(asked, until)
    assert last(missed.pledge).state is CheckState.MISSED
    assert [news for news in missed.news if news.what is What.CHECK_MISSED] == [
        News(OWNER, What.CHECK_MISSED, task=1),
        News(TOM, What.CHECK_MISSED, task=1),
    ]
    assert missed.pledge.tasks[0].state is TaskState.OPEN, "supervisors decide"
    assert refused(lambda: checks.answer(missed.pledge, OWNER, 1, "s1", True, until)) is Code.CLOSED
    away = ticked(asked, until + timedelta(minutes=11))
    assert last(away.pledge).state is CheckState.EXPIRED, "the server was not there"
    judged = lifecycle.progress(tasks.stamp(asked, TOM, 1, Verdict.DONE, DAY), DAY).pledge
    assert last(judged).state is CheckState.EXPIRED, "judged meanwhile"


def test_whoever_reports_has_answered() -> None:
    asked = checks.ask(checked(TOM), TOM, 1, DAY).pledge
    reported = tasks.report(asked, OWNER, 1, DAY + MINUTE).pledge
    assert last(reported).state is CheckState.DONE
    assert refused(lambda: checks.ask(reported, TOM, 1, DAY + MINUTE)) is Code.ALREADY


def test_who_asks_and_when() -> None:
    before = checked(TOM, MAX)
    assert refused(lambda: checks.ask(before, OWNER, 1, DAY)) is Code.FORBIDDEN
    assert refused(lambda: checks.ask(before, TOM, 1, OPENS - MINUTE)) is Code.CONFLICT
    assert refused(lambda: checks.ask(before, TOM, 1, DUE)) is Code.CLOSED
    asked = checks.ask(before, TOM, 1, DAY).pledge
    assert refused(lambda: checks.ask(asked, MAX, 1, DAY)) is Code.ALREADY
    assert refused(lambda: checks.answer(asked, TOM, 1, "s1", True, DAY)) is Code.FORBIDDEN
    assert refused(lambda: checks.answer(asked, OWNER, 1, "s2", True, DAY)) is Code.NOT_FOUND
    assert refused(lambda: checks.answer(asked, OWNER, 1, "s1", True, last(asked).until)) is Code.CLOSED


def test_so_many_a_day() -> None:
    made = checked(TOM, count=3, on_demand=2, answer=5, opens=timedelta(hours=48), quiet_from="00:00", quiet_to="00:00")
    midnight = datetime(2026, 11, 23, 0, 0, tzinfo=ZoneInfo("Africa/Tunis"))
    for n in (1, 2):
        made = checks.ask(made, TOM, n, midnight - MINUTE).pledge
    assert refused(lambda: checks.ask(made, TOM, 3, midnight - MINUTE)) is Code.LIMIT_REACHED
    assert last(checks.ask(made, TOM, 3, midnight).pledge, 3).state is CheckState.ASKED
    assert refused(lambda: checks.ask(checked(TOM, on_demand=0), TOM, 1, DAY)) is Code.LIMIT_REACHED


# ── Quiet hours ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wall", "quiet"),
    [("21:59", False), ("22:00", True), ("03:00", True), ("06:59", True), ("07:00", False), ("12:00", False)],
)
def test_nobody_is_asked_in_quiet_hours(wall: str, quiet: bool) -> None:
    now = datetime.fromisoformat(f"2026-11-22T{wall}").replace(tzinfo=ZoneInfo("Africa/Tunis"))
    made = checked(TOM, opens=timedelta(days=30))
    assert checks.is_quiet(made, now) is quiet
    if quiet:
        assert refused(lambda: checks.ask(made, TOM, 1, now)) is Code.CONFLICT
    by_day = checked(TOM, quiet_from="09:00", quiet_to="17:00")
    assert checks.is_quiet(by_day, now) is (wall == "12:00")


def test_quiet_hours_are_told_by_the_wall_when_the_clock_is_turned() -> None:
    """In London the hour after one comes twice on this night: quiet from nine to seven, UTC."""
    made = pledge(DEPOSIT, TOM, words={"zone": "Europe/London"}, tasks=(task(),))
    evening, morning = datetime(2026, 10, 24, 21, tzinfo=UTC), datetime(2026, 10, 25, 7, tzinfo=UTC)
    assert [checks.is_quiet(made, at) for at in (evening - MINUTE, evening, morning - MINUTE, morning)] == [
        False,
        True,
        True,
        False,
    ]


# ── At random ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_server_asks_at_a_moment_that_was_drawn() -> None:
    made = checked(TOM, random=1)
    assert timing.next_due(made) == OPENS
    drawn = ticked(made, OPENS, lambda _: 3600)
    # the window opens at midnight in Tunis, and it is quiet until seven
    eight = datetime(2026, 11, 23, 8, 0, tzinfo=ZoneInfo("Africa/Tunis"))
    assert (drawn.lines, drawn.news, drawn.pledge.tasks[0].planned) == ((), (), (eight,))
    asked = ticked(drawn.pledge, eight)
    assert asked.news == (News(OWNER, What.CHECK_ASKED, task=1),)
    assert (last(asked.pledge).by, asked.pledge.tasks[0].planned) == ("system", ())
    assert ticked(asked.pledge, eight) == Change(asked.pledge)
    assert checks.left_today(asked.pledge, eight) == 3, "what the server asks is not on demand"


def test_a_moment_at_which_the_server_was_away_is_recorded() -> None:
    drawn = ticked(checked(TOM, random=1), OPENS, lambda _: 0).pledge
    (at,) = drawn.tasks[0].planned
    late = ticked(drawn, at + timedelta(minutes=11))
    assert (last(late.pledge).state, last(late.pledge).at) == (CheckState.EXPIRED, at)
    assert late.news == ()


def test_who_has_reported_is_not_asked() -> None:
    drawn = ticked(checked(TOM, random=2), OPENS, lambda _: 0).pledge
    reported = tasks.report(drawn, OWNER, 1, OPENS).pledge
    assert ticked(reported, drawn.tasks[0].planned[0]).pledge.tasks[0].checks == ()


@given(
    st.integers(1, 3),
    st.integers(15, 44_640),
    st.integers(5, 240),
    st.times(),
    st.times(),
    st.integers(0, 3600 * 24 * 2),
    st.randoms(use_true_random=False),
)
def test_drawn_moments_lie_in_the_window_and_not_in_quiet_hours(
    random: int, opens: int, answer: int, quiet_from: Any, quiet_to: Any, late: int, chance: Any
) -> None:
    made = checked(
        TOM,
        opens=timedelta(minutes=opens),
        random=random,
        answer=answer,
        quiet_from=f"{quiet_from:%H:%M}",
        quiet_to=f"{quiet_to:%H:%M}",
    )
    now = made.tasks[0].opens_at + timedelta(seconds=late)
    if now >= made.tasks[0].judge_until:
        return
    drawn = checks.tick(made, now, chance.randrange).pledge.tasks[0]
    assert drawn.drawn
    assert drawn.checks or len(drawn.planned) in (0, random)
    for at in drawn.planned:
        assert now <= at < DUE - timedelta(minutes=answer)
        assert not checks.is_quiet(made, at)


# ── With everything that keeps them ─────────────────────────────────────────────────────────────────────────────────


def test_asked_by_the_server_and_answered(stage: Stage, run: Run[Any]) -> None:
    async def scene() -> None:
        emma, tom = await stage.friends("emma", "tom")
        judging = stage.supervision.judging
        made = await stage.put(emma, tom, stake=NOTHING, count=1, words={"checks": CheckTerms(random=1)})
        await stage.pass_by(hours=19, minutes=1)  # a minute past seven in Tunis
        asked = (await stage.load(made.id)).tasks[0].checks[0]
        assert (asked.by, asked.state) == ("system", CheckState.ASKED)
        await judging.answer(emma, made.id, 1, asked.id, CheckAnswer(done=True, words="Since half past six."))
        settled = await judging.stamp(tom, made.id, 1, Stamp(verdict=Verdict.DONE))
        assert settled.tasks[0].early
        lines = [line.body["state"] for line in await stage.thread(made.id) if line.kind == "checked"]
        assert lines == ["asked", "done"]
        rows, faults = await stage.supervision.evidence.of(settled)
        assert (rows[0].words, faults) == ("Since half past six.", [])
        assert "check_answered" in await stage.whats(tom, made.id)

    run(scene())


def test_asked_by_a_supervisor_and_missed(stage: Stage, run: Run[Any]) -> None:
    async def scene() -> None:
        emma, tom = await stage.friends("emma", "tom")
        made = await stage.put(emma, tom, stake=NOTHING, count=1)
        await stage.pass_by(hours=20)
        await stage.supervision.judging.ask(tom, made.id, 1)
        await stage.pass_by(minutes=30)
        assert (await stage.load(made.id)).tasks[0].checks[0].state is CheckState.MISSED
        assert await stage.whats(emma, made.id) == ["check_asked", "check_missed"]

    run(scene())
