"""Tasks: reports, stamps and the votes they make, admitting, reminders. Pure, then with everything that keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from server.clock import to_ms
from server.errors import Code, VouchError
from server.supervision.model import (
    CaseKind,
    Outcome,
    Pledge,
    PledgeState,
    SeatState,
    Task,
    TaskState,
    Verdict,
)
from server.supervision.rules import lifecycle, seats, tasks, timing
from server.supervision.rules.change import Attached, Change, News, What
from server.supervision.terms import RuleKind, VerdictRule
from server.supervision.views import Admit, Report, Stamp
from tests.conftest import Run
from tests.supervision.conftest import Stage
from tests.supervision.examples import ANN, AT, DEPOSIT, MAX, NOTHING, OWNER, REWARD, TOM, pledge, task

DUE = AT + timedelta(days=1)
OPENS = DUE - timedelta(hours=12)
LATER = timedelta(minutes=1)
DONE, NOT_DONE, ABSTAIN = Verdict.DONE, Verdict.NOT_DONE, Verdict.ABSTAIN


def watched(*people: str, grace: int = 0, rule: VerdictRule | None = None, **more: Any) -> Pledge:
    """One task, watched by these people."""
    words = {"grace": grace, "rule": rule or VerdictRule()}
    return pledge(more.pop("stake", DEPOSIT), *people, words=words, tasks=(task(late=grace),), **more)


def after(change: Change, now: datetime) -> Change:
    return lifecycle.progress(change, now)


def stamped(before: Pledge, person: str, verdict: Verdict, now: datetime, **more: Any) -> Change:
    return after(tasks.stamp(before, person, 1, verdict, now, **more), now)


def refused(act: Callable[[], object]) -> Code:
    with pytest.raises(VouchError) as fault:
        act()
    return fault.value.code


def kinds(change: Change) -> list[str]:
    return [line.kind for line in change.lines]


def told(change: Change, what: What) -> list[str]:
    return [news.person for news in change.news if news.what is what]


def only(made: Pledge) -> Task:
    (one,) = made.tasks
    return one


# ── Reports ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_owner_reports_once_from_when_the_window_opens() -> None:
    before = watched(TOM, MAX)
    assert refused(lambda: tasks.report(before, OWNER, 1, OPENS - LATER)) is Code.CONFLICT
    change = tasks.report(before, OWNER, 1, OPENS, Attached("Along the river.", ("e_1",)))
    assert (only(change.pledge).reported_at, only(change.pledge).reported_evidence) == (OPENS, ("e_1",))
    assert change.lines[0].body == {"task": 1, "words": "Along the river.", "evidence": ["e_1"]}
    assert told(change, What.REPORTED) == [TOM, MAX]
    assert refused(lambda: tasks.report(change.pledge, OWNER, 1, DUE)) is Code.ALREADY
    assert refused(lambda: tasks.report(before, OWNER, 2, DUE)) is Code.NOT_FOUND


def test_what_is_none_of_ones_business() -> None:
    before = watched(TOM)
    assert refused(lambda: tasks.report(before, TOM, 1, DUE)) is Code.FORBIDDEN
    assert refused(lambda: tasks.report(before, MAX, 1, DUE)) is Code.NOT_FOUND
    assert refused(lambda: tasks.stamp(before, OWNER, 1, DONE, DUE)) is Code.FORBIDDEN  # owners never stamp themselves
    assert refused(lambda: tasks.stamp(before, MAX, 1, DONE, DUE)) is Code.NOT_FOUND
    assert refused(lambda: tasks.admit(before, TOM, 1, DUE)) is Code.FORBIDDEN
    assert refused(lambda: tasks.agree(before, MAX, DUE)) is Code.NOT_FOUND


# ── Stamps ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_late_stamp_is_no_failure() -> None:
    reported = tasks.report(watched(TOM), OWNER, 1, DUE - LATER).pledge
    done = only(stamped(reported, TOM, DONE, DUE + timedelta(hours=47)).pledge)
    assert (done.state, done.early, done.decided_by) == (TaskState.KEPT, True, "vote")
    assert (done.votes[0].done_at, done.votes[0].counts) == (DUE - LATER, True)


def test_what_is_done_late_follows_the_grace() -> None:
    before = watched(TOM, grace=30)
    within = stamped(before, TOM, DONE, DUE + timedelta(hours=1), done_at=DUE + timedelta(minutes=30))
    assert (only(within.pledge).state, only(within.pledge).early) == (TaskState.KEPT, False)
    beyond = stamped(before, TOM, DONE, DUE + timedelta(hours=1), done_at=DUE + timedelta(minutes=31))
    assert only(beyond.pledge).state is TaskState.MISSED
    assert stamped(before, TOM, DONE, DUE + timedelta(minutes=31)).pledge.outcome is Outcome.FAILED


def test_not_done_is_said_when_it_cannot_be_done_any_more() -> None:
    before = watched(TOM, grace=30)
    until = DUE + timedelta(minutes=30)
    assert refused(lambda: tasks.stamp(before, TOM, 1, NOT_DONE, until)) is Code.CONFLICT
    assert only(stamped(before, TOM, NOT_DONE, until + LATER).pledge).state is TaskState.MISSED


def test_nobody_votes_after_the_deadline() -> None:
    before = watched(TOM)
    judged = only(before).judge_until
    assert refused(lambda: tasks.stamp(before, TOM, 1, DONE, judged)) is Code.CLOSED
    assert refused(lambda: tasks.report(before, OWNER, 1, judged)) is Code.CLOSED
    assert stamped(before, TOM, DONE, judged - LATER, done_at=DUE).pledge.outcome is Outcome.KEPT


def test_a_vote_is_given_once() -> None:
    once = stamped(watched(TOM, MAX), TOM, DONE, DUE).pledge
    assert refused(lambda: tasks.stamp(once, TOM, 1, NOT_DONE, DUE + LATER)) is Code.ALREADY


def test_when_it_was_done_lies_in_the_window_and_not_ahead() -> None:
    before = watched(TOM)

    def at(moment: datetime) -> Task:
        return only(stamped(before, TOM, DONE, DUE, done_at=moment).pledge)

    assert refused(lambda: at(OPENS - LATER)) is Code.BAD_REQUEST
    assert refused(lambda: at(DUE + timedelta(minutes=6))) is Code.BAD_REQUEST
    assert at(DUE + LATER).votes[0].done_at == DUE  # a phone's clock is a little ahead
    assert at(OPENS).early


# ── Votes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_how_it_stands_reaches_only_who_has_voted_until_it_closes() -> None:
    first = stamped(watched(TOM, MAX, ANN), TOM, DONE, DUE)
    assert (first.lines, first.news) == ((), ())
    assert [(tally.person, tally.done, tally.of) for tally in first.tallies] == [(TOM, 1, 3)]
    second = stamped(first.pledge, MAX, NOT_DONE, DUE + LATER)
    assert [(tally.person, tally.done, tally.not_done) for tally in second.tallies] == [(TOM, 1, 1), (MAX, 1, 1)]
    assert second.lines == ()
    third = stamped(second.pledge, ANN, DONE, DUE + 2 * LATER, done_at=DUE)
    assert kinds(third)[:4] == ["stamped", "stamped", "stamped", "judged"]
    assert third.lines[3].body == {"task": 1, "state": "kept", "by": "vote", "done": 2, "not_done": 1}
    assert told(third, What.STAMPED) == [OWNER, TOM, MAX]


def test_it_closes_as_soon_as_it_is_decided() -> None:
    first = stamped(watched(TOM, MAX, ANN), TOM, DONE, DUE).pledge
    second = stamped(first, MAX, DONE, DUE + LATER, done_at=DUE).pledge
    assert only(second).state is TaskState.KEPT
    assert refused(lambda: tasks.stamp(second, ANN, 1, NOT_DONE, DUE + 2 * LATER)) is Code.CLOSED


@pytest.mark.parametrize(
    ("verdicts", "cause"), [((DONE, NOT_DONE), "tie"), ((ABSTAIN, ABSTAIN), "abstained"), ((ABSTAIN, DONE), "tie")]
)
def test_what_supervisors_cannot_say_staff_does(verdicts: tuple[Verdict, Verdict], cause: str) -> None:
    first, second = verdicts
    voted = stamped(watched(TOM, MAX), TOM, first, DUE + LATER, done_at=DUE).pledge
    change = stamped(voted, MAX, second, DUE + LATER, done_at=DUE)
    made = change.pledge
    assert (made.state, only(made).state) == (PledgeState.UNDER_REVIEW, TaskState.REVIEW)
    (case,) = made.cases
    assert (case.kind, case.cause, case.tasks) == (CaseKind.REVIEW, cause, (1,))
    assert kinds(change)[:2] == ["stamped", "stamped"]


def test_silence_goes_to_staff_never_to_forfeit() -> None:
    before = watched(TOM, MAX)
    judged = only(before).judge_until
    assert after(Change(before), judged - LATER).pledge == before
    made = after(Change(before), judged).pledge
    assert (made.state, made.outcome, made.cases[0].cause) == (PledgeState.UNDER_REVIEW, None, "silent")


def test_who_leaves_may_decide_a_vote_and_takes_theirs_along() -> None:
    voted = stamped(watched(TOM, MAX), TOM, DONE, DUE).pledge
    closed = after(seats.leave(voted, MAX, DUE + LATER), DUE + LATER).pledge
    assert only(closed).state is TaskState.KEPT
    alone = after(seats.leave(voted, TOM, DUE + LATER), DUE + LATER).pledge
    assert only(alone).state is TaskState.OPEN
    assert alone.seat(TOM) is not None
    assert refused(lambda: tasks.stamp(alone, TOM, 1, DONE, DUE + LATER)) is Code.FORBIDDEN
    assert only(stamped(alone, MAX, NOT_DONE, DUE + LATER).pledge).state is TaskState.MISSED


def test_with_too_few_left_staff_judges_when_the_time_is_over() -> None:
    voted = stamped(watched(TOM, MAX, rule=VerdictRule(RuleKind.K_OF_N, 2)), TOM, NOT_DONE, DUE + LATER).pledge
    assert only(voted).state is TaskState.MISSED, "one against two of two is enough"
    left = after(seats.leave(watched(TOM, MAX, rule=VerdictRule(RuleKind.K_OF_N, 2)), MAX, DUE), DUE).pledge
    open_still = stamped(left, TOM, DONE, DUE + LATER).pledge
    assert (open_still.state, open_still.cases[0].cause) == (PledgeState.UNDER_REVIEW, "left")
    nobody = after(seats.leave(watched(TOM), TOM, DUE), DUE).pledge
    assert nobody.state is PledgeState.ACTIVE
    assert after(Change(nobody), only(nobody).judge_until).pledge.cases[0].cause == "left"


def test_several_are_over_at_once() -> None:
    made = after(Change(pledge(DEPOSIT)), AT + timedelta(days=30)).pledge
    (case,) = made.cases
    assert (case.tasks, case.cause, made.state) == ((1, 2, 3), "silent", PledgeState.UNDER_REVIEW)


# ── Admitting, accepting ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_owner_who_admits_needs_no_vote() -> None:
    change = after(tasks.admit(pledge(DEPOSIT), OWNER, 2, AT, Attached("I am ill.", ("e_1",))), AT)
    two = change.pledge.tasks[1]
    assert (two.state, two.decided_by, two.decided_at) == (TaskState.MISSED, "admitted", AT)
    assert change.lines[0].body == {"evidence": "e_1", "kind": "words", "task": 2, "words": "I am ill."}
    assert kinds(change)[:2] == ["evidence", "judged"]
    assert change.pledge.outcome is Outcome.FAILED  # all three were needed
    assert told(change, What.STAMPED) == [TOM]


def test_the_whole_is_admitted_at_any_time() -> None:
    made = after(tasks.admit(pledge(DEPOSIT, words={"needed": 1}), OWNER, 0, AT), AT).pledge
    assert [one.decided_by for one in made.tasks] == ["admitted"] * 3
    assert (made.outcome, made.state) == (Outcome.FAILED, PledgeState.CHALLENGE_WINDOW)
    assert refused(lambda: tasks.admit(made, OWNER, 0, AT)) is Code.CLOSED
    assert refused(lambda: tasks.admit(pledge(), OWNER, 4, AT)) is Code.NOT_FOUND


def test_a_task_in_review_may_be_admitted() -> None:
    made = after(Change(watched(TOM)), DUE + timedelta(days=3)).pledge
    assert made.state is PledgeState.UNDER_REVIEW
    admitted = after(tasks.admit(made, OWNER, 1, DUE + timedelta(days=3)), DUE + timedelta(days=3)).pledge
    assert (admitted.outcome, admitted.case) == (Outcome.FAILED, None)


def test_when_all_accept_nobody_waits() -> None:
    made = stamped(watched(TOM, stake=REWARD), TOM, DONE, DUE).pledge
    assert (made.state, made.until) == (PledgeState.CHALLENGE_WINDOW, DUE + timedelta(hours=24))
    once = after(tasks.agree(made, OWNER, DUE), DUE).pledge
    assert once.state is PledgeState.CHALLENGE_WINDOW
    assert tasks.agree(once, OWNER, DUE) == Change(once)
    settled = after(tasks.agree(once, TOM, DUE), DUE).pledge
    assert settled.state is PledgeState.SETTLED
    assert refused(lambda: tasks.agree(settled, OWNER, DUE)) is Code.CLOSED


def test_where_nothing_moves_it_settles_with_the_last_stamp() -> None:
    assert stamped(watched(TOM, stake=NOTHING), TOM, DONE, DUE).pledge.state is PledgeState.SETTLED


# ── Reminders ───────────────────────────────────────────────────────────────────────────────────────────────────────


def ticked(before: Pledge, now: datetime) -> Change:
    return after(timing.tick(before, now, lambda _: 0), now)


def test_the_owner_is_reminded_and_supervisors_are_asked_once() -> None:
    made = watched(TOM, MAX, grace=30)
    assert timing.next_due(made) == DUE - timedelta(hours=2)
    soon = ticked(made, DUE - timedelta(hours=2))
    assert soon.news == (News(OWNER, What.DUE_SOON, task=1),)
    assert timing.next_due(soon.pledge) == DUE + timedelta(minutes=30)
    wanted = ticked(stamped(soon.pledge, TOM, DONE, DUE).pledge, DUE + timedelta(minutes=30))
    assert wanted.news == (News(MAX, What.STAMP_WANTED, task=1),)
    assert timing.next_due(wanted.pledge) == only(made).judge_until
    assert ticked(wanted.pledge, DUE + timedelta(hours=1)) == Change(wanted.pledge)


def test_where_it_is_reported_supervisors_are_asked_when_it_is_due() -> None:
    reported = tasks.report(watched(TOM, grace=30), OWNER, 1, OPENS).pledge
    soon = ticked(reported, DUE - timedelta(hours=2))
    assert soon.news == (), "who has reported needs no reminder"
    assert timing.next_due(soon.pledge) == DUE


def test_a_reminder_that_comes_too_late_is_left_out() -> None:
    """The server was away, or its clock has jumped."""
    assert ticked(watched(TOM), DUE + LATER).news == (News(TOM, What.STAMP_WANTED, task=1),)
    late = ticked(watched(TOM), DUE + timedelta(days=3))
    assert {news.what for news in late.news} == {What.REVIEW}


# ── With everything that keeps them ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def people(stage: Stage, run: Run[list[str]]) -> list[str]:
    return run(stage.friends("emma", "tom", "max"))


def test_a_report_and_a_stamp_are_evidence_and_told_in_the_thread(
    stage: Stage, people: list[str], run: Run[Any]
) -> None:
    async def scene() -> None:
        emma, tom, _ = people
        judging = stage.supervision.judging
        made = await stage.put(emma, tom, stake=NOTHING, count=1)
        await stage.pass_by(hours=23)
        await judging.report(emma, made.id, 1, Report(words="Along the river."))
        with pytest.raises(VouchError) as again:
            await judging.report(emma, made.id, 1, Report(words="Along the river."))
        assert again.value.code is Code.ALREADY
        stamp = Stamp(verdict=DONE, done_at=to_ms(stage.clock.now()), words="I saw her.")
        settled = await judging.stamp(tom, made.id, 1, stamp)
        assert (settled.state, settled.tasks[0].early) == (PledgeState.SETTLED, True)
        rows, faults = await stage.supervision.evidence.of(settled)
        assert [(row.by, row.kind.value, row.words) for row in rows] == [
            (emma, "words", "Along the river."),
            (tom, "words", "I saw her."),
            (tom, "verdict", "I saw her."),
        ]
        assert not faults
        told = ("reported", "stamped", "judged")
        thread = [(line.kind, line.by) for line in await stage.thread(made.id) if line.kind in told]
        assert thread == [("reported", emma), ("stamped", tom), ("judged", "system")]
        assert await stage.whats(emma, made.id) == ["due_soon", "stamped", "settled"]

    run(scene())


def test_two_who_vote_at_once_are_both_counted(stage: Stage, people: list[str], run: Run[Any]) -> None:
    async def scene() -> None:
        emma, tom, max_ = people
        made = await stage.put(emma, tom, max_, stake=NOTHING, count=1)
        await stage.pass_by(hours=24)
        judging = stage.supervision.judging
        async with asyncio.TaskGroup() as both:
            both.create_task(judging.stamp(tom, made.id, 1, Stamp(verdict=DONE)))
            both.create_task(judging.stamp(max_, made.id, 1, Stamp(verdict=ABSTAIN)))
        after = await stage.load(made.id)
        assert {vote.person for vote in after.tasks[0].votes} == {tom, max_}
        assert after.cases[0].cause == "tie"

    run(scene())


def test_the_tally_reaches_only_who_has_voted(stage: Stage, people: list[str], run: Run[Any]) -> None:
    async def scene() -> None:
        emma, tom, max_ = people
        made = await stage.put(emma, tom, max_, stake=NOTHING, count=1)
        await stage.pass_by(hours=24)
        await stage.supervision.judging.stamp(tom, made.id, 1, Stamp(verdict=DONE, words="Well done."))
        (tally,) = await stage.inbox(tom, "pledge_tally")
        assert tally == {"pledge": made.id, "task": 1, "done": 1, "not_done": 0, "abstained": 0, "of": 2}
        for other in (emma, max_):
            assert await stage.inbox(other, "pledge_tally") == []
            view = await stage.supervision.views.of(await stage.load(made.id), other)
            assert (view.tasks[0].votes, view.tasks[0].tally, view.tasks[0].voted) == ([], None, 1)
            assert "Well done." not in str(await stage.supervision.exhibits.of(other, made.id))
        assert not {"stamped", "judged"} & {line.kind for line in await stage.thread(made.id)}

    run(scene())


def test_admitting_the_whole_ends_it(stage: Stage, people: list[str], run: Run[Any]) -> None:
    async def scene() -> None:
        emma, tom, _ = people
        made = await stage.put(emma, tom, stake=NOTHING)
        ended = await stage.supervision.judging.admit(emma, made.id, Admit(words="I have no time."))
        assert (ended.state, ended.outcome) == (PledgeState.SETTLED, Outcome.FAILED)
        assert not (await stage.supervision.evidence.of(ended))[1]

    run(scene())


def test_left_alone_it_ends_with_staff_and_then_void(stage: Stage, people: list[str], run: Run[Any]) -> None:
    """Nobody reports, nobody stamps, nobody rules: everything that was there goes back."""

    async def scene() -> None:
        emma, tom, _ = people
        made = await stage.put(emma, tom, stake=NOTHING)
        await stage.pass_by(days=30)
        ended = await stage.load(made.id)
        assert (ended.state, ended.outcome) == (PledgeState.SETTLED, Outcome.VOID)
        assert ended.seat(tom) is not None
        assert ended.seats[0].state is SeatState.SEATED
        assert "stamp_wanted" in await stage.whats(tom, made.id)

    run(scene())
