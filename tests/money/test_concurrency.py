"""Many at once, on two nodes: nothing is lost, nothing is done twice, nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from server.clock import SystemClock
from server.embedded import Embedded
from server.errors import Code, VouchError
from server.money.model import STAFF_DEPARTMENT, Transfer, available
from server.money.service import Money
from server.money.verification import Verification
from server.store import Store
from tests.money.bank import CNY, SANDBOX, Bank, moving


@pytest.fixture
def other(embedded: Embedded, database_name: str, money: Money) -> Iterator[Bank]:
    """Another node on the same database: its locks know nothing of ours."""
    store = Store(embedded.mongodb_uri, database_name)
    yield Bank(Money(store, SystemClock()))
    store.close()


async def whole(store: Store) -> bool:
    return (await Verification(store, SystemClock(), b"s" * 32).run()).whole


async def test_fifty_transfers_over_twenty_accounts_on_two_nodes_each_asked_twice(
    store: Store, bank: Bank, other: Bank
) -> None:
    people = [f"p_{n}" for n in range(20)]
    drafts = [moving(SANDBOX, available(person), 1_000, key=f"fund {person}") for person in people]
    await bank.money.transact([available(p) for p in people], lambda tx: bank.money.post_all(tx, drafts))
    expected = dict.fromkeys(people, 1_000)
    wanted = []
    for n in range(50):
        one, two = people[n % 20], people[(n * 7 + 3) % 20]
        expected[one] -= 10 + n
        expected[two] += 10 + n
        wanted.append(moving(available(one), available(two), 10 + n, key=f"pay {n}"))
    answers = await asyncio.gather(*(node.post(draft) for draft in wanted for node in (bank, other)))
    assert answers[::2] == answers[1::2]
    assert {person: (await bank.funds(person))[0] for person in people} == expected
    assert await whole(store)


async def test_one_key_with_two_contents_at_once_is_one_transfer_and_one_conflict(
    bank: Bank, other: Bank, store: Store
) -> None:
    await bank.give("p_ann", 1_000)
    answers = await asyncio.gather(
        bank.pay("p_ann", "p_bob", 1, key="once"), other.pay("p_ann", "p_bob", 2, key="once"), return_exceptions=True
    )
    faults = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [fault.code for fault in faults if isinstance(fault, VouchError)] == [Code.IDEMPOTENCY_CONFLICT]
    assert (await bank.funds("p_bob"))[0] in (1, 2)
    assert await whole(store)


async def test_money_is_spent_once_though_all_reach_for_it_at_once(store: Store, bank: Bank, other: Bank) -> None:
    await bank.give("p_ann", 100)
    tries = [node.pay("p_ann", f"p_{n}", 30, key=f"spend {n}") for n in range(6) for node in (bank, other)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert {fault.code for fault in answers if isinstance(fault, VouchError)} == {Code.INSUFFICIENT_FUNDS}
    assert len({answer.id for answer in answers if isinstance(answer, Transfer)}) == 3
    assert (await bank.funds("p_ann"))[0] == 10
    assert await whole(store)


async def test_a_hold_that_all_resolve_at_once_resolves_once(store: Store, bank: Bank, other: Bank) -> None:
    await bank.give("p_ann", 100)
    hold = await bank.hold("p_ann", 100)
    tries: list[Coroutine[Any, Any, Transfer]] = []
    for n, node in enumerate((bank, other, bank, other)):
        tries += [node.refund(hold, f"back {n}"), node.release(hold, STAFF_DEPARTMENT, f"forfeit {n}")]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    faults = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(faults) == len(answers) - 1
    assert {fault.code for fault in faults if isinstance(fault, VouchError)} == {Code.ALREADY}
    ann, ours = (await bank.funds("p_ann"))[0], await bank.money.balance(STAFF_DEPARTMENT, CNY)
    assert sorted((ann, ours)) == [0, 100]
    assert await whole(store)


async def test_what_is_clawed_back_at_once_is_clawed_back_once(store: Store, bank: Bank, other: Bank) -> None:
    """Also while income comes in for the one who has spent it: no claim is left beside money."""
    await bank.give("p_ann", 300)
    paid = await bank.pay("p_ann", "p_bob", 300)
    await bank.pay("p_bob", "p_cem", 250)
    incomes = [moving(SANDBOX, available("p_bob"), 40, key=f"income {n}") for n in range(6)]
    claws = [node.claw_back(paid, 100, key=f"claw {n}") for n in range(5) for node in (bank, other)]
    answers = await asyncio.gather(*claws, *(bank.post(draft) for draft in incomes), return_exceptions=True)
    assert {a.code for a in answers if isinstance(a, VouchError)} == {Code.ALREADY}
    assert not [a for a in answers if isinstance(a, BaseException) and not isinstance(a, VouchError)]
    assert await bank.funds("p_ann") == (300, 0, 0)
    assert await bank.funds("p_bob") == (0, 0, 10)
    assert await whole(store)


async def test_a_body_that_fails_leaves_nothing(store: Store, bank: Bank) -> None:
    await bank.give("p_ann", 100)

    async def fails(tx: object) -> None:
        await bank.money.post(tx, moving(available("p_ann"), available("p_bob"), 60, key="half"))  # type: ignore[arg-type]
        raise VouchError(Code.CONFLICT)

    with pytest.raises(VouchError):
        await bank.money.transact([available("p_ann")], fails)
    assert await bank.funds("p_ann") == (100, 0, 0)
    assert await bank.money.by_key("half") is None
    assert await whole(store)


async def test_transfers_in_one_transaction_see_each_other_and_fail_together(store: Store, bank: Bank) -> None:
    accounts = [available("p_ann"), available("p_bob")]
    drafts = [moving(SANDBOX, accounts[0], 50, key="in"), moving(accounts[0], accounts[1], 50, key="on")]
    first = await bank.money.transact(accounts, lambda tx: bank.money.post_all(tx, drafts))
    assert await bank.money.transact(accounts, lambda tx: bank.money.post_all(tx, drafts)) == first
    more = [moving(SANDBOX, accounts[0], 50, key="in 2"), moving(accounts[0], accounts[1], 51, key="too much")]
    with pytest.raises(VouchError):
        await bank.money.transact(accounts, lambda tx: bank.money.post_all(tx, more))
    assert await bank.funds("p_ann") == (0, 0, 0)
    assert await bank.funds("p_bob") == (50, 0, 0)
    assert await whole(store)
