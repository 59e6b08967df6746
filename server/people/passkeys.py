"""Passkeys: what browsers' authenticators answer, checked with the `webauthn` library (WebAuthn Level 3, section 7)."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import msgspec
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException

from server.errors import Code, VouchError
from server.people.factor_model import Assertion, Factor, NewPasskey

#: The signatures that are taken, the best first: EdDSA, ES256, RS256.
ALGORITHMS = (
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)
#: What damaged answers make the library's parsers raise besides its own exceptions.
_DAMAGED = (WebAuthnException, ValueError, KeyError, IndexError, TypeError, OverflowError)


class Known(msgspec.Struct, frozen=True):
    """A new passkey as it is kept; `credential` is base64url."""

    credential: str
    public_key: bytes
    counter: int


def text(data: bytes) -> str:
    """base64url without padding."""
    return bytes_to_base64url(data)


def challenge() -> bytes:
    """Random bytes that an authenticator signs."""
    return secrets.token_bytes(32)


def user_id(person: str) -> str:
    """How authenticators know an account: says nothing of it (WebAuthn Level 3, section 14.6.1)."""
    return text(hashlib.sha256(b"vouch passkey:" + person.encode()).digest())


def register(answer: NewPasskey, asked: bytes, host: str, origin: str) -> Known:
    """Raises `wrong_factor` unless an authenticator that has asked for finger, face or PIN has answered just this."""
    credential = _credential(answer.id, {"clientDataJSON": answer.client_data, "attestationObject": answer.attestation})
    try:
        found = verify_registration_response(
            credential=credential,
            expected_challenge=asked,
            expected_rp_id=host,
            expected_origin=origin,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
    except _DAMAGED:
        raise VouchError(Code.WRONG_FACTOR) from None
    return Known(text(found.credential_id), found.credential_public_key, found.sign_count)


def counter_of(answer: Assertion, factor: Factor, asked: bytes, origin: str) -> int:
    """The counter of a passkey that has signed just this challenge on a page of ours. Raises `wrong_factor`."""
    credential = _credential(
        answer.id,
        {
            "clientDataJSON": answer.client_data,
            "authenticatorData": answer.authenticator_data,
            "signature": answer.signature,
        },
    )
    try:
        found = verify_authentication_response(
            credential=credential,
            expected_challenge=asked,
            expected_rp_id=factor.host,
            expected_origin=origin,
            credential_public_key=factor.public_key,
            credential_current_sign_count=0,  # ours to judge: see rules.counter_goes_on
            require_user_verification=True,
        )
    except _DAMAGED:
        raise VouchError(Code.WRONG_FACTOR) from None
    return found.new_sign_count


def _credential(id: str, response: dict[str, str]) -> dict[str, Any]:
    return {"id": id, "rawId": id, "type": "public-key", "response": response}
