"""The doctor asks those who are to take money whether they know us."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace

from server.doctor import Finding, Verdict
from server.doctor.payments import examine
from server.keys import Keys, load_keys
from server.settings import Settings
from tests.conftest import Run
from tests.operations.test_doctor import verdict
from tests.payments.alipay_gateway import Gateway
from tests.payments.alipay_keys import pem
from tests.payments.localstripe import localstripe
from tests.payments.stripe_api import KEY, StripeApi


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return load_keys(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def app_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def alipay_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def gateway(app_key: rsa.RSAPrivateKey, alipay_key: rsa.RSAPrivateKey, run: Run[Any]) -> Iterator[Gateway]:
    async def make() -> Gateway:
        return Gateway("2021000000000001", app_key.public_key(), alipay_key)

    gateway = run(make())
    yield gateway
    run(gateway.stop())


@pytest.fixture
def alipay(gateway: Gateway, app_key: rsa.RSAPrivateKey, tmp_path: Path) -> Settings:
    for name, key in (("app", app_key), ("alipay", gateway.key.public_key())):
        (tmp_path / name).write_bytes(pem(key))
    return Settings(
        payments=("alipay",),
        alipay_app_id=gateway.app_id,
        alipay_key=tmp_path / "app",
        alipay_public_key=tmp_path / "alipay",
        alipay_gateway=gateway.url,
        public_origins=("https://vouch.example",),
    )


@pytest.fixture
def stripe_api(run: Run[Any]) -> Iterator[StripeApi]:
    async def make(port: int) -> StripeApi:
        return StripeApi(port)

    with localstripe() as port:
        api = run(make(port))
        yield api
        run(api.stop())


def worst(found: list[Finding]) -> tuple[str, Verdict]:
    """Also looks at each of them."""
    order = [Verdict.PROBLEM, Verdict.WARNING, Verdict.OK]
    first = min(found, key=lambda finding: order.index(verdict(finding)))
    return first.name, first.verdict


async def test_play_money_is_for_play(keys: Keys) -> None:
    play = Settings(payments=("sandbox",))
    assert worst(await examine(Settings(payments=()), keys)) == ("payments", Verdict.OK)
    assert worst(await examine(play, keys)) == ("payments", Verdict.OK)
    public = replace(play, public_origins=("https://vouch.example",))
    assert worst(await examine(public, keys)) == ("payments", Verdict.WARNING)
    assert worst(await examine(Settings(payments=("paypal",)), keys)) == ("payments", Verdict.PROBLEM)


async def test_alipay(alipay: Settings, gateway: Gateway, keys: Keys, tmp_path: Path) -> None:
    found = await examine(alipay, keys)
    assert verdict(found[0]) is Verdict.OK
    assert worst(found) == ("payments_alipay", Verdict.WARNING)  # no certificates, so no pay-outs
    assert gateway.asked == ["alipay.trade.query"]
    wrong = replace(alipay, alipay_app_id="1")
    assert worst(await examine(wrong, keys)) == ("payments_alipay", Verdict.PROBLEM)
    mixed_up = replace(alipay, alipay_public_key=tmp_path / "own")
    (tmp_path / "own").write_bytes(pem(gateway.app))
    assert worst(await examine(mixed_up, keys)) == ("payments_alipay", Verdict.PROBLEM)
    for field in ("alipay_app_id", "alipay_key", "alipay_public_key"):
        missing = replace(alipay, **{field: None})
        assert worst(await examine(missing, keys)) == ("payments_alipay", Verdict.PROBLEM)
    nowhere = replace(alipay, alipay_key=tmp_path / "nowhere")
    assert worst(await examine(nowhere, keys)) == ("payments_alipay", Verdict.PROBLEM)
    no_key = replace(alipay, alipay_key=tmp_path / "alipay")
    assert worst(await examine(no_key, keys)) == ("payments_alipay", Verdict.PROBLEM)
    await gateway.down()
    assert verdict((await examine(alipay, keys))[0]) is Verdict.WARNING


async def test_stripe(stripe_api: StripeApi, keys: Keys) -> None:
    settings = Settings(
        payments=("stripe",), stripe_key=KEY, stripe_webhook_secret="whsec_1", stripe_api_base=stripe_api.url
    )
    found = await examine(settings, keys)
    assert [verdict(finding) for finding in found] == [Verdict.OK, Verdict.WARNING, Verdict.WARNING]
    wrong = replace(settings, stripe_key="sk_test_of_somebody_else")
    assert worst(await examine(wrong, keys)) == ("payments_stripe", Verdict.PROBLEM)
    for missing in (replace(settings, stripe_key="pk_live_1"), replace(settings, stripe_webhook_secret="")):
        [finding] = await examine(missing, keys)
        assert verdict(finding) is Verdict.PROBLEM
        assert "pk_live_1" not in finding.says
    await stripe_api.down()
    assert verdict((await examine(settings, keys))[0]) is Verdict.WARNING
