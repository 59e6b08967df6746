"""What staff decides: reviews, disputes, appeals; who may, and what follows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from server.errors import Code, VouchError
from server.supervision.model import (
    CaseKind,
    Flag,
    Outcome,
    Pledge,
    PledgeState,
    SeatState,
    StakeState,
    Suspicion,
    Task,
    TaskState,
    Verdict,
    Vote,
)
from server.supervision.rules import cases, impartial, lifecycle, timing
from server.supervision.rules.change import Change, What, turned
from server.supervision.rules.outcome import of_tasks
from tests.supervision.examples import ANN, AT, DEPOSIT, MAX, OWNER, TOM, pledge, seat, task, tasks

RAY, SUE = "p_ray00000000000000000", "p_sue00000000000000000"
REASONS = "The photo was taken an hour before it was due."
WORDS = "I did run, and Tom has seen the photo of it."


def judged(*states: TaskState) -> tuple[Task, ...]:
    return tuple(replace(each, state=state) for each, state in zip(tasks(len(states)), states, strict=True))


def went(change: Change, at: datetime = AT) -> Pledge:
    return lifecycle.progress(change, at).pledge


def failed(one: Pledge, now: datetime) -> Change:
    """Each of its tasks was missed."""
    return Change(turned(one, tasks=tuple(replace(task, state=TaskState.MISSED) for task in one.tasks)))


def ended(*states: TaskState, **more: Any) -> Pledge:
    """In its challenge window."""
    return went(Change(pledge(DEPOSIT, TOM, tasks=judged(*states), **more)))


def refused(code: Code, call: object, *args: object) -> None:
    with pytest.raises(VouchError) as fault:
        call(*args)  # type: ignore[operator]
    assert fault.value.code is code


FAILED = ended(TaskState.MISSED)
DISPUTED = went(cases.dispute(FAILED, OWNER, WORDS, AT))


def decided(before: Pledge, ruling: Outcome, reviewer: str = RAY, at: datetime = AT + cases.EVIDENCE) -> Pledge:
    case = before.case
    assert case is not None
    taken = cases.take(before, case.id, reviewer, at).pledge
    return went(cases.rule(taken, case.id, reviewer, ruling, REASONS, (), at), at)


# ── Reviews ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_tie_goes_to_staff_and_the_ruling_decides_the_task() -> None:
    one = pledge(DEPOSIT, TOM, MAX, tasks=judged(TaskState.KEPT, TaskState.OPEN))
    opened = lifecycle.progress(cases.open_review(one, AT, cause="tie", tasks=(2,)), AT)
    assert opened.pledge.state is PledgeState.UNDER_REVIEW
    assert opened.pledge.tasks[1].state is TaskState.REVIEW
    assert {news.what for news in opened.news} == {What.REVIEW}
    ruled = decided(opened.pledge, Outcome.KEPT, at=AT)
    assert ruled.tasks[1].state is TaskState.KEPT
    assert ruled.tasks[1].decided_by == "staff"
    assert ruled.state is PledgeState.CHALLENGE_WINDOW
    assert ruled.outcome is Outcome.KEPT


def test_a_review_is_opened_once_per_task_and_several_may_wait() -> None:
    one = cases.open_review(pledge(DEPOSIT), AT, cause="tie", tasks=(1,)).pledge
    assert cases.open_review(one, AT, cause="silent", tasks=(1,)) == Change(one)
    two = cases.open_review(one, AT, cause="silent", tasks=(1, 2)).pledge
    assert [case.tasks for case in cases.open_cases(two)] == [(1,), (2,)]
    assert len({case.id for case in two.cases}) == 2


def test_work_goes_on_while_one_task_is_in_review() -> None:
    assert went(cases.open_review(pledge(DEPOSIT), AT, cause="tie", tasks=(1,))).state is PledgeState.ACTIVE


def test_what_nobody_decides_in_time_is_void_and_nobody_forfeits_by_it() -> None:
    one = pledge(DEPOSIT, tasks=judged(TaskState.KEPT, TaskState.KEPT, TaskState.OPEN))
    opened = went(cases.open_review(one, AT, cause="silent", tasks=(3,)))
    late = AT + cases.EVIDENCE + cases.DECISION
    assert cases.moments(opened) == [late]
    assert timing.next_due(opened) == late
    assert cases.tick(opened, late - timedelta(milliseconds=1)) == Change(opened)
    over = lifecycle.progress(cases.tick(opened, late), late)
    assert over.pledge.outcome is Outcome.VOID
    assert over.pledge.state is PledgeState.CHALLENGE_WINDOW
    assert [line.body.get("done") for line in over.lines if line.kind == "case"] == ["lapsed"]


@pytest.mark.parametrize(
    ("needed", "states", "expected"),
    [
        (2, [TaskState.KEPT, TaskState.KEPT, TaskState.VOID], Outcome.KEPT),
        (2, [TaskState.MISSED, TaskState.MISSED, TaskState.VOID], Outcome.FAILED),
        (2, [TaskState.KEPT, TaskState.MISSED, TaskState.VOID], Outcome.VOID),
        (0, [TaskState.OPEN, TaskState.KEPT, TaskState.VOID], None),
        (1, [TaskState.OPEN, TaskState.MISSED, TaskState.VOID], None),
        (0, [TaskState.VOID, TaskState.VOID, TaskState.VOID], Outcome.VOID),
    ],
)
def test_an_undecided_task_counts_neither_way(needed: int, states: list[TaskState], expected: Outcome | None) -> None:
    marked = tuple(replace(each, decided_by="lapsed") for each in judged(*states))
    assert of_tasks(pledge(DEPOSIT, tasks=marked, words={"needed": needed})) is expected


def test_a_task_that_staff_leaves_out_does_not_count() -> None:
    marked = tuple(replace(each, decided_by="staff") for each in judged(TaskState.KEPT, TaskState.VOID))
    assert of_tasks(pledge(DEPOSIT, tasks=marked)) is Outcome.KEPT


def test_what_was_admitted_meanwhile_is_taken_off_the_desk() -> None:
    one = went(cases.open_review(pledge(DEPOSIT), AT, cause="tie", tasks=(1,)))
    admitted = turned(one, tasks=(replace(one.tasks[0], state=TaskState.MISSED), *one.tasks[1:]))
    after = lifecycle.progress(Change(admitted), AT)
    assert cases.open_cases(after.pledge) == ()
    assert after.lines[-1].body["done"] == "dropped"


def test_a_cancelled_pledge_leaves_no_case() -> None:
    one = went(cases.open_review(pledge(DEPOSIT), AT, cause="tie", tasks=(1,)))
    after = lifecycle.progress(lifecycle.end(one, PledgeState.CANCELLED, OWNER, AT), AT).pledge
    assert cases.open_cases(after) == ()


# ── Two who may be one ──────────────────────────────────────────────────────────────────────────────────────────────


def test_staff_looks_at_the_outcome_of_two_who_may_be_one_before_money_moves() -> None:
    flagged = ended(TaskState.KEPT, suspicions=(Suspicion(TOM, Flag.SAME_BROWSER),))
    assert flagged.state is PledgeState.UNDER_REVIEW
    assert flagged.case is not None
    assert (flagged.case.cause, flagged.case.tasks) == ("flagged", ())
    ruled = decided(flagged, Outcome.VOID, at=AT)
    assert ruled.state is PledgeState.CHALLENGE_WINDOW
    assert ruled.outcome is Outcome.VOID


def test_without_money_nobody_looks() -> None:
    one = pledge(tasks=judged(TaskState.KEPT), suspicions=(Suspicion(TOM, Flag.FAMILY),))
    assert went(Change(one)).state is PledgeState.CHALLENGE_WINDOW


# ── Disputes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dispute_freezes_the_stake_until_it_is_ruled() -> None:
    assert DISPUTED.state is PledgeState.DISPUTED
    assert DISPUTED.until is None
    assert DISPUTED.stake.state is StakeState.HELD
    later = AT + timedelta(days=3)
    assert lifecycle.progress(timing.tick(DISPUTED, later, lambda _: 0), later).pledge == DISPUTED


@pytest.mark.parametrize("who", [OWNER, TOM])
def test_owner_supervisors_and_payer_may_object(who: str) -> None:
    assert cases.may_object(FAILED, who, AT) == "dispute"
    assert went(cases.dispute(FAILED, who, WORDS, AT)).state is PledgeState.DISPUTED


def test_nobody_else_may_and_not_when_the_window_is_over() -> None:
    refused(Code.NOT_FOUND, cases.dispute, FAILED, MAX, WORDS, AT)
    assert FAILED.until is not None
    refused(Code.CLOSED, cases.dispute, FAILED, OWNER, WORDS, FAILED.until)
    refused(Code.CLOSED, cases.dispute, DISPUTED, TOM, WORDS, AT)
    refused(Code.CONFLICT, cases.appeal, FAILED, OWNER, WORDS, AT)
    assert cases.may_object(FAILED, MAX, AT) == ""


def test_a_ruling_opens_the_window_again_for_one_appeal_and_that_settles_it() -> None:
    at = AT + cases.EVIDENCE
    ruled = decided(DISPUTED, Outcome.KEPT)
    assert (ruled.state, ruled.outcome) == (PledgeState.CHALLENGE_WINDOW, Outcome.KEPT)
    assert ruled.until == at + timedelta(hours=24)
    refused(Code.ALREADY, cases.dispute, ruled, TOM, WORDS, at)
    assert cases.may_object(ruled, TOM, at) == "appeal"
    appealed = went(cases.appeal(ruled, TOM, WORDS, at), at)
    assert appealed.state is PledgeState.DISPUTED
    final = decided(appealed, Outcome.FAILED, SUE, at + cases.EVIDENCE)
    assert (final.state, final.outcome) == (PledgeState.SETTLED, Outcome.FAILED)


@pytest.mark.parametrize("appealed", [False, True])
def test_a_dispute_that_nobody_decides_gives_all_back(appealed: bool) -> None:
    one = went(cases.appeal(decided(DISPUTED, Outcome.FAILED), OWNER, WORDS, AT)) if appealed else DISPUTED
    assert one.case is not None
    late = one.case.decide_until
    over = lifecycle.progress(timing.tick(one, late, lambda _: 0), late).pledge
    assert over.outcome is Outcome.VOID
    assert over.state is (PledgeState.SETTLED if appealed else PledgeState.CHALLENGE_WINDOW)


def test_a_ruling_waits_until_both_sides_were_heard() -> None:
    taken = cases.take(DISPUTED, "c1", RAY, AT).pledge
    refused(Code.CONFLICT, cases.rule, taken, "c1", RAY, Outcome.KEPT, REASONS, {OWNER}, AT)
    assert went(cases.rule(taken, "c1", RAY, Outcome.KEPT, REASONS, {TOM}, AT)).outcome is Outcome.KEPT
    later = AT + cases.EVIDENCE
    assert went(cases.rule(taken, "c1", RAY, Outcome.KEPT, REASONS, (), later), later).outcome is Outcome.KEPT


def test_one_reviewer_at_a_time_and_relieved_after_a_day() -> None:
    refused(Code.CONFLICT, cases.rule, DISPUTED, "c1", RAY, Outcome.KEPT, REASONS, (), AT + cases.EVIDENCE)
    taken = cases.take(DISPUTED, "c1", RAY, AT).pledge
    assert cases.take(taken, "c1", RAY, AT) == Change(taken)
    refused(Code.CONFLICT, cases.take, taken, "c1", SUE, AT)
    relieved = cases.take(taken, "c1", SUE, AT + cases.HOLDS).pledge
    assert relieved.case is not None
    assert relieved.case.reviewer == SUE
    refused(Code.NOT_FOUND, cases.take, DISPUTED, "c9", RAY, AT)
    refused(Code.ALREADY, cases.take, decided(DISPUTED, Outcome.KEPT), "c1", SUE, AT)


# ── Who may decide ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_may_rule() -> None:
    def why(
        person: str, one: Pledge = DISPUTED, family: set[str] | None = None, friends: set[str] | None = None
    ) -> str:
        return impartial.why_not(one, one.case, person, family or set(), friends or set())

    assert why(RAY) == ""
    assert why(OWNER) == why(TOM) == "party"
    assert why(RAY, family={OWNER}) == "family"
    assert why(RAY, friends={TOM}) == "friend"
    assert why(RAY, family={MAX}, friends={ANN}) == ""
    left = turned(DISPUTED, seats=(*DISPUTED.seats, seat(RAY, SeatState.LEFT)))
    assert why(RAY, left) == "party"
    assert why(RAY, turned(DISPUTED, seats=(*DISPUTED.seats, seat(RAY, SeatState.DECLINED)))) == ""
    vote = Vote(person=RAY, verdict=Verdict.DONE, at=AT)
    assert why(RAY, turned(DISPUTED, tasks=(task(votes=(vote,)),))) == "judged"
    appealed = went(cases.appeal(decided(DISPUTED, Outcome.KEPT), TOM, WORDS, AT))
    assert why(RAY, appealed) == "ruled"
    assert why(SUE, appealed) == ""


def test_who_looked_at_a_flagged_outcome_does_not_hear_the_dispute() -> None:
    flagged = ended(TaskState.KEPT, suspicions=(Suspicion(TOM, Flag.FAMILY),))
    one = went(cases.dispute(decided(flagged, Outcome.FAILED, at=AT), OWNER, WORDS, AT))
    assert one.case is not None
    assert one.case.kind is CaseKind.DISPUTE
    assert impartial.why_not(one, one.case, RAY, (), ()) == "judged"
