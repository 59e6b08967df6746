"""Phone numbers at rest: encrypted, and found by a keyed hash, so that a stolen database tells nobody's number."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from server.sealing import FieldSeal


class PhoneVault(FieldSeal):
    """`field` encrypts, `blind` keys the index by which a number is found exactly. Both are rings of keys of 32 bytes:
    the first one writes, all of them read. A number is sealed for one person's document."""

    def __init__(self, field: Sequence[bytes], blind: Sequence[bytes]) -> None:
        super().__init__(field, "phone")
        self._blind = tuple(blind)

    def indexes(self, number: str) -> list[str]:
        """The blind indexes of a number (HMAC-SHA-256, hex) by every key of the ring. All of them are kept: so two
        accounts never get one number, also while some nodes write with one key and some with the next."""
        return [hmac.new(key, b"phone:" + number.encode(), hashlib.sha256).hexdigest() for key in self._blind]

    def index(self, number: str) -> str:
        """The blind index of a number by the key that writes now."""
        return self.indexes(number)[0]
