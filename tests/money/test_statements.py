"""Statements: every line once, newest first, with what there was after it, over many pages."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from server.errors import Code, VouchError
from server.money.folio import PAGE
from server.money.model import Currency, Day, Line, TransferKind, available
from server.money.service import Money
from server.store import Store
from tests.conftest import Run
from tests.money.bank import CNY, SANDBOX, Bank, moving


class HandClock:
    """Stands still until it is moved on."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def money(store: Store, clock: HandClock, run: Run[Any]) -> Money:
    money = Money(store, clock)
    run(money.start())
    return money


async def lines(money: Money, limit: int, **filters: Any) -> list[Line]:
    """All pages."""
    found: list[Line] = []
    before: str | None = None
    while True:
        page = await money.history("p_ann", CNY, before=before, limit=limit, **filters)
        assert len(page.lines) <= limit
        found += page.lines
        if page.next is None:
            return found
        before = page.next


async def test_every_line_comes_once_with_the_balance_after_it(bank: Bank, money: Money, clock: HandClock) -> None:
    """Lines come one by one and many at once, over the ends of pages."""
    count = 0
    for some in (1, PAGE - 1, 1, PAGE, 2 * PAGE + 3, 1, 5):
        drafts = [
            moving(SANDBOX, available("p_ann"), count + n + 1, key=f"in {count + n}", kind=TransferKind.TOP_UP)
            for n in range(some)
        ]
        await money.transact([available("p_ann")], lambda tx, drafts=drafts: money.post_all(tx, drafts))  # type: ignore[misc]
        count += some
        clock.at += timedelta(minutes=1)
    for limit in (1, 7, 500):
        found = await lines(money, limit)
        assert [line.transfer.key for line in found] == [f"in {n}" for n in reversed(range(count))]
        assert [line.available for line in found] == [n * (n + 1) // 2 for n in range(count, 0, -1)]


async def test_what_is_held_and_owed_stands_beside(bank: Bank, money: Money) -> None:
    await bank.give("p_ann", 100)
    hold = await bank.hold("p_ann", 60)
    await bank.release(hold, available("p_bob"))
    paid = await bank.pay("p_bob", "p_ann", 50)
    await bank.pay("p_ann", "p_cem", 90)
    await bank.claw_back(paid)
    found = await lines(money, 10)
    assert [(line.transfer.kind, line.available, line.held, line.owed) for line in reversed(found)] == [
        (TransferKind.TOP_UP, 100, 0, 0),
        (TransferKind.HOLD, 40, 60, 0),
        (TransferKind.RELEASE, 40, 0, 0),
        (TransferKind.PAYMENT, 90, 0, 0),
        (TransferKind.PAYMENT, 0, 0, 0),
        (TransferKind.CLAW_BACK, 0, 0, 50),
    ]
    only = await lines(money, 1, kinds=[TransferKind.HOLD, TransferKind.CLAW_BACK])
    assert [line.transfer.kind for line in only] == [TransferKind.CLAW_BACK, TransferKind.HOLD]


async def test_a_time_is_cut_out(bank: Bank, money: Money, clock: HandClock) -> None:
    start = clock.at
    for _ in range(5):
        await bank.give("p_ann", 1)
        clock.at += timedelta(hours=1)
    found = await lines(money, 2, since=start + timedelta(hours=1), until=start + timedelta(hours=3))
    assert [line.available for line in found] == [3, 2]
    assert [t.at async for t in money.journal(start + timedelta(hours=1), start + timedelta(hours=3))] == [
        start + timedelta(hours=1),
        start + timedelta(hours=2),
    ]


async def test_days_are_those_of_the_zone(bank: Bank, money: Money, clock: HandClock) -> None:
    clock.at = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # 23:30 in Shanghai
    start = clock.at
    await bank.give("p_ann", 100)
    await bank.pay("p_ann", "p_bob", 30)
    clock.at += timedelta(hours=1)
    await bank.give("p_ann", 5)
    hold = await bank.hold("p_ann", 10)
    await bank.refund(hold)
    until = clock.at + timedelta(seconds=1)
    assert await money.daily("p_ann", CNY, start, until, ZoneInfo("Asia/Shanghai")) == [
        Day(date(2026, 11, 20), 100, 30, 70),
        Day(date(2026, 11, 21), 15, 10, 75),
    ]
    assert await money.daily("p_ann", CNY, start, until, UTC) == [Day(date(2026, 11, 20), 115, 40, 75)]
    assert await money.daily("p_ann", Currency.USD, start, until, UTC) == []


async def test_a_statement_never_goes_back_in_time_though_a_clock_does(
    bank: Bank, money: Money, clock: HandClock
) -> None:
    await bank.give("p_ann", 1)
    clock.at -= timedelta(hours=2)
    await bank.give("p_ann", 2)
    clock.at += timedelta(hours=5)
    await bank.give("p_ann", 3)
    found = await lines(money, 10)
    assert [line.available for line in found] == [6, 3, 1]
    assert all(later.transfer.at >= earlier.transfer.at for later, earlier in pairwise(found))


async def test_what_is_no_page(money: Money) -> None:
    for wrong in ({"before": "x"}, {"before": "-1"}, {"before": "9" * 20}, {"limit": 0}, {"limit": 501}):
        with pytest.RaisesExc(VouchError, check=lambda fault: fault.code is Code.BAD_REQUEST):
            await money.history("p_ann", CNY, **cast(Any, wrong))


async def test_whoever_never_had_money_has_no_lines(money: Money) -> None:
    assert (await money.history("p_new", CNY)).lines == []
    assert await money.balances("p_new") == []
