"""The words of second factors: what proves, besides the password, that it is oneself who moves money (RFC 6238,
WebAuthn Level 3), and the proofs made with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.people.model import Millis

FactorId = Annotated[str, Meta(pattern=r"^f_[0-9a-z]{20}$", max_length=22)]
SetupId = Annotated[str, Meta(pattern=r"^fs_[0-9a-z]{20}$", max_length=23)]
ProofId = Annotated[str, Meta(pattern=r"^pf_[0-9a-z]{20}$", max_length=23)]
Bytes = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]*$", max_length=16_384, description="base64url without padding")]
CredentialId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+$", max_length=1_400, description="base64url, no padding")]
Challenge = Annotated[str, Meta(description="base64url without padding")]
Transport = Annotated[str, Meta(max_length=32)]
Fact = Annotated[str, Meta(max_length=128)] | Annotated[int, Meta(ge=0, le=2**53 - 1)]
Facts = Mapping[str, str | int]


class FactorKind(StrEnum):
    TOTP = "totp"
    PASSKEY = "passkey"


class Method(StrEnum):
    """How a proof may be made. Recovery codes are for changing one's factors only."""

    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY = "recovery"


class Purpose(StrEnum):
    """What a proof is for. Each has facts of its own, which it is for exactly: `pay_out` account, amount, currency;
    `payout_account` provider, number; `factor` action (`add`, `remove`, `codes`) and what (a kind, an id, empty)."""

    PAY_OUT = "pay_out"
    PAYOUT_ACCOUNT = "payout_account"
    FACTOR = "factor"


# ── What travels ────────────────────────────────────────────────────────────────────────────────────────────────────


class FactorView(msgspec.Struct, frozen=True):
    """`host` is the host name that a passkey belongs to, `here` whether it can be used at this address. `copied`: its
    counter ran backwards, as that of a copied key does; it is not taken any more."""

    id: str
    kind: FactorKind
    name: str
    created_at: Millis
    used_at: Millis | None
    host: str | None
    here: bool
    copied: bool


class Factors(msgspec.Struct, frozen=True):
    """`recovery_left` codes were not used yet. `passkeys`: they can be made at this address."""

    factors: list[FactorView]
    recovery_left: int
    passkeys: bool


class TotpSetup(msgspec.Struct, frozen=True):
    """Shown this once. `uri` is what `qr` shows (an SVG picture as a `data:` address); `secret` is the same for typing
    (base 32)."""

    setup: str
    secret: str
    uri: str
    qr: str
    expires_at: Millis


class PasskeySetup(msgspec.Struct, frozen=True):
    """What `navigator.credentials.create` is asked with. `exclude` are passkeys that are known already; `algorithms`
    COSE numbers, the best first."""

    setup: str
    challenge: Challenge
    rp_id: str
    user_id: Challenge
    user_name: str
    display_name: str
    exclude: list[CredentialId]
    algorithms: list[int]
    expires_at: Millis


class NewPasskey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `navigator.credentials.create` answered: its `rawId`, `clientDataJSON`, `attestationObject`."""

    id: CredentialId
    client_data: Bytes
    attestation: Bytes
    transports: Annotated[list[Transport], Meta(max_length=8)] = []


class Assertion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `navigator.credentials.get` answered: its `rawId`, `clientDataJSON`, `authenticatorData`, `signature`."""

    id: CredentialId
    client_data: Bytes
    authenticator_data: Bytes
    signature: Bytes


class FactorAdded(msgspec.Struct, frozen=True):
    """`recovery_codes` come with the first factor, this once: only their hashes are kept."""

    factor: FactorView
    recovery_codes: list[str] | None


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Each works once. Those made before do not work any more."""

    codes: list[str]


class PasskeyRequest(msgspec.Struct, frozen=True):
    """What `navigator.credentials.get` is asked with."""

    challenge: Challenge
    rp_id: str
    credentials: list[CredentialId]


class Proof(msgspec.Struct, frozen=True):
    """A proof that waits to be made, by one of `methods`. It is for one sign-in, one purpose and exactly its facts."""

    id: str
    purpose: Purpose
    methods: list[Method]
    passkey: PasskeyRequest | None
    expires_at: Millis


class Made(msgspec.Struct, frozen=True):
    """A proof that was made: it can be used once, until `expires_at`."""

    id: str
    expires_at: Millis


# ── What is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is a TOTP's key (base 32), in clear here and encrypted at rest; `step` the last time step that was
    used. `credential`, `public_key`, `counter` and `host` are a passkey's."""

    id: str
    person: str
    kind: FactorKind
    name: str
    created_at: datetime
    used_at: datetime | None = None
    version: int = 1
    secret: str = ""
    step: int = 0
    credential: str | None = None
    public_key: bytes = b""
    counter: int = 0
    host: str = ""
    transports: tuple[str, ...] = ()
    copied: bool = False


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """A factor that is being added, by one sign-in. `first`: it was begun without another factor."""

    id: str
    person: str
    session: str
    kind: FactorKind
    name: str
    first: bool
    expires: datetime
    secret: str = ""
    challenge: bytes = b""
    origin: str = ""


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """The hashes of the codes that still work."""

    person: str
    hashes: tuple[str, ...]
    version: int = 1


class ProofState(StrEnum):
    OPEN = "open"
    MADE = "made"
    SPENT = "spent"


class KeptProof(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` tells its facts; `use` is what it was spent on; `tries` counts answers."""

    id: str
    person: str
    session: str
    purpose: Purpose
    digest: str
    challenge: bytes
    origin: str
    expires: datetime
    state: ProofState = ProofState.OPEN
    tries: int = 0
    use: str = ""
