"""The same person at two nodes at once: what is counted and what happens once does so in the database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from server.errors import Code, VouchError
from server.money.model import Account, AccountKind, Currency, Draft, Leg, TransferKind, available
from server.people.accounts import NewAccount
from server.services import Services
from server.settings import Settings
from server.wallet.model import Paid, PayPerson
from tests.wire.client import client_id

BEGIN = 20_000_00


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, payments=())


def noon() -> str:
    """A time zone where it is about noon, so that no day ends by chance."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


async def two_friends(node: Services) -> tuple[str, str]:
    people = [
        await node.people.accounts.create(
            NewAccount(handle=handle, password="paper and seal", name=handle, time_zone=noon())
        )
        for handle in ("lin", "emma")
    ]
    await node.people.friends.request(people[0], people[1], "")
    await node.people.friends.accept(people[1], people[0])
    legs = (Leg(Account(AccountKind.EXTERNAL, "test"), -BEGIN), Leg(available(people[0]), BEGIN))
    draft = Draft(key="opening", kind=TransferKind.ADJUSTMENT, currency=Currency.CNY, legs=legs)
    await node.money.transact([available(people[0])], lambda tx: node.money.post(tx, draft))
    return people[0], people[1]


async def pay(node: Services, lin: str, emma: str, amount: int, id: str) -> Paid | str:
    """The payment, or the code of its refusal; told to be busy, a client asks again with the same id."""
    wanted = PayPerson(id=id, to=emma, amount=amount, currency=Currency.CNY)
    while True:
        try:
            return await node.wallet.transfers.pay(lin, wanted)
        except VouchError as refusal:
            if refusal.code is not Code.TRY_LATER:
                return refusal.code


@pytest.mark.gen_test(timeout=90)
async def test_a_payment_happens_once_and_limits_hold_on_all_nodes_together(nodes: tuple[Services, Services]) -> None:
    lin, emma = await two_friends(nodes[0])
    id = client_id()
    same: list[Any] = await asyncio.gather(*(pay(nodes[n % 2], lin, emma, 1_000_00, id) for n in range(12)))
    assert {one.transfer for one in same} == {same[0].transfer}

    # ¥10,000 a day: ¥1,000 are gone, six times ¥1,500 fit, whichever node is asked.
    jobs = [pay(nodes[n % 2], lin, emma, 1_500_00, client_id()) for n in range(10)]
    answers = await asyncio.gather(*jobs)
    assert [answer for answer in answers if isinstance(answer, str)] == [Code.AMOUNT_LIMIT] * 4
    (purse,) = await nodes[1].money.balances(emma)
    assert purse.available == 10_000_00
    for node in nodes:
        limits = (await node.wallet.contents(lin)).limits
        left = next(one for one in limits if (one.kind, one.currency) == (None, Currency.CNY))
        assert (left.single, left.day_left, left.month_left) == (0, 0, 40_000_00)
