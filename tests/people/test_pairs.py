"""How two people stand: the state machine under any sequence of actions (R-01)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.people import pairs
from server.people.model import Pair, PairState, Relation
from tests.attempts import attempt

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ANN, BEN = "p_ann", "p_ben"
ACTIONS: dict[str, Callable[[Pair, str], pairs.Change]] = {
    "request": lambda pair, me: pairs.request(pair, me, "hello", AT),
    "accept": lambda pair, me: pairs.accept(pair, me, AT),
    "decline": pairs.decline,
    "withdraw": lambda pair, me: pairs.withdraw(pair, me, AT),
    "remove": lambda pair, me: pairs.remove(pair, me, AT),
    "block": lambda pair, me: pairs.block(pair, me, AT),
    "unblock": pairs.unblock,
    "forget": lambda pair, me: pairs.forget(pair, AT),
}
STEPS = st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.sampled_from([ANN, BEN])), max_size=25)


def play(*steps: tuple[str, str]) -> Pair:
    pair = pairs.new_pair(ANN, BEN)
    for action, me in steps:
        pair = ACTIONS[action](pair, me).pair
    return pair


def relations(pair: Pair) -> tuple[Relation, Relation]:
    return pairs.relation(pair, ANN), pairs.relation(pair, BEN)


@given(STEPS)
def test_whatever_they_do_the_pair_stays_sound(steps: list[tuple[str, str]]) -> None:
    pair = pairs.new_pair(ANN, BEN)
    for action, me in steps:
        other = pair.other(me)
        change = attempt(partial(ACTIONS[action], pair, me))
        if isinstance(change, VouchError):
            assert change.code in (Code.NOT_FOUND, Code.BLOCKED, Code.ALREADY)
            continue
        after = change.pair
        if after is pair:
            assert change.news == ()
            continue
        # Every change has a version of its own, and nobody is told twice of it.
        assert after.version == pair.version + 1
        assert len({person for person, _ in change.news}) == len(change.news)
        # What a person is not told of, that person does not see either.
        told = {person for person, _ in change.news}
        for person in (ANN, BEN):
            if person not in told:
                assert pairs.relation(after, person) == pairs.relation(pair, person)
        # Nobody makes a friend of somebody who has not agreed.
        if after.state is PairState.FRIENDS:
            assert pair.asker is not None
            assert pair.asker != me
        # A block leaves nothing between the two, and only its author undoes it.
        if after.blocked_by:
            assert after.state is PairState.NONE
        if action != "forget":
            assert (other in after.blocked_by) == (other in pair.blocked_by)
        assert (after.asker is not None) == (after.state in (PairState.REQUESTED, PairState.DECLINED))
        pair = after


@given(STEPS)
def test_a_blocked_person_cannot_come_near(steps: list[tuple[str, str]]) -> None:
    pair = play(("block", ANN))
    for action, _ in steps:
        if action == "forget":
            continue
        change = attempt(partial(ACTIONS[action], pair, BEN))
        pair = pair if isinstance(change, VouchError) else change.pair
    assert relations(pair)[0] is Relation.BLOCKED
    assert pair.state is PairState.NONE


@pytest.mark.parametrize(
    ("steps", "ann", "ben"),
    [
        ([], Relation.NONE, Relation.NONE),
        ([("request", ANN)], Relation.OUTGOING, Relation.INCOMING),
        ([("request", ANN), ("request", ANN)], Relation.OUTGOING, Relation.INCOMING),
        ([("request", ANN), ("accept", BEN)], Relation.FRIEND, Relation.FRIEND),
        ([("request", ANN), ("request", BEN)], Relation.FRIEND, Relation.FRIEND),
        ([("request", ANN), ("accept", BEN), ("accept", BEN)], Relation.FRIEND, Relation.FRIEND),
        ([("request", ANN), ("decline", BEN)], Relation.OUTGOING, Relation.NONE),
        ([("request", ANN), ("decline", BEN), ("request", ANN)], Relation.OUTGOING, Relation.NONE),
        ([("request", ANN), ("decline", BEN), ("request", BEN)], Relation.FRIEND, Relation.FRIEND),
        ([("request", ANN), ("decline", BEN), ("withdraw", ANN)], Relation.NONE, Relation.NONE),
        ([("request", ANN), ("withdraw", ANN)], Relation.NONE, Relation.NONE),
        ([("request", ANN), ("accept", BEN), ("remove", ANN)], Relation.NONE, Relation.NONE),
        ([("request", ANN), ("accept", BEN), ("block", BEN)], Relation.NONE, Relation.BLOCKED),
        ([("block", BEN), ("block", ANN)], Relation.BLOCKED, Relation.BLOCKED),
        ([("block", BEN), ("block", ANN), ("unblock", BEN)], Relation.BLOCKED, Relation.NONE),
        ([("block", BEN), ("unblock", BEN), ("request", ANN)], Relation.OUTGOING, Relation.INCOMING),
        ([("request", ANN), ("accept", BEN), ("forget", BEN)], Relation.NONE, Relation.NONE),
    ],
)
def test_stories(steps: list[tuple[str, str]], ann: Relation, ben: Relation) -> None:
    assert relations(play(*steps)) == (ann, ben)


@pytest.mark.parametrize(
    ("steps", "action", "me", "code"),
    [
        ([], "accept", BEN, Code.NOT_FOUND),
        ([], "decline", BEN, Code.NOT_FOUND),
        ([], "withdraw", ANN, Code.NOT_FOUND),
        ([], "remove", ANN, Code.NOT_FOUND),
        ([("request", ANN)], "accept", ANN, Code.NOT_FOUND),
        ([("request", ANN)], "decline", ANN, Code.NOT_FOUND),
        ([("request", ANN)], "withdraw", BEN, Code.NOT_FOUND),
        ([("request", ANN)], "remove", BEN, Code.NOT_FOUND),
        ([("request", ANN), ("decline", BEN)], "accept", BEN, Code.NOT_FOUND),
        ([("request", ANN), ("accept", BEN)], "request", ANN, Code.ALREADY),
        ([("block", BEN)], "request", ANN, Code.BLOCKED),
        ([("block", ANN)], "request", ANN, Code.BLOCKED),
    ],
)
def test_refusals(steps: list[tuple[str, str]], action: str, me: str, code: Code) -> None:
    with pytest.raises(VouchError) as caught:
        ACTIONS[action](play(*steps), me)
    assert caught.value.code is code


def test_a_decline_is_silent() -> None:
    change = pairs.decline(play(("request", ANN)), BEN)
    assert [person for person, _ in change.news] == [BEN]
    assert (change.pair.note, change.pair.at) == ("hello", AT)


def test_a_note_is_kept_with_its_request_only() -> None:
    assert play(("request", ANN)).note == "hello"
    assert play(("request", ANN), ("accept", BEN)).note == ""


def test_nobody_is_a_pair_alone() -> None:
    with pytest.raises(VouchError, match="bad_request"):
        pairs.new_pair(ANN, ANN)
    assert pairs.new_pair(BEN, ANN).id == pairs.new_pair(ANN, BEN).id == "p_ann|p_ben"
