"""A push service of our own: https on loopback, behind a certificate of our own authority. It checks who sends
(RFC 8292) and reads what only the browser could read (RFC 8291), by another implementation than the server's."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from server import certificates
from server.clock import SystemClock


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def hmac(key: bytes, data: bytes) -> bytes:
    mac = HMAC(key, hashes.SHA256())
    mac.update(data)
    return mac.finalize()


class Receiver:
    """What a browser keeps of a subscription: it alone can read the pushes."""

    def __init__(self, private: ec.EllipticCurvePrivateKey | None = None, secret: bytes = b"sixteen bytes ok") -> None:
        self.private = private or ec.generate_private_key(ec.SECP256R1())
        self.secret = secret

    @property
    def point(self) -> bytes:
        encoding, form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        return self.private.public_key().public_bytes(encoding, form)

    def subscription(self, endpoint: str) -> dict[str, str]:
        return {"endpoint": endpoint, "p256dh": base64url(self.point), "auth": base64url(self.secret)}

    def read(self, body: bytes) -> bytes:
        """RFC 8291 section 3.4 and RFC 8188 section 2, for one record."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        shared = self.private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        info = b"WebPush: info\0" + self.point + sender + b"\x01"
        material = hmac(hmac(self.secret, shared), info)
        key = hmac(hmac(salt, material), b"Content-Encoding: aes128gcm\0\x01")[:16]
        nonce = hmac(hmac(salt, material), b"Content-Encoding: nonce\0\x01")[:12]
        padded = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert padded[-1:] == b"\x02"  # the last record
        return padded[:-1]


class Push(NamedTuple):
    path: str
    headers: dict[str, str]
    content: dict[str, Any]
    claims: dict[str, Any]


class PushService:
    """`answers` are given in turn, then 201: a status, or a status with headers."""

    def __init__(self, directory: Path) -> None:
        at = SystemClock().now()
        authority_key, key = certificates.private_key_pem(), certificates.private_key_pem()
        authority = certificates.authority_certificate(authority_key, at)
        leaf = certificates.server_certificate(key, authority_key, authority, ["127.0.0.1"], at)
        self.authority = directory / "authority.pem"
        self.authority.write_bytes(authority)
        (directory / "key.pem").write_bytes(key)
        (directory / "leaf.pem").write_bytes(leaf)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "leaf.pem", directory / "key.pem")
        self.receiver = Receiver()
        self.pushes: list[Push] = []
        self.answers: list[int | tuple[int, dict[str, str]]] = []
        self.asked = 0
        listening, self.port = bind_unused_port()
        self._server = HTTPServer(Application([(r"/(.*)", _Handler, {"service": self})]), ssl_options=context)
        self._server.add_socket(listening)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def subscription(self, path: str = "one", receiver: Receiver | None = None) -> dict[str, str]:
        return (receiver or self.receiver).subscription(f"https://{self.host}/{path}")

    async def until(self, fits: Callable[[Push], bool] = lambda push: True, seconds: float = 10.0) -> Push:
        """The first push that fits; waits for it."""
        async with asyncio.timeout(seconds):
            while not (found := [push for push in self.pushes if fits(push)]):
                await asyncio.sleep(0.01)
        return found[0]

    def stop(self) -> None:
        self._server.stop()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        self.asked += 1
        if self.answers:
            answer = self.answers.pop(0)
            status, more = answer if isinstance(answer, tuple) else (answer, {})
            if status >= 300:
                return status, more
        assert headers["content-encoding"] == "aes128gcm"
        content = json.loads(self.receiver.read(body))
        claims = verified(headers["authorization"], f"https://{self.host}")
        self.pushes.append(Push(path, headers, content, claims))
        return 201, {}


def verified(authorization: str, audience: str) -> dict[str, Any]:
    """The claims of a VAPID header. Raises unless its signature is good and it is meant for us."""
    scheme, _, rest = authorization.partition(" ")
    assert scheme == "vapid"
    parts = dict(part.split("=", 1) for part in rest.split(","))
    signed, _, signature = parts["t"].rpartition(".")
    raw = unbase64url(signature)
    assert len(raw) == 64
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unbase64url(parts["k"]))
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))
    header, claims = (json.loads(unbase64url(part)) for part in signed.split("."))
    assert header == {"typ": "JWT", "alg": "ES256"}
    assert claims["aud"] == audience
    return dict(claims) | {"key": parts["k"]}


class _Handler(RequestHandler):
    def initialize(self, service: PushService) -> None:
        self._service = service

    def post(self, path: str) -> None:
        headers = {name.lower(): value for name, value in self.request.headers.items()}
        status, more = self._service.take(path, headers, self.request.body)
        self.set_status(status)
        for name, value in more.items():
            self.set_header(name, value)
