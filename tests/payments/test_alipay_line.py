"""What goes over the line to Alipay: answers that are none, and keys and fields that are none either."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.clock import SystemClock
from server.payments.model import OrderKind, RemoteState
from server.payments.provider import ProviderFault
from server.payments.providers.alipay import Alipay
from server.payments.providers.alipay_line import credentials
from server.payments.providers.alipay_requests import request
from tests.conftest import Run
from tests.payments.alipay_gateway import Gateway, signature
from tests.payments.alipay_keys import certificate, pem
from tests.payments.alipay_side import AlipaySide, adapter, app_key, gateway, other_key, side, there
from tests.payments.contract import make

__all__ = ["app_key", "gateway", "other_key", "side", "there"]


# ── Hostile answers ─────────────────────────────────────────────────────────────────────────────────────────────────


def signed(gateway: Gateway, text: str, name: str = "alipay_trade_query_response") -> bytes:
    return f'{{"{name}":{text},"sign":"{signature(gateway.key, text.encode())}"}}'.encode()


TRADE = '{"code":"10000","out_trade_no":"x","trade_status":"TRADE_SUCCESS","total_amount":"10.00"}'


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"", "unknown"),
        (200, b"<html><body>busy</body></html>", "unknown"),
        (200, b"[]", "unknown"),
        (200, b'{"sign":"AAAA"}', "unknown"),
        (200, b"[" * 100_000, "unknown"),
        (200, b'{"alipay_trade_query_response":' + TRADE.encode() + b"}", "forged_answer"),
        (200, b'{"alipay_trade_query_response":' + TRADE.encode() + b',"sign":"AAAA"}', "forged_answer"),
        (200, b'{"alipay_trade_query_response":' + TRADE.encode() + b',"sign":"\xc3\xa4"}', "unknown"),
        (200, b'{"error_response":{"code":"40002","sub_code":"isv.invalid-app-id"}}', "credentials"),
        (502, b"<html>Bad Gateway</html>", "down"),
        (302, b"", "unknown"),
        (200, b"x" * (5 * 1024**2), "down"),
    ],
    ids=["empty", "html", "list", "no response", "deep", "unsigned", "short", "no base64", "app", "502", "302", "huge"],
)
async def test_answers_that_are_none(status: int, body: bytes, code: str, side: AlipaySide) -> None:
    side.gateway.instead.append((status, body))
    with pytest.raises(ProviderFault) as caught:
        await side.provider.find(make(side))
    assert (caught.value.code, caught.value.certain) == (code, False)


@pytest.mark.parametrize(
    "text",
    [
        '{"code":"10000"}',
        TRADE.replace('"10.00"', '"ten"'),
        TRADE.replace('"10.00"', "null"),
        TRADE.replace('"10.00"', '"10.001"'),
        TRADE.replace('"10.00"', '"-10.00"'),
        TRADE.replace('"TRADE_SUCCESS"', "1"),
    ],
)
async def test_signed_answers_that_make_no_sense(text: str, side: AlipaySide) -> None:
    side.gateway.instead.append((200, signed(side.gateway, text)))
    with pytest.raises(ProviderFault) as caught:
        await side.provider.find(make(side))
    assert (caught.value.code, caught.value.certain) == ("unknown", False)


async def test_the_answer_to_another_question_is_none(side: AlipaySide) -> None:
    answer = signed(side.gateway, TRADE, "alipay_trade_close_response")
    side.gateway.instead.append((200, answer))
    with pytest.raises(ProviderFault) as caught:
        await side.provider.find(make(side))
    assert not caught.value.certain


async def test_a_signature_with_another_hash_is_none(side: AlipaySide) -> None:
    sha1 = base64.b64encode(side.gateway.key.sign(TRADE.encode(), padding.PKCS1v15(), hashes.SHA1())).decode()
    side.gateway.instead.append((200, f'{{"alipay_trade_query_response":{TRADE},"sign":"{sha1}"}}'.encode()))
    with pytest.raises(ProviderFault) as caught:
        await side.provider.find(make(side))
    assert (caught.value.code, caught.value.certain) == ("forged_answer", False)


async def test_nobody_waits_for_an_answer_that_does_not_come(
    gateway: Gateway, side: AlipaySide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side.provider._line, "_within", 0.3)
    gateway.hang = 1
    with pytest.raises(ProviderFault) as caught:
        await side.provider.find(make(side))
    assert (caught.value.code, caught.value.certain) == ("timeout", False)


async def test_the_wrong_key_is_never_a_certain_no(
    gateway: Gateway, other_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    side = AlipaySide(adapter(Alipay, gateway, other_key, tmp_path), gateway)
    with pytest.raises(ProviderFault) as caught:
        await side.provider.pay_out(make(side, OrderKind.PAY_OUT, 8_00, destination=side.destination()))
    assert (caught.value.code, caught.value.certain) == ("credentials", False)
    await side.provider.close()


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=2)
)
_ANSWERS = st.dictionaries(
    st.sampled_from(["code", "sub_code", "out_trade_no", "trade_status", "total_amount", "send_pay_date"]),
    st.one_of(_VALUES, st.sampled_from(["10000", "40004", "10.00", "TRADE_CLOSED", "2026-11-22 12:00:00"])),
)


@given(_ANSWERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_signed_is_an_answer_or_a_fault(side: AlipaySide, run: Run[Any], said: dict[str, Any]) -> None:
    side.gateway.instead[:] = [(200, signed(side.gateway, json.dumps(said)))]
    certain = False
    try:
        run(side.provider.find(make(side)))
    except ProviderFault as fault:
        certain = fault.certain
    assert not certain or said["code"] == "40004"


# ── Keys and fields ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_with_certificates_each_request_names_ours_and_the_roots(
    gateway: Gateway, app_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    encoding = serialization.Encoding.PEM
    (tmp_path / "app.pem").write_bytes(pem(app_key))
    (tmp_path / "app.crt").write_bytes(certificate(app_key, "App", 11).public_bytes(encoding))
    (tmp_path / "alipay.crt").write_bytes(certificate(gateway.key, "Alipay", 22).public_bytes(encoding))
    roots = [certificate(app_key, "Root A", 33), certificate(app_key, "Root B", 44)]
    (tmp_path / "roots.crt").write_bytes(b"".join(root.public_bytes(encoding) for root in roots))

    def number(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    gateway.required = {
        "app_cert_sn": number("CN=App,C=CN11"),
        "alipay_root_cert_sn": f"{number('CN=Root A,C=CN33')}_{number('CN=Root B,C=CN44')}",
    }
    is_ = credentials(
        gateway.app_id, tmp_path / "app.pem", tmp_path / "alipay.crt", tmp_path / "app.crt", tmp_path / "roots.crt"
    )
    side = AlipaySide(Alipay(is_, gateway=gateway.url, clock=SystemClock()), gateway)
    order = make(side, OrderKind.PAY_OUT, 8_00, destination=side.destination())
    assert (await side.provider.pay_out(order)).state is RemoteState.DONE
    assert side.provider.terms.pay_outs
    await side.provider.close()


def test_files_that_are_no_keys_are_named(app_key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    good, public, bad, small = (tmp_path / name for name in ("good", "public", "bad", "small"))
    good.write_bytes(pem(app_key))
    public.write_bytes(pem(app_key.public_key()))
    bad.write_bytes(b"not a key")
    small.write_bytes(pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)))
    for arguments, named in (
        ((bad, public), bad),
        ((small, public), small),
        ((public, public), public),
        ((good, bad), bad),
        ((good, good), good),
        ((good, public, bad, bad), bad),
    ):
        with pytest.raises(ValueError, match=named.name) as caught:
            credentials("1", *arguments)
        assert "PRIVATE" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        credentials("1", tmp_path / "nowhere", public)


def test_a_field_that_an_interface_does_not_have_is_a_mistake() -> None:
    with pytest.raises(AttributeError):
        request("TradeRefund", refund_amuont="1.00")
