"""Notices, several nodes, deaths and clocks, and an order in the midst of them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from server.errors import Code
from server.payments.driver import LEASE
from server.payments.model import Notice, Order, OrderState, RemoteState
from tests.payments.stage import Stage, refusal

#: thousands of transactions on a machine that may be busy with other tests
pytestmark = pytest.mark.gen_test(timeout=180)


def _notice(order: Order) -> Notice:
    return Notice("n", order.kind, order.id, order.reference)


async def test_notices_that_are_forged_or_about_nothing_change_nothing(stage: Stage) -> None:
    order = await stage.charge()
    sent = stage.provider.sent[0]
    for headers, body in (({}, sent.body), (sent.headers, sent.body + b" "), ({"strict-signature": "é"}, b"")):
        asked = stage.payments.notice("strict", headers, body, "192.0.2.1")
        assert await refusal(asked) is Code.FORBIDDEN
    assert await refusal(stage.payments.notice("nobody", sent.headers, sent.body, "192.0.2.1")) is Code.NOT_FOUND
    unknown = stage.provider.tell(msgspec.structs.replace(_notice(order), order="y_" + "9" * 20, reference="r"))
    await stage.deliver(unknown)
    by_reference = stage.provider.tell(msgspec.structs.replace(_notice(order), order=None, reference=order.reference))
    stage.there(order, RemoteState.DONE)
    await stage.deliver(by_reference)
    await stage.work()
    assert (await stage.payments.order(order.id)).state is OrderState.DONE


async def test_a_notice_in_the_middle_of_a_look_is_not_lost(stage: Stage) -> None:
    """The look has its answer already, which is older than the notice."""
    order = await stage.charge()
    find = stage.provider.find

    async def slowly(asked: Order) -> object:
        answer = await find(asked)
        if not told:
            told.append(True)
            stage.there(order, RemoteState.DONE)
            await stage.deliver(stage.provider.sent[-1])
        return answer

    told: list[bool] = []
    stage.provider.find = slowly  # type: ignore[method-assign, assignment]
    assert (await stage.payments.look(order)).state is OrderState.DONE


async def test_two_nodes_do_each_thing_once(stage: Stage) -> None:
    other = stage.another()
    charge = await stage.paid(50_00)
    stage.provider.down = True
    refunds = [await stage.refund(charge, 1_00) for _ in range(12)]
    stage.provider.down = False
    stage.clock.turn(hours=1)
    await asyncio.gather(stage.work(stage.payments), stage.work(other))
    await asyncio.gather(stage.work(stage.payments), stage.work(other))
    states = [(await other.order(refund.id)).state for refund in refunds]
    assert states == [OrderState.DONE] * 12
    assert await stage.has() == (38_00, 0, 0)
    await stage.agrees()


async def test_what_a_dead_process_worked_on_is_gone_on_with(stage: Stage) -> None:
    await stage.paid(10_00)
    hanging = asyncio.Event()

    async def hang(order: Order) -> None:
        await hanging.wait()

    stage.provider.pay_out = hang  # type: ignore[method-assign, assignment]
    order = await stage.pay_out(4_00)
    assert order.state is OrderState.WAITING
    await stage.payments.stop()  # as far as the order is concerned, it died
    del stage.provider.pay_out
    alive = stage.another()
    await stage.work(alive)
    assert (await alive.look(order)).state is OrderState.WAITING  # it may still live
    await stage.work(alive)
    assert (await alive.order(order.id)).state is OrderState.WAITING
    stage.clock.turn(seconds=LEASE.total_seconds() + 1)
    await stage.work(alive)
    assert (await alive.order(order.id)).state is OrderState.SENT


async def test_who_looks_at_what_a_dead_process_left_need_not_wait_for_long(stage: Stage) -> None:
    hanging = asyncio.Event()

    async def hang(order: Order, return_url: str, language: str) -> None:
        await hanging.wait()

    stage.provider.charge = hang  # type: ignore[method-assign, assignment]
    order = await stage.charge()
    await stage.payments.stop()
    del stage.provider.charge
    alive = stage.another()
    stage.clock.turn(seconds=6)
    await alive.look(order)
    await stage.work(alive)
    assert (await alive.order(order.id)).state is OrderState.OPEN


@pytest.mark.parametrize("hours", [-30, 30])
async def test_clocks_jump(stage: Stage, hours: int) -> None:
    charge = await stage.paid(20_00)
    stage.provider.down = True
    order = await stage.refund(charge, 5_00)
    stage.provider.down = False
    stage.clock.turn(hours=hours)
    await stage.pass_time(hours=2)
    assert (await stage.payments.order(order.id)).state is OrderState.DONE
    assert await stage.has() == (15_00, 0, 0)


async def test_an_order_of_a_provider_that_is_gone_waits(stage: Stage) -> None:
    order = await stage.charge()
    stage.there(order, RemoteState.DONE)
    without = stage.another(providers={})
    stage.clock.turn(hours=1)
    await stage.work(without)
    assert (await without.look(order)).fault == "not_configured"
    stage.clock.turn(hours=1)
    await stage.pass_time(hours=1)
    assert (await stage.payments.order(order.id)).state is OrderState.DONE
