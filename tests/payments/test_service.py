"""Orders from their beginning to their end, through every fault of a provider, on the real database and ledger."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from server.errors import Code, VouchError
from server.money.model import Currency
from server.payments import rules
from server.payments.model import Order, OrderKind, OrderState, RemoteState
from server.payments.provider import ProviderFault
from tests.payments.stage import BO, CHEN, LIN, Stage, refusal

#: thousands of transactions on a machine that may be busy with other tests
pytestmark = pytest.mark.gen_test(timeout=180)


# ── The usual ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_charge_comes_in_once(stage: Stage) -> None:
    order = await stage.charge(12_34)
    assert (order.state, (order.url or "")[:20]) == (OrderState.OPEN, "https://pay.invalid/")
    assert await stage.has() == (0, 0, 0)
    stage.there(order, RemoteState.DONE)
    for sent in stage.provider.sent * 2:
        await stage.deliver(sent)
        await stage.work()
    done = await stage.payments.order(order.id)
    assert (done.state, done.due, done.fault) == (OrderState.DONE, None, None)
    assert await stage.has() == (12_34, 0, 0)
    await stage.holds_true()
    await stage.agrees()


async def test_a_charge_goes_back_in_parts_and_no_further(stage: Stage) -> None:
    charge = await stage.paid(10_00)
    refund = await stage.refund(charge, 4_00)
    assert (refund.state, refund.kind, refund.provider) == (OrderState.DONE, OrderKind.REFUND, charge.provider)
    assert await stage.has() == (6_00, 0, 0)
    assert await refusal(stage.refund(charge, 6_01)) is Code.AMOUNT_LIMIT
    rest = await stage.refund(charge)
    assert (rest.amount, rest.state) == (6_00, OrderState.DONE)
    assert await refusal(stage.refund(charge)) is Code.CONFLICT
    assert (await stage.payments.order(charge.id)).refunded == 10_00
    assert await stage.has() == (0, 0, 0)
    await stage.agrees()


async def test_what_is_spent_cannot_go_back(stage: Stage) -> None:
    charge = await stage.paid(10_00)
    await stage.pay_out(7_00)
    assert await refusal(stage.refund(charge)) is Code.INSUFFICIENT_FUNDS
    assert (await stage.payments.order(charge.id)).refunded == 0
    assert (await stage.refund(charge, 3_00)).state is OrderState.DONE


async def test_a_pay_out_is_set_aside_until_it_arrives(stage: Stage) -> None:
    await stage.paid(10_00)
    order = await stage.pay_out(8_00)
    assert (order.state, await stage.has()) == (OrderState.SENT, (2_00, 8_00, 0))
    stage.there(order, RemoteState.DONE)
    assert (await stage.payments.look(order)).state is OrderState.DONE
    assert await stage.has() == (2_00, 0, 0)
    await stage.agrees()


async def test_a_pay_out_that_does_not_arrive_is_given_back_once(stage: Stage) -> None:
    await stage.paid(10_00)
    order = await stage.pay_out(8_00, destination={"number": "1234567", "fails": "yes"})
    assert (order.state, order.fault) == (OrderState.FAILED, "closed_account")
    assert await stage.has() == (10_00, 0, 0)
    for sent in stage.provider.sent:
        await stage.deliver(sent)
    await stage.work()
    assert await stage.has() == (10_00, 0, 0)
    await stage.agrees()


async def test_the_same_key_is_one_order_and_other_content_a_conflict(stage: Stage) -> None:
    first, second = await asyncio.gather(stage.charge(key="k"), stage.charge(key="k"))
    assert first.id == second.id
    assert len(stage.provider.all()) == 1
    others: list[dict[str, Any]] = [{"amount": 11_00}, {"currency": Currency.EUR}, {"person": CHEN}, {"purpose": "p"}]
    for other in others:
        assert await refusal(stage.charge(key="k", **other)) is Code.IDEMPOTENCY_CONFLICT
    charge = await stage.paid()
    refund = await stage.refund(charge, 2_00, key="r")
    assert (await stage.refund(charge, 2_00, key="r")).id == refund.id
    assert (await stage.refund(charge, None, key="r")).id == refund.id
    assert await refusal(stage.refund(charge, 3_00, key="r")) is Code.IDEMPOTENCY_CONFLICT
    assert await refusal(stage.pay_out(2_00, key="r")) is Code.IDEMPOTENCY_CONFLICT
    assert await stage.has() == (8_00, 0, 0)


async def test_the_same_asked_twice_at_once_is_not_refused_to_the_slower(stage: Stage) -> None:
    """Though the faster one takes all there is."""
    charge = await stage.paid()
    refunds = await asyncio.gather(*(stage.refund(charge, None, key="all of it") for _ in range(5)))
    assert len({refund.id for refund in refunds}) == 1
    await stage.paid()
    pay_outs = await asyncio.gather(*(stage.pay_out(10_00, key="all again") for _ in range(5)))
    assert len({order.id for order in pay_outs}) == 1
    await stage.agrees()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"amount": 0}, Code.BAD_REQUEST),
        ({"amount": -5}, Code.BAD_REQUEST),
        ({"amount": 2**53}, Code.BAD_REQUEST),
        ({"amount": 100_000_001}, Code.AMOUNT_LIMIT),
        ({"currency": Currency.GBP}, Code.BAD_REQUEST),
        ({"provider": "nobody"}, Code.NOT_FOUND),
    ],
)
async def test_what_cannot_be_charged_is_not_kept(stage: Stage, asked: dict[str, Any], code: Code) -> None:
    assert await refusal(stage.charge(**asked)) is code
    assert (stage.provider.all(), await stage.open()) == ([], [])


async def test_where_money_goes_is_not_readable_in_the_database(stage: Stage) -> None:
    await stage.paid(10_00)
    order = await stage.pay_out(1_00, destination={"number": "DE02120300000000202051"})
    row = await stage.store.collection("payments").find_one({"_id": order.id})
    assert row is not None
    assert b"DE0212" not in bytes(row["destination"])
    assert "DE0212" not in str({name: value for name, value in row.items() if name != "destination"})
    assert (await stage.payments.order(order.id)).destination == {"number": "DE02120300000000202051"}


# ── Faults of the provider ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_provider_that_is_down_for_hours_costs_nothing_but_time(stage: Stage) -> None:
    charge = await stage.paid(20_00)
    stage.provider.down = True
    top_up = await stage.charge(5_00)
    refund, out = await stage.refund(charge, 4_00), await stage.pay_out(6_00)
    assert {top_up.state, refund.state, out.state} == {OrderState.WAITING}
    assert await stage.has() == (10_00, 10_00, 0)
    asked = stage.provider.asked
    await stage.pass_time(hours=1)
    waiting = await stage.payments.order(refund.id)
    assert (waiting.state, waiting.fault) == (OrderState.WAITING, "down")
    assert waiting.tries > 3
    assert 15 < stage.provider.asked - asked < 250  # it was left alone for longer and longer, not for good
    assert waiting.due is not None
    assert waiting.due - stage.clock.now() <= timedelta(seconds=rules.PAUSE_MOST * 1.25)
    stage.provider.down = False
    await stage.pass_time(hours=0.3)
    assert (await stage.payments.order(refund.id)).state is OrderState.DONE
    assert (await stage.payments.order(out.id)).state is OrderState.SENT
    # Nobody sits before a check-out page of an hour ago.
    assert (await stage.payments.order(top_up.id)).state is OrderState.EXPIRED
    assert await stage.has() == (10_00, 6_00, 0)
    await stage.agrees()


async def test_what_was_done_though_the_answer_was_lost_is_done_once(stage: Stage) -> None:
    charge = await stage.paid(20_00)
    stage.provider.lose = 1
    refund = await stage.refund(charge, 4_00)
    assert (refund.state, refund.tries) == (OrderState.WAITING, 1)
    await stage.pass_time(hours=0.1)
    assert (await stage.payments.order(refund.id)).state is OrderState.DONE
    stage.provider.lose = 1
    out = await stage.pay_out(5_00)
    await stage.pass_time(hours=0.1)
    assert (await stage.payments.order(out.id)).state is OrderState.SENT
    assert stage.remote(charge).refunded == 4_00
    await stage.agrees()


async def test_a_notice_wakes_what_waits(stage: Stage) -> None:
    stage.provider.lose = 1
    order = await stage.charge()
    assert order.state is OrderState.WAITING
    await stage.deliver(stage.provider.sent[0])
    await stage.work()
    assert (await stage.payments.order(order.id)).state is OrderState.OPEN


async def test_a_refusal_after_a_lost_answer_is_believed_only_when_nothing_was_done(stage: Stage) -> None:
    charge = await stage.paid(10_00)
    stage.provider.lose = 1
    refund = await stage.refund(charge)
    # It does not remember what it was asked, and all is given back already.

    async def forgetful(order: Order, charge: Order) -> object:
        raise ProviderFault("over_refund", certain=True)

    stage.provider.refund = forgetful  # type: ignore[method-assign, assignment]
    await stage.pass_time(hours=0.1)
    assert (await stage.payments.order(refund.id)).state is OrderState.DONE
    assert await stage.has() == (0, 0, 0)
    await stage.agrees()


async def test_what_the_provider_refuses_for_good_fails_and_goes_back(stage: Stage) -> None:
    charge = await stage.paid(10_00)
    stage.provider.refuse = 3
    assert ((await stage.charge()).state, (await stage.pay_out(1_00)).fault) == (OrderState.FAILED, "declined")
    assert (await stage.refund(charge)).state is OrderState.FAILED
    assert await stage.has() == (10_00, 0, 0)
    assert (await stage.payments.order(charge.id)).refunded == 0
    assert (await stage.refund(charge)).state is OrderState.DONE


# ── Payers, banks and the desk ──────────────────────────────────────────────────────────────────────────────────────


async def test_an_open_check_out_is_cancelled_there_too(stage: Stage) -> None:
    order = await stage.charge()
    cancelled = await stage.payments.cancel(order.id, LIN)
    assert (cancelled.state, stage.remote(order).state) == (OrderState.CANCELLED, RemoteState.CANCELLED)
    assert (await stage.payments.cancel(order.id, LIN)).state is OrderState.CANCELLED
    assert await refusal(stage.payments.cancel((await stage.paid()).id, LIN)) is Code.ALREADY


async def test_who_pays_before_it_is_cancelled_there_has_paid(stage: Stage) -> None:
    order = await stage.charge()
    stage.there(order, RemoteState.DONE)
    done = await stage.payments.cancel(order.id, LIN)
    assert (done.state, done.fault) == (OrderState.DONE, rules.PAID_LATE)
    assert await stage.has() == (10_00, 0, 0)


async def test_who_pays_after_the_end_has_paid(stage: Stage) -> None:
    """Expired here (the provider had forgotten it for a moment), and paid there."""
    stage.provider.down = True
    order = await stage.charge()
    stage.provider.down = False
    await stage.payments.cancel(order.id, LIN)
    assert (await stage.payments.order(order.id)).state is OrderState.CANCELLED
    remote = await stage.provider.charge(order, "", "en")  # a request that was under way for long
    stage.provider.settle(remote, RemoteState.DONE)
    await stage.deliver(stage.provider.sent[-1])
    await stage.work()
    done = await stage.payments.order(order.id)
    assert (done.state, done.fault) == (OrderState.DONE, rules.PAID_LATE)
    assert await stage.has() == (10_00, 0, 0)


async def test_a_check_out_that_appears_after_it_was_given_up_is_closed(stage: Stage) -> None:
    stage.provider.down = True
    order = await stage.charge()
    stage.provider.down = False
    await stage.payments.cancel(order.id, LIN)
    await stage.provider.charge(order, "", "en")
    await stage.deliver(stage.provider.sent[-1])
    await stage.pass_time(hours=0.1)
    assert (await stage.payments.order(order.id)).state is OrderState.CANCELLED
    assert stage.remote(order).state is RemoteState.CANCELLED


async def test_a_check_out_that_nobody_closes_is_closed(stage: Stage) -> None:
    order = await stage.charge()
    await stage.pass_time(hours=1)
    assert (await stage.payments.order(order.id)).state is OrderState.EXPIRED
    assert stage.remote(order).state is RemoteState.CANCELLED


async def test_a_check_out_that_its_provider_has_forgotten_ends_all_the_same(stage: Stage) -> None:
    left, cancelled = await stage.charge(), await stage.charge()
    for order in (left, cancelled):
        del stage.provider._things[(order.kind, order.id)]
    assert (await stage.payments.cancel(cancelled.id, LIN)).state is OrderState.CANCELLED
    await stage.pass_time(hours=0.4)
    assert (await stage.payments.order(left.id)).state is OrderState.OPEN  # it may come back to mind
    await stage.pass_time(hours=1)
    assert (await stage.payments.order(left.id)).state is OrderState.EXPIRED


async def test_another_amount_is_never_booked_by_itself(stage: Stage) -> None:
    order = await stage.charge(10_00)
    stage.provider._change(stage.remote(order), state=RemoteState.DONE, amount=9_00)
    resting = await stage.payments.look(order)
    assert (resting.state, resting.fault, resting.due) == (OrderState.SENT, rules.AMOUNT, None)
    await stage.pass_time(hours=1)
    assert await stage.has() == (0, 0, 0)
    since = stage.clock.now() - timedelta(days=1)
    found = await stage.payments.reconcile("strict", since, stage.clock.now() + timedelta(days=1))
    (difference,) = found.differences
    assert (difference.kind, difference.mendable, found.sums[0].theirs, found.sums[0].ours) == ("amount", True, 900, 0)
    assert await refusal(stage.payments.mend(difference, LIN)) is Code.FORBIDDEN
    mended = await stage.payments.mend(difference, BO)
    assert (mended.state, mended.amount) == (OrderState.DONE, 9_00)
    assert await stage.has() == (9_00, 0, 0)
    assert await refusal(stage.payments.mend(difference, BO)) is Code.ALREADY
    await stage.agrees()


async def test_what_the_bank_takes_back_is_owed_when_it_is_spent(stage: Stage) -> None:
    charge = await stage.paid(10_00)
    await stage.pay_out(7_00)
    for total, has in (
        (4_00, (0, 7_00, 1_00)),
        (10_00, (0, 7_00, 7_00)),
        (0, (3_00, 7_00, 0)),
        (10_00, (0, 7_00, 7_00)),
    ):
        stage.provider.dispute(stage.remote(charge), total)
        await stage.deliver(stage.provider.sent[-1])
        await stage.work()
        assert (await stage.has(), (await stage.payments.order(charge.id)).disputed) == (has, total)
    other = await stage.paid(8_00)
    assert await stage.has() == (1_00, 7_00, 0)  # the debt is paid first
    assert await refusal(stage.refund(charge)) is Code.CONFLICT
    assert rules.left(other) == 8_00
    await stage.holds_true()
    await stage.agrees()


@pytest.mark.parametrize("first", ["refund", "dispute"])
async def test_a_refund_that_races_a_dispute_ends_in_one_place(stage: Stage, first: str) -> None:
    charge = await stage.paid(10_00)
    stage.provider.down = True
    refund = await stage.refund(charge)
    stage.provider.down = False
    if first == "refund":
        await stage.pass_time(hours=0.1)
        stage.provider.dispute(stage.remote(charge), 10_00)  # and the bank does it all the same
    else:
        stage.provider.dispute(stage.remote(charge), 10_00)
    for sent in stage.provider.sent:
        await stage.deliver(sent)
    await stage.pass_time(hours=0.5)
    ended = await stage.payments.order(refund.id)
    if first == "refund":
        assert (ended.state, await stage.has()) == (OrderState.DONE, (0, 0, 10_00))
    else:
        assert (ended.state, ended.fault, await stage.has()) == (OrderState.FAILED, "over_refund", (0, 0, 0))
    await stage.holds_true()
    await stage.agrees()


async def test_a_pay_out_that_comes_back_is_the_persons_again(stage: Stage) -> None:
    await stage.paid(10_00)
    order = await stage.pay_out(8_00)
    stage.there(order, RemoteState.DONE)
    await stage.payments.look(order)
    stage.there(order, RemoteState.FAILED, fault="closed_account")
    await stage.deliver(stage.provider.sent[-1])
    await stage.work()
    back = await stage.payments.order(order.id)
    assert (back.state, back.fault) == (OrderState.FAILED, rules.RETURNED)
    assert await stage.has() == (10_00, 0, 0)
    await stage.agrees()


async def test_four_eyes(stage: Stage) -> None:
    await stage.paid(10_00)
    order = await stage.pay_out(8_00, approval=True)
    assert (order.state, await stage.has()) == (OrderState.APPROVAL, (2_00, 8_00, 0))
    await stage.pass_time(hours=1)
    assert len(stage.provider.all()) == 1  # the charge
    for nobody in (LIN, order.by):
        assert await refusal(stage.payments.approve(order.id, nobody)) is Code.FORBIDDEN
        assert await refusal(stage.payments.refuse(order.id, nobody, "no")) is Code.FORBIDDEN
    assert (await stage.payments.approve(order.id, BO)).approved_by == BO
    assert await refusal(stage.payments.approve(order.id, CHEN)) is Code.ALREADY
    await stage.work()
    assert (await stage.payments.order(order.id)).state is OrderState.SENT
    other = await stage.pay_out(1_00, approval=True)
    refused = await stage.payments.refuse(other.id, BO, "This account is not theirs.")
    assert (refused.state, refused.fault, refused.reason) == (
        OrderState.FAILED,
        rules.NOT_APPROVED,
        "This account is not theirs.",
    )
    assert await stage.has() == (2_00, 8_00, 0)
    third = await stage.pay_out(1_00, approval=True)
    assert (await stage.payments.cancel(third.id, LIN)).state is OrderState.CANCELLED
    assert await stage.has() == (2_00, 8_00, 0)
    assert await refusal(stage.payments.cancel(order.id, LIN)) is Code.CONFLICT


# ── News and hooks ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_news_and_hooks_join_the_transaction(stage: Stage) -> None:
    seen: list[tuple[str, OrderState]] = []
    failing = [True]

    async def hook(tx: object, order: Order) -> None:
        if failing:
            raise VouchError(Code.TRY_LATER)
        seen.append((order.id, order.state))

    stage.payments.on_done(hook)
    order = await stage.charge()
    stage.there(order, RemoteState.DONE)
    with pytest.raises(AssertionError):
        assert (await stage.payments.look(order)).state is OrderState.DONE
    assert await stage.has() == (0, 0, 0)
    failing.clear()
    await stage.payments.look(await stage.payments.order(order.id))
    assert seen == [(order.id, OrderState.DONE)]
    rows = await stage.store.collection("outbox").find({"ch": f"inbox:{LIN}"}).to_list(None)
    told = [(row["kind"], row["body"]["state"]) for row in sorted(rows, key=lambda row: row["order"])]
    assert told == [("payment_changed", "waiting"), ("payment_changed", "open"), ("payment_changed", "done")]
    await stage.pay_out(1_00, by="system", destination={"number": "1234567", "fails": "yes"})
    kinds = {row["kind"] for row in await stage.store.collection("outbox").find({}).to_list(None)}
    assert "payment_ended" in kinds


async def test_lists(stage: Stage) -> None:
    made = [await stage.charge(person=LIN if number % 2 else CHEN) for number in range(7)]
    first, following = await stage.payments.of_person(LIN, None, 2)
    rest, end = await stage.payments.of_person(LIN, following, 2)
    mine = [order.id for order in reversed(made) if order.person == LIN]
    assert ([order.id for order in [*first, *rest]], end) == (mine, None)
    for state, count in ((OrderState.OPEN, 7), (OrderState.DONE, 0), (None, 7)):
        assert len((await stage.payments.in_state(state, None, 50))[0]) == count
    page, following = await stage.payments.in_state(OrderState.OPEN, None, 4)
    rest, end = await stage.payments.in_state(OrderState.OPEN, following, 4)
    assert [order.id for order in [*page, *rest]] == [order.id for order in reversed(made)]
    assert end is None
    assert len(await stage.payments.open_of(CHEN)) == 4
