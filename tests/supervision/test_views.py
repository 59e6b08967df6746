"""What each person sees of a pledge: votes are secret, words private, strangers see what is promised (R-02, R-12)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.errors import Code, VouchError
from server.supervision.model import (
    Case,
    CaseKind,
    Flag,
    Pledge,
    PledgeState,
    SeatState,
    StakeState,
    Suspicion,
    Verdict,
)
from server.supervision.rules import tasks
from server.supervision.rules.change import Attached, turned
from server.supervision.terms import StakeKind, StakeTerms, Visibility
from server.supervision.viewing import Viewer
from server.supervision.views import Admit, PledgeView, StakeView
from tests.chat.conftest import World
from tests.supervision.conftest import Stage
from tests.supervision.examples import ANN, AT, DEPOSIT, MAX, OWNER, POINTS, TOM, pledge, seat

EVENING = AT + timedelta(hours=20)


def seen(made: Pledge, me: str, *, whole: bool = True) -> PledgeView:
    """Without a database: nobody has a card."""
    stake = StakeView(
        kind=made.terms.stake.kind,
        state=made.stake.state,
        split=None,
        parts=[],
        payment=None,
        words=made.terms.stake.words,
        to=None,
        points=0,
        done=None,
    )
    return Viewer(made, me, EVENING, {}, whole=whole).view(stake)


def voted(*people: str) -> Pledge:
    """Of three, these have stamped the first task; two that it was done are a majority."""
    made = pledge(POINTS, TOM, MAX, ANN)
    for person in people:
        said = Attached("I saw it.", ("e_1",))
        made = tasks.stamp(made, person, 1, Verdict.DONE, EVENING, attached=said).pledge
    closed = tasks.close(made, EVENING)
    return closed.pledge if closed else made


def test_an_open_vote_is_known_to_those_who_have_voted() -> None:
    open = voted(TOM)
    for person, own, counted in ((TOM, 1, True), (MAX, 0, False), (OWNER, 0, False)):
        task = seen(open, person).tasks[0]
        assert (len(task.votes), task.tally is not None) == (own, counted), person
        assert (task.voted, task.voters) == (1, 3)
    tally = seen(open, TOM).tasks[0].tally
    assert tally is not None
    assert (tally.done, tally.not_done, tally.abstained, tally.of) == (1, 0, 0, 3)


def test_a_closed_vote_is_known_to_both_sides_and_to_nobody_else() -> None:
    closed = voted(TOM, MAX)
    for person in (TOM, MAX, ANN, OWNER):
        assert [vote.person.id for vote in seen(closed, person).tasks[0].votes] == [TOM, MAX]
    outside = seen(closed, "p_stranger", whole=False).tasks[0]
    assert (outside.votes, outside.tally, outside.reported, outside.can) == ([], None, None, [])
    assert outside.state.value == "kept"


def test_who_has_applied_is_for_those_who_decide() -> None:
    seats = [seat(TOM), seat(MAX, SeatState.APPLIED, words="Take me."), seat(ANN, SeatState.INVITED)]
    made = pledge(state=PledgeState.AWAITING_SUPERVISOR, seats=seats, words={"most": 3})
    assert len(seen(made, OWNER).seats) == 3
    assert [one.person.id for one in seen(made, TOM).seats] == [TOM]
    assert [(one.person.id, one.words) for one in seen(made, MAX, whole=False).seats] == [(TOM, ""), (MAX, "Take me.")]
    assert [one.person.id for one in seen(made, "p_stranger", whole=False).seats] == [TOM]


def test_the_words_of_a_message_are_nobody_elses_business() -> None:
    message = StakeTerms(kind=StakeKind.MESSAGE, words="I have not run.", to=ANN)
    made = pledge(message)
    assert seen(made, TOM).terms.stake.words == "I have not run."
    for stake in (seen(made, "p_stranger", whole=False).terms.stake, seen(made, ANN, whole=False).terms.stake):
        assert (stake.words, stake.to) == ("", None)
    outside = seen(made, "p_stranger", whole=False)
    assert (outside.stake.words, outside.stake.to) == ("", None)


def test_a_reviewer_is_not_named_to_those_whom_it_concerns() -> None:
    case = Case(
        id="c1",
        kind=CaseKind.DISPUTE,
        opened_by=TOM,
        opened_at=AT,
        evidence_until=EVENING,
        decide_until=EVENING,
        reviewer="p_sue",
    )
    made = pledge(DEPOSIT, state=PledgeState.DISPUTED, cases=(case,), suspicions=(Suspicion(TOM, Flag.FAMILY),))
    for person in (OWNER, TOM):
        (shown,) = seen(made, person).cases
        assert (shown.reviewer, shown.mine) == (None, False)
    (own,) = seen(made, "p_sue").cases
    assert own.mine
    assert own.reviewer is not None
    outside = seen(made, "p_stranger", whole=False)
    assert (outside.cases, outside.suspicions, outside.thread) == ([], [], False)


# ── Who finds it at all ─────────────────────────────────────────────────────────────────────────────────────────────


async def hidden(stage: Stage, id: str, *people: str, link: str = "") -> None:
    for person in people:
        with pytest.raises(VouchError) as refusal:
            await stage.supervision.views.of(await stage.load(id), person, link)
        assert refusal.value.code is Code.NOT_FOUND


async def roles(stage: Stage, id: str, *people: str, link: str = "") -> list[str]:
    views = [await stage.supervision.views.of(await stage.load(id), person, link) for person in people]
    return [view.role for view in views]


async def test_named_is_for_those_who_are_named_or_have_the_link(stage: Stage) -> None:
    emma, tom, max = await stage.friends("emma", "tom", "max")
    eve = await stage.person("eve")
    id = (await stage.put(emma, tom, link="l" * 22)).id
    assert await roles(stage, id, emma, tom) == ["owner", "supervisor"]
    await hidden(stage, id, max, eve)
    await hidden(stage, id, eve, link="l" * 21)
    assert await roles(stage, id, eve, link="l" * 22) == [""]
    await stage.services.people.friends.block(emma, eve)
    await hidden(stage, id, eve, link="l" * 22)
    for person, link in ((emma, "l" * 22), (tom, "")):
        assert (await stage.supervision.views.of(await stage.load(id), person)).link == link


async def test_friends_groups_and_everybody(stage: Stage) -> None:
    emma, tom, max = await stage.friends("emma", "tom", "max")
    eve, ann = await stage.people("eve", "ann")
    await stage.befriend(emma, ann)
    group = await World(stage.services).group(emma, ann)
    friends = (await stage.put(emma, tom, words={"visibility": Visibility.FRIENDS})).id
    assert await roles(stage, friends, max, ann) == ["", ""]
    await hidden(stage, friends, eve)
    of_group = (await stage.put(emma, tom, words={"visibility": Visibility.GROUP, "group": group})).id
    assert await roles(stage, of_group, ann) == [""]
    await hidden(stage, of_group, max, eve)
    public = (await stage.put(emma, tom, words={"visibility": Visibility.PUBLIC})).id
    assert await roles(stage, public, max, eve) == ["", ""]
    await stage.services.people.friends.block(eve, emma)
    await hidden(stage, public, eve)


async def test_who_has_left_still_reads_and_who_declined_sees_it_from_outside(stage: Stage) -> None:
    emma, tom, max = await stage.friends("emma", "tom", "max")
    left = turned(pledge(), seats=(seat(tom, SeatState.LEFT), seat(max, SeatState.DECLINED))).seats
    id = (await stage.put(emma, tom, seats=left)).id
    gone = await stage.supervision.views.of(await stage.load(id), tom)
    assert (gone.role, gone.thread) == ("", True)
    assert [one.person.id for one in gone.seats] == [tom]
    declined = await stage.supervision.views.of(await stage.load(id), max)
    assert (declined.thread, declined.cases, declined.can) == (False, [], [])


async def test_a_guardian_sees_and_pays_what_a_ward_promises(stage: Stage) -> None:
    mother, tom = await stage.people("mother", "tom")
    lin = await stage.person("lin", years=9)
    await stage.befriend(lin, mother, tom)
    made = await stage.put(
        lin,
        tom,
        stake=DEPOSIT,
        state=PledgeState.AWAITING_FUNDS,
        unpaid=True,
        expires_at=AT + timedelta(days=1),
    )
    await hidden(stage, made.id, mother)
    await stage.guard(lin, mother)
    view = await stage.supervision.views.of(await stage.load(made.id), mother)
    assert view.role == "payer"
    assert "fund" in view.can
    assert "fund" not in (await stage.supervision.views.of(await stage.load(made.id), lin)).can


async def test_who_is_to_have_a_chore_done_learns_of_it_when_it_is_owed(stage: Stage) -> None:
    emma, tom, ann = await stage.friends("emma", "tom", "ann")
    chore = StakeTerms(kind=StakeKind.CHORE, words="Wash the dishes", to=ann)
    made = await stage.put(emma, tom, stake=chore)
    await hidden(stage, made.id, ann)
    await stage.supervision.judging.admit(emma, made.id, Admit())
    await stage.pass_by(days=2)
    after = await stage.load(made.id)
    assert (after.state, after.stake.state) == (PledgeState.SETTLED, StakeState.RELEASED)
    view = await stage.supervision.views.of(after, ann)
    assert (view.terms.stake.words, view.can) == ("Wash the dishes", ["chore_done"])
