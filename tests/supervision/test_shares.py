"""Whose money it is in each outcome: parts that sum to the stake, to the last fen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.money.model import MOST, Currency
from server.supervision.model import FINAL, WAITING, Outcome, Part, Pledge, PledgeState, Stake, StakeState
from server.supervision.rules import stakes
from server.supervision.rules.change import turned
from server.supervision.rules.shares import Due, Party, dues, moves
from server.supervision.rules.stakes import Move
from server.supervision.terms import MONEY, StakeKind, StakeTerms
from tests.supervision.examples import ANN, AT, DEPOSIT, MAX, OWNER, POINTS, REWARD, STAFF, TOM, pledge

KEY = "k" * 16


@st.composite
def stake_terms(draw: st.DrawFn) -> StakeTerms:
    kind = draw(st.sampled_from(sorted(MONEY)))
    amount = draw(st.integers(1, MOST))
    parts = st.integers(0, amount)
    return StakeTerms(
        kind=kind,
        amount=amount,
        currency=Currency.CNY,
        moves_if_kept=0 if kind is StakeKind.STAFF else draw(parts),
        moves_if_failed=0 if kind is StakeKind.REWARD else draw(parts),
    )


@given(stake_terms(), st.sampled_from(Outcome), st.integers(0, 20), st.integers(0, 20))
def test_nothing_is_lost_and_nobody_has_less_than_nothing(
    terms: StakeTerms, outcome: Outcome, seated: int, unknown: int
) -> None:
    people = [f"p_{n}" for n in range(seated)]
    parts = dues(terms, outcome, OWNER, people, TOM, unknown=unknown)
    assert sum(part.amount for part in parts) == terms.amount
    assert all(part.amount > 0 for part in parts)


@given(stake_terms(), st.sampled_from(Outcome), st.integers(1, 20))
def test_supervisors_have_alike(terms: StakeTerms, outcome: Outcome, seated: int) -> None:
    people = [f"p_{n}" for n in range(seated)]
    parts = {
        part.person: part.amount for part in dues(terms, outcome, OWNER, people, TOM) if part.party == "supervisor"
    }
    amounts = [parts.get(person, 0) for person in people]
    assert max(amounts) - min(amounts) <= 1
    assert amounts == sorted(amounts, reverse=True), "what cannot be divided goes to the first"


@given(stake_terms(), st.integers(0, 20))
def test_what_is_void_goes_back_to_who_paid(terms: StakeTerms, seated: int) -> None:
    (back,) = dues(terms, Outcome.VOID, OWNER, [f"p_{n}" for n in range(seated)], TOM)
    assert (back.amount, back.payee) == (terms.amount, TOM)


@given(stake_terms())
def test_staff_takes_nothing_of_what_is_kept_and_a_reward_comes_back_when_it_failed(terms: StakeTerms) -> None:
    assert moves(terms, Outcome.VOID) == 0
    if terms.kind is StakeKind.STAFF:
        assert moves(terms, Outcome.KEPT) == 0
    if terms.kind is StakeKind.REWARD:
        assert moves(terms, Outcome.FAILED) == 0


@pytest.mark.parametrize(
    ("terms", "outcome", "expected"),
    [
        (DEPOSIT, Outcome.KEPT, [("owner", OWNER, 100_00)]),
        (
            DEPOSIT,
            Outcome.FAILED,
            [
                ("supervisor", TOM, 20_00),
                ("supervisor", MAX, 20_00),
                ("supervisor", ANN, 20_00),
                ("owner", OWNER, 40_00),
            ],
        ),
        (STAFF, Outcome.KEPT, [("owner", OWNER, 50_00)]),
        (STAFF, Outcome.FAILED, [("department", None, 50_00)]),
        (REWARD, Outcome.KEPT, [("owner", OWNER, 70_00), ("payer", TOM, 10_00)]),
        (REWARD, Outcome.FAILED, [("payer", TOM, 80_00)]),
    ],
)
def test_each_kind(terms: StakeTerms, outcome: Outcome, expected: list[tuple[str, str | None, int]]) -> None:
    payer = TOM if terms.kind is StakeKind.REWARD else OWNER
    found = dues(terms, outcome, OWNER, [TOM, MAX, ANN], payer)
    assert [(part.party, part.person, part.amount) for part in found] == expected


def test_supervisors_who_are_not_known_yet_are_counted() -> None:
    first, _ = dues(DEPOSIT, Outcome.FAILED, OWNER, [], OWNER, unknown=3)
    assert first == Due(Party.SUPERVISOR, None, 60_00, many=3)


def test_with_no_supervisor_left_it_goes_back() -> None:
    (back,) = dues(DEPOSIT, Outcome.FAILED, OWNER, [], OWNER)
    assert back.amount == 100_00


# ── The stake's own machine ─────────────────────────────────────────────────────────────────────────────────────────


def unpaid(
    stake: Stake | None = None, state: PledgeState = PledgeState.AWAITING_FUNDS, terms: StakeTerms = DEPOSIT
) -> Pledge:
    return pledge(terms, TOM, MAX, state=state, stake=stake or Stake(), expires_at=AT + timedelta(days=7))


def refused(code: Code, rule: Callable[[], object]) -> None:
    with pytest.raises(VouchError) as refusal:
        rule()
    assert refusal.value.code is code


def test_it_is_paid_once() -> None:
    change = stakes.pay(unpaid(), OWNER, KEY, AT)
    paid = change.pledge
    assert (paid.stake.state, paid.stake.payer, paid.stake.held_at) == (StakeState.HELD, OWNER, AT)
    assert change.lines[0].body == {"state": "held", "amount": 100_00, "currency": "CNY"}
    assert [news.person for news in change.news] == [TOM, MAX], "nobody is told of what they did themselves"
    assert stakes.pay(paid, OWNER, KEY, AT).pledge == paid, "the same request again"
    refused(Code.ALREADY, lambda: stakes.pay(paid, OWNER, "other" * 4, AT))
    refused(Code.ALREADY, lambda: stakes.pay(paid, TOM, KEY, AT))


@pytest.mark.parametrize("state", [state for state in PledgeState if state not in WAITING])
def test_nobody_pays_what_is_a_draft_or_is_over(state: PledgeState) -> None:
    refused(Code.CONFLICT, lambda: stakes.pay(unpaid(state=state), OWNER, KEY, AT))


def test_what_was_never_paid_is_not_paid_by_asking_again() -> None:
    page = stakes.authorise(unpaid(), OWNER, KEY, "y_1", AT).pledge
    void = turned(page, state=PledgeState.EXPIRED, stake=msgspec.structs.replace(page.stake, state=StakeState.VOIDED))
    refused(Code.ALREADY, lambda: stakes.pay(void, OWNER, KEY, AT, "y_1"))


@pytest.mark.parametrize("state", sorted(WAITING))
def test_it_can_be_paid_from_publication_on_until_it_expires(state: PledgeState) -> None:
    assert stakes.pay(unpaid(state=state), OWNER, KEY, AT).pledge.stake.state is StakeState.HELD
    refused(Code.CONFLICT, lambda: stakes.pay(unpaid(state=state), OWNER, KEY, AT + timedelta(days=7)))


def test_where_no_money_is_at_stake_nobody_pays() -> None:
    refused(Code.CONFLICT, lambda: stakes.pay(unpaid(terms=POINTS), OWNER, KEY, AT))


def test_one_check_out_at_a_time() -> None:
    page = stakes.authorise(unpaid(), OWNER, KEY, "y_1", AT).pledge
    assert page.stake == Stake(state=StakeState.AUTHORISED, payer=OWNER, key=KEY, order="y_1")
    assert stakes.authorise(page, OWNER, KEY, "y_1", AT).pledge == page
    refused(Code.CONFLICT, lambda: stakes.may_open(page, AT))
    refused(Code.CONFLICT, lambda: stakes.authorise(page, OWNER, KEY, "y_2", AT))
    refused(Code.CONFLICT, lambda: stakes.pay(page, OWNER, "wallet" * 3, AT))
    assert stakes.close(page, "y_2").pledge == page
    assert stakes.close(page, "y_1").pledge.stake == Stake(payer=OWNER)
    assert stakes.pay(page, OWNER, KEY, AT, "y_1").pledge.stake.state is StakeState.HELD
    assert stakes.pay(page, OWNER, "", AT, "y_2").pledge.stake.order == "y_2", "paid at a page opened before"


def test_what_was_paid_before_the_page_is_known_stays_paid() -> None:
    paid = stakes.pay(unpaid(), OWNER, "", AT, "y_1").pledge
    assert stakes.authorise(paid, OWNER, KEY, "y_1", AT).pledge == paid
    refused(Code.ALREADY, lambda: stakes.authorise(paid, OWNER, KEY, "y_2", AT))


def test_whoever_receives_for_a_minor_now_is_asked() -> None:
    asked = unpaid(Stake(state=StakeState.AUTHORISED, payer=TOM, order="y_1", key=KEY))
    change = stakes.ask(asked, MAX)
    assert change.pledge.stake == Stake(payer=MAX)
    assert [news.person for news in change.news] == [MAX]
    assert stakes.ask(change.pledge, MAX).pledge == change.pledge
    paid = stakes.pay(unpaid(), TOM, KEY, AT).pledge
    assert stakes.ask(paid, MAX).pledge == paid, "what was paid is of who paid it"


def test_each_move_is_asked_for_once() -> None:
    before, paid = unpaid(), stakes.pay(unpaid(), OWNER, KEY, AT).pledge
    assert stakes.move(before, paid) is Move.HOLD
    assert stakes.move(paid, paid) is Move.NONE
    for state in FINAL:
        assert stakes.move(paid, turned(paid, state=state)) is Move.SETTLE
        assert stakes.move(before, turned(before, state=state)) is Move.VOID
        for resolved in stakes.RESOLVED:
            over = turned(paid, state=state, stake=Stake(state=resolved))
            assert stakes.move(paid, over) is Move.NONE


def test_what_is_no_money_is_at_stake_from_the_beginning() -> None:
    before = unpaid(terms=POINTS)
    begun = turned(before, state=PledgeState.ACTIVE)
    assert stakes.move(before, before) is Move.NONE
    assert stakes.move(before, begun) is Move.HOLD


def test_only_what_is_settled_follows_the_outcome() -> None:
    failed = pledge(DEPOSIT, outcome=Outcome.FAILED)
    assert stakes.outcome(turned(failed, state=PledgeState.SETTLED)) is Outcome.FAILED
    assert stakes.outcome(turned(failed, state=PledgeState.CANCELLED)) is Outcome.VOID
    assert stakes.outcome(turned(failed, state=PledgeState.SETTLED, outcome=None)) is Outcome.VOID


@pytest.mark.parametrize(
    ("payees", "state"),
    [([TOM], StakeState.RELEASED), ([OWNER], StakeState.REFUNDED), ([TOM, OWNER], StakeState.SPLIT)],
)
def test_how_it_has_gone(payees: list[str], state: StakeState) -> None:
    parts = tuple(Part(f"available:{payee}", payee, payee, 1) for payee in payees)
    assert stakes.resolved(parts, OWNER) is state


def test_a_chore_is_done_when_it_was_done_for_says_so() -> None:
    chore = StakeTerms(kind=StakeKind.CHORE, words="Wash up", to=MAX)
    owed = pledge(chore, state=PledgeState.SETTLED, stake=Stake(state=StakeState.RELEASED))
    done = stakes.chore_done(owed, MAX, AT)
    assert done.pledge.stake.done_at == AT
    assert [news.person for news in done.news] == [OWNER]
    refused(Code.ALREADY, lambda: stakes.chore_done(done.pledge, MAX, AT))
    refused(Code.NOT_FOUND, lambda: stakes.chore_done(owed, OWNER, AT))
    refused(Code.CONFLICT, lambda: stakes.chore_done(turned(owed, stake=Stake(state=StakeState.REFUNDED)), MAX, AT))
