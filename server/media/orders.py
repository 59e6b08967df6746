"""What the server and its worker processes say to each other: one line of JSON each way."""

from __future__ import annotations

import msgspec

from server.media.model import FaultCode, MediaKind, Variant

MIB = 1024 * 1024


class Order(msgspec.Struct, frozen=True):
    """Make the file `source` ready; results go into the directory `into`. Bounds of what that may cost: bytes of memory
    and seconds of processor time. `seconds` is how long it may play."""

    kind: MediaKind
    source: str
    into: str
    seconds: int
    memory: int
    cpu_seconds: int


class Piece(msgspec.Struct, frozen=True):
    """One variant as it was made: the name of its file in the order's directory, and its type."""

    variant: Variant
    file: str
    type: str


class Made(msgspec.Struct, frozen=True, tag="made", omit_defaults=True):
    """Variants may share a file. The facts are those of Media."""

    pieces: list[Piece]
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    blur: str = ""
    levels: list[int] = []


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    code: FaultCode


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """The worker itself has a fault: the name of the exception."""

    what: str


Answer = Made | Refused | Broken


class Refusal(Exception):
    """The content cannot be made ready, for this reason."""

    def __init__(self, code: FaultCode) -> None:
        self.code = code
        super().__init__(code.value)
