"""Paying a person, for whom the money is, and what stops it."""

from __future__ import annotations

import asyncio

from server.errors import Code, VouchError
from server.money.model import Currency
from tests.handlers.conftest import PASSWORD
from tests.wallet.conftest import Street
from tests.wire.client import client_id

CHILD = {"birth_date": "2016-05-12"}


async def test_a_friend_is_paid_at_once_and_told_by_whom(street: Street) -> None:
    lin, emma = await street.friends("lin", "emma")
    await street.fund(lin, 100_00)
    answer = await lin.pay(emma, 20_00, note="  For the book\r\n《小王子》 ")
    assert answer.status == 200, answer.data
    paid = answer.json
    assert (paid["to"]["id"], paid["beneficiary"]["id"]) == (emma.id, emma.id)
    assert paid["amount"] == {"amount": 20_00, "currency": "CNY"}
    assert (await lin.available(), await emma.available()) == (80_00, 20_00)
    (line,) = (await emma.get("/statement?currency=CNY"))["lines"]
    assert (line["kind"], line["available"], line["balance"], line["other"]["id"]) == ("payment", 20_00, 20_00, lin.id)
    assert (line["note"], line["beneficiary"]) == ("For the book\n《小王子》", None)
    assert await street.inbox(emma, "money_received") == [
        {"transfer": paid["transfer"], "by": lin.id, "beneficiary": emma.id, "amount": 20_00, "currency": "CNY"}
    ]
    assert len(await street.inbox(lin, "money_moved")) == 2
    assert await street.inbox(lin, "money_received") == []


async def test_twenty_repeats_are_one_payment(street: Street) -> None:
    lin, emma = await street.friends("lin", "emma")
    await street.fund(lin, 1_000_00)
    id = client_id()
    answers = await asyncio.gather(*(lin.pay(emma, 30_00, id=id, note="once") for _ in range(20)))
    assert {(answer.status, answer.data) for answer in answers} == {(200, answers[0].data)}
    assert (await lin.available(), await emma.available()) == (970_00, 30_00)
    limit = next(one for one in (await lin.get())["limits"] if (one["kind"], one["currency"]) == (None, "CNY"))
    assert limit["day_left"] == 10_000_00 - 30_00
    for change in ({"amount": 31_00}, {"note": "twice"}, {"currency": "HKD"}):
        body = {"id": id, "to": emma.id, "amount": 30_00, "currency": "CNY", "note": "once"} | change
        assert (await lin.call("POST", "/transfers", body)).code == Code.IDEMPOTENCY_CONFLICT
    # Still the same answer when there is not enough left for another one.
    await lin.pay(emma, 970_00)
    assert (await lin.pay(emma, 30_00, id=id, note="once")).data == answers[0].data


async def test_many_payments_both_ways_lose_and_double_nothing(street: Street) -> None:
    lin, emma, tom = await street.friends("lin", "emma", "tom")
    await street.befriend(emma, tom)
    keepers = [lin, emma, tom]
    for keeper in keepers:
        await street.fund(keeper, 100_00)
    jobs = [keepers[n % 3].pay(keepers[(n + 1 + n % 2) % 3], 1_00 + n) for n in range(30)]
    answers = await asyncio.gather(*jobs)
    assert {answer.status for answer in answers} == {200}
    assert sum([await keeper.available() for keeper in keepers]) == 300_00


async def test_not_enough_is_not_enough(street: Street) -> None:
    lin, emma = await street.friends("lin", "emma")
    await street.fund(lin, 50_00)
    answers = await asyncio.gather(*(lin.pay(emma, 30_00) for _ in range(4)))
    assert sorted(answer.code for answer in answers) == ["", *[Code.INSUFFICIENT_FUNDS] * 3]
    assert (await lin.pay(emma, 1, "GBP")).code == Code.INSUFFICIENT_FUNDS
    assert (await lin.available(), await emma.available()) == (20_00, 30_00)
    limit = next(one for one in (await lin.get())["limits"] if (one["kind"], one["currency"]) == (None, "CNY"))
    assert limit["day_left"] == 10_000_00 - 30_00, "what was refused counts for nothing"


async def test_strangers_and_those_who_block_are_not_paid(street: Street) -> None:
    lin, emma = await street.friends("lin", "emma")
    stranger = await street.keeper("eve")
    await street.fund(lin, 50_00)
    assert (await lin.pay(stranger, 1_00)).code == Code.BLOCKED
    assert (await lin.pay(lin, 1_00)).code == Code.BAD_REQUEST
    for who, whom in ((emma, lin), (lin, emma)):
        await who.client.call("PUT", f"/blocks/{whom.id}")
        assert (await lin.pay(emma, 1_00)).code == Code.BLOCKED
        await who.client.call("DELETE", f"/blocks/{whom.id}")
    assert await lin.available() == 50_00


# ── Minors ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_guardian_receives_what_is_meant_for_a_minor(street: Street) -> None:
    emma, child = await street.keeper("emma"), await street.keeper("child", **CHILD)
    father = await street.keeper("father")
    await street.befriend(emma, child)
    await street.befriend(father, child)
    await street.fund(emma, 100_00)
    assert (await emma.pay(child, 10_00)).code == Code.GUARDIAN_NEEDED
    await street.guard(child, father)
    id = client_id()
    paid = (await emma.pay(child, 10_00, id=id)).json
    assert (paid["to"]["id"], paid["beneficiary"]["id"]) == (father.id, child.id)
    (line,) = (await father.get("/statement?currency=CNY"))["lines"]
    assert (line["beneficiary"]["id"], line["other"]["id"]) == (child.id, emma.id)
    (received,) = await street.inbox(father, "money_received")
    assert (received["by"], received["beneficiary"]) == (emma.id, child.id)
    assert await child.available() == 0
    assert (await father.pay(child, 1_00)).code == Code.CONFLICT

    # Who receives it may change; the payment that was made stays the same one.
    await street.services.guardians.end(father.id, child.id, father.id)
    mother = await street.keeper("mother")
    await street.befriend(mother, child)
    await street.guard(child, mother)
    assert (await emma.pay(child, 10_00, id=id)).json["transfer"] == paid["transfer"]
    assert (await emma.pay(child, 10_00)).json["to"]["id"] == mother.id
    await mother.client.call("PUT", f"/blocks/{emma.id}")
    assert (await emma.pay(child, 10_00)).code == Code.BLOCKED
    assert await emma.available() == 80_00


async def test_a_minor_moves_no_money_and_sees_who_does(street: Street) -> None:
    child, friend = await street.friends("child", "friend", **CHILD)
    adult = await street.keeper("adult")
    await street.befriend(child, adult)
    for answer in (
        await child.top_up(10_00),
        await child.pay(adult, 10_00),
        await child.call(
            "POST", "/payout-accounts", {"provider": "sandbox", "holder": "C", "number": "12345", "proof": "x"}
        ),
    ):
        assert answer.code == Code.GUARDIAN_NEEDED
    wallet = await child.get()
    assert (wallet["standing"], wallet["guardian"], wallet["providers"], wallet["limits"]) == ("minor", None, [], [])
    await street.guard(child, adult)
    assert (await child.get())["guardian"]["id"] == adult.id
    assert (await friend.get())["guardian"] is None


# ── Leaving ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_account_with_money_or_a_payment_under_way_is_not_deleted(street: Street) -> None:
    lin, emma = await street.friends("lin", "emma")
    await street.fund(lin, 5_00, Currency.JPY)

    async def leave() -> str:
        return (await lin.client.call("DELETE", "/me", {"password": PASSWORD})).code

    assert await leave() == Code.MONEY_LEFT
    assert (await lin.pay(emma, 5_00, "JPY")).status == 200
    payment = (await lin.top_up(10_00)).json
    assert await leave() == Code.MONEY_LEFT
    assert (await lin.call("DELETE", f"/payments/{payment['id']}")).status == 200
    assert (await lin.client.get("/me")).status == 200, "what was refused changed nothing"
    await lin.add_factor()
    await lin.add_account()
    assert await leave() == ""
    for name in ("payout_accounts", "wallet_requests"):
        assert await street.services.store.collection(name).find({"person": lin.id}).to_list(None) == []
    (line,) = (await emma.get("/statement?currency=JPY"))["lines"]
    assert line["other"]["name"] == ""


async def test_somebody_who_leaves_and_somebody_who_pays_them_cannot_pass_each_other(street: Street) -> None:
    """The wallet's part of a deletion, against payments at the same moment: either is first, never both."""
    services = street.services
    emma, *leavers = await street.friends("emma", "ann", "ben", "cyd", "dan")
    await street.fund(emma, 100_00)

    async def leave(person: str) -> str:
        try:
            await services.store.transact(lambda tx: services.wallet.on_delete(tx, person))
        except VouchError as refusal:
            return refusal.code
        return ""

    for turn, leaver in enumerate(leavers):
        first, second = leave(leaver.id), emma.pay(leaver, 10_00)
        left, paid = await asyncio.gather(first, second) if turn % 2 else (await asyncio.gather(second, first))[::-1]
        assert (left, paid.code) in ((Code.MONEY_LEFT, ""), ("", Code.BLOCKED))
        assert sum(one.available for one in await services.money.balances(leaver.id)) == (10_00 if left else 0)
