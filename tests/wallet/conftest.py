"""People with wallets: the real server with the real platform for play money beside it, and a clock to be turned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyotp
import pytest

from server.clock import SystemClock
from server.keys import Keys
from server.money.model import Account, AccountKind, Currency, Draft, Leg, TransferKind, available
from server.services import Services
from server.settings import Settings
from server.store import Tx
from tests.conftest import Run, RunningServer
from tests.handlers.conftest import PASSWORD, Answer, Client
from tests.payments.sandbox_process import SandboxProcess
from tests.wire.client import client_id

OUTSIDE = Account(AccountKind.EXTERNAL, "test")


class TurnedClock(SystemClock):
    """The real time, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> Any:
        return super().now() + self.ahead


class Keeper:
    """A person in a browser, with what tests of money need at hand."""

    def __init__(self, street: Street, client: Client, id: str) -> None:
        self.street = street
        self.client = client
        self.id = id
        self._totp: pyotp.TOTP | None = None

    async def call(self, method: str, path: str, json: Any = msgspec.UNSET) -> Answer:
        return await self.client.call(method, f"/me/wallet{path}", json)

    async def get(self, path: str = "") -> Any:
        answer = await self.call("GET", path)
        assert answer.status == 200, answer.data
        return answer.json

    async def post(self, path: str, json: Any) -> Any:
        answer = await self.call("POST", path, json)
        assert answer.status < 300, answer.data
        return answer.json

    async def available(self, currency: str = "CNY") -> int:
        purses = (await self.get())["purses"]
        return int(next((purse["available"] for purse in purses if purse["currency"] == currency), 0))

    async def pay(self, to: Keeper, amount: Any, currency: Any = "CNY", **more: Any) -> Answer:
        body = {"id": client_id(), "to": to.id, "amount": amount, "currency": currency} | more
        return await self.call("POST", "/transfers", body)

    async def top_up(self, amount: Any, currency: Any = "CNY", **more: Any) -> Answer:
        body = {"id": client_id(), "provider": "sandbox", "amount": amount, "currency": currency} | more
        return await self.call("POST", "/top-ups", body)

    # ── Second factors ──────────────────────────────────────────────────────────────────────────────────────────────

    async def add_factor(self) -> None:
        """An authenticator app."""
        begun = await self.client.post("/me/factors/totp", {"name": "Phone", "password": PASSWORD})
        assert begun.status == 201, begun.data
        self._totp = pyotp.TOTP(begun.json["secret"])
        added = await self.client.post(f"/me/factors/totp/{begun.json['setup']}", {"code": self._code()})
        assert added.status == 201, added.data

    async def prove(self, purpose: str, **facts: str | int) -> str:
        """A proof for just this. Each code works once, so the clock goes on by a step for each."""
        self.street.clock.ahead += timedelta(seconds=30)
        begun = await self.client.post("/me/proofs", {"purpose": purpose, "facts": facts})
        assert begun.status == 201, begun.data
        made = await self.client.post(f"/me/proofs/{begun.json['id']}", {"code": self._code()})
        assert made.status == 200, made.data
        return str(begun.json["id"])

    async def add_account(self, number: str = "GB82WEST12345698765432") -> str:
        proof = await self.prove("payout_account", provider="sandbox", number=number)
        body = {"provider": "sandbox", "holder": "Lin Ba", "number": number, "proof": proof}
        return str((await self.post("/payout-accounts", body))["id"])

    async def pay_out(self, account: str, amount: int, currency: str = "CNY", **more: Any) -> Answer:
        proof = await self.prove("pay_out", account=account, amount=amount, currency=currency)
        body = {"id": client_id(), "account": account, "amount": amount, "currency": currency, "proof": proof}
        return await self.call("POST", "/pay-outs", body | more)

    def _code(self) -> str:
        assert self._totp is not None, "add_factor first"
        return self._totp.at(self.street.clock.now())


class Street:
    def __init__(self, server: RunningServer, clock: TurnedClock, sandbox: SandboxProcess) -> None:
        self.server = server
        self.services = server.services
        self.clock = clock
        self.sandbox = sandbox

    async def keeper(self, handle: str, **more: Any) -> Keeper:
        client = Client(self.server.url)
        me = await client.register(handle, **more)
        return Keeper(self, client, me["id"])

    async def friends(self, *handles: str, **more: Any) -> list[Keeper]:
        """All are friends of the first one."""
        keepers = [await self.keeper(handle, **more) for handle in handles]
        for other in keepers[1:]:
            await self.befriend(keepers[0], other)
        return keepers

    async def befriend(self, one: Keeper, other: Keeper) -> None:
        await self.services.people.friends.request(one.id, other.id, "")
        await self.services.people.friends.accept(other.id, one.id)

    async def guard(self, ward: Keeper, guardian: Keeper) -> None:
        guardians = self.services.guardians
        await guardians.ask(ward.id, ward.id, guardian.id)
        await guardians.confirm(guardian.id, ward.id, guardian.id)

    async def fund(self, keeper: Keeper, amount: int, currency: Currency = Currency.CNY) -> str:
        """An opening transfer from outside; its id."""
        draft = Draft(
            key=f"fund:{client_id()}",
            kind=TransferKind.ADJUSTMENT,
            currency=currency,
            legs=(Leg(OUTSIDE, -amount), Leg(available(keeper.id), amount)),
        )

        async def body(tx: Tx) -> str:
            return (await self.services.money.post(tx, draft)).id

        return await self.services.money.transact([available(keeper.id)], body)

    async def inbox(self, keeper: Keeper, kind: str) -> list[dict[str, Any]]:
        """The bodies of the entries of one kind, the oldest first."""
        await self.services.outbox.drained()
        page = await self.services.hub.pages.page(f"inbox:{keeper.id}", 1, None, None, 200)
        return [entry.body for entry in page.entries if entry.kind == kind]


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[SandboxProcess]:
    """The platform for play money, with the secrets of the session's server."""
    directory: Path = tmp_path_factory.mktemp("platform")
    process = SandboxProcess(directory)
    process.api_key, process.webhook_secret = keys.sandbox_key, keys.sandbox_webhook
    (directory / "key").write_text(process.api_key)
    (directory / "webhook").write_text(process.webhook_secret)
    with process as running:
        yield running


@pytest.fixture
def clock() -> TurnedClock:
    """Turned on to noon in Shanghai, so that no test's day ends by chance."""
    clock = TurnedClock()
    clock.ahead = (clock.now().replace(hour=4, minute=0, second=0, microsecond=0) - clock.now()) % timedelta(days=1)
    return clock


@pytest.fixture
def settings(settings: Settings, platform: SandboxProcess) -> Settings:
    platform.calm()
    platform.notify("")
    return msgspec.structs.replace(settings, limits_factor=1000.0, payments=("sandbox",), sandbox_url=platform.url)


@pytest.fixture
def services(settings: Settings, keys: Keys, clock: TurnedClock, run: Run[Any]) -> Iterator[Services]:
    services = Services(settings, keys, clock, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    run(services.start())
    yield services
    run(services.stop())


@pytest.fixture
def street(server: RunningServer, clock: TurnedClock, platform: SandboxProcess) -> Street:
    return Street(server, clock, platform)
