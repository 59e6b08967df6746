"""Records: what a settled pledge says of its people, and who sees it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from server.supervision.model import (
    Case,
    CaseKind,
    Outcome,
    Pledge,
    PledgeState,
    Task,
    TaskState,
    Verdict,
    Vote,
)
from server.supervision.records import HIDDEN
from server.supervision.rules import facts
from server.supervision.rules.change import Change, turned
from server.supervision.rules.facts import Facts
from tests.conftest import Run
from tests.supervision.conftest import Stage
from tests.supervision.examples import AT, DEPOSIT, MAX, OWNER, POINTS, TOM, pledge, task

DUE = AT + timedelta(days=1)


def stamped(person: str, counts: bool | None, minutes: int = 0) -> Vote:
    verdict = {True: Verdict.DONE, False: Verdict.NOT_DONE, None: Verdict.ABSTAIN}[counts]
    done_at = DUE + timedelta(minutes=minutes) if verdict is Verdict.DONE else None
    return Vote(person=person, verdict=verdict, at=DUE, done_at=done_at, counts=counts)


def over(state: TaskState, *votes: Vote, n: int = 1, **more: Any) -> Task:
    return task(n, DUE, late=60, state=state, votes=votes, **more)


def settled(outcome: Outcome, *tasks: Task, **more: Any) -> Pledge:
    return pledge(DEPOSIT, TOM, MAX, state=PledgeState.SETTLED, tasks=tasks, outcome=outcome, **more)


def ruled(ruling: Outcome) -> Case:
    return Case(
        id="c1",
        kind=CaseKind.DISPUTE,
        opened_by=OWNER,
        opened_at=AT,
        evidence_until=AT,
        decide_until=AT,
        ruling=ruling,
        reasons="Seen on the film.",
    )


def test_in_time_late_and_missed_are_told_apart() -> None:
    one = settled(
        Outcome.KEPT,
        over(TaskState.KEPT, stamped(TOM, True, -5), stamped(MAX, True, -5)),
        over(TaskState.KEPT, stamped(TOM, True, 20), stamped(MAX, True, 30)),
        over(TaskState.KEPT, reported_at=DUE + timedelta(minutes=1), decided_by="staff"),
        over(TaskState.KEPT, decided_by="staff"),
        over(TaskState.MISSED, decided_by="admitted"),
        over(TaskState.VOID),
    )
    assert facts.of(one)[OWNER] == Facts(on_time=2, late=2, missed=1, kept=1)


def test_stamps_are_counted_and_those_that_did_not_stand() -> None:
    one = settled(
        Outcome.KEPT,
        over(TaskState.KEPT, stamped(TOM, True), stamped(MAX, False)),
        over(TaskState.KEPT, stamped(TOM, None), stamped(MAX, True)),
        over(TaskState.VOID, stamped(TOM, True), stamped(MAX, False)),
    )
    found = facts.of(one)
    assert found[TOM] == Facts(stamped=2)
    assert found[MAX] == Facts(stamped=3, overruled=1)


@pytest.mark.parametrize(
    ("ruling", "state", "counts"),
    [(Outcome.KEPT, TaskState.MISSED, False), (Outcome.FAILED, TaskState.KEPT, True)],
)
def test_what_staff_has_overruled_says_nothing_of_the_owner(ruling: Outcome, state: TaskState, counts: bool) -> None:
    one = settled(ruling, over(state, stamped(TOM, counts)), cases=(ruled(ruling),))
    found = facts.of(one)
    assert found[OWNER] == Facts(kept=int(ruling is Outcome.KEPT), failed=int(ruling is Outcome.FAILED))
    assert found[TOM] == Facts(stamped=1, overruled=1)


def test_what_is_void_says_nothing() -> None:
    assert facts.of(settled(Outcome.VOID, over(TaskState.VOID))) == {}


@pytest.mark.parametrize(("outcome", "points"), [(Outcome.KEPT, 10), (Outcome.FAILED, -10), (Outcome.VOID, 0)])
def test_points_are_gained_or_lost(outcome: Outcome, points: int) -> None:
    one = replace(settled(outcome, over(TaskState.KEPT)), terms=pledge(POINTS).terms)
    assert facts.of(one)[OWNER].points == points


def test_a_settled_pledge_is_counted_once_and_others_see_it_with_consent(stage: Stage, run: Run[Any]) -> None:
    async def story() -> None:
        emma, tom, ann = await stage.people("emma", "tom", "ann")
        records = stage.supervision.records

        def kept(one: Pledge, now: datetime) -> Change:
            return Change(turned(one, tasks=(over(TaskState.KEPT, stamped(tom, True)),)))

        for _ in range(2):
            made = await stage.put(emma, tom, count=1)
            await stage.supervision.changes.apply(made.id, kept)
            await stage.pass_by(days=2)
            assert await stage.state(made.id) is PledgeState.SETTLED
        own = await records.of(emma, emma)
        assert (own.on_time, own.kept, own.points, own.shown) == (2, 2, 20, False)
        assert own.since is not None
        assert (await records.of(tom, tom)).stamped == 2
        assert await records.of(ann, emma) == HIDDEN
        assert (await records.show(emma, True)).shown
        assert (await records.of(ann, emma)).on_time == 2
        await stage.services.people.friends.block(emma, ann)
        assert await records.of(ann, emma) == HIDDEN
        await records.show(emma, False)
        assert await records.of(tom, emma) == HIDDEN

    run(story())


def test_a_minors_record_is_for_family_and_friends(stage: Stage, run: Run[Any]) -> None:
    async def story() -> None:
        lin = await stage.person("lin", years=12)
        friend, stranger = await stage.people("friend", "stranger")
        await stage.befriend(lin, friend)
        records = stage.supervision.records
        await records.show(lin, True)
        assert (await records.of(friend, lin)).shown
        assert await records.of(stranger, lin) == HIDDEN
        assert await records.of(stranger, "p_" + "0" * 20) == HIDDEN

    run(story())
