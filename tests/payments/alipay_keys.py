"""Keys and certificates in the files that Alipay hands out and takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import Certificate, CertificateBuilder, Name, NameAttribute
from cryptography.x509.oid import NameOID


def pem(key: rsa.RSAPrivateKey | rsa.RSAPublicKey) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        form = serialization.PrivateFormat.PKCS8
        return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def bare(text: bytes) -> bytes:
    """As Alipay's tool writes keys: base64 alone."""
    return b"".join(line for line in text.splitlines() if not line.startswith(b"-----"))


def certificate(key: rsa.RSAPrivateKey, common_name: str, serial: int) -> Certificate:
    name = Name([NameAttribute(NameOID.COUNTRY_NAME, "CN"), NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    builder = CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(serial).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256())
