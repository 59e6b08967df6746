"""Web Push on the wire: a body only the browser can read (RFC 8291), and who we are (RFC 8292).

Sealing is http_ece's, which pywebpush uses too; pywebpush itself would bring two HTTP clients that cannot be kept out
of private networks, and py_vapid refuses what the RFC allows (no contact, an IPv6 host).
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import NamedTuple

import http_ece
import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from server import certificates
from server.notifications.model import Subscription
from server.outbound import target

#: How long a push service keeps a push for a browser that is away: what is older is seen by opening the client.
TTL = timedelta(days=1)
#: A token of ours holds so long (at most 24 h by RFC 8292); it is made anew for each push.
_TOKEN_HOLDS = timedelta(hours=12)


class Request(NamedTuple):
    url: str
    headers: dict[str, str]
    body: bytes


class Sealer:
    """Makes requests to push services. `contact` is how their operators reach ours: mailto: or https:, or empty."""

    def __init__(self, private_pem: bytes, contact: str) -> None:
        self._key = certificates.load_private_key(private_pem)
        self.public = _base64url(certificates.public_point(private_pem))
        self._contact = contact

    def request(
        self, to: Subscription, payload: bytes, *, topic: str, urgent: bool, at: datetime, ttl: timedelta = TTL
    ) -> Request:
        """`ttl`: a service that cannot bring it by then drops it. `topic` (32 characters of base64url): of pushes that
        wait with the same one the service keeps the last."""
        body: bytes = http_ece.encrypt(
            payload,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=to.p256dh,
            auth_secret=to.auth,
            version="aes128gcm",
        )
        headers = {
            "Authorization": f"vapid t={self._token(target(to.endpoint).origin, at)},k={self.public}",
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(int(ttl.total_seconds())),
            "Urgency": "high" if urgent else "normal",
            "Topic": topic,
        }
        return Request(to.endpoint, headers, body)

    def _token(self, audience: str, at: datetime) -> str:
        """A JWT signed by ES256 (RFC 7515, RFC 7518 section 3.4)."""
        claims: dict[str, object] = {"aud": audience, "exp": int((at + _TOKEN_HOLDS).timestamp())}
        if self._contact:
            claims["sub"] = self._contact
        parts = ({"typ": "JWT", "alg": "ES256"}, claims)
        signed = b".".join(_base64url(msgspec.json.encode(part)).encode() for part in parts)
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return f"{signed.decode()}.{_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
