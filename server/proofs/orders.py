"""What the server and its workers for pictures say to each other: a line of JSON, then the bytes that it announces."""

from __future__ import annotations

from enum import StrEnum

import msgspec

MIB = 1024 * 1024


class Why(StrEnum):
    """Why a picture is refused. `not_live`: another camera or a program has written into it."""

    BAD_PICTURE = "bad_picture"
    NOT_LIVE = "not_live"


class Read(msgspec.Struct, frozen=True, tag="read"):
    """Followed by a file of `length` bytes that somebody has sent: what is it, as bare pixels?"""

    length: int


class Seal(msgspec.Struct, frozen=True, tag="seal", kw_only=True):
    """Followed by `length` bytes of RGB: draw `lines` on it and sign it. Certificates and key are PEM; `facts` go
    into the signature, `at` is ISO 8601."""

    length: int
    width: int
    height: int
    lines: tuple[str, str, str]
    at: str
    facts: dict[str, str]
    key: str
    chain: str


class Check(msgspec.Struct, frozen=True, tag="check"):
    """Followed by a file of `length` bytes: is it signed by one whom one of these authorities (PEM) has named?"""

    length: int
    authorities: str


Order = Read | Seal | Check


class Pixels(msgspec.Struct, frozen=True, tag="pixels"):
    """Followed by the 1,024 greys and by RGB, three bytes a pixel. `hash` as in Looks."""

    width: int
    height: int
    hash: str


class Sealed(msgspec.Struct, frozen=True, tag="sealed"):
    """Followed by the greys that belong to the first `GRIDS` of the hashes (as in Proof), then by the signed JPEG, and
    WebP in two sizes, each of so many bytes."""

    width: int
    height: int
    hashes: tuple[str, ...]
    blur: str
    lengths: tuple[int, int, int]


class Checked(msgspec.Struct, frozen=True, tag="checked"):
    """`valid`: signed by one of ours, and unchanged since. `proof` is what the signature, or the bytes of the file,
    name as its proof; believe it only where `valid`. `hash` is that of the picture, followed by its greys; empty where
    it is none that can be looked at."""

    valid: bool
    proof: str
    hash: str = ""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    why: Why


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """The worker itself has a fault: the name of the exception."""

    what: str


Answer = Pixels | Sealed | Checked | Refused | Broken
GREYS = 32 * 32
#: how many of a sealed picture's looks have greys: bare, written in, with its slip
GRIDS = 3


def blobs(answer: Answer) -> tuple[int, ...]:
    """How many bytes follow an answer, by piece."""
    match answer:
        case Pixels(width=width, height=height):
            return GREYS, width * height * 3
        case Sealed(lengths=lengths):
            return GREYS * GRIDS, *lengths
        case Checked(hash=hash) if hash:
            return (GREYS,)
        case _:
            return ()
