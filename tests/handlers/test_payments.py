"""Notices of payment providers over HTTP: they prove themselves, and come from no page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from handlers import payments
from handlers.operations import BODY_LIMIT
from server.errors import Code
from server.limits import Limits
from server.money.model import Currency
from server.payments.model import Order, OrderState, RemoteState
from server.payments.providers import Surroundings
from server.services import Services
from tests.conftest import RunningServer
from tests.handlers.conftest import Answer, Client
from tests.payments.strict import StrictProvider

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> StrictProvider:
    """The server's only provider."""
    provider = StrictProvider()

    def build(surroundings: Surroundings) -> dict[str, Any]:
        return {provider.name: provider}

    monkeypatch.setattr("server.services.providers.build", build)
    return provider


@pytest.fixture
def stranger(strict: StrictProvider, server: RunningServer) -> Client:
    """Has no cookie, no token, and has seen no page."""
    return Client(server.url)


async def an_order(services: Services) -> Order:
    return await services.payments.begin_charge(
        key="k",
        person="p_" + "1" * 20,
        provider="strict",
        amount=10_00,
        currency=Currency.CNY,
        purpose="top_up",
        by="system",
        return_url="http://127.0.0.1/",
        language="en",
    )


async def tell(client: Client, strict: StrictProvider, **more: str) -> Answer:
    sent = strict.sent[-1]
    headers = {**JSON, **dict(sent.headers), **more}
    return await client.call("POST", "/payments/notices/strict", data=sent.body, headers=headers)


async def test_a_notice_makes_us_ask(stranger: Client, strict: StrictProvider, services: Services) -> None:
    order = await an_order(services)
    remote = strict.of(order.id)
    assert remote is not None
    strict.settle(remote, RemoteState.DONE)
    answer = await tell(stranger, strict)
    assert (answer.status, answer.data, answer.headers["Content-Type"]) == (200, b"success", "text/plain")
    assert "Set-Cookie" not in answer.headers
    async with asyncio.timeout(20):
        while (await services.payments.order(order.id)).state is not OrderState.DONE:
            await asyncio.sleep(0.02)
    assert (await tell(stranger, strict)).status == 200


async def test_whoever_signs_it_is_believed_and_nobody_else(
    stranger: Client, strict: StrictProvider, services: Services
) -> None:
    """Tokens, cookies and origins say nothing about a notice: of a browser whose person is signed in neither."""
    await an_order(services)
    await stranger.register("lin")
    assert (await tell(stranger, strict, Origin="https://evil.example")).status == 200
    for wrong in ({"Strict-Signature": "0" * 64}, {"Strict-Signature": ""}):
        assert (await tell(stranger, strict, **wrong)).code == Code.FORBIDDEN
    assert (await tell(stranger, strict, Authorization="Bearer nonsense")).status == 200


async def test_every_declared_refusal(
    stranger: Client, strict: StrictProvider, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await an_order(services)
    path, body = "/payments/notices/strict", strict.sent[-1].body

    async def sent(to: str = path, data: bytes = body, headers: dict[str, str] | None = None) -> str:
        return (await stranger.call("POST", to, data=data, headers=headers or JSON)).code

    seen = {
        await sent("/payments/notices/nobody"),
        await sent("/payments/notices/N0"),
        await sent(headers={"Content-Type": "text/html"}),
        await sent(data=b"x" * (BODY_LIMIT + 1)),
        await sent(),
    }
    real = Limits.take

    async def take(limits: Limits, name: str, key: str, n: int) -> bool:
        return name != "forged_notice" and await real(limits, name, key, n)

    monkeypatch.setattr(Limits, "take", take)
    seen.add(await sent())
    assert seen == {Code.NOT_FOUND, Code.BAD_REQUEST, Code.TOO_LARGE, Code.FORBIDDEN, Code.TOO_OFTEN}
    assert set(payments.payment_notice.errors) <= seen
