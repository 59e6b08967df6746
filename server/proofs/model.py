"""The words of live proofs: pictures taken just now for a promise or in a call, and places (R-14, R-16)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

ProofId = Annotated[str, Meta(pattern=r"^pf_[0-9a-z]{20}$", max_length=23)]
NonceId = Annotated[str, Meta(pattern=r"^nx_[0-9a-z]{20}$", max_length=23)]
Millis = Annotated[int, Meta(ge=0, le=2**53 - 1, description="milliseconds since 1970")]

#: bytes of a picture as it comes: in base64 it fits into the largest request
PICTURE_MOST = 2_900_000


class ProofKind(StrEnum):
    """`photo`: by the camera of who shows something. `snapshot`: of somebody in a call. `location`: a place only."""

    PHOTO = "photo"
    SNAPSHOT = "snapshot"
    LOCATION = "location"


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a browser says that somebody was: the middle of a circle (WGS 84, degrees) and its radius in metres."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    accuracy: Annotated[float, Meta(ge=0, le=1_000_000)]


class Looks(msgspec.Struct, frozen=True):
    """What a picture is known again by: `hash`, 64 bits in hex, of its coarse form, and `grid`, 32 × 32 greys; empty
    where the hash is all that is kept."""

    hash: str
    grid: bytes = b""


class Alike(msgspec.Struct, frozen=True):
    """An earlier picture that looks like this one. `own`: it shows the same person, or what they have done."""

    proof: str
    at: datetime
    own: bool


class Nonce(msgspec.Struct, frozen=True, kw_only=True):
    """May be used once, by this person at this sign-in, for one picture of this pledge's task (0: the whole), until
    then."""

    id: str
    person: str
    session: str
    pledge: str
    task: int
    at: datetime
    until: datetime
    proof: str | None = None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """`person` is whom or whose thing it shows, `by` who has taken it, `at` the server's time. `sha256` (hex) is over
    the signed file, or over the place; `source` over what came in. `media` is the picture. `place` was sent along by
    the person's consent, and goes with their account. `looks` are those of the bare picture, of the one with what is
    written in it, of the sealed one with its slip, then of the bare one with less and less of its edges."""

    id: str
    kind: ProofKind
    person: str
    by: str
    at: datetime
    nonce: str
    sha256: str
    source: str
    pledge: str = ""
    task: int = 0
    call: str = ""
    media: str | None = None
    place: Place | None = None
    looks: tuple[Looks, ...] = ()
    alike: Alike | None = None


# ── What clients send and get ───────────────────────────────────────────────────────────────────────────────────────


class AskNonce(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`task` is what the photo is for; 0: for the whole."""

    task: Annotated[int, Meta(ge=0, le=200)] = 0


class NonceView(msgspec.Struct, frozen=True):
    """Good for one picture, until `until`. `at` is the server's time now; `code` is what the picture will show."""

    nonce: NonceId
    code: str
    at: Millis
    until: Millis


class TakePhoto(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`picture` is a JPEG in base64, straight from the camera: at most 2.9 MB, nothing written into it by anything
    else. `place` only where the person has agreed to that."""

    nonce: NonceId
    picture: Annotated[bytes, Meta(max_length=PICTURE_MOST)]
    place: Place | None = None


class ShareLocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    task: Annotated[int, Meta(ge=0, le=200)] = 0
    place: Place


class AlikeView(msgspec.Struct, frozen=True):
    """When an earlier picture was sealed that looks almost the same; `own` is whether it was of the same person."""

    at: Millis
    own: bool


class ProofView(msgspec.Struct, frozen=True, kw_only=True):
    """`code` and the time stand on the picture, whose id is `media`. `sha256` is over the file as it is given out."""

    id: ProofId
    kind: ProofKind
    at: Millis
    person: str
    by: str
    code: str
    sha256: str
    pledge: str | None = None
    task: int = 0
    call: str | None = None
    media: str | None = None
    place: Place | None = None
    alike: AlikeView | None = None


class CallProofs(msgspec.Struct, frozen=True):
    """The newest first."""

    proofs: list[ProofView]


class VerifyState(StrEnum):
    """`unchanged`: this server has sealed exactly this file. `changed`: it names a proof of this server and is another
    file. `resembles`: it carries no seal, but looks like a picture that was sealed here. `unrecorded`: its signature
    holds and is of this server's authority, but no proof is known by that name. `unknown`: nothing says that it is from
    here."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    RESEMBLES = "resembles"
    UNRECORDED = "unrecorded"
    UNKNOWN = "unknown"


class OfPledge(msgspec.Struct, frozen=True):
    id: str
    title: str
    task: int


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said of a file. To whom the promise or call is none of their business, only when it was taken, how,
    and the code that stands on it: neither who, nor of what."""

    state: VerifyState
    kind: ProofKind | None = None
    at: Millis | None = None
    code: str | None = None
    pledge: OfPledge | None = None
    person: str | None = None
