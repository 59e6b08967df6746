"""Requests to Alipay's gateway, signed with RSA2, and answers and notifications whose signatures hold.

The words of requests are the official SDK's. It does not send them: its client knows no port but 443, reads answers of
any length, writes the time of this machine's zone, and believes a signature with any hash that the signature itself
names. Signatures are RSA with PKCS #1 v1.5 and SHA-256 (RFC 8017), and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from alipay.aop.api.util.SignatureUtils import get_sign_content
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from server.clock import Clock, from_ms
from server.payments.provider import Forged, ProviderFault
from server.payments.providers.alipay_words import moment, written
from server.payments.providers.line import Line, Silence

T = TypeVar("T")

#: Alipay repeats a notification for 25 hours.
NOTICE_HOLDS = timedelta(hours=30)
NOTICE_MOST_BYTES = 64 * 1024
_AHEAD = timedelta(minutes=15)
_MOST_FIELDS = 200
#: RSA's object identifiers (RFC 8017): the roots of SM2 are left out of the roots' serial number.
_RSA = "1.2.840.113549.1.1."

_DONE, _WAITS, _FAILED = "10000", "10003", "40004"


class Refusal(Exception):
    """The gateway understood and did not do it. `reason` is its sub_code."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Credentials(msgspec.Struct, frozen=True):
    """Who we are there. With certificates (which Alipay wants of those who pay out) each request names theirs."""

    app_id: str
    key: rsa.RSAPrivateKey
    alipay: rsa.RSAPublicKey
    certificates: dict[str, str] = {}


def credentials(
    app_id: str, key: Path, alipay_key: Path, certificate: Path | None = None, root: Path | None = None
) -> Credentials:
    """Reads the files. Raises ValueError that says which of them is not what it should be, and OSError."""
    names: dict[str, str] = {}
    if certificate is not None and root is not None:
        names = {
            "app_cert_sn": _serial(_certificates(certificate)[:1]),
            "alipay_root_cert_sn": _serial(_certificates(root)),
        }
    return Credentials(app_id, _private(key), _public(alipay_key), names)


class AlipayLine:
    """`gateway` is the URL that all requests go to."""

    def __init__(self, credentials: Credentials, gateway: str, line: Line, clock: Clock) -> None:
        self._is = credentials
        self._gateway = gateway
        self._line = line
        self._clock = clock

    def page(self, request: Any, at: datetime, *, notify_url: str, return_url: str) -> str:
        """A URL for the payer's browser. `at` is written into it: the same request at the same time is the same URL."""
        return f"{self._gateway}?{urlencode(self._signed(request, at, notify_url=notify_url, return_url=return_url))}"

    async def ask(self, request: Any, kind: type[T], *, notify_url: str = "") -> T:
        """Raises Refusal, and ProviderFault where it is not known what became of it."""
        fields = self._signed(request, self._clock.now(), notify_url=notify_url)
        content = fields.pop("biz_content", "")
        try:
            answer = await self._line.request(
                "POST",
                f"{self._gateway}?{urlencode(fields)}",
                {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
                urlencode({"biz_content": content}).encode(),
            )
        except Silence as silence:
            raise ProviderFault(silence.code, certain=False) from None
        if answer.status != 200:
            raise ProviderFault("down" if answer.status >= 500 else "unknown", certain=False)
        return self._read(answer.body, fields["method"].replace(".", "_") + "_response", kind)

    def verified(self, body: bytes, now: datetime) -> dict[str, str]:
        """The fields of a notification. Raises Forged unless Alipay signed it for this app, lately."""
        if not body or len(body) > NOTICE_MOST_BYTES:
            raise Forged
        try:
            pairs = parse_qsl(body.decode(), strict_parsing=True, max_num_fields=_MOST_FIELDS, errors="strict")
            fields = dict(pairs)
            signature = base64.b64decode(fields.get("sign", ""), validate=True)
        except (ValueError, binascii.Error):
            raise Forged from None
        if len(fields) < len(pairs):  # of two fields with one name, who knows which is meant
            raise Forged
        if fields.get("app_id") != self._is.app_id or fields.get("sign_type", "RSA2") != "RSA2":
            raise Forged
        # Payments are signed without the kind of signature, messages (of transfers) with it.
        kept = {name: value for name, value in fields.items() if name != "sign" and value}
        without = {name: value for name, value in kept.items() if name != "sign_type"}
        if not any(self._holds(signature, _joined(signed)) for signed in (without, kept)):
            raise Forged
        sent = moment(fields.get("notify_time")) or _milliseconds(fields.get("utc_timestamp"))
        if sent is None or not now - NOTICE_HOLDS < sent < now + _AHEAD:
            raise Forged
        return fields

    def _signed(self, request: Any, at: datetime, *, notify_url: str = "", return_url: str = "") -> dict[str, str]:
        fields = {
            **request.get_params(),
            "app_id": self._is.app_id,
            "charset": "utf-8",
            "format": "json",
            "sign_type": "RSA2",
            "timestamp": written(at),
            **self._is.certificates,
        }
        if notify_url:
            fields["notify_url"] = notify_url
        if return_url:
            fields["return_url"] = return_url
        signature = self._is.key.sign(get_sign_content(fields).encode(), padding.PKCS1v15(), hashes.SHA256())
        return {**fields, "sign": base64.b64encode(signature).decode()}

    def _read(self, body: bytes, name: str, kind: type[T]) -> T:
        """Nothing of an answer is believed before its signature holds, for the bytes as they came."""
        try:
            parts = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            content = bytes(parts.get(name) or parts.get("error_response") or b"")
            head = msgspec.json.decode(content, type=_Head)
            signature = base64.b64decode(msgspec.json.decode(parts.get("sign") or b'""', type=str), validate=True)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise ProviderFault("unknown", certain=False) from None
        if not signature and head.sub_code.startswith(("isv.invalid-", "isv.missing-")):
            raise ProviderFault("credentials", certain=False)  # it does not know whom to sign for
        if not self._holds(signature, content):
            raise ProviderFault("forged_answer", certain=False)
        if head.code in (_DONE, _WAITS):
            try:
                return msgspec.json.decode(content, type=kind)
            except msgspec.ValidationError:
                raise ProviderFault("unknown", certain=False) from None
        if head.code == _FAILED:
            raise Refusal(head.sub_code)
        # Keys, rights and forms of requests: wrong for all that we ask, and silent on what an earlier try did.
        raise ProviderFault("down" if head.code.startswith("2000") else "credentials", certain=False)

    def _holds(self, signature: bytes, content: bytes) -> bool:
        try:
            self._is.alipay.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


class _Head(msgspec.Struct, frozen=True):
    code: str
    sub_code: str = ""


def _joined(fields: dict[str, str]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in sorted(fields.items())).encode()


def _milliseconds(text: str | None) -> datetime | None:
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 15):
        return None
    return from_ms(int(text))


def _private(path: Path) -> rsa.RSAPrivateKey:
    """PEM, or base64 alone, as Alipay's tool writes it."""
    text = path.read_bytes().strip()
    try:
        if text.startswith(b"-----"):
            key = serialization.load_pem_private_key(text, password=None)
        else:
            key = serialization.load_der_private_key(base64.b64decode(text, validate=True), password=None)
    except (ValueError, TypeError, binascii.Error):
        raise ValueError(f"{path} holds no private key") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise ValueError(f"{path} holds no RSA key of 2048 bits")
    return key


def _public(path: Path) -> rsa.RSAPublicKey:
    """A certificate, a PEM key, or base64 alone."""
    text = path.read_bytes().strip()
    try:
        if b"BEGIN CERTIFICATE" in text:
            key = x509.load_pem_x509_certificates(text)[0].public_key()
        elif text.startswith(b"-----"):
            key = serialization.load_pem_public_key(text)  # type: ignore[assignment]
        else:
            key = serialization.load_der_public_key(base64.b64decode(text, validate=True))  # type: ignore[assignment]
    except (ValueError, binascii.Error):
        raise ValueError(f"{path} holds no public key") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < 2048:
        raise ValueError(f"{path} holds no RSA key of 2048 bits")
    return key


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        raise ValueError(f"{path} holds no certificate") from None


def _serial(certificates: list[x509.Certificate]) -> str:
    """As Alipay numbers certificates: MD5 over issuer and serial number, for each that is signed with RSA."""
    return "_".join(
        hashlib.md5(
            f"{certificate.issuer.rfc4514_string()}{certificate.serial_number}".encode(), usedforsecurity=False
        ).hexdigest()
        for certificate in certificates
        if certificate.signature_algorithm_oid.dotted_string.startswith(_RSA)
    )
