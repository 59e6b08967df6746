"""What clients send about calls, and what they get. Times are milliseconds, as everywhere on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from server.calls.model import (
    SLOTS_MOST,
    WATCHING_MOST,
    AskId,
    AskState,
    CallId,
    CallState,
    ConnectionId,
    Ending,
    RecordingId,
    RecordingState,
    SeatState,
)
from server.calls.wire import Direction, Layer, Track
from server.people.model import Millis, PersonCard, PersonId

Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,64}$", max_length=64, description="made once by the client")]
#: The conversation's and the pledge's own patterns, said here without importing those domains' words.
ConversationOfCall = Annotated[str, Meta(pattern=r"^c_[0-9a-z]{20}$", max_length=22)]
PledgeOfCall = Annotated[str, Meta(pattern=r"^g_[0-9a-z]{20}$", max_length=22)]


# ── What is sent ────────────────────────────────────────────────────────────────────────────────────────────────────


class StartCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call in a conversation: its other members' phones ring. With a `pledge`, its supervisors watch its owner.

    `key` makes it once."""

    conversation: ConversationOfCall
    key: Key
    video: bool = True
    pledge: PledgeOfCall | None = None


class RemoveFromCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: PersonId


class ChangeSeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one shows, and whom one looks at; what is left out stays as it is. `closing`: the page is being closed; one
    is away at once, and out of the call 15 s later unless one is back by then, as after a reload."""

    voice: bool | None = None
    camera: bool | None = None
    screen: bool | None = None
    watching: Annotated[list[PersonId], Meta(max_length=WATCHING_MOST)] | None = None
    closing: bool = False


class NewConnection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An offer (SDP) of at most 64 kB. With `epoch` it is refused (`stale`) when the call's is another one meanwhile.

    The m-lines of a publishing offer are, in this order: voice, camera, the camera's small picture, screen. One
    connection per person and direction: a new one takes the old one's place."""

    direction: Direction
    offer: str
    epoch: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None


class SlotWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What flows in the m-line `index` of a watching connection."""

    index: Annotated[int, Meta(ge=0, le=SLOTS_MOST - 1)]
    person: PersonId
    track: Track = Track.CAMERA
    layer: Layer = Layer.AUTO


class SetView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All slots that something is to flow in; in the others nothing does."""

    slots: Annotated[list[SlotWanted], Meta(max_length=SLOTS_MOST)]


class SetRecording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`on`: asks for a recording, or agrees to it. Not `on`: refuses, withdraws, and so ends it."""

    on: bool


class TakeSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture of somebody's camera, as a proof. `key` makes it once."""

    person: PersonId
    key: Key


class AnswerSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`yes`: the picture is taken now. Otherwise it is not; who has asked takes the question back so."""

    ask: AskId
    yes: bool


# ── What is answered ────────────────────────────────────────────────────────────────────────────────────────────────


class SeatView(msgspec.Struct, frozen=True, kw_only=True):
    """One person's place in a call. `here`: this very sign-in has taken it; `device` is `other` where it is one's own
    and another sign-in has. `since`: in this state. `picture`: how the viewer comes to a picture of them, `take` it at
    once as a supervisor or `ask` them; null where there is none to be had."""

    person: str
    state: SeatState
    here: bool
    device: Literal["other"] | None
    voice: bool
    camera: bool
    screen: bool
    watching: list[str]
    since: Millis
    agrees: bool
    picture: Literal["take", "ask"] | None


class SnapshotAsk(msgspec.Struct, frozen=True, kw_only=True):
    """`by` would like to take a picture of `person`. `taken`: it is the proof `proof` now. It passes at `until`; after
    `refused` they may be asked again then."""

    id: AskId
    by: str
    person: str
    state: AskState
    since: Millis
    until: Millis
    proof: str | None


class RecordingNow(msgspec.Struct, frozen=True):
    """`asked`: not everybody in the call has agreed yet. `by` asked for it; `since`: asked, or on."""

    state: RecordingState
    by: str | None = None
    since: Millis | None = None


class CallView(msgspec.Struct, frozen=True, kw_only=True):
    """A call as one of its people sees it.

    `title` is the conversation's, empty for a direct one. `reason`: why it has ended. `rings_until`: while somebody's
    phone rings. `answered`: since when two were in it. `epoch` is raised when all media are to be set up anew.
    `watched_by`: to whom one's pictures flow now, or who says that they look; `supervisors`: those of its pledge, as
    far as they are called here.
    `asks`: pictures that one asks for or is asked for. `can`: what one may do now, of `accept`, `decline`, `join`,
    `cancel`, `leave`, `end`, `remove`, `record`, `agree`, `withdraw`, `snapshot`, `ask_snapshot`.
    """

    id: str
    conversation: str
    title: str
    by: str
    at: Millis
    video: bool
    pledge: str | None
    state: CallState
    reason: Ending | None
    answered: Millis | None
    ended: Millis | None
    rings_until: Millis | None
    version: int
    epoch: int
    seats: list[SeatView]
    people: list[PersonCard]
    recording: RecordingNow
    asks: list[SnapshotAsk]
    watched_by: list[str]
    supervisors: list[str]
    can: list[str]


class CallList(msgspec.Struct, frozen=True):
    """One's calls, the newest first; `more`: there are older ones."""

    calls: list[CallView]
    more: bool


class ConnectionView(msgspec.Struct, frozen=True):
    """The answer (SDP) to an offer."""

    id: ConnectionId
    answer: str
    call: CallView


class RecordedFile(msgspec.Struct, frozen=True):
    """What one person published: a Matroska file of `bytes` bytes."""

    n: int
    person: str
    bytes: int


class RecordingView(msgspec.Struct, frozen=True, kw_only=True):
    """A recording of a call. Each of its `people` may look at it, and delete it. `ended` is null while it goes on;
    `reason` is then how it ended: `stopped` (the call was over, or somebody in it did not agree any more, or not yet),
    `full`, `lease` (nobody renewed it), or `failed`."""

    id: RecordingId
    call: CallId
    by: str
    people: list[PersonCard]
    began: Millis
    ended: Millis | None
    reason: str | None
    files: list[RecordedFile]


class RecordingList(msgspec.Struct, frozen=True):
    recordings: list[RecordingView]


class SnapshotView(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot was taken and is a proof now: `proof` names it."""

    proof: str
    person: str
    by: str
    at: Millis


class IceServer(msgspec.Struct, frozen=True, omit_defaults=True):
    """As a browser takes it. The credential of a TURN server holds for some hours."""

    urls: list[str]
    username: str = ""
    credential: str = ""


class IceServers(msgspec.Struct, frozen=True):
    """`until`: the credentials hold so long; ask again for a connection that is made later."""

    servers: list[IceServer]
    until: Millis
