"""Identifiers: a prefix that tells what it names and 100 random bits."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_LENGTH = 20


def new_id(prefix: str, length: int = _LENGTH) -> str:
    """A fresh identifier such as `p_3v9k…` (prefix, `_`, 20 characters of Crockford base 32)."""
    return prefix + "_" + "".join(secrets.choice(_ALPHABET) for _ in range(length))
