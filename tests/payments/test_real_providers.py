"""Stripe and Alipay behind a whole server: from the check-out through their own notifications into the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace
from tornado.httpclient import AsyncHTTPClient

from server.money.model import Currency, clearing
from server.payments.model import Order, OrderState
from server.settings import Settings
from tests.conftest import Run, RunningServer
from tests.payments.alipay_gateway import Gateway
from tests.payments.alipay_keys import certificate, pem
from tests.payments.contract import BACK
from tests.payments.localstripe import localstripe
from tests.payments.stage import LIN
from tests.payments.stripe_api import KEY, StripeApi

SECRET = "whsec_of_the_whole"


@pytest.fixture(scope="module")
def localstripe_port() -> Iterator[int]:
    with localstripe() as port:
        yield port


@pytest.fixture
def stripe_api(localstripe_port: int, run: Run[Any]) -> Iterator[StripeApi]:
    async def make() -> StripeApi:
        return StripeApi(localstripe_port)

    api = run(make())
    yield api
    run(api.stop())


@pytest.fixture(scope="module")
def rsa_keys() -> list[rsa.RSAPrivateKey]:
    """The app's and Alipay's."""
    return [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


@pytest.fixture
def gateway(rsa_keys: list[rsa.RSAPrivateKey], tmp_path: Path, run: Run[Any]) -> Iterator[Gateway]:
    app, own = rsa_keys
    (tmp_path / "app").write_bytes(pem(app))
    for name, key in (("alipay", own), ("app.crt", app), ("roots", own)):
        (tmp_path / name).write_bytes(certificate(key, name, 7).public_bytes(serialization.Encoding.PEM))

    async def make() -> Gateway:
        return Gateway("2021000000000001", app.public_key(), own)

    gateway = run(make())
    yield gateway
    run(gateway.stop())


@pytest.fixture
def settings(settings: Settings, stripe_api: StripeApi, gateway: Gateway, tmp_path: Path) -> Settings:
    return replace(
        settings,
        payments=("stripe", "alipay"),
        stripe_key=KEY,
        stripe_webhook_secret=SECRET,
        stripe_api_base=stripe_api.url,
        alipay_app_id=gateway.app_id,
        alipay_key=tmp_path / "app",
        alipay_public_key=tmp_path / "alipay",
        alipay_certificate=tmp_path / "app.crt",
        alipay_root_certificate=tmp_path / "roots",
        alipay_gateway=gateway.url,
        public_origins=("https://vouch.example",),
    )


async def ended(server: RunningServer, order: Order, state: OrderState = OrderState.DONE) -> Order:
    """Waits for a notification or the driver, whichever is first; nobody looks."""
    async with asyncio.timeout(25):
        while (now := await server.services.payments.order(order.id)).state is not state:
            await asyncio.sleep(0.02)
    return now


async def has(server: RunningServer, currency: Currency) -> tuple[int, int]:
    """What the person has available, and what the provider holds for us."""
    available = 0
    for one in await server.services.money.balances(LIN):
        if one.currency is currency:
            available = one.available
    provider = "alipay" if currency is Currency.CNY else "stripe"
    return available, -await server.services.money.balance(clearing(provider), currency)


async def charge(server: RunningServer, provider: str, currency: Currency) -> Order:
    order = await server.services.payments.begin_charge(
        key=f"{provider}:{datetime.now(UTC).timestamp()}",
        person=LIN,
        provider=provider,
        amount=10_00,
        currency=currency,
        purpose="top_up",
        by=LIN,
        return_url=BACK,
        language="zh-CN",
    )
    assert (order.state, bool(order.url)) == (OrderState.OPEN, True)
    return order


async def leaves(server: RunningServer, paid: Order, number: str) -> None:
    payments = server.services.payments
    refund = await payments.begin_refund(key=f"back:{paid.id}", charge=paid.id, amount=4_00, by=LIN)
    await ended(server, refund)
    out = await payments.begin_pay_out(
        key=f"out:{paid.id}",
        person=LIN,
        provider=paid.provider,
        amount=3_00,
        currency=paid.currency,
        destination={"number": number, "holder": "林晓"},
        by=LIN,
        approval=False,
    )
    await ended(server, out)


async def differences(server: RunningServer, provider: str) -> int:
    now = datetime.now(UTC)
    since, until = now - timedelta(minutes=10), now + timedelta(minutes=10)
    return len((await server.services.payments.reconcile(provider, since, until)).differences)


async def test_stripe(server: RunningServer, stripe_api: StripeApi) -> None:
    await stripe_api.start(SECRET, f"{server.url}/api/v1/payments/notices/stripe")
    order = await charge(server, "stripe", Currency.EUR)
    await stripe_api.pay(order.reference or "")
    paid = await ended(server, order)  # by localstripe's own webhook, or by asking
    assert await has(server, Currency.EUR) == (10_00, 10_00)
    await leaves(server, paid, "acct_1VouchLin")
    assert await has(server, Currency.EUR) == (3_00, 3_00)
    assert await differences(server, "stripe") == 0

    stripe_api.dispute(paid.reference or "", 2_00)
    assert await differences(server, "stripe") == 0  # it is caught up with
    assert (await server.services.payments.order(paid.id)).disputed == 2_00
    assert await has(server, Currency.EUR) == (1_00, 1_00)


async def test_alipay(server: RunningServer, gateway: Gateway) -> None:
    order = await charge(server, "alipay", Currency.CNY)
    gateway.pay(order.url or "")
    [body] = gateway.sent
    url = f"{server.url}/api/v1/payments/notices/alipay"
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}

    async def deliver(sent: bytes) -> tuple[int, bytes]:
        answer = await AsyncHTTPClient().fetch(url, method="POST", body=sent, headers=headers, raise_error=False)
        return answer.code, answer.body

    assert (await deliver(body.replace(b"10.00", b"99.00")))[0] == 403
    assert await deliver(body) == (200, b"success")
    paid = await ended(server, order)
    assert await has(server, Currency.CNY) == (10_00, 10_00)
    assert await deliver(body) == (200, b"success")  # again, and late
    await leaves(server, paid, "lin@example.com")
    assert await has(server, Currency.CNY) == (3_00, 3_00)
    assert await differences(server, "alipay") == 0


async def test_a_page_of_alipay_that_was_given_up_and_paid_nevertheless(
    server: RunningServer, gateway: Gateway
) -> None:
    """Nobody can close a page that Alipay has not heard of: what is paid there is booked, and said to be late."""
    order = await charge(server, "alipay", Currency.CNY)
    payments = server.services.payments
    await payments.cancel(order.id, LIN)
    await ended(server, order, OrderState.CANCELLED)
    gateway.pay(order.url or "")
    await payments.notice("alipay", {}, gateway.sent[-1], "192.0.2.1")
    late = await ended(server, order)
    assert late.fault == "paid_late"
    assert await has(server, Currency.CNY) == (10_00, 10_00)


async def test_while_they_are_down_everything_waits_and_then_goes_on(
    server: RunningServer, stripe_api: StripeApi
) -> None:
    await stripe_api.start(SECRET, f"{server.url}/api/v1/payments/notices/stripe")
    order = await charge(server, "stripe", Currency.EUR)
    await stripe_api.pay(order.reference or "")
    paid = await ended(server, order)
    await stripe_api.down()
    refund = await server.services.payments.begin_refund(key="down", charge=paid.id, amount=4_00, by=LIN)
    assert refund.state is OrderState.WAITING
    assert await has(server, Currency.EUR) == (6_00, 10_00)
    stripe_api.up()
    await ended(server, refund)
    assert await has(server, Currency.EUR) == (6_00, 6_00)
    assert await differences(server, "stripe") == 0
