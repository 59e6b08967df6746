"""What somebody may do is exactly what is not refused: whole lives of pledges, by chance (the rules alone)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from server.errors import VouchError
from server.supervision.model import (
    FINAL,
    WAITING,
    CheckState,
    Flag,
    Pledge,
    PledgeState,
    SeatState,
    Side,
    StakeState,
    Suspicion,
    TaskState,
    Verdict,
)
from server.supervision.rules import (
    cases,
    checks,
    coming,
    drafting,
    evidence,
    lifecycle,
    permits,
    seats,
    stakes,
    tasks,
    timing,
)
from server.supervision.rules.change import Change, concerned, turned
from server.supervision.terms import CheckTerms, StakeKind, StakeTerms
from server.supervision.views import NewPledge
from tests.supervision.examples import ANN, AT, DEPOSIT, ID, MAX, NOTHING, OWNER, POINTS, REWARD, TOM, pledge, terms

CHORE = StakeTerms(kind=StakeKind.CHORE, words="Wash the dishes", to=ANN)
PEOPLE = (OWNER, TOM, MAX, ANN)
STRANGER = "p_stranger"
Act = Callable[[Pledge, str, datetime], Change]


def waiting(pledge: Pledge) -> str:
    """Somebody who has applied."""
    return next((seat.person for seat in pledge.seats if seat.state is SeatState.APPLIED), STRANGER)


def asked(pledge: Pledge, n: int) -> str:
    task = pledge.task(n)
    return next((check.id for check in task.checks if check.state is CheckState.ASKED), "s0") if task else "s0"


#: what is tried for each word of `can`; each is a rule with the rights of whoever calls it
WHOLE: dict[str, Act] = {
    "consent": lambda pledge, me, now: seats.consent(pledge, me, now),
    "apply": lambda pledge, me, now: seats.apply(pledge, me, "Take me.", now),
    "withdraw": lambda pledge, me, now: seats.withdraw(pledge, me, now),
    "answer": lambda pledge, me, now: seats.answer(pledge, me, True, now),
    "invite": lambda pledge, me, now: seats.invite(pledge, me, [f"p_{len(pledge.seats)}"], 5, now),
    "decide": lambda pledge, me, now: seats.decide(pledge, me, waiting(pledge), False, now),
    "leave": lambda pledge, me, now: seats.leave(pledge, me, now),
    "cancel": lambda pledge, me, now: drafting.cancel(pledge, me, now),
    "admit": lambda pledge, me, now: tasks.admit(pledge, me, 0, now),
    "agree": lambda pledge, me, now: tasks.agree(pledge, me, now),
    "dispute": lambda pledge, me, now: cases.dispute(pledge, me, "This is not what happened.", now),
    "appeal": lambda pledge, me, now: cases.appeal(pledge, me, "This is not what happened.", now),
    "add_evidence": lambda pledge, me, now: evidence.added(pledge, me, 0, now, "Look.", (), "e_1"),
    "chore_done": lambda pledge, me, now: stakes.chore_done(pledge, me, now),
}
OF_TASKS: dict[str, Callable[[Pledge, str, int, datetime], Change]] = {
    "report": lambda pledge, me, n, now: tasks.report(pledge, me, n, now),
    "stamp": lambda pledge, me, n, now: tasks.stamp(pledge, me, n, Verdict.DONE, now),
    "admit": lambda pledge, me, n, now: tasks.admit(pledge, me, n, now),
    "ask_check": lambda pledge, me, n, now: checks.ask(pledge, me, n, now),
    "answer_check": lambda pledge, me, n, now: checks.answer(pledge, me, n, asked(pledge, n), True, now),
}
#: besides what is tried: `fund` and `write` are other people's rules, `rule` is the desk's
BESIDES = {"fund", "write", "rule"}


def outcome(act: Callable[[], Change], pledge: Pledge) -> Change | None:
    """None where it is refused, or changes nothing."""
    try:
        change = act()
    except VouchError:
        return None
    return change if change != Change(pledge) else None


def agree(pledge: Pledge, now: datetime) -> Iterator[tuple[str, Change]]:
    """Everything that anybody may do now. Fails where what is offered is refused, or what works is not offered."""
    for person in (*PEOPLE, STRANGER):
        may = permits.can(pledge, person, now)
        assert may <= WHOLE.keys() | BESIDES
        for name, act in WHOLE.items():
            change = outcome(partial(act, pledge, person, now), pledge)
            assert (change is not None) == (name in may), (name, person, pledge.state)
            if change is not None:
                yield name, change
        if "fund" in may:
            yield "fund", stakes.pay(pledge, person, "key", now)
        for task in pledge.tasks:
            of_task = permits.task_can(pledge, task, person, now)
            assert of_task <= OF_TASKS.keys() | {"meet"}
            for name, act_on in OF_TASKS.items():
                change = outcome(partial(act_on, pledge, person, task.n, now), pledge)
                assert (change is not None) == (name in of_task), (name, person, task.n, pledge.state)
                if change is not None:
                    yield f"task:{name}", change
            if "meet" in of_task:
                assert person == pledge.owner


def settled(pledge: Pledge) -> Pledge:
    """What `Stakes` does with the states, as far as rules ask for it."""
    if pledge.state not in FINAL or pledge.stake.state in stakes.RESOLVED:
        if pledge.state not in (*WAITING, PledgeState.DRAFT) and pledge.stake.state is StakeState.CREATED:
            return turned(pledge, stake=replace(pledge.stake, state=StakeState.HELD))
        return pledge
    state = StakeState.RELEASED if pledge.stake.state is StakeState.HELD else StakeState.VOIDED
    return turned(pledge, stake=replace(pledge.stake, state=state))


def born(stake: StakeTerms, data: st.DataObject) -> Pledge:
    """Published a moment ago, by the owner or for them."""
    side = Side.SUPERVISOR if stake is REWARD else Side.OWNER
    me, owner = (TOM, OWNER) if side is Side.SUPERVISOR else (OWNER, None)
    most = data.draw(st.integers(1, 3), label="most")
    named = (
        [] if side is Side.SUPERVISOR else data.draw(st.lists(st.sampled_from([TOM, MAX]), unique=True), label="named")
    )
    words = terms(
        stake, most=max(most, len(named)), least=1, checks=CheckTerms(random=1, quiet_from="00:00", quiet_to="00:00")
    )
    wanted = NewPledge(id="k" * 16, side=side, terms=words, owner=owner, supervisors=named)
    draft = drafting.draft(ID, me, wanted, AT, link="l")
    assert permits.can(draft, me, AT) == {"edit", "publish", "delete"}
    assert not permits.can(draft, STRANGER, AT)
    return drafting.publish(draft, me, AT).pledge


def test_while_staff_looks_at_the_whole_no_task_waits_for_anybody() -> None:
    """Its first task is admitted, which decides it; the next could be done, but nobody takes a report any more."""
    running = pledge(DEPOSIT, words={"least": 3}, suspicions=(Suspicion(TOM, Flag.FAMILY),))
    now = AT + timedelta(days=1, hours=13)
    assert coming.waits_for(running, OWNER, now) == "report"
    looked_at = lifecycle.progress(tasks.admit(running, OWNER, 1, now), now).pledge
    assert looked_at.state is PledgeState.UNDER_REVIEW
    assert any(task.state is TaskState.OPEN and task.opens_at <= now for task in looked_at.tasks)
    for person in (OWNER, TOM):
        assert coming.waits_for(looked_at, person, now) == ""
        assert coming.next_for(looked_at, person, now) == (looked_at.cases[0].decide_until, "decided_by")


@pytest.mark.parametrize("stake", [DEPOSIT, REWARD, POINTS, CHORE, NOTHING], ids=lambda stake: stake.kind.value)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_lives_by_chance(stake: StakeTerms, data: st.DataObject) -> None:
    pledge, now = born(stake, data), AT
    if data.draw(st.booleans(), label="flagged"):
        pledge = turned(pledge, suspicions=(Suspicion(TOM, Flag.FAMILY),))
    for _ in range(data.draw(st.integers(4, 16), label="steps")):
        chances = list(agree(pledge, now))
        for person in PEOPLE:
            word = coming.waits_for(pledge, person, now)
            moment = coming.next_for(pledge, person, now)
            assert moment is None or moment[0] > now
            assert word == "" or person in (*concerned(pledge), pledge.drafted_by, *PEOPLE)
            if word in ("consent", "answer", "decide", "fund", "agree"):
                assert word in permits.can(pledge, person, now), (word, person)
            if word in ("report", "stamp"):
                assert any(word in permits.task_can(pledge, task, person, now) for task in pledge.tasks), (word, person)
        if pledge.state in FINAL and not chances:
            break
        hours = data.draw(st.sampled_from([0, 0, 0, 1, 7, 20, 60]), label="hours")
        if hours or not chances:
            now += timedelta(hours=hours or 12)
            change = timing.tick(pledge, now, lambda bound: data.draw(st.integers(0, bound - 1), label="draw"))
        else:
            _, change = data.draw(st.sampled_from(chances), label="act")
        pledge = settled(lifecycle.progress(change, now).pledge)
