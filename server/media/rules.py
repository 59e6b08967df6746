"""How much may be sent, and how an upload moves on. Pure: no clock, no database."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

from server.errors import Code, VouchError
from server.media.model import KindLimit, MediaKind, UploadState
from server.principals import Principal, Role

MIB = 1024 * 1024

#: bytes that one request carries at most, and at least unless it is the last of its upload
CHUNK = MIB
CHUNK_LEAST = 64 * 1024
#: uploads that one person may have open at once
OPEN_MOST = 30

_NAME_LONGEST = 180
_CONTROLS = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


class Tier(StrEnum):
    """How far somebody is trusted with sizes."""

    PERSON = "person"
    STAFF = "staff"
    ADMIN = "admin"


#: The one table of limits: (bytes as sent, seconds of what plays).
LIMITS: dict[Tier, dict[MediaKind, tuple[int, int]]] = {
    Tier.PERSON: {
        MediaKind.PICTURE: (25 * MIB, 0),
        MediaKind.VOICE: (16 * MIB, 300),
        MediaKind.VIDEO: (100 * MIB, 180),
        MediaKind.FILE: (50 * MIB, 0),
    },
    Tier.STAFF: {
        MediaKind.PICTURE: (25 * MIB, 0),
        MediaKind.VOICE: (32 * MIB, 600),
        MediaKind.VIDEO: (200 * MIB, 180),
        MediaKind.FILE: (100 * MIB, 0),
    },
    Tier.ADMIN: {
        MediaKind.PICTURE: (25 * MIB, 0),
        MediaKind.VOICE: (32 * MIB, 600),
        MediaKind.VIDEO: (200 * MIB, 180),
        MediaKind.FILE: (200 * MIB, 0),
    },
}


def channel_of(place: str) -> str:
    """The channel of a conversation or pledge, by the prefix of its id."""
    return f"pledge:{place}" if place.startswith("g_") else f"conv:{place}"


def tier(principal: Principal) -> Tier:
    """An admin's rights include those of staff."""
    if principal.has(Role.ADMIN):
        return Tier.ADMIN
    return Tier.STAFF if principal.has(Role.STAFF) else Tier.PERSON


def kind_limits(of: Tier) -> list[KindLimit]:
    return [KindLimit(kind, size, seconds) for kind, (size, seconds) in LIMITS[of].items()]


def admit_upload(of: Tier, kind: MediaKind, size: int) -> None:
    """Raises `bad_request` for nothing at all, `too_large` beyond the kind's limit."""
    if size < 1:
        raise VouchError(Code.BAD_REQUEST, "There is nothing in it: it has no bytes.", field="size")
    most, _ = LIMITS[of][kind]
    if size > most:
        raise VouchError(Code.TOO_LARGE, f"A {kind} has at most {most // MIB} MiB.", field="size")


def file_name(name: str) -> str:
    """A name to show and to save under: one line, without folders or characters that disguise it."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    clean = "".join(" " if c.isspace() else c for c in last if unicodedata.category(c) not in _CONTROLS or c.isspace())
    clean = " ".join(clean.split()).strip(". ")
    if len(clean) > _NAME_LONGEST:
        stem, dot, ending = clean.rpartition(".")
        keep = dot + ending if stem and len(ending) <= 10 else ""
        clean = clean[: _NAME_LONGEST - len(keep)].rstrip() + keep
    return clean


def advance(state: UploadState, offset: int, size: int, at: int, length: int) -> int:
    """The offset after `length` bytes that were sent for the place `at`.

    Raises `conflict` unless they continue what is there, `bad_request` for parts that are empty or needlessly small,
    `too_large` for more than was announced.
    """
    if state is not UploadState.RECEIVING or at != offset:
        raise VouchError(Code.CONFLICT, f"The upload is {state} and holds {offset} bytes.", field="offset")
    if length > size - offset:
        raise VouchError(Code.TOO_LARGE, "This is more than was announced.")
    if length < min(CHUNK_LEAST, size - offset):
        raise VouchError(Code.BAD_REQUEST, f"A part has at least {CHUNK_LEAST} bytes, unless it is the last.")
    return offset + length
