"""Short secrets at rest: sealed with the ring of field keys, each bound to the row that it stands in."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12  # bytes, AES-GCM


class FieldSeal:
    """AES-256-GCM. `field` is a ring of keys of 32 bytes: the first one writes, all of them read. `purpose` keeps kinds
    of fields apart: what was sealed for one does not open as another."""

    def __init__(self, field: Sequence[bytes], purpose: str) -> None:
        self._ciphers = [AESGCM(key) for key in field]
        self._purpose = purpose

    def seal(self, text: str, owner: str) -> bytes:
        """A text for one owner's row; moved to another row it does not open."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._ciphers[0].encrypt(nonce, text.encode(), self._bound_to(owner))

    def open(self, sealed: bytes, owner: str) -> str:
        """Raises cryptography's InvalidTag for foreign or damaged bytes."""
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._bound_to(owner)).decode()
            except InvalidTag:
                continue
        raise InvalidTag

    def is_current(self, sealed: bytes, owner: str) -> bool:
        """Whether the key that writes now has sealed it."""
        try:
            self._ciphers[0].decrypt(sealed[:_NONCE], sealed[_NONCE:], self._bound_to(owner))
        except InvalidTag:
            return False
        return True

    def _bound_to(self, owner: str) -> bytes:
        return f"{self._purpose}:{owner}".encode()
