"""Adjustments and claw-backs on the real database and ledger: by two persons, neither of whom gains, and done once."""

from __future__ import annotations

from server.errors import Code
from server.finance.model import ProposeClawBack, Refuse
from server.principals import Grant, Role
from tests.chat.test_service import refused
from tests.finance.conftest import Desk, ident, move, outcomes


async def test_an_adjustment_needs_two_persons(desk: Desk) -> None:
    adjustments = desk.finance.adjustments
    wanted = move(desk, 1, 50_00, "fee:platform", f"available:{desk.lin}", "The fee was taken twice")
    proposal = await adjustments.propose(desk.fay, wanted)
    assert await desk.available(desk.lin) == 1_000_00
    assert (await adjustments.propose(desk.fay, wanted)).id == proposal.id
    other = move(desk, 1, 51_00, "fee:platform", f"available:{desk.lin}", "The fee was taken twice")
    await refused(Code.IDEMPOTENCY_CONFLICT, adjustments.propose(desk.fay, other))
    await refused(Code.FORBIDDEN, adjustments.approve(desk.fay, proposal.id))
    await refused(Code.FORBIDDEN, adjustments.refuse(desk.fay, proposal.id, Refuse("Not mine to say")))
    done = await adjustments.approve(desk.gus, proposal.id)
    assert await desk.available(desk.lin) == 1_050_00
    transfer = await desk.services.money.transfer(done.done_by)
    assert (transfer.by, transfer.note) == (desk.gus, "The fee was taken twice")
    await refused(Code.ALREADY, adjustments.approve(desk.hal, proposal.id))
    assert await desk.inbox(desk.lin, "adjusted") == [{"adjustment": proposal.id, "transfer": done.done_by}]
    acts = await desk.acts(proposal.id)
    assert acts == [("adjustment.approved", desk.gus), ("adjustment.proposed", desk.fay)]


async def test_nobody_gains_by_what_they_propose_or_approve(desk: Desk) -> None:
    adjustments = desk.finance.adjustments
    own = move(desk, 1, 50_00, "fee:platform", f"available:{desk.fay}")
    await refused(Code.FORBIDDEN, adjustments.propose(desk.fay, own))
    proposal = await adjustments.propose(desk.gus, own)
    await refused(Code.FORBIDDEN, adjustments.approve(desk.fay, proposal.id))
    assert not (await adjustments.one(desk.fay, proposal.id)).may_decide
    assert await desk.inbox(desk.fay, "adjustment_proposed") == []
    assert len(await desk.inbox(desk.hal, "adjustment_proposed")) == 1
    await adjustments.approve(desk.hal, proposal.id)
    assert await desk.available(desk.fay) == 50_00


async def test_of_two_who_decide_an_adjustment_at_once_one_wins(desk: Desk) -> None:
    adjustments = desk.finance.adjustments
    wanted = move(desk, 1, 50_00, f"available:{desk.lin}", "external:bank")
    proposal = await adjustments.propose(desk.fay, wanted)
    done = await outcomes(
        adjustments.approve(desk.gus, proposal.id),
        adjustments.approve(desk.hal, proposal.id),
        adjustments.approve(desk.ann, proposal.id),
    )
    assert sum(not isinstance(each, Code) for each in done) == 1
    assert await desk.available(desk.lin) == 950_00


async def test_an_adjustment_that_nobody_can_pay_waits_on(desk: Desk) -> None:
    adjustments = desk.finance.adjustments
    wanted = move(desk, 1, 5_000_00, f"available:{desk.lin}", "external:bank")
    proposal = await adjustments.propose(desk.fay, wanted)
    await refused(Code.INSUFFICIENT_FUNDS, adjustments.approve(desk.gus, proposal.id))
    assert (await adjustments.one(desk.gus, proposal.id)).may_decide
    line = await adjustments.refuse(desk.gus, proposal.id, Refuse("There is not so much"))
    assert (line.state.value, line.answer) == ("refused", "There is not so much")
    await refused(Code.ALREADY, adjustments.approve(desk.hal, proposal.id))


NO_ACCOUNTS = (
    ("held:p_" + "0" * 20, "external:bank"),
    ("external:bank", "owed:p_" + "0" * 20),
    ("available:p_" + "0" * 20, "external:bank"),
    ("clearing:elsewhere", "external:bank"),
    ("external:bank", "department:kitchen"),
    ("external:bank", "fee:else"),
    ("external:bank", "external:bank"),
    ("nothing:bank", "external:bank"),
)


async def test_no_adjustment_names_an_account_that_is_not_there(desk: Desk) -> None:
    for source, target in NO_ACCOUNTS:
        await refused(Code.BAD_REQUEST, desk.finance.adjustments.propose(desk.fay, move(desk, 1, 1, source, target)))


async def test_a_transfer_is_clawed_back_and_what_is_gone_is_owed(desk: Desk) -> None:
    adjustments, money = desk.finance.adjustments, desk.services.money
    gift = await adjustments.propose(desk.fay, move(desk, 1, 80_00, "fee:platform", f"available:{desk.eve}"))
    transfer = (await adjustments.approve(desk.gus, gift.id)).done_by
    await desk.pay_out(desk.eve, 50_00, "spent", approval=False)
    asked = ProposeClawBack(ident(2), transfer, "It was for somebody else")
    await refused(
        Code.AMOUNT_LIMIT,
        adjustments.propose_claw_back(desk.fay, ProposeClawBack(ident(3), transfer, "More", 80_01)),
    )
    await desk.services.people.grant(desk.eve, Grant(Role.FINANCE), "system")
    await refused(Code.FORBIDDEN, adjustments.propose_claw_back(desk.eve, asked))
    proposal = await adjustments.propose_claw_back(desk.fay, asked)
    assert (proposal.kind.value, proposal.amount.amount) == ("claw_back", 80_00)
    await refused(Code.FORBIDDEN, adjustments.approve(desk.eve, proposal.id))
    await adjustments.approve(desk.hal, proposal.id)
    (balances,) = await money.balances(desk.eve)
    assert (balances.available, balances.owed) == (0, 50_00)
    second = await adjustments.propose_claw_back(desk.fay, ProposeClawBack(ident(4), transfer, "Once more"))
    await refused(Code.ALREADY, adjustments.approve(desk.hal, second.id))
