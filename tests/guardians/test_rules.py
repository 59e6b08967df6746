"""How guardians come and go: pure, and as a machine over everything that people and staff do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from server.errors import Code, VouchError
from server.guardians import rules
from server.guardians.model import LinkState, Ward
from server.guardians.rules import Change, Done

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
WARD, ANN, BEN, EVE = "p_ward", "p_ann", "p_ben", "p_eve"


def linked(*guardians: str) -> Ward:
    ward = Ward(id=WARD)
    for minutes, guardian in enumerate(guardians):
        at = AT + timedelta(minutes=minutes)
        ward = rules.ask(ward, guardian, guardian, at).ward
        ward = rules.confirm(ward, WARD, guardian, at).ward
    return ward


def code(refused: pytest.ExceptionInfo[VouchError]) -> Code:
    return refused.value.code


@pytest.mark.parametrize("asker", [WARD, ANN])
def test_either_side_asks_and_the_other_confirms(asker: str) -> None:
    other = ANN if asker == WARD else WARD
    asked = rules.ask(Ward(id=WARD), asker, ANN, AT)
    assert asked.news == ((ANN, Done.REQUESTED),)
    assert (asked.ward.payee, asked.ward.guardians) == (None, ())
    assert rules.ask(asked.ward, asker, ANN, AT).ward is asked.ward
    with pytest.raises(VouchError) as refused:
        rules.confirm(asked.ward, asker, ANN, AT)
    assert code(refused) is Code.NOT_FOUND
    done = rules.confirm(asked.ward, other, ANN, AT)
    assert done.news == ((ANN, Done.CONFIRMED), (ANN, Done.PAYEE))
    assert (done.ward.payee, done.ward.guardians) == (ANN, (ANN,))
    assert rules.confirm(done.ward, other, ANN, AT).ward is done.ward
    with pytest.raises(VouchError) as refused:
        rules.ask(done.ward, asker, ANN, AT)
    assert code(refused) is Code.ALREADY


def test_asking_back_confirms() -> None:
    asked = rules.ask(Ward(id=WARD), ANN, ANN, AT)
    assert rules.ask(asked.ward, WARD, ANN, AT).ward.payee == ANN


def test_nobody_is_their_own_guardian() -> None:
    with pytest.raises(VouchError) as asked:
        rules.ask(Ward(id=WARD), WARD, WARD, AT)
    with pytest.raises(VouchError) as appointed:
        rules.appoint(Ward(id=WARD), WARD, AT)
    assert code(asked) is code(appointed) is Code.BAD_REQUEST


def test_requests_are_withdrawn_and_declined() -> None:
    asked = rules.ask(Ward(id=WARD), ANN, ANN, AT).ward
    assert rules.end(asked, ANN, ANN).news == ((ANN, Done.WITHDRAWN),)
    assert rules.end(asked, WARD, ANN).news == ((ANN, Done.DECLINED),)
    with pytest.raises(VouchError) as refused:
        rules.end(Ward(id=WARD), WARD, ANN)
    assert code(refused) is Code.NOT_FOUND


def test_the_one_who_was_guardian_for_longest_follows_the_payee() -> None:
    family = linked(ANN, BEN, EVE)
    assert family.payee == ANN
    gone = rules.end(family, WARD, ANN)
    assert gone.news == ((ANN, Done.ENDED), (BEN, Done.PAYEE))
    assert rules.end(rules.end(gone.ward, BEN, BEN).ward, WARD, EVE).ward.payee is None


def test_the_payee_hands_over_and_nobody_else() -> None:
    family = linked(ANN, BEN)
    assert rules.hand_over(family, ANN, BEN).news == ((BEN, Done.PAYEE),)
    assert rules.hand_over(family, ANN, ANN).ward is family
    for me, to, expected in ((BEN, BEN, Code.FORBIDDEN), (WARD, BEN, Code.FORBIDDEN), (ANN, EVE, Code.NOT_FOUND)):
        with pytest.raises(VouchError) as refused:
            rules.hand_over(family, me, to)
        assert code(refused) is expected


def test_staff_revoke_the_old_and_appoint_the_new_in_one_step() -> None:
    family = linked(ANN, BEN)
    changed = rules.appoint(family, EVE, AT)
    assert changed.news == ((ANN, Done.ENDED), (EVE, Done.PAYEE))
    assert (changed.ward.payee, set(changed.ward.guardians)) == (EVE, {BEN, EVE})
    other = rules.appoint(family, BEN, AT).ward
    assert (other.payee, other.guardians) == (BEN, (BEN,))
    with pytest.raises(VouchError) as refused:
        rules.appoint(other, BEN, AT)
    assert code(refused) is Code.ALREADY
    assert rules.appoint(Ward(id=WARD), ANN, AT).ward.payee == ANN


def test_at_most_six_stand_with_a_ward() -> None:
    family = linked(*(f"p_{n}" for n in range(rules.MOST_LINKS)))
    with pytest.raises(VouchError) as refused:
        rules.ask(family, WARD, EVE, AT)
    assert code(refused) is Code.LIMIT_REACHED


def test_everything_ends_with_the_birthday() -> None:
    grown = rules.come_of_age(rules.ask(linked(ANN, BEN), EVE, EVE, AT).ward)
    assert (grown.ward.links, grown.ward.payee) == ((), None)
    assert grown.news == ((ANN, Done.OF_AGE), (BEN, Done.OF_AGE))
    assert rules.come_of_age(Ward(id=WARD)).ward.version == 0


people = st.sampled_from([ANN, BEN, EVE])


class Families(RuleBasedStateMachine):
    """Whatever anybody does in any order: there is a payee exactly when there are guardians, and it is one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.ward = Ward(id=WARD)
        self.minute = 0

    def do(self, change: Change) -> None:
        before = self.ward
        self.ward = change.ward
        assert (change.ward is before) or change.ward.version == before.version + 1
        if change.ward is before:
            assert change.news == ()
        assert rules.power_changed(before, self.ward) is (
            (before.payee, set(before.guardians)) != (self.ward.payee, set(self.ward.guardians))
        )

    def now(self) -> datetime:
        self.minute += 1
        return AT + timedelta(minutes=self.minute)

    def refused(self, act: Callable[[], Change]) -> Code | None:
        """What somebody was told who may not; None when it was done."""
        try:
            self.do(act())
        except VouchError as refusal:
            return refusal.code
        return None

    @rule(guardian=people, by_ward=st.booleans(), what=st.sampled_from(["ask", "confirm", "end"]))
    def between_two(self, guardian: str, by_ward: bool, what: str) -> None:
        me, at = WARD if by_ward else guardian, self.now()
        acts = {
            "ask": lambda: rules.ask(self.ward, me, guardian, at),
            "confirm": lambda: rules.confirm(self.ward, me, guardian, at),
            "end": lambda: rules.end(self.ward, me, guardian),
        }
        link = self.ward.link(guardian)
        expected = {
            "ask": Code.ALREADY if link is not None and link.state is LinkState.ACTIVE else None,
            "confirm": Code.NOT_FOUND
            if link is None or (link.state is LinkState.REQUESTED and link.asker == me)
            else None,
            "end": Code.NOT_FOUND if link is None else None,
        }
        assert self.refused(acts[what]) == expected[what]

    @rule(me=people, guardian=people)
    def hand_over(self, me: str, guardian: str) -> None:
        expected = None if guardian in self.ward.guardians else Code.NOT_FOUND
        if me != self.ward.payee:
            expected = Code.FORBIDDEN
        assert self.refused(lambda: rules.hand_over(self.ward, me, guardian)) == expected

    @rule(guardian=people)
    def appoint(self, guardian: str) -> None:
        expected = Code.ALREADY if self.ward.payee == guardian else None
        at = self.now()
        assert self.refused(lambda: rules.appoint(self.ward, guardian, at)) == expected
        assert self.ward.payee == guardian

    @rule(guardian=people)
    def forget(self, guardian: str) -> None:
        self.do(rules.forget(self.ward, guardian))
        assert self.ward.link(guardian) is None

    @invariant()
    def the_payee_is_a_guardian(self) -> None:
        assert (self.ward.payee is None) is (self.ward.guardians == ())
        assert self.ward.payee is None or self.ward.payee in self.ward.guardians
        assert len({link.guardian for link in self.ward.links}) == len(self.ward.links)
        assert all(link.asker in (WARD, link.guardian) for link in self.ward.links)
        active = [link.guardian for link in self.ward.links if link.state is LinkState.ACTIVE]
        assert sorted(active) == sorted(self.ward.guardians)


TestFamilies = Families.TestCase
TestFamilies.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
