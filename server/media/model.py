"""The words of media: what an upload is, and what a message says of what it carries."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

#: so many things one message carries at most
MOST_PER_MESSAGE = 10

MediaId = Annotated[str, Meta(pattern=r"^m_[0-9a-z]{26}$", max_length=28)]
UploadId = Annotated[str, Meta(pattern=r"^u_[0-9a-z]{26}$", max_length=28)]
FileName = Annotated[str, Meta(min_length=1, max_length=180)]
#: characters after the prefix of an id: 130 random bits, for an address that nobody guesses
ID_LENGTH = 26
#: no number of bytes, pixels or seconds is larger: a tebibyte
LARGEST = 2**40


class MediaKind(StrEnum):
    PICTURE = "picture"
    VOICE = "voice"
    VIDEO = "video"
    FILE = "file"


class Media(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a message says of a thing that it carries: the facts that a client needs to lay it out before it is loaded.

    They are found by the server and given to whoever uploaded it; a message repeats them word for word. `type` and
    `size` (bytes) are those of the main variant. `width` and `height` are pixels as seen (upright), `seconds` how long
    it plays. `blur` is a tiny preview (a ThumbHash, base64), `levels` the loudness of a voice over time (0–99).
    """

    id: MediaId
    kind: MediaKind
    name: Annotated[str, Meta(max_length=180)]
    type: Annotated[str, Meta(max_length=100)]
    size: Annotated[int, Meta(ge=0, le=LARGEST)]
    width: Annotated[int, Meta(ge=0, le=LARGEST)] = 0
    height: Annotated[int, Meta(ge=0, le=LARGEST)] = 0
    seconds: Annotated[float, Meta(ge=0, le=LARGEST)] = 0.0
    blur: Annotated[str, Meta(max_length=64)] = ""
    levels: Annotated[list[Annotated[int, Meta(ge=0, le=99)]], Meta(max_length=64)] = []


class Variant(StrEnum):
    """What can be read of a thing: itself, a picture of at most 1280 pixels a side, one of 320, a video's poster."""

    MAIN = "main"
    PREVIEW = "preview"
    THUMB = "thumb"
    POSTER = "poster"


class UploadState(StrEnum):
    RECEIVING = "receiving"
    PROCESSING = "processing"
    READY = "ready"
    REFUSED = "refused"


class FaultCode(StrEnum):
    """Why a thing was refused after it had arrived. The codes are stable."""

    NOT_RECOGNISED = "not_recognised"
    UNSUPPORTED = "unsupported"
    DAMAGED = "damaged"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LONG = "too_long"
    NO_PICTURE = "no_picture"
    NO_SOUND = "no_sound"
    TOO_MUCH_WORK = "too_much_work"
    FAILED = "failed"


#: code → the sentence sent along for people who read the raw answer
FAULTS: dict[FaultCode, str] = {
    FaultCode.NOT_RECOGNISED: "The content is not of this kind, whatever its name says.",
    FaultCode.UNSUPPORTED: "This format cannot be shown here. It can be sent as a file.",
    FaultCode.DAMAGED: "The content is damaged or incomplete.",
    FaultCode.TOO_MANY_PIXELS: "The picture has more pixels than allowed.",
    FaultCode.TOO_LONG: "It plays longer than allowed.",
    FaultCode.NO_PICTURE: "There is no moving picture in it.",
    FaultCode.NO_SOUND: "There is no sound in it.",
    FaultCode.TOO_MUCH_WORK: "Making it ready would take more time or memory than allowed.",
    FaultCode.FAILED: "It could not be made ready on our side. Try again.",
}


class Fault(msgspec.Struct, frozen=True):
    """Why an upload was refused."""

    code: FaultCode
    message: str


def fault(code: FaultCode) -> Fault:
    return Fault(code, FAULTS[code])


class Upload(msgspec.Struct, frozen=True):
    """A thing on its way. `offset` bytes of `size` have arrived and are safe; the next request carries at most `chunk`.

    When the last byte is there the server makes the thing harmless (`processing`); then it is `ready` and has `media`,
    the facts that a message repeats, or `refused` and has a `fault`.
    """

    id: UploadId
    offset: int
    size: int
    state: UploadState
    chunk: int
    media: Media | None = None
    fault: Fault | None = None


class KindLimit(msgspec.Struct, frozen=True):
    """The most that one thing of this kind may have: bytes as sent, and seconds for what plays (0: it does not)."""

    kind: MediaKind
    size: int
    seconds: int = 0


class UploadLimits(msgspec.Struct, frozen=True):
    """What somebody may send. `quota` bytes may be kept for them in all, `used` are; `open` uploads at once."""

    kinds: list[KindLimit]
    quota: int
    used: int
    open: int
    chunk: int
