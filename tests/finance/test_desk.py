"""The desk on the real database and ledger: which pay-outs may go, what the providers' lists say and what the books."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from server.clock import to_ms
from server.errors import Code
from server.finance.model import Book, Reconcile, Refuse, Settle
from server.money.model import Currency, available, clearing
from server.payments.model import DifferenceKind, OrderState
from server.principals import Grant, Role
from tests.chat.test_service import refused
from tests.conftest import eventually
from tests.finance.conftest import PROVIDER, Desk, move, outcomes

# ── Approvals ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_somebody_else_lets_a_pay_out_go(desk: Desk) -> None:
    order = await desk.pay_out(desk.lin, 300_00, "out")
    page = await desk.finance.orders.page(
        desk.fay, state=OrderState.APPROVAL, kind=None, provider=None, person=None, before=None, limit=50
    )
    (line,) = page.orders
    assert (line.id, line.destination, line.may_decide) == (order.id, "Lin …4567", True)
    assert (await desk.finance.waiting()).approvals == 1
    approved = await desk.finance.orders.approve(desk.fay, order.id)
    assert (approved.approved_by, approved.may_decide) == (desk.fay, False)
    assert await desk.acts(order.id) == [("order.approved", desk.fay)]
    await refused(Code.ALREADY, desk.finance.orders.approve(desk.gus, order.id))
    await refused(Code.ALREADY, desk.finance.orders.refuse(desk.gus, order.id, Refuse("Too late")))
    assert (await desk.finance.waiting()).approvals == 0


async def test_who_asked_or_gains_never_decides(desk: Desk) -> None:
    await desk.services.people.grant(desk.lin, Grant(Role.FINANCE), "system")
    order = await desk.pay_out(desk.lin, 300_00, "out")
    await refused(Code.FORBIDDEN, desk.finance.orders.approve(desk.lin, order.id))
    await refused(Code.FORBIDDEN, desk.finance.orders.refuse(desk.lin, order.id, Refuse("No")))
    assert not (await desk.finance.orders.one(desk.lin, order.id)).order.may_decide
    assert await desk.acts(order.id) == []


async def test_a_refused_pay_out_gives_the_money_back_and_is_over(desk: Desk) -> None:
    order = await desk.pay_out(desk.lin, 300_00, "out")
    assert await desk.available(desk.lin) == 700_00
    line = await desk.finance.orders.refuse(desk.fay, order.id, Refuse("  The account is not theirs.  "))
    assert (line.state, line.reason) == (OrderState.FAILED, "The account is not theirs.")
    assert await desk.available(desk.lin) == 1_000_00
    await refused(Code.ALREADY, desk.finance.orders.approve(desk.gus, order.id))
    order = await desk.pay_out(desk.lin, 300_00, "again")
    await refused(Code.BAD_REQUEST, desk.finance.orders.refuse(desk.fay, order.id, Refuse("   ")))


async def test_of_two_who_approve_at_once_one_wins(desk: Desk) -> None:
    order = await desk.pay_out(desk.lin, 300_00, "out")
    done = await outcomes(
        desk.finance.orders.approve(desk.fay, order.id),
        desk.finance.orders.approve(desk.gus, order.id),
        desk.finance.orders.refuse(desk.hal, order.id, Refuse("No")),
    )
    won = [each for each in done if not isinstance(each, Code)]
    assert len(won) == 1
    assert [each for each in done if isinstance(each, Code)] == [Code.ALREADY] * 2
    assert len(await desk.acts(order.id)) == 1


async def test_somebody_who_has_lost_the_role_decides_nothing(desk: Desk) -> None:
    """The request was let in before the role was taken."""
    order = await desk.pay_out(desk.lin, 300_00, "out")
    for act in (
        desk.finance.orders.approve(desk.sam, order.id),
        desk.finance.orders.refuse(desk.eve, order.id, Refuse("No")),
        desk.finance.books.begin(desk.sam, Book.TRAIL),
        desk.finance.adjustments.propose(desk.eve, move(desk, 1, 1, "fee:platform", "external:bank")),
    ):
        await refused(Code.FORBIDDEN, act)
    assert (await desk.services.payments.order(order.id)).state is OrderState.APPROVAL


# ── Reconciliation ──────────────────────────────────────────────────────────────────────────────────────────────────


def hours(desk: Desk) -> Reconcile:
    made = to_ms(desk.charge.created_at)
    return Reconcile(PROVIDER, made - 3_600_000, made)


async def compared(desk: Desk, wanted: Reconcile) -> Any:
    line = await desk.finance.reconciliations.begin(desk.fay, wanted)
    await desk.finance.reconciliations.finished(line.id)
    return await desk.finance.reconciliations.one(line.id)


async def test_what_agrees_has_no_differences(desk: Desk) -> None:
    view = await compared(desk, hours(desk))
    assert (view.reconciliation.state.value, view.reconciliation.differences) == ("done", 0)
    assert (await desk.finance.waiting()).differences == 0
    assert [act for act, _ in await desk.acts(view.reconciliation.id)] == ["reconciliation.begun"]


async def test_a_time_that_is_not_one_is_refused(desk: Desk) -> None:
    now = to_ms(desk.charge.created_at)
    for provider, since, until in (
        ("elsewhere", now - 1_000, now),
        (PROVIDER, now, now),
        (PROVIDER, now, now - 1),
        (PROVIDER, now - 32 * 86_400_000, now),
        (PROVIDER, now, now + 86_400_000),
    ):
        wanted = Reconcile(provider, since, until)
        await refused(Code.BAD_REQUEST, desk.finance.reconciliations.begin(desk.fay, wanted))


async def test_a_provider_that_is_down_teaches_nothing(desk: Desk) -> None:
    desk.provider.down = True
    view = await compared(desk, hours(desk))
    assert (view.reconciliation.state.value, view.reconciliation.fault) == ("failed", "unavailable")
    assert view.differences == []


async def test_the_day_before_is_compared_once_on_all_nodes(desk: Desk) -> None:
    service = desk.finance.reconciliations
    await asyncio.gather(*(service.daily() for _ in range(3)))
    await eventually(lambda: not service._tasks)
    page = await service.page(None, 10)
    expected = 1 if desk.finance._desk.now().hour >= 2 else 0
    assert [line.by for line in page.reconciliations] == ["system"] * expected


async def test_a_run_whose_node_died_is_taken_over(desk: Desk) -> None:
    service, rows = desk.finance.reconciliations, desk.services.store.collection("reconciliations")
    view = await compared(desk, hours(desk))
    past = desk.charge.created_at - timedelta(hours=1)
    stale = {"$set": {"state": "running", "open": True, "lease": past, "finished_at": None}}
    await rows.update_one({"_id": view.reconciliation.id}, stale)
    await refused(Code.CONFLICT, service.begin(desk.fay, hours(desk)))
    await asyncio.gather(service.resume(), service.resume())
    await eventually(lambda: not service._tasks)
    assert (await service.one(view.reconciliation.id)).reconciliation.state.value == "done"


async def test_a_difference_is_mended_or_explained_once(desk: Desk) -> None:
    """The provider says that a charge of ours failed long ago; another one it does not know at all."""
    lost = await desk.top_up(desk.eve, 10_00, "lost")
    desk.provider._things.clear()
    made = to_ms(lost.created_at)
    wanted = Reconcile(PROVIDER, made - 3_600_000, to_ms(desk.finance._desk.now()))
    view = await compared(desk, wanted)
    kinds = [line.difference.kind for line in view.differences]
    assert kinds.count(DifferenceKind.MISSING_THERE) == 2
    assert (await desk.finance.waiting()).differences == len(kinds)
    service, id = desk.finance.reconciliations, view.reconciliation.id
    place = next(i for i, line in enumerate(view.differences) if not line.difference.mendable)
    await refused(Code.CONFLICT, service.settle(desk.fay, id, place, Settle(view.version, True, "Take it over")))
    await refused(Code.NOT_FOUND, service.settle(desk.fay, id, 99, Settle(view.version, False, "x")))
    after = await service.settle(desk.fay, id, place, Settle(view.version, False, "The provider is looking for it"))
    settled = after.differences[place]
    assert (settled.state.value, settled.by, settled.note) == ("explained", desk.fay, "The provider is looking for it")
    other = 1 - place
    await refused(Code.STALE, service.settle(desk.gus, id, other, Settle(view.version, False, "x")))
    await refused(Code.ALREADY, service.settle(desk.gus, id, place, Settle(after.version, False, "x")))
    assert (await desk.finance.waiting()).differences == len(kinds) - 1


# ── Books ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_book_is_verified_in_the_background(desk: Desk) -> None:
    books = desk.finance.books
    await books.begin(desk.fay, Book.TRAIL)
    await books.finished(Book.TRAIL)
    state = next(each for each in await books.states() if each.book is Book.TRAIL)
    assert (state.running, state.count, state.by) == (False, 0, desk.fay)
    assert state.head is not None
    assert state.head.startswith(f"{state.rows}:")
    await desk.services.store.collection("audit").update_one({"number": 1}, {"$set": {"by": "p_else"}})
    await books.begin(desk.gus, Book.TRAIL)
    await books.finished(Book.TRAIL)
    state = next(each for each in await books.states() if each.book is Book.TRAIL)
    assert state.faults == ["row 1 does not say what was sealed: it was changed"]
    assert (await desk.finance.waiting()).faults == 1


async def test_a_balance_that_somebody_changed_is_a_fault_of_the_ledger(desk: Desk) -> None:
    books = desk.finance.books
    await books.begin(desk.fay, Book.LEDGER)
    await refused(Code.CONFLICT, books.begin(desk.gus, Book.LEDGER))
    await books.finished(Book.LEDGER)
    state = next(each for each in await books.states() if each.book is Book.LEDGER)
    assert (state.rows, state.count, state.faults) == (1, 0, [])
    folios = desk.services.store.collection("folios")
    row = await folios.find_one({"_id": {"$regex": desk.lin}}) or {}
    await folios.update_one({"_id": row["_id"]}, {"$set": {"balances": [5_000_00, 0, 0]}})
    await asyncio.gather(books.daily(), books.daily())
    assert (await desk.finance.waiting()).faults == 0
    await books.begin(desk.fay, Book.LEDGER)
    await books.finished(Book.LEDGER)
    assert (await desk.finance.waiting()).faults == 1


async def test_the_accounts_of_the_platform_are_shown(desk: Desk) -> None:
    state = await desk.finance.state()
    assert {(each.account, each.balance) for each in state.accounts} == {(f"clearing:{PROVIDER}", -1_000_00)}
    balance = await desk.services.money.balance(clearing(PROVIDER), Currency.CNY)
    assert balance + await desk.services.money.balance(available(desk.lin), Currency.CNY) == 0


async def test_everything_of_an_order_and_of_a_person_is_found(desk: Desk) -> None:
    view = await desk.finance.orders.one(desk.fay, desk.charge.id)
    (transfer,) = view.transfers
    assert {(leg.account, leg.amount) for leg in transfer.legs} == {
        (f"clearing:{PROVIDER}", -1_000_00),
        (f"available:{desk.lin}", 1_000_00),
    }
    assert (await desk.finance.orders.transfer(transfer.id)) == transfer
    holdings = await desk.finance.orders.holdings(desk.fay, desk.lin)
    assert {(each.account.partition(":")[0], each.balance) for each in holdings.balances} == {
        ("available", 1_000_00),
        ("held", 0),
        ("owed", 0),
    }
    assert [order.id for order in holdings.orders] == [desk.charge.id]
    await refused(Code.NOT_FOUND, desk.finance.orders.holdings(desk.fay, "p_" + "0" * 20))
