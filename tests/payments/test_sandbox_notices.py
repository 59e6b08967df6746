"""The platform's notices on their way: signed, repeated until they are taken, and as unreliable as a tester wants."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.payments.model import OrderKind
from tests.conftest import Run
from tests.payments import contract
from tests.payments.sandbox_process import SandboxProcess, sandbox, sandbox_process
from tests.payments.test_sandbox_provider import There

__all__ = ["sandbox", "sandbox_process"]


@pytest.fixture
def there(sandbox: SandboxProcess, run: Run[Any]) -> Iterator[There]:
    async def made() -> There:
        return There(sandbox)

    counterpart = run(made())
    yield counterpart
    run(counterpart.close())


async def got(there: There, number: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(25):
        while len(there.got) < number:
            await asyncio.sleep(0.01)
    return [msgspec.json.decode(sent.body) for sent in there.got]


async def trouble(there: There, **wanted: Any) -> None:
    await asyncio.to_thread(lambda: there.sandbox.trouble(**wanted))


async def states(there: There, order: str) -> list[str]:
    listed = await asyncio.to_thread(there.sandbox.notices)
    return [one["state"] for one in listed if one["order"] == order]


async def settled(there: There, order: str, *expected: str) -> None:
    async with asyncio.timeout(25):
        while await states(there, order) != list(expected):
            await asyncio.sleep(0.02)


async def test_a_notice_is_signed_over_its_time_and_body(there: There) -> None:
    order = await contract.paid(there)
    (said,) = await got(there, 1)
    assert said["type"] == "charge.done"
    assert said["about"]["order"] == order.id
    at, _, made = there.got[0].headers["practice-signature"].removeprefix("t=").partition(",v1=")
    assert abs(time.time() - int(at)) < 60
    secret = there.sandbox.webhook_secret.encode()
    assert made == hmac.new(secret, at.encode() + b"." + there.got[0].body, hashlib.sha256).hexdigest()


async def test_it_is_brought_again_until_it_is_taken(there: There) -> None:
    there.answers += [500, 302, 404, 503]
    order = await contract.paid(there)
    said = await got(there, 5)
    assert len({one["id"] for one in said}) == 1
    await settled(there, order.id, "delivered")
    listed = await asyncio.to_thread(there.sandbox.notices)
    assert next(one["tries"] for one in listed if one["order"] == order.id) == 5


async def test_each_change_is_told(there: There) -> None:
    charge = await contract.paid(there)
    refund = contract.refund_of(there, charge, 1_00)
    await there.provider.refund(refund, charge)
    pay_out = contract.make(there, OrderKind.PAY_OUT, destination=there.destination(fails=True))
    await there.provider.pay_out(pay_out)
    await asyncio.to_thread(there.sandbox.dispute, charge.reference or "", 2_00)
    types = sorted(one["type"] for one in await got(there, 5))
    assert types == ["charge.done", "charge.done", "charge.done", "pay_out.failed", "refund.done"]


async def test_notices_are_doubled(there: There) -> None:
    await trouble(there, copies=3)
    await contract.paid(there)
    said = await got(there, 3)
    assert len({one["id"] for one in said}) == 1


async def test_notices_are_lost(there: There) -> None:
    await trouble(there, lose=1)
    lost = await contract.paid(there)
    heard = await contract.paid(there)
    assert [one["about"]["order"] for one in await got(there, 1)] == [heard.id]
    assert await states(there, lost.id) == ["lost"]
    assert (await asyncio.to_thread(there.sandbox.tester, "GET", "troubles"))["lose"] == 0


async def test_notices_are_delayed(there: There) -> None:
    await trouble(there, delay=1.0)
    begun = time.monotonic()
    await contract.paid(there)
    await got(there, 1)
    assert time.monotonic() - begun >= 1.0


async def test_notices_overtake_each_other(there: There) -> None:
    await trouble(there, reorder=True)
    opened = [await contract.opened(there) for _ in range(3)]
    for _, remote in opened:  # the notice of the first or of the second is held back
        await there.confirm(remote)
    orders = [order.id for order, _ in opened]
    said = [one["about"]["order"] for one in await got(there, 3)]
    assert said != orders
    assert sorted(said) == sorted(orders)


async def test_a_notice_is_sent_again_by_hand(there: There) -> None:
    order = await contract.paid(there)
    await settled(there, order.id, "delivered")
    listed = await asyncio.to_thread(there.sandbox.notices)
    id = next(one["id"] for one in listed if one["order"] == order.id)
    await asyncio.to_thread(there.sandbox.tester, "POST", f"notices/{id}/again", {})
    first, second = await got(there, 2)
    assert first == second


async def test_what_nobody_has_taken_yet_outlives_the_platform(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as process:
        there = There(process)
        there.answers += [503] * 10_000
        order = await contract.paid(there)
        await asyncio.to_thread(process.kill)
        there.got.clear()
        there.answers.clear()
        await asyncio.to_thread(process.start)
        await asyncio.to_thread(process.notify, there.address)
        said = await got(there, 1)
        assert said[0]["about"]["order"] == order.id
        await there.close()
