"""The secrets: made once under `<data>/secrets` (0700, files 0600), or read from VOUCH_SECRETS_DIR.

A secret is a file; its name is its purpose. Missing files are made atomically under a lock, so two processes that
start at once end up with the same secrets. Fingerprints of them go into the database: a server whose secrets do not
fit the database would read encrypted fields as noise, so it refuses to start instead. `cookie`, `field` and `blind` are
key rings (`rings.py`): they can be changed while nodes run (`rotation.py`).
"""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server import certificates, rings
from server.errors import StartupError
from server.rings import Ring


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Every secret that the server holds. Never log it: its repr names nothing."""

    #: signs cookies (Tornado's cookie_secret)
    cookie: Ring
    #: encrypts fields at rest, 32 bytes
    field: Ring
    #: keys the blind indexes (HMAC) by which encrypted fields are found, 32 bytes
    blind: Ring
    #: keys the digests by which a repeated message is told from another one, 32 bytes
    digest: bytes
    #: signs Web Push requests (RFC 8292)
    vapid_private_pem: bytes
    ca_key: bytes
    ca_cert: bytes
    #: signs pictures (C2PA); its certificate comes from the local authority
    picture_key: bytes
    picture_cert: bytes
    #: certificates of authorities that were replaced, one after the other: what they have signed stays verifiable
    former_authorities: bytes = b""
    #: of the user `vouch` in the embedded database
    database_password: str
    #: the platform for play money: our key there, what signs its notices, what opens its tester's console
    sandbox_key: str
    sandbox_webhook: str
    sandbox_console: str

    @property
    def vapid_public(self) -> str:
        """The public key as browsers want it: the uncompressed point in base64url without padding."""
        return base64.urlsafe_b64encode(certificates.public_point(self.vapid_private_pem)).rstrip(b"=").decode()

    def fingerprints(self) -> dict[str, str]:
        """Purpose → fingerprint, for those secrets that stored data depends on. They tell nothing about the secret."""
        return {name: known[0] for name, known in self.known().items()}

    def known(self) -> dict[str, list[str]]:
        """Purpose → fingerprints of all its keys, that of the writing one first."""
        single = {
            "digest": self.digest,
            "vapid": self.vapid_private_pem,
            "authority": self.ca_key,
            "picture": self.picture_key,
        }
        secrets_of = {name: getattr(self, name).secrets for name in RINGS} | {n: (pem,) for n, pem in single.items()}
        return {name: [print_of(name, secret) for secret in known] for name, known in secrets_of.items()}

    def __repr__(self) -> str:
        return "Keys(…)"


def compare_fingerprints(
    stored: Mapping[str, str | Collection[str]], known: Mapping[str, str | Collection[str]]
) -> list[str]:
    """The purposes of which a key is missing that the database was filled with, sorted; empty when all are there.

    A purpose that the database does not know yet (made by a newer version) fits.
    """
    return sorted(name for name, needed in stored.items() if not _several(needed) <= _several(known.get(name, ())))


def _several(fingerprints: str | Collection[str]) -> set[str]:
    return {fingerprints} if isinstance(fingerprints, str) else set(fingerprints)


def print_of(name: str, secret: bytes) -> str:
    """The fingerprint of one key: it tells two keys apart and nothing else."""
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"vouch fingerprint " + name.encode()).derive(secret)
    return hashlib.sha256(derived).hexdigest()


#: the purposes whose file is a key ring
RINGS = ("cookie", "field", "blind")
#: file → attribute; the order is the order of making, for a certificate needs its key
FILES = {
    "cookie": "cookie",
    "field": "field",
    "blind": "blind",
    "digest": "digest",
    "vapid.pem": "vapid_private_pem",
    "authority.key.pem": "ca_key",
    "authority.pem": "ca_cert",
    "picture.key.pem": "picture_key",
    "picture.pem": "picture_cert",
    "database": "database_password",
    "sandbox.key": "sandbox_key",
    "sandbox.webhook": "sandbox_webhook",
    "sandbox.console": "sandbox_console",
}
#: certificates of authorities that were replaced: earlier signatures are verified by them
FORMER_AUTHORITY = "authority.former.pem"
#: what belongs to one data directory: to the programs that are started with the server, and keep their data there
_LOCAL = frozenset(("database", "sandbox.key", "sandbox.webhook", "sandbox.console"))
#: what belongs to the data
_PORTABLE = (*(name for name in FILES if name not in _LOCAL), FORMER_AUTHORITY)


def load_keys(directory: Path, at: datetime | None = None) -> Keys:
    """The secrets in `directory`, making those that are missing; `at` dates new certificates (default: now).

    Raises StartupError: `secrets_unreadable`, `secrets_open` (others could read them), `secrets_damaged`.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(directory)
        if any(not (directory / name).exists() for name in FILES):
            with locked(directory):
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
            cookie=rings.parse(content["cookie"].decode("ascii"), decode_key("cookie")),
            field=rings.parse(content["field"].decode("ascii"), decode_key("field")),
            blind=rings.parse(content["blind"].decode("ascii"), decode_key("blind")),
            digest=_thirty_two(content["digest"].decode("ascii").strip()),
            vapid_private_pem=content["vapid_private_pem"],
            ca_key=content["ca_key"],
            ca_cert=content["ca_cert"],
            picture_key=content["picture_key"],
            picture_cert=content["picture_cert"],
            former_authorities=_read(directory / FORMER_AUTHORITY) if (directory / FORMER_AUTHORITY).exists() else b"",
            database_password=content["database_password"].decode("ascii").strip(),
            sandbox_key=content["sandbox_key"].decode("ascii").strip(),
            sandbox_webhook=content["sandbox_webhook"].decode("ascii").strip(),
            sandbox_console=content["sandbox_console"].decode("ascii").strip(),
        )
        for pem in (keys.vapid_private_pem, keys.ca_key, keys.picture_key):
            certificates.load_private_key(pem)
        if not all((keys.database_password, keys.sandbox_key, keys.sandbox_webhook, keys.sandbox_console)):
            raise ValueError("empty")
        if not certificates.signed_by(keys.picture_cert, keys.ca_cert):
            raise ValueError("picture.pem was not issued by authority.pem")
    except ValueError as error:
        raise StartupError(
            "secrets_damaged", f"The secrets in {directory} are damaged: {error}.", hint="Restore them from a backup."
        ) from error
    return keys


def portable_secrets(directory: Path) -> dict[str, bytes]:
    """File name → content of the secrets that belong to the data, for a backup."""
    return {name: _read(directory / name) for name in _PORTABLE if (directory / name).exists()}


def install_secrets(directory: Path, files: Mapping[str, bytes], at: datetime) -> Path | None:
    """Puts these secrets in place; others that are there are moved to the directory that is returned."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_private(directory)
    wanted = {name: content for name, content in files.items() if name in _PORTABLE}
    with locked(directory):
        present = [name for name in _PORTABLE if (directory / name).exists()]
        if not any(_read(directory / name) != wanted.get(name) for name in present):
            aside = None
        else:
            aside = directory.with_name(f"{directory.name}.until-{at:%Y%m%dT%H%M%SZ}")
            aside.mkdir(mode=0o700)
            for name in present:
                write_secret(aside / name, _read(directory / name))
        for name, content in wanted.items():
            write_secret(directory / name, content, replace=True)
    return aside


def decode_key(purpose: str) -> Callable[[str], bytes]:
    """How the text of a ring's key becomes the key."""
    return str.encode if purpose == "cookie" else _thirty_two


def fresh_text(purpose: str) -> str:
    """A fresh key of a ring, as its file holds it."""
    return secrets.token_urlsafe(32) if purpose == "cookie" else secrets.token_hex(32)


def _thirty_two(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != 32:
        raise ValueError("a key is not 32 bytes long")
    return value


def _make_missing(directory: Path, at: datetime) -> None:
    # Digests were keyed by the blind index's key before they had one of their own: it goes on being theirs.
    inherited = _read(directory / "blind").split()[-1:] if (directory / "blind").exists() else []
    for name in FILES:
        path = directory / name
        if not path.exists():
            write_secret(path, inherited[0] if name == "digest" and inherited else _fresh(name, directory, at))


def _fresh(name: str, directory: Path, at: datetime) -> bytes:
    match name:
        case "database" | "sandbox.key" | "sandbox.webhook":
            return secrets.token_urlsafe(32).encode()
        case "sandbox.console":
            return secrets.token_hex(10).encode()  # people type it
        case "cookie" | "field" | "blind" | "digest":
            return fresh_text(name).encode()
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


def write_secret(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Whole or not at all, on the disk before anything depends on it; over an existing file only with `replace`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
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
def locked(directory: Path) -> Iterator[None]:
    """Held by whoever makes or changes secrets."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
