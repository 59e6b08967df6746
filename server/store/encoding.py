"""Encoding a document before it enters a batch, so that a bad one is refused alone."""

from __future__ import annotations

from typing import Any

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

#: BSON bytes that the driver sends as they are.
Encoded = RawBSONDocument


class Unstorable(ValueError):
    """The document cannot be kept: a number beyond 64 bits, NUL in a key, a lone surrogate, or too many bytes."""


def encoded(document: dict[str, Any], *, most: int) -> Encoded:
    """The document as BSON; raises Unstorable when it has no BSON form or more than `most` bytes."""
    try:
        data = bson.encode(document)
    except (BSONError, OverflowError, UnicodeError, ValueError, RecursionError) as fault:
        raise Unstorable(str(fault)) from None
    if len(data) > most:
        raise Unstorable(f"{len(data)} bytes, at most {most}")
    return RawBSONDocument(data)
