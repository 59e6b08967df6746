"""A real server that is killed again and again while people pay: every order ends, once, and the books are right."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError
from tornado.iostream import StreamClosedError

from scripts.hub_process import HubProcess, run_command
from server.clock import SystemClock
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.ids import new_id
from server.keys import load_keys
from server.money.model import AccountKind
from server.money.service import Money
from server.payments.model import OrderKind, RemoteState
from server.settings import Settings
from server.store import Store
from tests.handlers.conftest import Answer, Client
from tests.payments.sandbox_process import SandboxClient

KILLS = 2
PEOPLE = 4
_ENDED = {"done", "failed", "cancelled", "expired"}
_GONE = (OSError, HTTPClientError, StreamClosedError)


class Shop:
    """Some people who pay in and take back, and go on asking until they are answered, whatever dies meanwhile."""

    def __init__(self, data: Path, seed: int) -> None:
        environ = {"VOUCH_LIMITS_FACTOR": "10000", "VOUCH_MONEY_FACTOR": "1000"}
        self.hub = HubProcess(data, environ=environ)
        self.random = random.Random(seed)
        self.people: list[Client] = []
        self.done = False
        self.asked = 0
        #: the payments that somebody has confirmed at the check-out
        self.paid: set[str] = set()

    async def open(self) -> None:
        self.hub.start(120)
        for number in range(PEOPLE):
            client = Client(self.hub.url)
            await client.register(f"payer{number}")
            self.people.append(client)

    async def insist(self, asking: Callable[[], Awaitable[Answer]]) -> Any:
        """Asks until there is an answer that is one."""
        while True:
            try:
                answer = await asking()
            except _GONE:
                await asyncio.sleep(0.05)
                continue
            if answer.status < 500:
                return answer
            await asyncio.sleep(0.05)

    async def go_on(self, client: Client) -> None:
        while not self.done:
            amount = self.random.randint(1, 200_00)
            id = new_id("c")
            wanted = {"id": id, "provider": "sandbox", "amount": amount, "currency": "CNY"}
            answer = await self.insist(partial(client.post, "/me/wallet/top-ups", wanted))
            assert answer.status == 200, answer.data
            self.asked += 1
            payment = await self.look(client, answer.json["id"], until=lambda seen: bool(seen["check_out"]))
            if payment["state"] in _ENDED:
                continue
            if not await self.confirm(payment["check_out"]):
                continue
            self.paid.add(payment["id"])
            if self.random.random() < 0.6:
                payment = await self.look(client, payment["id"], until=lambda seen: seen["state"] == "done")
                back = {"id": new_id("c"), "amount": self.random.randint(1, amount)}
                path = f"/me/wallet/payments/{payment['id']}/refunds"
                answer = await self.insist(partial(client.post, path, back))
                assert answer.status == 200, answer.data

    async def look(self, client: Client, id: str, until: Callable[[Any], bool]) -> Any:
        while True:
            answer = await self.insist(partial(client.get, f"/me/wallet/payments/{id}"))
            assert answer.status == 200, answer.data
            if until(answer.json) or answer.json["state"] in _ENDED:
                return answer.json
            await asyncio.sleep(0.05)

    async def confirm(self, check_out: str) -> bool:
        """Presses the button; the platform may be dead meanwhile, or have closed the page."""
        sandbox = SandboxClient(check_out.partition("/pay")[0], "", "", "")
        for _ in range(100):
            try:
                await asyncio.to_thread(sandbox.pay, check_out)
                return True
            except OSError:
                await asyncio.sleep(0.1)
            except AssertionError:
                return False
        return False

    async def kill(self) -> None:
        """As a power cut does it; then somebody starts it again."""
        self.hub.send(signal.SIGKILL)
        await asyncio.to_thread(self.hub.end)
        self.hub.printed = ""
        await asyncio.to_thread(self.hub.start, 120)
        for client in self.people:
            client.url = self.hub.url

    async def all_have_ended(self) -> None:
        for client in self.people:
            async with asyncio.timeout(240):
                while True:
                    answer = await self.insist(partial(client.get, "/me/wallet/payments?limit=100"))
                    open_ones = [one for one in answer.json["payments"] if one["state"] not in _ENDED]
                    if not [one for one in open_ones if one["id"] in self.paid or one["kind"] != "charge"]:
                        break
                    await asyncio.sleep(0.2)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=900)
async def test_a_server_that_is_killed_while_people_pay(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "data", seed=5)
    try:
        await shop.open()
        paying = [asyncio.create_task(shop.go_on(client)) for client in shop.people]
        for _ in range(KILLS):
            before = shop.asked
            async with asyncio.timeout(150):
                while shop.asked < before + PEOPLE:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(shop.random.random() * 0.7)  # anywhere between two steps
            await shop.kill()
        before = shop.asked
        async with asyncio.timeout(150):
            while shop.asked < before + PEOPLE:
                await asyncio.sleep(0.02)
        shop.done = True
        await asyncio.gather(*paying)
        await shop.all_have_ended()
        theirs = await what_the_platform_says(shop.hub.data_dir)
        wallets = [(await client.get("/me/wallet")).json for client in shop.people]
        have = sum(purse["available"] for wallet in wallets for purse in wallet["purses"])
        assert have == theirs
        assert sum(purse["held"] for wallet in wallets for purse in wallet["purses"]) == 0
        assert len(shop.paid) >= PEOPLE * KILLS
    finally:
        if shop.hub._process is not None:
            shop.hub.__exit__(None, None, None)
    assert await what_the_journal_says(tmp_path / "data") == theirs
    verified = await asyncio.to_thread(run_command, "ledger", "verify", "--data-dir", str(tmp_path / "data"))
    assert verified.returncode == 0, verified.stdout


async def what_the_platform_says(data: Path) -> int:
    """What came minus what went back, all in one currency."""
    provider = SandboxClient.of_hub(data).provider()
    now = datetime.now(UTC)
    total = 0
    try:
        for kind in (OrderKind.CHARGE, OrderKind.REFUND):
            async for thing in provider.everything(kind, now - timedelta(hours=1), now + timedelta(hours=1)):
                if thing.state is RemoteState.DONE:
                    total += thing.amount if kind is OrderKind.CHARGE else -thing.amount
    finally:
        await provider.close()
    return total


async def what_the_journal_says(data: Path) -> int:
    """What people have by the journal alone, read from the files that the last server left behind."""
    directory = DataDirectory(data)
    directory.open()
    totals: dict[AccountKind, int] = defaultdict(int)
    try:
        keys = load_keys(data / "secrets")
        with Embedded(Settings(data_dir=data), keys, directory) as embedded:
            store = Store(embedded.mongodb_uri, "vouch")
            now = datetime.now(UTC)
            async for transfer in Money(store, SystemClock()).journal(
                now - timedelta(hours=1), now + timedelta(hours=1)
            ):
                assert sum(leg.amount for leg in transfer.legs) == 0
                for leg in transfer.legs:
                    totals[leg.account.kind] += leg.amount
            store.close()
    finally:
        directory.close()
    assert totals[AccountKind.HELD] == 0
    return totals[AccountKind.AVAILABLE]
