"""The rules of money, without a database."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.money import rules
from server.money.folio import column, empty, enter, folio_id
from server.money.model import (
    MOST,
    PLATFORM_FEE,
    STAFF_DEPARTMENT,
    Account,
    Currency,
    Draft,
    Hold,
    Leg,
    Share,
    Transfer,
    TransferKind,
    available,
    clearing,
    held,
    owed,
)
from server.money.posting import Posting, touched
from tests.money.bank import CNY, SANDBOX, moving

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
AMOUNTS = st.integers(1, MOST)
WEIGHTS = st.lists(st.integers(0, 1_000_000), min_size=1, max_size=12).filter(any)


def refused(code: Code) -> pytest.RaisesExc[VouchError]:
    return pytest.RaisesExc(VouchError, check=lambda fault: fault.code is code)


@given(st.integers(0, MOST), WEIGHTS)
def test_a_split_sums_to_the_whole_and_nobody_is_a_minor_unit_off(whole: int, weights: list[int]) -> None:
    parts = rules.split(whole, weights)
    assert sum(parts) == whole
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(whole * weight, sum(weights))) < 1
        assert part == 0 or weight


@given(st.integers(0, MOST), WEIGHTS)
def test_a_larger_weight_never_gets_less_and_of_equal_ones_the_first_gets_the_rest(
    whole: int, weights: list[int]
) -> None:
    parts = rules.split(whole, weights)
    assert parts == rules.split(whole, weights)
    for i, one in enumerate(weights):
        for j, other in enumerate(weights):
            if one > other or (one == other and i < j):
                assert parts[i] >= parts[j]


def test_halves_and_thirds_of_what_does_not_divide() -> None:
    assert rules.split(101, [1, 1]) == [51, 50]
    assert rules.split(100, [1, 1, 1]) == [34, 33, 33]
    assert rules.split(1, [1, 2, 3]) == [0, 0, 1]
    assert rules.split(5, [0, 1]) == [0, 5]


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [1, -1], [2, -1]])
def test_nobody_to_split_it_among(weights: list[int]) -> None:
    with refused(Code.BAD_REQUEST):
        rules.split(10, weights)


@pytest.mark.parametrize("value", [0, -1, MOST + 1, 1.0, 12.5, "1", True, None])
def test_what_is_no_amount(value: Any) -> None:
    with refused(Code.BAD_REQUEST):
        rules.amount(value)


ANN, BOB = available("p_ann"), available("p_bob")


def draft(*legs: Leg, **changes: Any) -> Draft:
    return Draft(**{"key": "k", "kind": TransferKind.PAYMENT, "currency": CNY, "legs": legs, **changes})


@pytest.mark.parametrize(
    "wrong",
    [
        draft(),
        draft(Leg(ANN, 5)),
        draft(Leg(ANN, 0), Leg(BOB, 0)),
        draft(Leg(ANN, -5), Leg(BOB, 4)),
        draft(Leg(ANN, -5), Leg(ANN, 5)),
        draft(Leg(ANN, -MOST - 1), Leg(BOB, MOST + 1)),
        draft(Leg(ANN, -1.5), Leg(BOB, 1.5)),  # type: ignore[arg-type]
        draft(Leg(ANN, "-1"), Leg(BOB, 1)),  # type: ignore[arg-type]
        draft(Leg(ANN, True), Leg(BOB, -1)),
        draft(Leg(ANN, -5), Leg(BOB, 5), key=""),
        draft(Leg(ANN, -5), Leg(BOB, 5), key="k" * 201),
        draft(Leg(ANN, -5), Leg(BOB, 5), currency="XAU"),
        draft(Leg(ANN, -5), Leg(BOB, 5), note="x" * 501),
        draft(Leg(SANDBOX, -MOST), Leg(clearing("b"), -MOST), Leg(ANN, MOST), Leg(BOB, MOST)),
        draft(*(Leg(available(f"p_{n}"), n - 50 or 50) for n in range(101))),
    ],
)
def test_what_is_no_transfer(wrong: Draft) -> None:
    with refused(Code.BAD_REQUEST):
        rules.check_open(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        draft(Leg(held("p_ann"), -5), Leg(BOB, 5)),
        draft(Leg(ANN, -5), Leg(BOB, 5), hold="h_1"),
        draft(Leg(ANN, -5), Leg(BOB, 5), reverses="t_1"),
    ],
)
def test_held_money_and_reversals_are_the_ledgers_own_affair(wrong: Draft) -> None:
    rules.check(wrong)
    with refused(Code.BAD_REQUEST):
        rules.check_open(wrong)


def test_ids_come_from_keys_and_never_change() -> None:
    assert rules.id_of("t", "charge:y_1") == rules.id_of("t", "charge:y_1") == "t_bd3mq8n91vfebypsfvnb"
    assert len({rules.id_of(prefix, key) for prefix in "th" for key in ("", "a", "b")}) == 6


def hold(amount: int) -> Hold:
    return Hold(id="h_1", person="p_ann", amount=amount, currency=CNY, about="", at=AT)


def test_shares_of_one_account_are_one_leg_and_nobody_gets_nothing() -> None:
    shares = [Share(BOB, 1), Share(STAFF_DEPARTMENT, 1), Share(BOB, 1), Share(PLATFORM_FEE, 0)]
    assert rules.split_legs(hold(100), shares) == (
        Leg(held("p_ann"), -100),
        Leg(BOB, 67),
        Leg(STAFF_DEPARTMENT, 33),
    )
    for wrong in ([], [Share(held("p_bob"), 1)], [Share(owed("p_bob"), 1)]):
        with refused(Code.BAD_REQUEST):
            rules.split_legs(hold(100), wrong)


def transfer(*legs: Leg, kind: TransferKind = TransferKind.SPLIT) -> Transfer:
    return Transfer(id="t_1", at=AT, key="k", kind=kind, currency=CNY, legs=legs)


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=5),
    st.lists(st.integers(1, 10**6), max_size=5),
    st.integers(0, 10**6),
)
def test_claw_backs_in_parts_take_from_each_what_they_got(got: list[int], parts: list[int], funds: int) -> None:
    people = [available(f"p_{n}") for n in range(len(got))]
    original = transfer(Leg(ANN, -sum(got)), *(Leg(*pair) for pair in zip(people, got, strict=True)))
    done = rules.Reversal()
    for part in (*parts, None):
        left = sum(got) - done.amount
        if left == 0:
            break
        now, done = rules.reverse(original, done, None if part is None else min(part, left))
        legs = rules.claw_legs(now, dict.fromkeys(people, funds))
        assert sum(leg.amount for leg in legs) == 0
        assert sum(leg.amount for leg in legs if leg.account == ANN) == now.amount
        assert all(-leg.amount <= funds for leg in legs if leg.account in people)
        assert all(done.taken[person] <= most for person, most in zip(people, got, strict=True))
    assert done.taken == dict(zip(people, got, strict=True))
    with refused(Code.ALREADY):
        rules.reverse(original, done, None)


def test_what_came_back_to_the_one_who_gave_is_not_taken_from_them() -> None:
    original = transfer(Leg(held("p_ann"), -100), Leg(ANN, 40), Leg(STAFF_DEPARTMENT, 60))
    now, _ = rules.reverse(original, rules.Reversal(), None)
    assert (now.taken, now.given) == ({STAFF_DEPARTMENT: 60}, {ANN: 60})


@pytest.mark.parametrize("kind", [TransferKind.HOLD, TransferKind.REFUND, TransferKind.CLAW_BACK])
def test_what_cannot_be_taken_back(kind: TransferKind) -> None:
    with refused(Code.BAD_REQUEST):
        rules.moved(transfer(Leg(ANN, -5), Leg(BOB, 5), kind=kind))


def test_a_balance_neither_overflows_nor_falls_below_zero() -> None:
    folio = empty(folio_id(ANN, CNY, 3))
    full = enter(folio, [Leg(ANN, MOST)], AT)
    with refused(Code.AMOUNT_LIMIT):
        enter(full, [Leg(ANN, 1)], AT)
    with refused(Code.INSUFFICIENT_FUNDS):
        enter(folio, [Leg(held("p_ann"), -1)], AT)
    with refused(Code.BAD_REQUEST):
        enter(folio, [Leg(owed("p_ann"), 1)], AT)
    with refused(Code.AMOUNT_LIMIT):
        enter(enter(empty("CNY fee:platform#1"), [Leg(PLATFORM_FEE, -MOST)], AT), [Leg(PLATFORM_FEE, -1)], AT)


def test_accounts_of_the_house_have_a_folio_for_each_lane_and_people_one() -> None:
    assert folio_id(SANDBOX, CNY, 3) == "CNY clearing:sandbox#3"
    assert {folio_id(a, CNY, 3) for a in (ANN, held("p_ann"), owed("p_ann"))} == {"CNY p_ann"}
    assert [column(a) for a in (ANN, held("p_ann"), owed("p_ann"), SANDBOX)] == [0, 1, 2, 0]


@given(st.permutations(range(6)))
def test_payments_that_are_all_possible_commute(order: list[int]) -> None:
    """The same transfers in any order make the same balances."""
    people = [available(f"p_{n}") for n in range(3)]
    drafts = [moving(people[n % 3], people[(n + 1) % 3], 10 + n, key=f"k{n}") for n in range(6)]
    funds = [moving(SANDBOX, person, 1_000, key=f"f{person}") for person in people]

    def balances(drafts: list[Draft]) -> dict[str, tuple[int, ...]]:
        posting = Posting({name: empty(name) for name in touched(drafts, 0)}, 0, AT)
        for each in drafts:
            posting.enter(each)
        assert all(total == 0 for total in rules.sums(entry.transfer for entry in posting.entries).values())
        return {name: folio.balances for name, folio in posting.after.items()}

    assert balances(funds + [drafts[n] for n in order]) == balances(funds + drafts)


def test_accounts_are_written_and_read() -> None:
    for account in (ANN, SANDBOX, STAFF_DEPARTMENT):
        assert Account.parse(str(account)) == account
    for wrong in ("available", "available:", "gold:p_1"):
        with pytest.raises(ValueError, match=r"account|not a valid"):
            Account.parse(wrong)
    assert Currency.JPY in Currency
