"""Phone numbers at rest: encrypted, and found by a keyed hash, so that a stolen database tells nobody's number."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12  # bytes, AES-GCM


class PhoneVault:
    """`field` (32 bytes) encrypts, `blind` (32 bytes) keys the index by which a number is found exactly."""

    def __init__(self, field: bytes, blind: bytes) -> None:
        self._cipher = AESGCM(field)
        self._blind = blind

    def seal(self, number: str, person: str) -> bytes:
        """A number for one person's document; moved to another document it does not open."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, number.encode(), b"phone:" + person.encode())

    def open(self, sealed: bytes, person: str) -> str:
        """Raises cryptography's InvalidTag for foreign or damaged bytes."""
        return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], b"phone:" + person.encode()).decode()

    def index(self, number: str) -> str:
        """The blind index of a number (HMAC-SHA-256, hex)."""
        return hmac.new(self._blind, b"phone:" + number.encode(), hashlib.sha256).hexdigest()
