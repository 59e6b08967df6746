"""Web Push on the wire: against the RFC's own example, and by a second implementation."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from server import certificates
from server.notifications.courier import retry_after
from server.notifications.model import Subscription
from server.notifications.webpush import Sealer
from tests.notifications.push_service import Receiver, unbase64url, verified

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
PEM = certificates.private_key_pem()


def subscription(receiver: Receiver, endpoint: str = "https://push.example/one") -> Subscription:
    return Subscription(
        id="w_1",
        person="p_1",
        session="s_1",
        name="",
        endpoint=endpoint,
        p256dh=receiver.point,
        auth=receiver.secret,
        created_at=AT,
    )


def test_the_tests_own_reader_reads_the_example_of_the_rfc() -> None:
    """RFC 8291 section 5."""
    number = int.from_bytes(unbase64url("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big")
    receiver = Receiver(ec.derive_private_key(number, ec.SECP256R1()), unbase64url("BTBZMqHH6r4Tts7J_aSIgg"))
    body = unbase64url(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
        "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert receiver.read(body) == b"When I grow up, I want to be a watermelon"


@settings(max_examples=25)
@given(st.binary(min_size=1, max_size=3_000))
def test_only_the_receiver_reads_what_was_sealed(payload: bytes) -> None:
    receiver = Receiver()
    request = Sealer(PEM, "").request(subscription(receiver), payload, topic="t", urgent=False, at=AT)
    assert receiver.read(request.body) == payload
    assert len(request.body) <= 4_096  # RFC 8291 section 4
    with pytest.raises(InvalidTag):
        Receiver().read(request.body)


def test_each_push_is_sealed_anew() -> None:
    sealer, receiver = Sealer(PEM, ""), Receiver()
    bodies = [sealer.request(subscription(receiver), b"x", topic="t", urgent=False, at=AT).body[:86] for _ in range(3)]
    assert len(set(bodies)) == 3


@pytest.mark.parametrize(
    ("endpoint", "audience"),
    [
        ("https://push.example/one", "https://push.example"),
        ("https://push.example:8443/one", "https://push.example:8443"),
        ("https://[2606:4700::1111]/one", "https://[2606:4700::1111]"),
    ],
)
def test_who_sends_is_signed_for_one_service_and_half_a_day(endpoint: str, audience: str) -> None:
    sealer = Sealer(PEM, "mailto:admin@vouch.example")
    to = subscription(Receiver(), endpoint)
    headers = sealer.request(to, b"x", topic="t", urgent=True, at=AT).headers
    claims = verified(headers["Authorization"], audience)
    expected = {"aud": audience, "sub": "mailto:admin@vouch.example", "exp": int(AT.timestamp()) + 43_200}
    assert claims == expected | {"key": sealer.public}
    assert (headers["Urgency"], headers["Topic"], headers["TTL"]) == ("high", "t", "86400")
    with pytest.raises(InvalidSignature):
        verified(headers["Authorization"].replace(sealer.public, Sealer(certificates.private_key_pem(), "").public), "")


def test_without_a_contact_none_is_claimed() -> None:
    headers = Sealer(PEM, "").request(subscription(Receiver()), b"x", topic="t", urgent=False, at=AT).headers
    assert "sub" not in verified(headers["Authorization"], "https://push.example")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("7", 7),
        ("-7", 0),
        ("soon", 0),
        ("７", 0),
        ("Sun, 22 Nov 2026 09:00:30 GMT", 30),
        ("Sun, 22 Nov 2026 08:00:00 GMT", 0),
        ("Sun, 22 Nov 2026 09:00:30", 0),
    ],
)
def test_how_long_a_service_asks_us_to_wait(header: str, seconds: float) -> None:
    assert retry_after(header, AT) == seconds
