"""Our books beside the provider's list: what differs is found, told apart, and put right only where that is safe."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from server.errors import Code, VouchError
from server.money.model import Currency
from server.payments.model import Difference, Order, OrderKind, OrderState, Reconciliation, Remote, RemoteState
from tests.payments.stage import BO, Stage

#: thousands of transactions on a machine that may be busy with other tests
pytestmark = pytest.mark.gen_test(timeout=180)


async def reconciled(stage: Stage) -> Reconciliation:
    day = timedelta(days=1)
    return await stage.payments.reconcile("strict", stage.clock.now() - day, stage.clock.now() + day)


async def the_one(stage: Stage) -> Difference:
    (difference,) = (await reconciled(stage)).differences
    return difference


async def put(stage: Stage, order: Order, **changes: Any) -> None:
    """Changes what the provider has, as if somebody had done so there."""
    stage.provider.invent(msgspec.structs.replace(stage.remote(order), **changes))


async def test_where_all_is_well_nothing_differs(stage: Stage) -> None:
    charge = await stage.paid(10_00)
    await stage.refund(charge, 4_00)
    out = await stage.pay_out(2_00)
    stage.there(out, RemoteState.DONE)
    await stage.payments.look(out)
    await stage.charge()
    stage.provider.dispute(stage.remote(await stage.paid(3_00)), 3_00)
    found = await reconciled(stage)  # the dispute's notice never came
    assert (found.differences, found.looked_at, found.caught_up) == ([], 5, 1)
    assert [(one.currency, one.theirs, one.ours) for one in found.sums] == [(Currency.CNY, 4_00, 4_00)]
    assert await stage.has() == (4_00, 0, 0)
    await stage.agrees()


async def test_what_no_notice_told_is_caught_up_with(stage: Stage) -> None:
    order = await stage.charge()
    stage.there(order, RemoteState.DONE)
    found = await reconciled(stage)
    assert (found.caught_up, found.differences) == (1, [])
    assert await stage.has() == (10_00, 0, 0)


async def test_a_refund_that_came_back_unheard_is_caught_up_with(stage: Stage) -> None:
    charge = await stage.paid(10_00)
    refund = await stage.refund(charge)
    stage.there(refund, RemoteState.FAILED)
    assert (await reconciled(stage)).differences == []
    assert (await stage.payments.order(charge.id)).refunded == 0
    assert await stage.has() == (10_00, 0, 0)
    await stage.holds_true()
    await stage.agrees()


async def test_money_that_nobody_has_asked_for_is_shown_to_people(stage: Stage) -> None:
    stage.provider.invent(
        Remote(
            kind=OrderKind.CHARGE,
            reference="by hand",
            order=None,
            state=RemoteState.DONE,
            amount=5_00,
            currency=Currency.CNY,
            at=stage.clock.now(),
        )
    )
    difference = await the_one(stage)
    assert (difference.kind, difference.order, difference.reference, difference.mendable) == (
        "missing_here",
        None,
        "by hand",
        False,
    )
    with pytest.raises(VouchError) as caught:
        await stage.payments.mend(difference, BO)
    assert caught.value.code is Code.CONFLICT
    assert (await the_one(stage)).id == difference.id


async def test_what_the_provider_does_not_know_is_shown_to_people(stage: Stage) -> None:
    order = await stage.paid()
    del stage.provider._things[(order.kind, order.id)]
    difference = await the_one(stage)
    assert (difference.kind, difference.order, difference.mendable) == ("missing_there", order.id, False)


async def test_a_refund_made_at_the_provider_by_hand_is_taken_back_when_the_desk_says_so(stage: Stage) -> None:
    order = await stage.paid(10_00)
    await put(stage, order, refunded=3_00)
    difference = await the_one(stage)
    assert (difference.kind, difference.mendable) == ("refunded", True)
    assert await stage.has() == (10_00, 0, 0)
    mended = await stage.payments.mend(difference, BO)
    assert (mended.refunded, await stage.has()) == (3_00, (7_00, 0, 0))
    assert (await reconciled(stage)).differences == []
    rest = await stage.refund(order)
    assert (rest.amount, await stage.has()) == (7_00, (0, 0, 0))
    assert (await reconciled(stage)).differences == []


async def test_a_pay_out_that_was_given_back_and_left_after_all_is_owed(stage: Stage) -> None:
    await stage.paid(10_00)
    stage.provider.refuse = 1
    order = await stage.pay_out(8_00)
    assert (order.state, await stage.has()) == (OrderState.FAILED, (10_00, 0, 0))
    remote = await stage.provider.pay_out(order)
    stage.provider.settle(remote, RemoteState.DONE)
    await stage.deliver(stage.provider.sent[-1])
    await stage.work()
    assert (await stage.payments.order(order.id)).fault == "state"
    assert await stage.has() == (10_00, 0, 0)  # not by itself
    difference = await the_one(stage)
    assert (difference.kind, difference.about, difference.mendable) == ("state", "pay_out", True)
    await stage.payments.mend(difference, BO)
    assert await stage.has() == (10_00, 0, 8_00)
    await stage.paid(1_00)
    assert await stage.has() == (3_00, 0, 0)
    await stage.agrees()
    assert (await reconciled(stage)).differences == []


@pytest.mark.parametrize(("left", "has"), [(6_00, (4_00, 0, 0)), (9_00, (2_00, 0, 1_00))])
async def test_a_pay_out_of_another_amount_rests_until_it_is_mended(
    stage: Stage, left: int, has: tuple[int, int, int]
) -> None:
    await stage.paid(10_00)
    order = await stage.pay_out(8_00)
    await put(stage, order, amount=left, state=RemoteState.DONE)
    resting = await stage.payments.look(order)
    assert (resting.fault, await stage.has()) == ("amount", (2_00, 8_00, 0))
    difference = await the_one(stage)
    assert (difference.kind, difference.mendable) == ("amount", True)
    mended = await stage.payments.mend(difference, BO)
    assert (mended.state, mended.amount, await stage.has()) == (OrderState.DONE, left, has)
    assert (await reconciled(stage)).differences == []
    await stage.agrees()


async def test_a_charge_that_the_provider_takes_back_altogether_is_taken_back(stage: Stage) -> None:
    order = await stage.paid(10_00)
    await put(stage, order, state=RemoteState.FAILED)
    difference = await the_one(stage)
    assert (difference.kind, difference.mendable, await stage.has()) == ("state", True, (10_00, 0, 0))
    await stage.payments.mend(difference, BO)
    assert await stage.has() == (0, 0, 0)
    assert (await reconciled(stage)).differences == []


async def test_another_currency_is_another_amount(stage: Stage) -> None:
    order = await stage.charge(10_00)
    await put(stage, order, state=RemoteState.DONE, currency=Currency.EUR, amount=1_20)
    await stage.payments.look(order)
    difference = await the_one(stage)
    assert (difference.kind, difference.theirs and difference.theirs.currency) == ("amount", Currency.EUR)
    await stage.payments.mend(difference, BO)
    assert (await stage.has(), await stage.has(currency=Currency.EUR)) == ((0, 0, 0), (1_20, 0, 0))
    assert (await reconciled(stage)).differences == []


async def test_something_else_under_our_id_is_never_believed(stage: Stage) -> None:
    order = await stage.charge()
    await put(stage, order, kind=OrderKind.REFUND, state=RemoteState.DONE)
    stage.provider._things[(OrderKind.CHARGE, order.id)] = stage.provider._things[(OrderKind.REFUND, order.id)]
    resting = await stage.payments.look(order)
    assert (resting.state, resting.fault, await stage.has()) == (OrderState.SENT, "foreign", (0, 0, 0))


async def test_a_provider_that_is_down_cannot_be_compared_with(stage: Stage) -> None:
    stage.provider.down = True
    with pytest.raises(VouchError) as caught:
        await reconciled(stage)
    assert caught.value.code is Code.UNAVAILABLE


async def test_many_are_compared_in_portions(stage: Stage) -> None:
    for number in range(230):
        stage.provider.invent(
            Remote(
                kind=OrderKind.CHARGE,
                reference=f"r{number}",
                order=None,
                state=RemoteState.DONE if number % 2 else RemoteState.EXPIRED,
                amount=1_00,
                currency=Currency.CNY,
                at=stage.clock.now(),
            )
        )
    found = await reconciled(stage)
    assert (found.looked_at, len(found.differences)) == (230, 115)
