"""The secrets: made once under `<data>/secrets` (0700, files 0600), or read from VOUCH_SECRETS_DIR.

A secret is a file; its name is its purpose. Missing files are made atomically under a lock, so two processes that
start at once end up with the same secrets. Fingerprints of them go into the database: a server whose secrets do not
fit the database would read encrypted fields as noise, so it refuses to start instead.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server import certificates
from server.errors import StartupError


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Every secret that the server holds. Never log it: its repr names nothing."""

    #: signs cookies (Tornado's cookie_secret)
    cookie: str
    #: encrypts fields at rest, 32 bytes
    field: bytes
    #: keys the blind indexes (HMAC) by which encrypted fields are found, 32 bytes
    blind: bytes
    #: signs Web Push requests (RFC 8292)
    vapid_private_pem: bytes
    ca_key: bytes
    ca_cert: bytes
    #: signs pictures (C2PA); its certificate comes from the local authority
    picture_key: bytes
    picture_cert: bytes
    #: of the user `vouch` in the embedded database
    database_password: str

    @property
    def vapid_public(self) -> str:
        """The public key as browsers want it: the uncompressed point in base64url without padding."""
        return base64.urlsafe_b64encode(certificates.public_point(self.vapid_private_pem)).rstrip(b"=").decode()

    def fingerprints(self) -> dict[str, str]:
        """Purpose → fingerprint, for those secrets that stored data depends on. They tell nothing about the secret."""
        return {
            "cookie": _fingerprint("cookie", self.cookie.encode()),
            "field": _fingerprint("field", self.field),
            "blind": _fingerprint("blind", self.blind),
            "vapid": _fingerprint("vapid", self.vapid_private_pem),
            "authority": _fingerprint("authority", self.ca_key),
            "picture": _fingerprint("picture", self.picture_key),
        }

    def __repr__(self) -> str:
        return "Keys(…)"


def compare_fingerprints(stored: Mapping[str, str], current: Mapping[str, str]) -> list[str]:
    """The purposes whose secret is not the one that the database was filled with, sorted; empty when all fit.

    A purpose that the database does not know yet (made by a newer version) fits.
    """
    return sorted(name for name, value in stored.items() if current.get(name) != value)


def _fingerprint(name: str, secret: bytes) -> str:
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"vouch fingerprint " + name.encode()).derive(secret)
    return hashlib.sha256(derived).hexdigest()


#: file → attribute; the order is the order of making, for a certificate needs its key
FILES = {
    "cookie": "cookie",
    "field": "field",
    "blind": "blind",
    "vapid.pem": "vapid_private_pem",
    "authority.key.pem": "ca_key",
    "authority.pem": "ca_cert",
    "picture.key.pem": "picture_key",
    "picture.pem": "picture_cert",
    "database": "database_password",
}


def load_keys(directory: Path, at: datetime | None = None) -> Keys:
    """The secrets in `directory`, making those that are missing; `at` dates new certificates (default: now).

    Raises StartupError: `secrets_unreadable`, `secrets_open` (others could read them), `secrets_damaged`.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(directory)
        if any(not (directory / name).exists() for name in FILES):
            with _locked(directory):
                _make_missing(directory, at or datetime.now(UTC))
        content = {attribute: _read(directory / name) for name, attribute in FILES.items()}
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StartupError("disk_full", f"The disk that holds {directory} is full.") from error
        raise StartupError(
            "secrets_unreadable",
            f"The secrets in {directory} cannot be read: {error.strerror or error}.",
            hint="Run as the user who owns them.",
        ) from error
    try:
        keys = Keys(
            cookie=content["cookie"].decode("ascii").strip(),
            field=_thirty_two(content["field"]),
            blind=_thirty_two(content["blind"]),
            vapid_private_pem=content["vapid_private_pem"],
            ca_key=content["ca_key"],
            ca_cert=content["ca_cert"],
            picture_key=content["picture_key"],
            picture_cert=content["picture_cert"],
            database_password=content["database_password"].decode("ascii").strip(),
        )
        for pem in (keys.vapid_private_pem, keys.ca_key, keys.picture_key):
            certificates.load_private_key(pem)
        if not keys.cookie or not keys.database_password:
            raise ValueError("empty")
        if not certificates.signed_by(keys.picture_cert, keys.ca_cert):
            raise ValueError("picture.pem was not issued by authority.pem")
    except ValueError as error:
        raise StartupError(
            "secrets_damaged", f"The secrets in {directory} are damaged: {error}.", hint="Restore them from a backup."
        ) from error
    return keys


def _thirty_two(text: bytes) -> bytes:
    value = bytes.fromhex(text.decode("ascii").strip())
    if len(value) != 32:
        raise ValueError("a key is not 32 bytes long")
    return value


def _make_missing(directory: Path, at: datetime) -> None:
    for name in FILES:
        path = directory / name
        if not path.exists():
            _write(path, _fresh(name, directory, at))


def _fresh(name: str, directory: Path, at: datetime) -> bytes:
    match name:
        case "cookie" | "database":
            return secrets.token_urlsafe(32).encode()
        case "field" | "blind":
            return secrets.token_hex(32).encode()
        case "authority.pem":
            return certificates.authority_certificate(_read(directory / "authority.key.pem"), at)
        case "picture.pem":
            return certificates.picture_certificate(
                _read(directory / "picture.key.pem"),
                _read(directory / "authority.key.pem"),
                _read(directory / "authority.pem"),
                at,
            )
        case _:
            return certificates.private_key_pem()


def _read(path: Path) -> bytes:
    _check_private(path)
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, on the disk before anything depends on it, and never over an existing file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        temporary.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        right = "700" if path.is_dir() else "600"
        raise StartupError(
            "secrets_open", f"{path} can be read by others (mode {mode:o}).", hint=f"Run: chmod {right} {path}"
        )


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
