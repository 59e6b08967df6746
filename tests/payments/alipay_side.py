"""Alipay as tests meet it: the adapter, a gateway of our own on the other side, and payers with and without haste."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from server.clock import SystemClock
from server.money.model import Currency
from server.payments.model import Order, Remote
from server.payments.providers.alipay import Alipay
from server.payments.providers.alipay_line import credentials
from tests.conftest import Run
from tests.payments.alipay_gateway import Gateway
from tests.payments.alipay_keys import bare, pem
from tests.payments.counterpart import Sent

NOTIFY = "https://vouch.example/api/v1/payments/notices/alipay"


class Visited(Alipay):
    """The payer's browser goes to the check-out page at once, as it does in life: only then does Alipay know of it."""

    gateway_visited: Gateway

    async def charge(self, order: Order, return_url: str, language: str) -> Remote:
        remote = await super().charge(order, return_url, language)
        if remote.url:
            self.gateway_visited.visit(remote.url)
        return remote


class AlipaySide:
    """counterpart.Counterpart."""

    currency = Currency.CNY
    signs_headers = False

    def __init__(self, provider: Alipay, gateway: Gateway) -> None:
        self.provider = provider
        self.gateway = gateway

    def destination(self, *, fails: bool = False) -> dict[str, str]:
        return {"number": "nobody@example.com" if fails else "lin@example.com", "holder": "林晓"}

    async def confirm(self, remote: Remote) -> None:
        assert remote.url is not None
        self.gateway.pay(remote.url)

    async def refuse(self, remote: Remote) -> None:
        raise NotImplementedError

    async def charge_back(self, remote: Remote, amount: int) -> None:
        raise NotImplementedError

    async def take_down(self) -> None:
        await self.gateway.down()

    async def bring_up(self) -> None:
        self.gateway.up()

    async def lose_next_answer(self) -> None:
        self.gateway.lose = 1

    async def notices(self) -> Sequence[Sent]:
        sent, self.gateway.sent = self.gateway.sent, []
        return [Sent({"content-type": "application/x-www-form-urlencoded"}, body) for body in sent]


@pytest.fixture(scope="module")
def app_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def other_key() -> rsa.RSAPrivateKey:
    """The gateway's own; somebody else's where the app's is meant."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def gateway(app_key: rsa.RSAPrivateKey, other_key: rsa.RSAPrivateKey, run: Run[Any]) -> Iterator[Gateway]:
    async def make_it() -> Gateway:
        return Gateway("2021000000000001", app_key.public_key(), other_key)

    gateway = run(make_it())
    yield gateway
    run(gateway.stop())


def adapter(
    kind: type[Alipay], gateway: Gateway, app_key: rsa.RSAPrivateKey, tmp_path: Path, check_out: str = "page"
) -> Alipay:
    (tmp_path / "app.txt").write_bytes(bare(pem(app_key)))
    (tmp_path / "alipay.txt").write_bytes(bare(pem(gateway.key.public_key())))
    is_ = credentials(gateway.app_id, tmp_path / "app.txt", tmp_path / "alipay.txt")
    return kind(is_, gateway=gateway.url, clock=SystemClock(), notify_url=NOTIFY, check_out=check_out)


@pytest.fixture
def there(gateway: Gateway, app_key: rsa.RSAPrivateKey, tmp_path: Path, run: Run[Any]) -> Iterator[AlipaySide]:
    """Whose payers open the page at once."""
    provider = adapter(Visited, gateway, app_key, tmp_path)
    assert isinstance(provider, Visited)
    provider.gateway_visited = gateway
    yield AlipaySide(provider, gateway)
    run(provider.close())


@pytest.fixture
def side(gateway: Gateway, app_key: rsa.RSAPrivateKey, tmp_path: Path, run: Run[Any]) -> Iterator[AlipaySide]:
    """Whose payers open the page when the test says so."""
    provider = adapter(Alipay, gateway, app_key, tmp_path)
    yield AlipaySide(provider, gateway)
    run(provider.close())
