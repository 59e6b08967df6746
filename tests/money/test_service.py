"""The ledger through its service, on the real database."""

from __future__ import annotations

import asyncio

import pytest

from server.errors import Code, VouchError
from server.money.model import MOST, PLATFORM_FEE, STAFF_DEPARTMENT, Currency, HoldState, Share, available
from tests.money.bank import CNY, SANDBOX, Bank, moving


def refusal(code: Code) -> pytest.RaisesExc[VouchError]:
    return pytest.RaisesExc(VouchError, check=lambda fault: fault.code is code)


async def test_money_that_is_moved_leaves_one_account_and_comes_to_the_other(bank: Bank) -> None:
    await bank.give("p_ann", 1_000)
    paid = await bank.pay("p_ann", "p_bob", 300)
    assert await bank.funds("p_ann") == (700, 0, 0)
    assert await bank.funds("p_bob") == (300, 0, 0)
    assert await bank.money.balance(SANDBOX, CNY) == -1_000
    assert await bank.money.transfer(paid.id) == paid
    assert await bank.money.by_key(paid.key) == paid
    assert await bank.money.by_key("nothing") is None


async def test_the_same_draft_again_is_the_same_transfer_though_the_money_is_gone(bank: Bank) -> None:
    await bank.give("p_ann", 300)
    draft = moving(available("p_ann"), available("p_bob"), 300, key="once")
    first = await bank.post(draft)
    assert await bank.post(draft) == first
    assert await bank.funds("p_bob") == (300, 0, 0)


async def test_a_key_with_other_content_is_a_conflict(bank: Bank) -> None:
    await bank.give("p_ann", 900)
    await bank.pay("p_ann", "p_bob", 300, key="once")
    for draft in (
        moving(available("p_ann"), available("p_bob"), 301, key="once"),
        moving(available("p_ann"), available("p_cem"), 300, key="once"),
        moving(available("p_ann"), available("p_bob"), 300, key="once", currency=Currency.USD),
    ):
        with refusal(Code.IDEMPOTENCY_CONFLICT):
            await bank.post(draft)
    assert await bank.funds("p_ann") == (600, 0, 0)


async def test_nobody_spends_what_they_do_not_have(bank: Bank) -> None:
    await bank.give("p_ann", 100)
    with refusal(Code.INSUFFICIENT_FUNDS):
        await bank.pay("p_ann", "p_bob", 101)
    with refusal(Code.INSUFFICIENT_FUNDS):
        await bank.move(available("p_ann"), available("p_bob"), 100, currency=Currency.USD)
    with refusal(Code.INSUFFICIENT_FUNDS):
        await bank.hold("p_ann", 101)
    assert await bank.funds("p_ann") == (100, 0, 0)


async def test_the_largest_amount_is_counted_exactly_and_one_more_is_refused(bank: Bank) -> None:
    await bank.give("p_ann", MOST)
    assert await bank.funds("p_ann") == (MOST, 0, 0)
    with refusal(Code.AMOUNT_LIMIT):
        await bank.give("p_ann", 1)
    await bank.pay("p_ann", "p_bob", MOST)
    assert await bank.funds("p_bob") == (MOST, 0, 0)
    with refusal(Code.BAD_REQUEST):
        await bank.give("p_cem", MOST + 1)


async def test_a_hold_sets_aside_and_is_released_to_another(bank: Bank) -> None:
    await bank.give("p_ann", 500)
    hold = await bank.hold("p_ann", 400, key="stake")
    assert await bank.funds("p_ann") == (100, 400, 0)
    assert await bank.hold("p_ann", 400, key="stake") == hold
    assert await bank.money.holds("p_ann") == [hold]
    with refusal(Code.IDEMPOTENCY_CONFLICT):
        await bank.hold("p_ann", 399, key="stake")
    released = await bank.release(hold, STAFF_DEPARTMENT, key="forfeit")
    assert await bank.funds("p_ann") == (100, 0, 0)
    assert await bank.money.balance(STAFF_DEPARTMENT, CNY) == 400
    known = await bank.money.hold_of(hold.id)
    assert (known.state, known.resolved_by) == (HoldState.RELEASED, released.id)
    assert await bank.money.holds("p_ann") == []
    assert await bank.hold("p_ann", 400, key="stake") == known


async def test_a_hold_resolves_once(bank: Bank) -> None:
    await bank.give("p_ann", 500)
    hold = await bank.hold("p_ann", 500)
    first = await bank.refund(hold, key="back")
    assert await bank.refund(hold, key="back") == first
    for other in (
        bank.refund(hold, key="again"),
        bank.release(hold, STAFF_DEPARTMENT, key="back"),
        bank.release(hold, STAFF_DEPARTMENT),
        bank.split(hold, [Share(available("p_bob"), 1)]),
    ):
        with refusal(Code.ALREADY):
            await other
    assert await bank.funds("p_ann") == (500, 0, 0)


async def test_a_split_shares_out_the_last_fen(bank: Bank) -> None:
    await bank.give("p_ann", 100)
    hold = await bank.hold("p_ann", 100)
    shares = [Share(available("p_bob"), 1), Share(STAFF_DEPARTMENT, 1), Share(available("p_ann"), 1)]
    done = await bank.split(hold, shares, key="split")
    assert await bank.split(hold, shares, key="split") == done
    assert await bank.funds("p_ann") == (33, 0, 0)
    assert await bank.funds("p_bob") == (34, 0, 0)
    assert await bank.money.balance(STAFF_DEPARTMENT, CNY) == 33


async def test_what_was_spent_meanwhile_is_owed_and_settled_from_what_comes_later(bank: Bank) -> None:
    await bank.give("p_ann", 1_000)
    paid = await bank.pay("p_ann", "p_bob", 1_000)
    await bank.pay("p_bob", "p_cem", 900)
    await bank.claw_back(paid)
    assert await bank.funds("p_ann") == (1_000, 0, 0)
    assert await bank.funds("p_bob") == (0, 0, 900)
    await bank.pay("p_ann", "p_bob", 300)
    assert await bank.funds("p_bob") == (0, 0, 600)
    await bank.pay("p_ann", "p_bob", 700)
    assert await bank.funds("p_bob") == (100, 0, 0)
    with refusal(Code.ALREADY):
        await bank.claw_back(paid)


async def test_parts_are_clawed_back_from_all_who_received_and_never_more_than_they_got(bank: Bank) -> None:
    await bank.give("p_ann", 1_000)
    hold = await bank.hold("p_ann", 1_000)
    split = await bank.split(hold, [Share(available("p_bob"), 1), Share(PLATFORM_FEE, 2)])
    for part in (1, 1, 500, 497):
        await bank.claw_back(split, part)
    with refusal(Code.BAD_REQUEST):
        await bank.claw_back(split, 2)
    await bank.claw_back(split, 1)
    assert await bank.funds("p_ann") == (1_000, 0, 0)
    assert await bank.funds("p_bob") == (0, 0, 0)
    assert await bank.money.balance(PLATFORM_FEE, CNY) == 0


async def test_fifty_transfers_over_twenty_accounts_at_once_are_each_done_once(bank: Bank) -> None:
    people = [f"p_{n}" for n in range(20)]
    await asyncio.gather(*(bank.give(person, 1_000) for person in people))
    await asyncio.gather(*(bank.pay(people[n % 20], people[(n * 7 + 3) % 20], 10 + n) for n in range(50)))
    expected = dict.fromkeys(people, 1_000)
    for n in range(50):
        expected[people[n % 20]] -= 10 + n
        expected[people[(n * 7 + 3) % 20]] += 10 + n
    assert {person: (await bank.funds(person))[0] for person in people} == expected
