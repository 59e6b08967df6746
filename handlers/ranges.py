"""Which part of an answer a client asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from server.errors import Code, VouchError

#: digits beyond which a number is no place in a file
_DIGITS = 18
_ONE_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.ASCII | re.IGNORECASE)


class ByteRange(NamedTuple):
    first: int
    length: int


class NoSuchRange(VouchError):
    """Carries how long the whole is, which the answer tells."""

    def __init__(self, size: int) -> None:
        super().__init__(Code.RANGE_NOT_SATISFIABLE)
        self.size = size


def requested_range(headers: Mapping[str, str], size: int, etag: str) -> ByteRange | None:
    """The one part that is asked for; None for the whole.

    Several parts at once, other units and what cannot be read are answered with the whole, as the RFC allows; so is a
    part of something else than what is here (`If-Range`). Raises NoSuchRange beyond the end.
    """
    asked = headers.get("Range", "")
    found = _ONE_RANGE.fullmatch(asked.strip())
    if found is None or headers.get("If-Range", etag) != etag:
        return None
    first, last = found.groups()
    if max(len(first), len(last)) > _DIGITS or not (first or last):
        return None
    if not first:  # the last so many
        length = min(int(last), size)
        if length == 0:
            raise NoSuchRange(size)
        return ByteRange(size - length, length)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise NoSuchRange(size)
    end = min(int(last) + 1, size) if last else size
    return ByteRange(int(first), end - int(first))
