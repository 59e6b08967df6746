"""How several supervisors decide: by every rule, in every order, with whoever leaves."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.supervision.model import TaskState, Verdict, Vote
from server.supervision.rules.tally import Count, count, decided, needed, why_open
from server.supervision.terms import RuleKind, VerdictRule
from tests.supervision.examples import ANN, AT, MAX, OWNER, TOM, task

KEPT, MISSED = TaskState.KEPT, TaskState.MISSED

rules = st.builds(
    VerdictRule,
    st.sampled_from(RuleKind),
    st.integers(1, 20),
)


def vote(person: str, counts: bool | None) -> Vote:
    verdict = Verdict.ABSTAIN if counts is None else Verdict.DONE if counts else Verdict.NOT_DONE
    return Vote(person=person, verdict=verdict, at=AT + timedelta(days=1), counts=counts)


@pytest.mark.parametrize(
    ("kind", "k", "done", "not_done", "of", "found"),
    [
        (RuleKind.MAJORITY, 0, 2, 0, 3, KEPT),
        (RuleKind.MAJORITY, 0, 1, 1, 3, None),
        (RuleKind.MAJORITY, 0, 0, 2, 3, MISSED),
        (RuleKind.MAJORITY, 0, 2, 2, 4, None),  # a tie
        (RuleKind.MAJORITY, 0, 1, 0, 1, KEPT),
        (RuleKind.ALL, 0, 2, 0, 3, None),
        (RuleKind.ALL, 0, 3, 0, 3, KEPT),
        (RuleKind.ALL, 0, 0, 1, 3, MISSED),
        (RuleKind.ANY, 0, 1, 0, 3, KEPT),
        (RuleKind.ANY, 0, 0, 2, 3, None),
        (RuleKind.ANY, 0, 0, 3, 3, MISSED),
        (RuleKind.K_OF_N, 2, 2, 1, 3, KEPT),
        (RuleKind.K_OF_N, 2, 1, 1, 3, None),
        (RuleKind.K_OF_N, 2, 0, 2, 3, MISSED),
        (RuleKind.K_OF_N, 3, 2, 0, 2, None),  # somebody has left: nobody forfeits
        (RuleKind.K_OF_N, 3, 0, 2, 2, None),
        (RuleKind.ALL, 0, 0, 0, 0, None),
        (RuleKind.MAJORITY, 0, 0, 0, 0, None),
    ],
)
def test_rules(kind: RuleKind, k: int, done: int, not_done: int, of: int, found: TaskState | None) -> None:
    assert decided(Count(done, not_done, 0, of), VerdictRule(kind, k)) is found


@given(rules, st.lists(st.sampled_from([True, False, None]), max_size=8), st.integers(0, 4))
def test_what_is_decided_no_further_vote_changes(rule: VerdictRule, said: list[bool | None], open: int) -> None:
    of = len(said) + open
    found = decided(Count(said.count(True), said.count(False), said.count(None), of), rule)
    ends = set()
    for more in product([True, False, None], repeat=open):
        whole = [*said, *more]
        ends.add(decided(Count(whole.count(True), whole.count(False), whole.count(None), of), rule))
    if found is not None:
        assert ends == {found}
    elif open:
        assert len(ends) > 1 or ends == {None}, "it could have been known"


@given(rules, st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_both_sides_need_enough_of_those_who_supervise(rule: VerdictRule, done: int, not_done: int, more: int) -> None:
    of = done + not_done + more
    found = decided(Count(done, not_done, 0, of), rule)
    if found is KEPT:
        assert done >= needed(rule, of)
    if found is MISSED:
        assert not_done >= 1
        assert of - not_done < needed(rule, of)
    if needed(rule, of) > of:
        assert found is None


def test_who_has_left_is_not_counted() -> None:
    made = task(votes=(vote(TOM, True), vote(MAX, False), vote(ANN, None)))
    assert count(made, [TOM, MAX, ANN]) == Count(1, 1, 1, 3)
    assert count(made, [TOM, ANN, OWNER]) == Count(1, 0, 1, 3)
    assert count(made, [TOM, MAX, ANN]).complete
    assert not count(made, [TOM, OWNER]).complete


@pytest.mark.parametrize(
    ("counted", "kind", "why"),
    [
        (Count(1, 1, 0, 2), RuleKind.MAJORITY, "tie"),
        (Count(1, 0, 1, 2), RuleKind.MAJORITY, "tie"),
        (Count(0, 0, 2, 2), RuleKind.MAJORITY, "abstained"),
        (Count(0, 0, 0, 2), RuleKind.ALL, "silent"),
        (Count(2, 0, 0, 2), RuleKind.K_OF_N, "left"),
        (Count(0, 0, 0, 0), RuleKind.MAJORITY, "left"),
    ],
)
def test_staff_is_told_why(counted: Count, kind: RuleKind, why: str) -> None:
    assert why_open(counted, VerdictRule(kind, 3)) == why
