"""Money that comes in, goes back and leaves, over HTTP and through the real platform for play money."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from server.errors import Code
from server.wallet.repo import RequestsRepo
from tests.wallet.conftest import Keeper, Street
from tests.wire.client import client_id


async def came_in(street: Street, keeper: Keeper, amount: int, currency: str = "CNY") -> dict[str, Any]:
    """A top-up that its payer has confirmed on the platform's page."""
    payment = (await keeper.top_up(amount, currency)).json
    street.sandbox.pay(payment["check_out"])
    done: dict[str, Any] = await keeper.get(f"/payments/{payment['id']}")
    assert done["state"] == "done", done
    return done


async def test_a_top_up_is_confirmed_on_the_platforms_page_and_sent_back_in_parts(street: Street) -> None:
    lin = await street.keeper("lin")
    answer = await lin.top_up(50_00)
    assert answer.status == 200, answer.data
    begun = answer.json
    assert (begun["kind"], begun["state"], begun["can_cancel"]) == ("charge", "open", True)
    assert begun["amount"] == {"amount": 50_00, "currency": "CNY"}
    assert await lin.available() == 0

    back = street.sandbox.pay(begun["check_out"])
    assert back.headers["location"].startswith(f"{street.server.url}/wallet/payments/{begun['id']}")
    done = await lin.get(f"/payments/{begun['id']}")
    assert (done["state"], done["check_out"], done["can_cancel"], done["can_give_back"]) == ("done", None, False, 50_00)
    assert await lin.available() == 50_00
    assert [news["currency"] for news in await street.inbox(lin, "money_moved")] == ["CNY"]

    part = await lin.post(f"/payments/{begun['id']}/refunds", {"id": client_id(), "amount": 20_00})
    assert (part["kind"], part["charge"]) == ("refund", begun["id"])
    assert await lin.available() == 30_00
    after = await lin.get(f"/payments/{begun['id']}")
    assert (after["refunded"], after["can_give_back"]) == (20_00, 30_00)
    rest = await lin.post(f"/payments/{begun['id']}/refunds", {"id": client_id()})
    assert rest["amount"]["amount"] == 30_00
    assert (await lin.get())["purses"][0]["leaving"] in (0, 30_00, 50_00)
    assert (await lin.call("POST", f"/payments/{begun['id']}/refunds", {"id": client_id()})).code == Code.CONFLICT
    listed = (await lin.get("/payments"))["payments"]
    assert [one["kind"] for one in listed] == ["refund", "refund", "charge"]


async def test_what_is_not_confirmed_moves_nothing_and_counts_for_nothing(street: Street) -> None:
    lin = await street.keeper("lin")
    before = (await lin.get())["limits"]
    refused = (await lin.top_up(10_00)).json
    street.sandbox.refuse(refused["check_out"])
    called_off = (await lin.top_up(20_00)).json
    between = {
        limit["day_left"]
        for limit in (await lin.get())["limits"]
        if (limit["kind"], limit["currency"]) == ("charge", "CNY")
    }
    assert between == {20_000_00 - 30_00}
    assert (await lin.call("DELETE", f"/payments/{called_off['id']}")).json["state"] == "cancelled"
    assert (await lin.get(f"/payments/{refused['id']}"))["state"] == "failed"
    again = await lin.call("DELETE", f"/payments/{refused['id']}")
    assert again.code == Code.ALREADY
    wallet = await lin.get()
    assert wallet["limits"] == before
    assert wallet["purses"] == [{"currency": "CNY", "available": 0, "held": 0, "leaving": 0, "owed": 0}]


async def test_a_repeat_is_the_same_payment_and_another_content_a_conflict(street: Street) -> None:
    lin = await street.keeper("lin")
    id = client_id()
    answers = await asyncio.gather(*(lin.top_up(15_00, id=id) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len((await lin.get("/payments"))["payments"]) == 1
    limit = next(one for one in (await lin.get())["limits"] if (one["kind"], one["currency"]) == ("charge", "CNY"))
    assert limit["day_left"] == 20_000_00 - 15_00
    for change in ({"amount": 16_00}, {"currency": "HKD"}, {"provider": "stripe"}):
        body = {"id": id, "provider": "sandbox", "amount": 15_00, "currency": "CNY"} | change
        assert (await lin.call("POST", "/top-ups", body)).code == Code.IDEMPOTENCY_CONFLICT
    other = await street.keeper("emma")
    assert (await other.top_up(15_00, id=id)).json["id"] != answers[0].json["id"]


async def test_a_refund_and_a_pay_out_happen_once_however_often_they_are_asked_for(street: Street) -> None:
    lin = await street.keeper("lin")
    await lin.add_factor()
    account = await lin.add_account()
    street.clock.ahead += timedelta(days=3, minutes=1)
    charge = await came_in(street, lin, 100_00)
    id = client_id()
    path = f"/payments/{charge['id']}/refunds"
    refunds = await asyncio.gather(*(lin.call("POST", path, {"id": id, "amount": 40_00}) for _ in range(20)))
    assert {(answer.status, answer.json["id"]) for answer in refunds} == {(200, refunds[0].json["id"])}
    assert await lin.available() == 60_00
    assert (await lin.call("POST", path, {"id": id, "amount": 41_00})).code == Code.IDEMPOTENCY_CONFLICT

    proof = await lin.prove("pay_out", account=account, amount=25_00, currency="CNY")
    body = {"id": client_id(), "account": account, "amount": 25_00, "currency": "CNY", "proof": proof}
    outs = await asyncio.gather(*(lin.call("POST", "/pay-outs", body) for _ in range(20)))
    assert {(answer.status, answer.json["id"]) for answer in outs} == {(200, outs[0].json["id"])}
    assert await lin.available() == 35_00
    assert (await lin.call("POST", "/pay-outs", body | {"amount": 26_00})).code == Code.IDEMPOTENCY_CONFLICT
    # The proof is spent: it is good for no second pay-out, not even of the same content.
    assert (await lin.call("POST", "/pay-outs", body | {"id": client_id()})).code == Code.FACTOR_NEEDED
    assert await lin.available() == 35_00


async def test_a_pay_out_needs_an_account_that_has_cooled_and_a_proof_for_just_this(street: Street) -> None:
    lin, emma = await street.keeper("lin"), await street.keeper("emma")
    await street.fund(lin, 500_00)
    await lin.add_factor()
    account = await lin.add_account()
    listed = (await lin.get("/payout-accounts"))["accounts"]
    assert [(one["id"], one["ending"], one["holder"]) for one in listed] == [(account, "5432", "Lin Ba")]
    assert listed[0]["usable_at"] - listed[0]["added_at"] == 3 * 86_400_000
    assert await street.inbox(lin, "payout_account_changed") == [
        {"account": account, "ending": "5432", "done": "added"}
    ]

    early = await lin.pay_out(account, 100_00)
    assert (early.code, early.field) == (Code.COOLING, "account")
    assert 2 * 86_400 < early.json["error"]["retry_after"] <= 3 * 86_400
    street.clock.ahead += timedelta(days=3)

    proof = await lin.prove("pay_out", account=account, amount=100_00, currency="CNY")
    wanted = {"id": client_id(), "account": account, "amount": 100_00, "currency": "CNY", "proof": proof}
    for change in ({"amount": 100_01}, {"currency": "HKD"}, {"proof": "pf_" + "0" * 20}, {"proof": ""}):
        answer = await lin.call("POST", "/pay-outs", wanted | change)
        assert answer.code in (Code.FACTOR_NEEDED, Code.INSUFFICIENT_FUNDS), change
    assert await lin.available() == 500_00
    assert (await emma.call("POST", "/pay-outs", wanted)).code == Code.NOT_FOUND

    payment = (await lin.call("POST", "/pay-outs", wanted)).json
    assert (payment["kind"], payment["to"]) == ("pay_out", "5432")
    purse = (await lin.get())["purses"][0]
    assert purse["available"] == 400_00
    for _ in range(50):
        payment = await lin.get(f"/payments/{payment['id']}")
        if payment["state"] == "done":
            break
        await asyncio.sleep(0.1)
    assert payment["state"] == "done", payment
    assert (await lin.get())["purses"] == [{"currency": "CNY", "available": 400_00, "held": 0, "leaving": 0, "owed": 0}]
    assert (await emma.call("GET", f"/payments/{payment['id']}")).code == Code.NOT_FOUND
    assert (await emma.call("DELETE", f"/payments/{payment['id']}")).code == Code.NOT_FOUND
    assert (await lin.call("DELETE", f"/payout-accounts/{account}")).status == 204
    assert (await emma.call("DELETE", f"/payout-accounts/{account}")).code == Code.NOT_FOUND
    assert (await lin.get("/payout-accounts"))["accounts"] == []


async def test_more_than_the_days_limit_for_one_pair_of_eyes_waits_for_another(street: Street) -> None:
    """Four eyes from ¥2,000 a day: one large sum, or many small ones."""
    lin = await street.keeper("lin")
    await street.fund(lin, 6_000_00)
    await lin.add_factor()
    account = await lin.add_account()
    street.clock.ahead += timedelta(days=4)
    small = (await lin.pay_out(account, 1_500_00)).json
    assert small["state"] != "approval"
    more = (await lin.pay_out(account, 500_01)).json
    assert (more["state"], more["can_cancel"]) == ("approval", True)
    assert (await lin.get())["purses"][0]["leaving"] >= 500_01
    refused = await street.services.payments.refuse(more["id"], "p_" + "9" * 20, "Not today")
    assert refused.person == lin.id
    assert (await lin.get(f"/payments/{more['id']}"))["fault"] == "not_approved"
    left = next(one for one in (await lin.get())["limits"] if (one["kind"], one["currency"]) == ("pay_out", "CNY"))
    assert left["day_left"] == 20_000_00 - 1_500_00
    assert left["four_eyes"] == 500_00
    assert await lin.available() == 4_500_00


#: for an amount; a refund's may also be null
NO_AMOUNTS: tuple[Any, ...] = (0, -1, 2**53, 10**30, 12.5, "12", "12.345", True, [1], {"amount": 1}, None)


async def test_what_is_no_amount_moves_nothing(street: Street) -> None:
    lin, emma = await street.friends("lin", "emma")
    await street.fund(lin, 100_00)
    charge = await came_in(street, lin, 1_00)
    out = {"id": client_id(), "account": "b_" + "0" * 20, "currency": "CNY", "proof": "x"}
    back = f"/payments/{charge['id']}/refunds"
    for amount in NO_AMOUNTS:
        for answer in (
            await lin.top_up(amount),
            await lin.pay(emma, amount),
            await lin.call("POST", "/pay-outs", out | {"amount": amount}),
            await lin.call("POST", back, {"id": client_id(), "amount": 0 if amount is None else amount}),
        ):
            assert (answer.code, answer.field) == (Code.BAD_REQUEST, "amount"), amount
    for field in ("fee", "amount_text"):
        assert (await lin.pay(emma, 1, **{field: 1})).code == Code.BAD_REQUEST
    assert (await lin.available(), await emma.available()) == (101_00, 0)
    assert len((await lin.get("/payments"))["payments"]) == 1


async def test_limits_at_once_and_by_day_hold_also_against_many_at_the_same_moment(street: Street) -> None:
    lin, emma = await street.friends("lin", "emma")
    await street.fund(lin, 50_000_00)
    single = await lin.pay(emma, 5_000_01)
    assert (single.code, single.field) == (Code.AMOUNT_LIMIT, "amount")
    answers = await asyncio.gather(*(lin.pay(emma, 2_500_00) for _ in range(6)))
    assert sorted(answer.code for answer in answers) == ["", "", "", ""] + [Code.AMOUNT_LIMIT] * 2
    assert (await lin.available(), await emma.available()) == (40_000_00, 10_000_00)
    street.clock.ahead += timedelta(days=1)
    assert (await lin.pay(emma, 1_00)).status == 200
    assert (await lin.top_up(10_000_01)).code == Code.AMOUNT_LIMIT
    for currency in ("CHF", "cny", "", None):
        assert (await lin.top_up(1_00, currency)).code == Code.BAD_REQUEST
    assert (await lin.top_up(1_00, provider="nobody")).field == "provider"


async def test_a_request_that_died_before_its_order_goes_on_when_it_is_repeated(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of the request is written, the order is not: the repeat makes it, and nothing is counted twice."""
    lin = await street.keeper("lin")
    payments = street.services.payments

    async def dies(*_: Any, **__: Any) -> Any:
        raise ConnectionResetError

    id = client_id()
    with monkeypatch.context() as patch:
        patch.setattr(payments, "begin_charge", dies)
        assert (await lin.top_up(30_00, id=id)).code == Code.INTERNAL
    assert (await lin.top_up(30_00, id=id)).json["state"] == "open"
    limit = next(one for one in (await lin.get())["limits"] if (one["kind"], one["currency"]) == ("charge", "CNY"))
    assert limit["day_left"] == 20_000_00 - 30_00

    with monkeypatch.context() as patch:
        patch.setattr(payments, "begin_charge", dies)
        await lin.top_up(70_00)
    with monkeypatch.context() as patch:
        patch.setattr(RequestsRepo, "name", dies)
        assert (await lin.top_up(5_00)).code == Code.INTERNAL, "its order is there already"
    street.clock.ahead += timedelta(minutes=61)  # nobody has repeated it
    limit = next(one for one in (await lin.get())["limits"] if (one["kind"], one["currency"]) == ("charge", "CNY"))
    assert limit["day_left"] == 20_000_00 - 35_00
