"""What may be promised, and what is refused with the field that does not fit: the rules alone (R-02, R-08 to R-12)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from server.errors import Code, VouchError
from server.money.model import Currency
from server.supervision.model import Side
from server.supervision.rules import schedule
from server.supervision.rules import terms as rules
from server.supervision.terms import RuleKind, StakeKind, StakeTerms, TaskTerms, VerdictRule, Visibility
from tests.supervision.examples import ANN, AT, DEPOSIT, NOTHING, OWNER, POINTS, REWARD, STAFF, TOM, terms

MESSAGE = StakeTerms(kind=StakeKind.MESSAGE, words="I have not run.", to=ANN)
CHORE = StakeTerms(kind=StakeKind.CHORE, words="Wash the dishes.", to=ANN)


@pytest.mark.parametrize(
    ("stake", "side", "more"),
    [
        (DEPOSIT, Side.OWNER, {}),
        (DEPOSIT, Side.SUPERVISOR, {}),
        (STAFF, Side.OWNER, {"template": "exercise"}),
        (REWARD, Side.SUPERVISOR, {}),
        (MESSAGE, Side.OWNER, {}),
        (CHORE, Side.OWNER, {}),
        (POINTS, Side.OWNER, {}),
        (NOTHING, Side.SUPERVISOR, {}),
        (POINTS, Side.OWNER, {"needed": 3, "most": 5, "least": 2, "rule": VerdictRule(RuleKind.K_OF_N, 2)}),
        (POINTS, Side.OWNER, {"visibility": Visibility.GROUP, "group": "c_1"}),
    ],
)
def test_what_fits_together_is_three_tasks(stake: StakeTerms, side: Side, more: dict[str, Any]) -> None:
    assert [task.n for task in rules.check(terms(stake, **more), side)] == [1, 2, 3]


def money(kind: StakeKind = StakeKind.DEPOSIT, **more: Any) -> StakeTerms:
    return StakeTerms(**{"kind": kind, "amount": 100, "currency": Currency.CNY, **more})


@pytest.mark.parametrize(
    ("field", "stake", "side", "more"),
    [
        ("title", POINTS, Side.OWNER, {"title": "  "}),
        ("zone", POINTS, Side.OWNER, {"zone": "Europe/Atlantis"}),
        ("tasks.0.title", POINTS, Side.OWNER, {"tasks": (TaskTerms(title=" ", due="2026-11-23T20:00"),)}),
        ("tasks.0.due", POINTS, Side.OWNER, {"tasks": (TaskTerms(title="Run", due="2026-11-31T20:00"),)}),
        ("needed", POINTS, Side.OWNER, {"needed": 4}),
        ("least", POINTS, Side.OWNER, {"least": 2, "most": 1}),
        ("rule.k", POINTS, Side.OWNER, {"rule": VerdictRule(RuleKind.MAJORITY, 1)}),
        ("rule.k", POINTS, Side.OWNER, {"rule": VerdictRule(RuleKind.K_OF_N)}),
        ("rule.k", POINTS, Side.OWNER, {"rule": VerdictRule(RuleKind.K_OF_N, 2), "most": 3}),
        ("group", POINTS, Side.OWNER, {"visibility": Visibility.GROUP}),
        ("group", POINTS, Side.OWNER, {"group": "c_1"}),
        ("stake.amount", money(amount=0), Side.OWNER, {}),
        ("stake.amount", money(currency=None), Side.OWNER, {}),
        ("stake.amount", StakeTerms(kind=StakeKind.NONE, amount=1), Side.OWNER, {}),
        ("stake.moves_if_kept", money(moves_if_kept=101), Side.OWNER, {}),
        ("stake.moves_if_failed", money(moves_if_failed=101), Side.OWNER, {}),
        ("stake.words", StakeTerms(kind=StakeKind.MESSAGE, words=" ", to=ANN), Side.OWNER, {}),
        ("stake.words", StakeTerms(kind=StakeKind.POINTS, points=1, words="And?"), Side.OWNER, {}),
        ("stake.to", StakeTerms(kind=StakeKind.CHORE, words="Wash"), Side.OWNER, {}),
        ("stake.to", money(to=ANN), Side.OWNER, {}),
        ("stake.points", StakeTerms(kind=StakeKind.POINTS), Side.OWNER, {}),
        ("stake.points", money(points=1), Side.OWNER, {}),
        ("template", STAFF, Side.OWNER, {}),
        ("template", POINTS, Side.OWNER, {"template": "exercise"}),
        ("stake.kind", STAFF, Side.SUPERVISOR, {"template": "exercise"}),
        ("most", STAFF, Side.OWNER, {"template": "exercise", "most": 2}),
        ("stake.moves_if_kept", money(StakeKind.STAFF, moves_if_kept=1), Side.OWNER, {"template": "exercise"}),
        ("stake.kind", REWARD, Side.OWNER, {}),
        ("stake.moves_if_failed", money(StakeKind.REWARD, moves_if_failed=1), Side.SUPERVISOR, {}),
    ],
)
def test_what_does_not_fit_names_its_field(field: str, stake: StakeTerms, side: Side, more: dict[str, Any]) -> None:
    with pytest.raises(VouchError) as refusal:
        rules.check(terms(stake, **more), side)
    assert (refusal.value.code, refusal.value.field) == (Code.BAD_REQUEST, f"terms.{field}")


def test_what_a_minor_promises_is_never_public() -> None:
    """R-02; by other ways it may be seen."""
    for visibility in Visibility:
        group = "c_1" if visibility is Visibility.GROUP else None
        wanted = terms(visibility=visibility, group=group)
        if visibility is Visibility.PUBLIC:
            with pytest.raises(VouchError, match="never public"):
                rules.check(wanted, Side.OWNER, minor=True)
        else:
            rules.check(wanted, Side.OWNER, minor=True)


@pytest.mark.parametrize(
    ("field", "supervisors", "stake", "most"),
    [
        ("supervisors", [OWNER], POINTS, 1),
        ("supervisors", [TOM, TOM], POINTS, 2),
        ("terms.most", [TOM, ANN], POINTS, 1),
        ("supervisors", [TOM], STAFF, 1),
        ("terms.stake.to", [TOM], StakeTerms(kind=StakeKind.CHORE, words="Wash", to=OWNER), 1),
    ],
)
def test_each_has_a_part_of_their_own(field: str, supervisors: list[str], stake: StakeTerms, most: int) -> None:
    with pytest.raises(VouchError) as refusal:
        rules.check_people(OWNER, supervisors, terms(stake, most=most))
    assert refusal.value.field == field


def test_it_expires_before_the_first_task_is_due() -> None:
    tasks = schedule.occurrences(terms())
    first = min(task.due_at for task in tasks)
    assert rules.expiry(tasks, AT, 14) == first
    assert rules.expiry(tasks, first - timedelta(days=3), 1) == first - timedelta(days=2)
    with pytest.raises(VouchError) as refusal:
        rules.expiry(tasks, first, 1)
    assert refusal.value.field == "terms.tasks"
