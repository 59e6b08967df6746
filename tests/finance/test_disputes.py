"""Disputes on the real database and ledger: who may open and decide one, what is decided once, what goes back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from server.errors import Code
from server.finance.dispute_model import DecideDispute, DisputeState, DisputeVerdict, OpenDispute
from server.finance.model import Refuse
from server.payments.model import RemoteState
from server.principals import Grant, Role
from tests.chat.test_service import refused
from tests.finance.conftest import PROVIDER, Desk, outcomes

GIVE, KEEP = DisputeVerdict.GIVE_BACK, DisputeVerdict.REFUSE


async def test_a_disputed_charge_goes_back_through_its_provider(desk: Desk) -> None:
    disputes = desk.finance.disputes
    opened = await disputes.open(desk.lin, desk.charge.id, OpenDispute("I paid twice"))
    assert (opened.state, opened.amount.amount, opened.again) == (DisputeState.OPEN, 1_000_00, False)
    again = await disputes.open(desk.lin, desk.charge.id, OpenDispute("Still"))
    assert (again.id, again.words, again.again) == (opened.id, "I paid twice", True)
    assert [news["dispute"] for news in await desk.inbox(desk.fay, "dispute_opened")] == [opened.id]
    assert await desk.inbox(desk.sam, "dispute_opened") == []

    decision = DecideDispute(1, GIVE, "You did. It goes back.", 400_00)
    line = await disputes.decide(desk.fay, opened.id, decision)
    assert (line.state, line.decided_by) == (DisputeState.GIVEN_BACK, desk.fay)
    refund = await desk.services.payments.order(line.refund)
    assert (refund.amount, refund.charge, refund.by) == (400_00, desk.charge.id, desk.fay)
    assert await desk.available(desk.lin) == 600_00
    own = await disputes.own(desk.lin, desk.charge.id)
    assert (own.state, own.answer) == (DisputeState.GIVEN_BACK, "You did. It goes back.")
    assert len(await desk.inbox(desk.lin, "dispute_decided")) == 1
    await refused(Code.ALREADY, disputes.open(desk.lin, desk.charge.id, OpenDispute("Again")))
    await refused(Code.ALREADY, disputes.decide(desk.gus, opened.id, decision))
    assert [act for act, _ in await desk.acts(opened.id)] == ["dispute.decided", "dispute.opened"]


async def test_a_dispute_of_somebody_elses_payment_is_not_there(desk: Desk) -> None:
    await refused(Code.NOT_FOUND, desk.finance.disputes.open(desk.eve, desk.charge.id, OpenDispute("Mine")))
    await refused(Code.NOT_FOUND, desk.finance.disputes.own(desk.lin, desk.charge.id))
    opened = await desk.finance.disputes.open(desk.lin, desk.charge.id, OpenDispute("Mine"))
    await refused(Code.NOT_FOUND, desk.finance.disputes.open(desk.eve, desk.charge.id, OpenDispute("Mine")))
    await refused(Code.NOT_FOUND, desk.finance.disputes.own(desk.eve, desk.charge.id))
    await desk.services.people.grant(desk.lin, Grant(Role.FINANCE), "system")
    await refused(Code.FORBIDDEN, desk.finance.disputes.decide(desk.lin, opened.id, DecideDispute(1, GIVE, "Mine")))


async def test_what_is_not_done_or_went_back_cannot_be_disputed(desk: Desk) -> None:
    waiting = await desk.pay_out(desk.lin, 100_00, "out")
    await refused(Code.CONFLICT, desk.finance.disputes.open(desk.lin, waiting.id, OpenDispute("Where is it")))
    await desk.services.payments.begin_refund(key="back", charge=desk.charge.id, amount=900_00, by=desk.lin)
    refunded = await desk.services.payments.order(desk.charge.id)
    assert refunded.refunded == 900_00
    opened = await desk.finance.disputes.open(desk.lin, desk.charge.id, OpenDispute("The rest"))
    assert opened.amount.amount == 100_00


async def test_opened_and_decided_at_once_happens_once(desk: Desk) -> None:
    disputes = desk.finance.disputes
    opened = await outcomes(*(disputes.open(desk.lin, desk.charge.id, OpenDispute("Twice")) for _ in range(4)))
    assert len({each.id for each in opened}) == 1
    assert sum(not each.again for each in opened) == 1
    done = await outcomes(
        disputes.decide(desk.fay, opened[0].id, DecideDispute(1, GIVE, "Yes")),
        disputes.decide(desk.gus, opened[0].id, DecideDispute(1, KEEP, "No")),
        disputes.decide(desk.hal, opened[0].id, DecideDispute(1, GIVE, "Yes", 1)),
    )
    assert sum(not isinstance(each, Code) for each in done) == 1
    line = await disputes.one(desk.fay, opened[0].id)
    gone = 1_000_00 - await desk.available(desk.lin)
    assert gone == {DisputeState.REFUSED: 0}.get(line.state, gone)
    assert len(await desk.inbox(desk.lin, "dispute_decided")) == 1


async def test_a_charge_that_was_spent_stays_undecided(desk: Desk) -> None:
    await desk.pay_out(desk.lin, 900_00, "out")
    opened = await desk.finance.disputes.open(desk.lin, desk.charge.id, OpenDispute("Twice"))
    decision = DecideDispute(1, GIVE, "Yes")
    await refused(Code.INSUFFICIENT_FUNDS, desk.finance.disputes.decide(desk.fay, opened.id, decision))
    line = await desk.finance.disputes.one(desk.fay, opened.id)
    assert (line.state, line.may_decide, line.answer) == (DisputeState.OPEN, True, "")
    await refused(Code.STALE, desk.finance.disputes.decide(desk.fay, opened.id, decision))
    done = await desk.finance.disputes.decide(desk.fay, opened.id, DecideDispute(line.version, KEEP, "It is spent"))
    assert done.state is DisputeState.REFUSED


async def test_a_decision_that_a_crash_cut_short_is_carried_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = await desk.finance.disputes.open(desk.lin, desk.charge.id, OpenDispute("Twice"))

    async def crash(**_: Any) -> Any:
        raise asyncio.CancelledError

    with monkeypatch.context() as broken:
        broken.setattr(desk.services.payments, "begin_refund", crash)
        with pytest.raises(asyncio.CancelledError):
            await desk.finance.disputes.decide(desk.fay, opened.id, DecideDispute(1, GIVE, "Yes"))
    assert (await desk.finance.disputes.one(desk.fay, opened.id)).state is DisputeState.GIVING_BACK
    await refused(Code.ALREADY, desk.finance.disputes.decide(desk.gus, opened.id, DecideDispute(2, KEEP, "No")))
    rows = desk.services.store.collection("disputes")
    await rows.update_one({"_id": opened.id}, {"$set": {"decided_at": desk.charge.created_at - timedelta(hours=1)}})
    await asyncio.gather(desk.finance.sweep(), desk.finance.sweep())
    line = await desk.finance.disputes.one(desk.fay, opened.id)
    assert line.state is DisputeState.GIVEN_BACK
    assert await desk.available(desk.lin) == 0
    assert len(await desk.inbox(desk.lin, "dispute_decided")) == 1


async def test_what_had_left_is_given_back_by_two(desk: Desk) -> None:
    order = await desk.pay_out(desk.lin, 300_00, "out", approval=False)
    desk.settle(order, RemoteState.DONE)
    await desk.done(order)
    disputes, adjustments = desk.finance.disputes, desk.finance.adjustments
    opened = await disputes.open(desk.lin, order.id, OpenDispute("It never came"))
    line = await disputes.decide(desk.fay, opened.id, DecideDispute(1, GIVE, "The bank sent it back"))
    assert (line.state, line.refund) == (DisputeState.GIVING_BACK, None)
    assert await desk.inbox(desk.lin, "dispute_decided") == []
    await refused(Code.FORBIDDEN, adjustments.approve(desk.fay, line.adjustment))
    await adjustments.refuse(desk.gus, line.adjustment, Refuse("It did come"))
    reopened = await disputes.one(desk.fay, opened.id)
    assert (reopened.state, reopened.adjustment) == (DisputeState.OPEN, None)
    line = await disputes.decide(desk.fay, opened.id, DecideDispute(reopened.version, GIVE, "Look at the list"))
    done = await adjustments.approve(desk.gus, line.adjustment)
    assert done.source == f"clearing:{PROVIDER}"
    assert (await disputes.one(desk.fay, opened.id)).state is DisputeState.GIVEN_BACK
    assert await desk.available(desk.lin) == 1_000_00
    assert len(await desk.inbox(desk.lin, "dispute_decided")) == 1


async def test_what_a_bank_takes_back_is_on_record(desk: Desk) -> None:
    thing = desk.provider.of(desk.charge.id, desk.charge.kind)
    assert thing is not None
    desk.provider.dispute(thing, 1_000_00)
    for sent in list(desk.provider.sent):
        await desk.services.payments.notice(PROVIDER, sent.headers, sent.body)
    for _ in range(200):
        await desk.services.payments.driver.look()
        await desk.services.payments.driver.idle()
        if await desk.available(desk.lin) == 0:
            break
    assert await desk.available(desk.lin) == 0
    page = await desk.finance.disputes.page(desk.fay, decided=True, before=None, limit=50)
    (line,) = page.disputes
    assert (line.source, line.order, line.amount.amount) == ("bank", desk.charge.id, 1_000_00)
    assert len(await desk.inbox(desk.fay, "dispute_opened")) == 1
