"""Who may decide, and what: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.finance import rules
from server.finance.dispute_model import DecideDispute, DisputeState, DisputeVerdict
from server.finance.model import AdjustmentState, DifferenceState, Propose, ProposeClawBack, Run, Settle
from server.money.model import Currency, Leg, Transfer, TransferKind, available, clearing, held
from server.payments.model import Difference, DifferenceKind, Order, OrderKind, OrderState, Reconciliation

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIN, FAY, GUS = "p_lin", "p_fay", "p_gus"
PEOPLE = st.sampled_from([LIN, FAY, GUS, "p_hal"])


def order(**more: Any) -> Order:
    fields: dict[str, Any] = {"id": "y_1", "kind": OrderKind.CHARGE, "provider": "strict", "person": LIN, "by": LIN}
    fields |= {"amount": 100, "currency": Currency.CNY, "state": OrderState.DONE, "created_at": NOW, "changed_at": NOW}
    return Order(**(fields | more))


def code_of(act: Any, *arguments: Any, **named: Any) -> Code | None:
    try:
        act(*arguments, **named)
    except VouchError as fault:
        return fault.code
    return None


def propose(source: str = "fee:platform", target: str = f"available:{LIN}", by: str = FAY, amount: int = 5) -> Any:
    wanted = Propose("i" * 20, source, target, amount, Currency.CNY, "Twice")
    return rules.propose(wanted, by, id="ad_1", now=NOW)


@given(PEOPLE, PEOPLE, PEOPLE, st.sampled_from(OrderState))
def test_only_a_third_person_decides_about_an_order(person: str, by: str, actor: str, state: OrderState) -> None:
    asked = order(person=person, by=by, state=state)
    may = rules.may_decide_order(asked, actor)
    assert may == (state is OrderState.APPROVAL and actor not in (person, by))


@pytest.mark.parametrize(
    ("change", "disputable"),
    [
        ({}, True),
        ({"state": OrderState.SENT}, False),
        ({"state": OrderState.FAILED}, False),
        ({"refunded": 99}, True),
        ({"refunded": 100}, False),
        ({"refunded": 40, "disputed": 60}, False),
        ({"kind": OrderKind.PAY_OUT}, True),
        ({"changed_at": NOW - timedelta(days=120)}, True),
        ({"changed_at": NOW - timedelta(days=120, seconds=1)}, False),
    ],
)
def test_what_may_be_disputed(change: dict[str, Any], disputable: bool) -> None:
    found = order(**change)
    assert rules.disputable(found, NOW) is disputable
    refused = code_of(rules.open_dispute, found, LIN, "Wrong", id="di_1", now=NOW)
    assert refused == (None if disputable else Code.CONFLICT)


def test_only_ones_own_payment_and_with_words() -> None:
    assert code_of(rules.open_dispute, order(), FAY, "Wrong", id="di_1", now=NOW) == Code.NOT_FOUND
    for words in ("", "  ", "\u200b", "\n\t"):
        assert code_of(rules.open_dispute, order(), LIN, words, id="di_1", now=NOW) == Code.BAD_REQUEST
    assert rules.open_dispute(order(refunded=30), LIN, "Wrong", id="di_1", now=NOW).amount == 70


@given(PEOPLE, st.sampled_from(DisputeVerdict), st.none() | st.integers(1, 200), st.integers(0, 3))
def test_a_decision_is_taken_once_by_somebody_else(
    actor: str, verdict: DisputeVerdict, amount: int | None, seen: int
) -> None:
    dispute = rules.open_dispute(order(), LIN, "Wrong", id="di_1", now=NOW)
    decision = DecideDispute(seen, verdict, "Because", amount)
    refused = code_of(rules.decide_dispute, dispute, actor, decision, NOW)
    if actor == LIN:
        assert refused == Code.FORBIDDEN
    elif seen != 1:
        assert refused == Code.STALE
    elif verdict is DisputeVerdict.REFUSE and amount is not None:
        assert refused == Code.BAD_REQUEST
    elif amount is not None and amount > 100:
        assert refused == Code.AMOUNT_LIMIT
    else:
        decided = rules.decide_dispute(dispute, actor, decision, NOW)
        assert decided.giving == (0 if verdict is DisputeVerdict.REFUSE else amount or 100)
        assert code_of(rules.decide_dispute, decided, GUS, decision, NOW) == Code.ALREADY
        assert rules.may_decide_dispute(rules.reopened(decided), GUS)


@given(PEOPLE, PEOPLE, PEOPLE, PEOPLE)
def test_nobody_proposes_or_decides_what_moves_their_money(giver: str, gainer: str, proposer: str, actor: str) -> None:
    if giver == gainer:
        assert code_of(propose, f"available:{giver}", f"available:{gainer}", proposer) == Code.BAD_REQUEST
        return
    if proposer in (giver, gainer):
        assert code_of(propose, f"available:{giver}", f"available:{gainer}", proposer) == Code.FORBIDDEN
        return
    proposal = propose(f"available:{giver}", f"available:{gainer}", proposer)
    concerned = actor in (giver, gainer, proposer)
    assert rules.may_decide_adjustment(proposal, actor) is not concerned
    assert code_of(rules.decide_adjustment, proposal, actor, NOW) == (Code.FORBIDDEN if concerned else None)


def test_a_decided_adjustment_is_over() -> None:
    proposal = propose()
    for refused in (None, "No"):
        decided = rules.decide_adjustment(proposal, GUS, NOW, refused)
        assert decided.state is (AdjustmentState.DONE if refused is None else AdjustmentState.REFUSED)
        assert code_of(rules.decide_adjustment, decided, "p_hal", NOW) == Code.ALREADY
        assert code_of(rules.decide_adjustment, decided, "p_hal", NOW, "No") == Code.ALREADY
    assert code_of(rules.decide_adjustment, proposal, GUS, NOW, "  ") == Code.BAD_REQUEST


def test_a_repeat_is_the_same_proposal_only_when_it_asks_for_the_same() -> None:
    assert rules.same_proposal(propose(), msgspec.structs.replace(propose(), id="ad_2", at=NOW + timedelta(1)))
    assert not rules.same_proposal(propose(), propose(amount=6))
    assert not rules.same_proposal(propose(), propose(target=f"available:{GUS}"))


@pytest.mark.parametrize("text", ["", "nothing", "nothing:at_all", "available:", "held:p_lin", "owed:p_lin"])
def test_what_no_adjustment_moves(text: str) -> None:
    assert code_of(rules.account, text, "source") == Code.BAD_REQUEST


def gift(kind: TransferKind = TransferKind.PAYMENT, *legs: Leg) -> Transfer:
    given = legs or (Leg(available(LIN), -70), Leg(available(GUS), 70))
    return Transfer(key="k", kind=kind, currency=Currency.CNY, legs=given, id="t_1", at=NOW)


def test_what_people_received_may_be_taken_back() -> None:
    assert rules.received(gift()) == 70
    assert rules.received(gift(TransferKind.HOLD, Leg(available(LIN), -70), Leg(held(LIN), 70))) == 0
    assert rules.received(gift(TransferKind.PAY_OUT, Leg(held(LIN), -70), Leg(clearing("x"), 70))) == 0
    wanted = ProposeClawBack("i" * 20, "t_1", "Wrong person")
    proposal = rules.propose_claw_back(gift(), wanted, FAY, id="ad_1", now=NOW)
    assert (proposal.amount, proposal.gainers, proposal.losers) == (70, (LIN,), (GUS,))
    for actor in (LIN, GUS):
        assert code_of(rules.propose_claw_back, gift(), wanted, actor, id="ad_1", now=NOW) == Code.FORBIDDEN
    more = msgspec.structs.replace(wanted, amount=71)
    assert code_of(rules.propose_claw_back, gift(), more, FAY, id="ad_1", now=NOW) == Code.AMOUNT_LIMIT
    backwards = gift(TransferKind.CLAW_BACK)
    assert code_of(rules.propose_claw_back, backwards, wanted, FAY, id="ad_1", now=NOW) == Code.BAD_REQUEST


def compared(*mendable: bool) -> Run:
    run = Run(id="rc_1", key="k", provider="strict", since=NOW, until=NOW, by=FAY, at=NOW, lease=NOW)
    differences = [
        Difference(
            id=f"d{number}",
            kind=DifferenceKind.STATE,
            provider="strict",
            about=OrderKind.CHARGE,
            order="y_1",
            reference=None,
            person=LIN,
            ours=None,
            theirs=None,
            mendable=each,
        )
        for number, each in enumerate(mendable)
    ]
    found = Reconciliation(
        provider="strict", since=NOW, until=NOW, at=NOW, looked_at=9, caught_up=1, sums=[], differences=differences
    )
    return rules.finished(run, found, NOW)


def test_each_difference_is_settled_once() -> None:
    run = compared(True, False)
    assert rules.open_differences(run) == 2
    mended = rules.settle(run, 0, GUS, Settle(run.version, True, "Their word"))
    assert [line.state for line in mended.differences] == [DifferenceState.MENDED, DifferenceState.OPEN]
    assert code_of(rules.settle, mended, 0, FAY, Settle(mended.version, False, "x")) == Code.ALREADY
    assert code_of(rules.settle, mended, 1, FAY, Settle(run.version, False, "x")) == Code.STALE
    assert code_of(rules.settle, mended, 1, FAY, Settle(mended.version, True, "x")) == Code.CONFLICT
    assert code_of(rules.settle, mended, 2, FAY, Settle(mended.version, False, "x")) == Code.NOT_FOUND
    assert code_of(rules.settle, mended, -1, FAY, Settle(mended.version, False, "x")) == Code.NOT_FOUND
    assert code_of(rules.settle, mended, 1, FAY, Settle(mended.version, False, " ")) == Code.BAD_REQUEST
    assert rules.open_differences(rules.settle(mended, 1, FAY, Settle(mended.version, False, "x"))) == 0


def test_a_reason_fits_a_statement() -> None:
    """The ledger keeps no longer note."""
    assert code_of(rules.reason, "x" * 501) == Code.BAD_REQUEST
    assert rules.reason(" x\n\n y ") == rules.reason("x\n\n y")
    assert DisputeState.GIVING_BACK.value == "giving_back"
