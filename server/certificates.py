"""X.509 certificates of the local authority: for phones on the same network and for signed pictures (R-14).

Everything here is pure: names, addresses and times in, PEM out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_NAME = "Vouch local authority"
AUTHORITY_LIFETIME = timedelta(days=3650)
#: the longest that browsers accept is 398 days
SERVER_LIFETIME = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)
#: certificates start in the past, because the clocks of phones are wrong
_SKEW = timedelta(days=1)


def private_key_pem() -> bytes:
    """A fresh P-256 private key as PKCS#8 PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises ValueError when `pem` is anything but an unencrypted elliptic-curve key."""
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic-curve key")
    return key


def public_point(key_pem: bytes) -> bytes:
    """The uncompressed public point (65 bytes): what browsers want as applicationServerKey (RFC 8292)."""
    return (
        load_private_key(key_pem)
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Vouch"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def authority_certificate(key_pem: bytes, at: datetime) -> bytes:
    """The self-signed certificate of the authority. It may sign leaves, no further authorities."""
    key = load_private_key(key_pem)
    name = _name(AUTHORITY_NAME)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _SKEW)
        .not_valid_after(at + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def server_certificate(
    key_pem: bytes, authority_key_pem: bytes, authority_pem: bytes, names: Sequence[str], at: datetime
) -> bytes:
    """A certificate for a web server under `names` (host names and addresses)."""
    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    builder = _leaf(key_pem, authority_pem, "Vouch", at, at + SERVER_LIFETIME)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return _signed(builder, authority_key_pem)


def picture_certificate(key_pem: bytes, authority_key_pem: bytes, authority_pem: bytes, at: datetime) -> bytes:
    """The certificate under which pictures are signed; C2PA asks for emailProtection in a signer's certificate."""
    until = x509.load_pem_x509_certificate(authority_pem).not_valid_after_utc
    builder = _leaf(key_pem, authority_pem, "Vouch pictures", at, until)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return _signed(builder, authority_key_pem)


def _leaf(
    key_pem: bytes, authority_pem: bytes, common_name: str, at: datetime, until: datetime
) -> x509.CertificateBuilder:
    key = load_private_key(key_pem)
    authority = x509.load_pem_x509_certificate(authority_pem)
    authority_key_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(at - _SKEW, authority.not_valid_before_utc))
        .not_valid_after(min(until, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_key_id), critical=False)
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(builder: x509.CertificateBuilder, authority_key_pem: bytes) -> bytes:
    certificate = builder.sign(load_private_key(authority_key_pem), hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM)


def names_of(certificate_pem: bytes) -> set[str]:
    """The host names and addresses that a server certificate is good for."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = set(alternatives.get_values_for_type(x509.DNSName))
    return hosts | {str(address) for address in alternatives.get_values_for_type(x509.IPAddress)}


def due_for_renewal(certificate_pem: bytes, at: datetime) -> bool:
    """True within 30 days of the end."""
    return x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc - at < RENEW_BEFORE


def signed_by(certificate_pem: bytes, authority_pem: bytes) -> bool:
    """True when the authority of `authority_pem` issued the certificate (its signature is verified)."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority_pem))
    except Exception:
        return False
    return True
