"""What makes a code, a counter, a proof's facts valid. Pure: time and keys are arguments."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec
import pyotp

from server.errors import Code, VouchError
from server.people.factor_model import Factor, FactorKind, Facts, Method, Purpose

#: seconds of a time step (RFC 6238, section 5.2); a code of the step before or after is taken too, for clocks differ
STEP = 30
_WINDOW = (0, -1, 1)
MOST_FACTORS = 10
RECOVERY_CODES = 10
#: How long a setup and a proof may take, and how many answers a proof bears.
SETUP_LASTS = timedelta(minutes=10)
PROOF_LASTS = timedelta(minutes=5)
MOST_TRIES = 5
NAME_LONGEST = 60

#: The names of the facts that a proof for a purpose has, all of them.
FACTS: dict[Purpose, frozenset[str]] = {
    Purpose.PAY_OUT: frozenset({"account", "amount", "currency"}),
    Purpose.PAYOUT_ACCOUNT: frozenset({"provider", "number"}),
    Purpose.FACTOR: frozenset({"action", "what"}),
}
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_READ_AS = str.maketrans({"o": "0", "i": "1", "l": "1", "u": "v"})
_GROUP, _GROUPS = 4, 4


def step_of(at: datetime) -> int:
    """The time step of a moment (RFC 6238)."""
    return int(at.timestamp()) // STEP


def matching_step(secret: str, code: str, at: datetime, after: int) -> int | None:
    """The step that a TOTP code belongs to, None when it belongs to none near `at` or to one up to `after`: a code is
    used once (RFC 6238, section 5.2)."""
    totp, now = pyotp.TOTP(secret, interval=STEP), step_of(at)
    found = None
    for step in (now + offset for offset in _WINDOW):  # all are compared: time tells nothing
        if hmac.compare_digest(totp.generate_otp(step), code) and step > after:
            found = step
    return found


def plain_code(text: str) -> str:
    """Six digits as people type them: full-width, with a space or dash in the middle. Empty for what is none."""
    plain = "".join(c for c in unicodedata.normalize("NFKC", text) if c not in " -\u00a0")
    return plain if len(plain) == 6 and plain.isascii() and plain.isdigit() else ""


def fresh_recovery_codes() -> list[str]:
    """Ten codes of 80 random bits, in groups of four: `3v9k-0hq2-…`."""
    return [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
        for _ in range(RECOVERY_CODES)
    ]


def recovery_hash(code: str, person: str) -> str:
    """What is kept of a recovery code, however it is typed: with 80 random bits one plain hash is enough."""
    plain = "".join(c for c in unicodedata.normalize("NFKC", code).lower() if c.isalnum()).translate(_READ_AS)
    return hashlib.sha256(f"recovery:{person}:{plain}".encode()).hexdigest()


def counter_goes_on(kept: int, seen: int) -> bool:
    """False when a passkey's counter does not rise, as that of a copy does not (WebAuthn Level 3, section 6.1.1). Many
    passkeys have none: theirs is always 0."""
    return seen > kept or (seen == 0 and kept == 0)


def facts_digest(key: bytes, purpose: Purpose, facts: Facts) -> str:
    """Tells one set of facts from every other: keyed, for facts are easily guessed."""
    plain = msgspec.json.encode([purpose.value, sorted((name, fact) for name, fact in facts.items())])
    return hashlib.blake2b(plain, key=key[:64], person=b"vouch proof").hexdigest()


def check_facts(purpose: Purpose, facts: Facts) -> None:
    """Raises `bad_request` for facts that no operation would ever ask for."""
    if facts.keys() != FACTS[purpose]:
        wanted = ", ".join(sorted(FACTS[purpose]))
        raise VouchError(Code.BAD_REQUEST, f"A proof for {purpose} is about {wanted}.", field="facts")


def passkey_host(origin: str) -> str | None:
    """The host name that passkeys of a page belong to (its RP id); None where browsers make none: a passkey belongs to
    a name, never to an IP address, and the page has come over https or from localhost (WebAuthn Level 3, section
    5.1.3)."""
    parts = urlsplit(origin)
    host = (parts.hostname or "").lower()
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return None
    local = host == "localhost" or host.endswith(".localhost")
    return host if host and (parts.scheme == "https" or (parts.scheme == "http" and local)) else None


def usable(factor: Factor, host: str | None) -> bool:
    """Whether a factor can prove anything on pages of this host."""
    return not factor.copied and (factor.kind is FactorKind.TOTP or factor.host == host)


def methods(factors: Iterable[Factor], recovery_left: int, purpose: Purpose, host: str | None) -> list[Method]:
    """How a proof may be made: by the factors that can be used here, and for changing factors by a recovery code."""
    kinds = {factor.kind for factor in factors if usable(factor, host)}
    found = [Method(kind.value) for kind in (FactorKind.PASSKEY, FactorKind.TOTP) if kind in kinds]
    if recovery_left and purpose is Purpose.FACTOR:
        found.append(Method.RECOVERY)
    return found
