"""What becomes of an order, whatever it is and whatever a provider says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from server.errors import Code, VouchError
from server.money.model import Currency
from server.payments import differences, rules
from server.payments.model import FINAL, DifferenceKind, Order, OrderKind, OrderState, Remote, RemoteState, Terms
from server.payments.rules import Ask, Booking, Entry, Silence, Step

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TERMS = Terms(charges={Currency.CNY: (1, 10_000_00)})
LIN, BO = "p_lin", "p_bo"


def an_order(**more: Any) -> Order:
    usual: dict[str, Any] = {
        "id": "y_1",
        "kind": OrderKind.CHARGE,
        "provider": "strict",
        "person": LIN,
        "amount": 10_00,
        "currency": Currency.CNY,
        "state": OrderState.OPEN,
        "by": LIN,
        "asked": True,
        "due": NOW,
        "created_at": NOW,
        "changed_at": NOW,
    }
    order = Order(**(usual | more))
    if order.kind is OrderKind.CHARGE or order.hold is not None:
        return order
    return msgspec.structs.replace(order, hold="h_1", charge="y_0" if order.kind is OrderKind.REFUND else None)


def a_remote(order: Order, state: RemoteState, **more: Any) -> Remote:
    usual: dict[str, Any] = {
        "kind": order.kind,
        "reference": "r_1",
        "order": order.id,
        "state": state,
        "amount": order.amount,
        "currency": order.currency,
    }
    return Remote(**(usual | more))


orders = st.builds(
    an_order,
    kind=st.sampled_from(OrderKind),
    state=st.sampled_from([state for state in OrderState if state is not OrderState.APPROVAL]),
    stopping=st.booleans(),
    tries=st.integers(0, 30),
    changed_at=st.integers(-100_000, 100_000).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    fault=st.sampled_from([None, "down", rules.AMOUNT, rules.PAID_LATE]),
)
silences = st.builds(Silence, code=st.sampled_from(["down", "declined", "unknown"]), certain=st.booleans())
jitters = st.floats(0, 1, exclude_max=True)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Order, Remote | Silence | None]:
    order = draw(orders)
    if draw(st.integers(0, 4)) == 0:
        return order, draw(silences | st.none())
    more: dict[str, Any] = {"disputed": draw(st.integers(0, 12_00))} if order.kind is OrderKind.CHARGE else {}
    if draw(st.integers(0, 5)) == 0:
        more["amount"] = draw(st.integers(1, 20_00))
    return order, a_remote(order, draw(st.sampled_from(RemoteState)), **more)


@settings(max_examples=300, deadline=None)
@given(case=cases(), jitter=jitters)
def test_whatever_is_said_of_whatever(case: tuple[Order, Remote | Silence | None], jitter: float) -> None:
    order, answer = case
    ask = rules.question(order, TERMS, NOW)
    step = rules.settle(order, ask, answer, NOW, jitter)
    if step is None:
        return
    after, entries = step.order, [booking.entry for booking in step.bookings]
    for name in ("id", "kind", "provider", "person", "amount", "currency", "hold", "charge", "created_at"):
        assert getattr(after, name) == getattr(order, name), name
    came = order.state is not OrderState.DONE and after.state is OrderState.DONE
    assert (Entry.CHARGED in entries) == (came and order.kind is OrderKind.CHARGE)
    assert (Entry.SENT in entries) == (came and order.kind is not OrderKind.CHARGE)
    ended = order.state not in FINAL and after.state in FINAL and after.state is not OrderState.DONE
    assert (Entry.GIVEN_BACK in entries) == (ended and order.hold is not None)
    assert (Entry.RETURNED in entries) == (order.state is OrderState.DONE and after.fault == rules.RETURNED)
    assert all(booking.amount > 0 for booking in step.bookings)
    moved = sum({Entry.TAKEN_BACK: 1, Entry.WON: -1}.get(one.entry, 0) * one.amount for one in step.bookings)
    assert moved == after.disputed - order.disputed
    if not isinstance(answer, Remote) or answer.amount != order.amount:
        assert not {Entry.CHARGED, Entry.SENT, Entry.TAKEN_BACK, Entry.WON} & set(entries)
    if after.due is not None:
        assert NOW <= after.due <= NOW + rules.DUE_MOST
    if entries or after.state is not order.state:
        assert step.telling
    if step.free:
        assert (order.kind, step.free) == (OrderKind.REFUND, order.amount)


@settings(max_examples=300, deadline=None)
@given(case=cases(), jitter=jitters)
def test_the_same_word_again_books_nothing(case: tuple[Order, Remote | Silence | None], jitter: float) -> None:
    order, answer = case
    step = rules.settle(order, rules.question(order, TERMS, NOW), answer, NOW, jitter)
    after = step.order if step is not None else order
    again = rules.settle(after, rules.question(after, TERMS, NOW), answer, NOW, jitter)
    if isinstance(answer, Silence):
        return  # a refusal of something else is another word
    assert again is None or again.bookings == ()
    assert again is None or not again.free


@given(totals=st.lists(st.integers(-5, 15_00), max_size=12))
def test_what_banks_take_and_give_stands_on_transfers_that_bear_it(totals: list[int]) -> None:
    order = an_order(state=OrderState.DONE)
    stands = {rules.charge_key(order.id): order.amount}
    for version, total in enumerate(totals):
        order = msgspec.structs.replace(order, version=version)
        order, bookings = rules.disputed_to(order, total)
        for booking in bookings:
            if booking.entry is Entry.WON:
                assert booking.of not in stands
                stands[booking.of] = booking.amount
            else:
                stands[booking.of] -= booking.amount
        assert min(stands.values()) >= 0
        assert sum(stands.values()) == order.amount - order.disputed
        assert 0 <= order.disputed <= order.amount


@given(tries=st.integers(0, 10_000), jitter=jitters)
def test_pauses_grow_to_some_minutes(tries: int, jitter: float) -> None:
    assert rules.PAUSE_FIRST * 0.75 <= rules.pause(tries, jitter).total_seconds() <= rules.PAUSE_MOST * 1.25


def test_what_is_asked() -> None:
    late = {"changed_at": NOW - timedelta(hours=2)}
    for order, ask in (
        (an_order(state=OrderState.WAITING), Ask.CHARGE),
        (an_order(state=OrderState.WAITING, kind=OrderKind.REFUND, **late), Ask.REFUND),
        (an_order(state=OrderState.WAITING, kind=OrderKind.PAY_OUT, **late), Ask.PAY_OUT),
        (an_order(state=OrderState.WAITING, **late), Ask.FIND),
        (an_order(state=OrderState.WAITING, stopping=True), Ask.FIND),
        (an_order(), Ask.FIND),
        (an_order(stopping=True), Ask.CANCEL),
        (an_order(**late), Ask.CANCEL),
        (an_order(state=OrderState.SENT, stopping=True), Ask.FIND),
        (an_order(state=OrderState.DONE, **late), Ask.FIND),
    ):
        assert rules.question(order, TERMS, NOW) is ask


def test_nobody_is_asked_about_what_waits_for_approval() -> None:
    order = an_order(state=OrderState.APPROVAL, kind=OrderKind.PAY_OUT)
    for answer in (None, Silence("declined", certain=True), a_remote(order, RemoteState.DONE)):
        assert rules.settle(order, Ask.FIND, answer, NOW, 0.5) is None


@pytest.mark.parametrize("who", [LIN, "p_chen"])
def test_who_asked_or_gains_decides_nothing(who: str) -> None:
    order = an_order(state=OrderState.APPROVAL, kind=OrderKind.PAY_OUT, by="p_chen")
    with pytest.raises(VouchError) as caught:
        rules.approve(order, who, NOW)
    assert caught.value.code is Code.FORBIDDEN
    approved = rules.approve(order, BO, NOW).order
    assert (approved.state, approved.approved_by, approved.due, approved.asked) == (OrderState.WAITING, BO, NOW, True)


def test_what_is_on_its_way_is_not_called_back() -> None:
    unasked = an_order(state=OrderState.WAITING, kind=OrderKind.PAY_OUT, asked=False)
    step = rules.cancel(unasked, NOW)
    assert step is not None
    assert step.bookings == (Booking(Entry.GIVEN_BACK, 10_00),)
    for order in (
        an_order(state=OrderState.WAITING, kind=OrderKind.PAY_OUT),
        an_order(state=OrderState.SENT, kind=OrderKind.REFUND),
        an_order(state=OrderState.SENT),
    ):
        assert not rules.cancellable(order)
        with pytest.raises(VouchError) as caught:
            rules.cancel(order, NOW)
        assert caught.value.code is Code.CONFLICT


@given(case=cases())
def test_what_agrees_with_the_provider_does_not_differ(case: tuple[Order, Remote | Silence | None]) -> None:
    """An order that has been settled by a word and is not put off for people says the same as that word."""
    order, answer = case
    if not isinstance(answer, Remote):
        return
    step = rules.settle(order, rules.question(order, TERMS, NOW), answer, NOW, 0.5)
    after = step.order if step is not None else order
    decided = after.fault in (rules.AMOUNT, rules.STATE)
    assert decided or differences.kind(after, answer) is None or after.due is not None


@given(case=cases())
def test_what_is_mended_does_not_differ_any_more(case: tuple[Order, Remote | Silence | None]) -> None:
    order, answer = case
    if not isinstance(answer, Remote) or (what := differences.kind(order, answer)) is None:
        return
    if not differences.difference("strict", what, order, answer, NOW).mendable:
        with pytest.raises(VouchError) as caught:
            differences.mended(what, order, answer, NOW)
        assert caught.value.code is Code.CONFLICT
        return
    step: Step = differences.mended(what, order, answer, NOW)
    refunded = step.order.refunded
    assert differences.kind(step.order, answer, min(refunded, answer.refunded)) in (
        None,
        DifferenceKind.REFUNDED,
    )
    assert step.bookings
