"""The words on the wire: every frame that a client may send and every frame that the server sends.

Frames are JSON objects in WebSocket text messages; `t` names the type. Numbers are integers within ±(2^53 − 1), so that
they survive a JavaScript client; times are milliseconds since 1970-01-01T00:00Z. The JSON schemas, the TypeScript types
and the tables of docs/protocol.md are generated from this module.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from server.errors import Code

VERSION = 1

#: The largest frame a client may send, and the largest body of an entry, both in bytes of JSON.
MAX_FRAME = 128 * 1024
MAX_BODY = 64 * 1024
#: How many entries a page holds at most, and how many entries a resume replays before it says `behind`.
MAX_PAGE = 200
MAX_REPLAY = 1_000
#: How many channels one `subscribe` may name, and how many one connection may hold.
MAX_CHANNELS_PER_FRAME = 500
MAX_CHANNELS = 2_000
#: Where more than so many people are here, presence tells their number only.
PRESENCE_NAMED = 200
#: Seconds until a connection must have said `hello`.
HELLO_WITHIN = 10.0

SafeInt = Annotated[int, Meta(ge=-(2**53) + 1, le=2**53 - 1)]
#: The number of an entry in its channel: 1, 2, 3 … without holes; 0 is "before the first".
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Millis = Annotated[int, Meta(ge=0, le=2**53 - 1, description="milliseconds since 1970-01-01T00:00Z")]
# Python's `$` also matches before a last newline, JavaScript's does not: `(?!\n)` makes the patterns mean one thing.
#: `kind:id`, for example `conv:c_0f3…` or `inbox:p_7k2…`.
Channel = Annotated[str, Meta(pattern=r"^[a-z]{2,16}:[A-Za-z0-9_-]{1,64}$(?!\n)", max_length=81)]
#: Chosen by the client from 128 random bits; repeating a request with the same id is safe.
ClientId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,64}$(?!\n)")]
#: Correlates an answer with its request within one connection.
RequestId = Annotated[int, Meta(ge=0, le=2**53 - 1)]
KindName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$(?!\n)")]


class Close(IntEnum):
    """Close codes. 4000–4499: connect again and resume. 4500–4999: do not come back by yourself."""

    GOING_AWAY = 4000
    SLOW_CONSUMER = 4001
    NO_HEARTBEAT = 4002
    INTERNAL = 4003
    FLOOD = 4004
    TRY_LATER = 4005
    TOO_MANY_CONNECTIONS = 4006
    MALFORMED = 4500
    UNAUTHENTICATED = 4501
    SIGNED_OUT = 4502
    UNSUPPORTED_VERSION = 4503
    TOO_LARGE = 4504
    OUT_OF_ORDER = 4505


CLOSE_REASONS: dict[Close, str] = {
    Close.GOING_AWAY: "The server is stopping or restarting. Resume at once; another node may answer.",
    Close.SLOW_CONSUMER: "More than 1 MiB, or 10 s, of frames were waiting for this client. Resume.",
    Close.NO_HEARTBEAT: "No pong came for two heartbeats. Resume.",
    Close.INTERNAL: "The server met a fault of its own on this connection. Resume with back-off.",
    Close.FLOOD: "Too many frames in too short a time. Resume with back-off.",
    Close.TRY_LATER: "The server cannot serve this connection at the moment. Resume with back-off.",
    Close.TOO_MANY_CONNECTIONS: "This person has too many open connections. Resume with back-off.",
    Close.MALFORMED: "Too many frames were not of a known form: the client has a fault.",
    Close.UNAUTHENTICATED: "No valid sign-in came within 10 s.",
    Close.SIGNED_OUT: "This sign-in was ended (signed out, revoked, password changed, account deleted).",
    Close.UNSUPPORTED_VERSION: "The server does not speak this version: reload or update the client.",
    Close.TOO_LARGE: "A frame was larger than 128 KiB.",
    Close.OUT_OF_ORDER: "A frame came before `hello`, or a second `hello`.",
}


class Gap(StrEnum):
    """Why a resume could not replay what was missed: the client refetches the channel by `history`."""

    EPOCH = "epoch"  # the database was restored: numbers mean something else now
    AHEAD = "ahead"  # the client claims more than the log holds
    BEHIND = "behind"  # more than MAX_REPLAY entries were missed
    RIGHTS = "rights"  # the client asks for entries from before its membership
    SNAPSHOT = "snapshot"  # this kind of channel never replays


# ── What a log holds ────────────────────────────────────────────────────────────────────────────────────────────────


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a channel's log, as every subscriber sees it.

    `n` counts the countable entries up to and including this one (unread = head.n − read.n); `id` is the client's id;
    `by` is the sender's id or `system`; `ref` is the number of the entry that a modifier (edit, deletion, reaction)
    is about; `gone` tells that a deletion has scrubbed the body.
    """

    seq: Seq
    n: Seq
    at: Millis
    by: str
    id: str
    kind: KindName
    body: dict[str, Any]
    ref: Seq | None = None
    gone: bool = False


# ── Client → server ─────────────────────────────────────────────────────────────────────────────────────────────────


class Hello(msgspec.Struct, tag_field="t", tag="hello", frozen=True, forbid_unknown_fields=True):
    """The first frame. Browsers are known by their cookie, programs send `token`; `epoch` is the last `welcome`'s."""

    v: int
    token: str | None = None
    epoch: str | None = None


class Want(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One channel of a `subscribe`: `after` is the last entry the client has; null starts live at the head."""

    ch: Channel
    after: Seq | None = None


class Subscribe(msgspec.Struct, tag_field="t", tag="subscribe", frozen=True, forbid_unknown_fields=True):
    """Each channel is answered by `subscribed` (then what was missed, then live entries) or `refused`."""

    rid: RequestId
    channels: Annotated[list[Want], Meta(min_length=1, max_length=MAX_CHANNELS_PER_FRAME)]


class Unsubscribe(msgspec.Struct, tag_field="t", tag="unsubscribe", frozen=True, forbid_unknown_fields=True):
    rid: RequestId
    channels: Annotated[list[Channel], Meta(min_length=1, max_length=MAX_CHANNELS_PER_FRAME)]


class Append(msgspec.Struct, tag_field="t", tag="append", frozen=True, forbid_unknown_fields=True):
    """Adds an entry. Answered by `ack` once it is durable, or by `error` with the same `id`."""

    id: ClientId
    ch: Channel
    kind: KindName
    body: msgspec.Raw
    ref: Seq | None = None


class Signal(msgspec.Struct, tag_field="t", tag="signal", frozen=True, forbid_unknown_fields=True):
    """Something that is true only now (typing …): reaches who is there, is never stored, has no answer."""

    ch: Channel
    kind: KindName
    body: msgspec.Raw


class Position(msgspec.Struct, tag_field="t", tag="position", frozen=True, forbid_unknown_fields=True):
    """Moves the person's own positions in a channel forward; going back has no effect."""

    ch: Channel
    read: Seq | None = None
    delivered: Seq | None = None


class History(msgspec.Struct, tag_field="t", tag="history", frozen=True, forbid_unknown_fields=True):
    """Asks for a page: the last `limit` entries before `before`, or the first after `after`; neither: the newest."""

    rid: RequestId
    ch: Channel
    before: Seq | None = None
    after: Seq | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50


class Ping(msgspec.Struct, tag_field="t", tag="ping", frozen=True, forbid_unknown_fields=True):
    """For clients that cannot send WebSocket pings."""

    rid: RequestId


ClientFrame = Hello | Subscribe | Unsubscribe | Append | Signal | Position | History | Ping

# ── Server → client ─────────────────────────────────────────────────────────────────────────────────────────────────


class Welcome(msgspec.Struct, tag_field="t", tag="welcome", frozen=True):
    """The connection is signed in. `ping_every` is the server's heartbeat in seconds."""

    v: int
    epoch: str
    node: str
    who: str
    kind: str
    at: Millis
    ping_every: float


class Subscribed(msgspec.Struct, tag_field="t", tag="subscribed", frozen=True, omit_defaults=True):
    """The channel is live from here; missed entries follow as `entry` frames unless `gap` says why they cannot.

    `head` and `n` are the newest entry's numbers; `read` and `delivered` are the person's own positions, `read_n` the
    count at `read`; `first` is the lowest number this person may see.
    """

    rid: RequestId
    ch: Channel
    head: Seq
    n: Seq
    write: bool = False
    signal: bool = False
    first: Seq = 1
    read: Seq = 0
    read_n: Seq = 0
    delivered: Seq = 0
    gap: Gap | None = None


class Refused(msgspec.Struct, tag_field="t", tag="refused", frozen=True):
    """This channel cannot be subscribed; unknown channels and forbidden ones look alike."""

    rid: RequestId
    ch: str
    code: Code


class Unsubscribed(msgspec.Struct, tag_field="t", tag="unsubscribed", frozen=True):
    rid: RequestId


class EntryEvent(msgspec.Struct, tag_field="t", tag="entry", frozen=True):
    """An entry, in order and once: its number is the last one's plus 1."""

    ch: Channel
    entry: Entry


class Ack(msgspec.Struct, tag_field="t", tag="ack", frozen=True):
    """The entry with this client id is durable and has this number. A repeat gets the first acknowledgement again."""

    id: ClientId
    ch: Channel
    seq: Seq
    n: Seq
    at: Millis


class Error(msgspec.Struct, tag_field="t", tag="error", frozen=True, omit_defaults=True):
    """A refusal: of the request `rid`, of the append `id`, or of a frame that carried neither."""

    code: Code
    message: str
    rid: RequestId | None = None
    id: str | None = None
    ch: str | None = None
    field: str | None = None
    retry_after: float | None = None


class Page(msgspec.Struct, frozen=True, omit_defaults=True):
    """Entries `first … last` of a channel, and the modifiers outside the page whose `ref` lies in it."""

    ch: Channel
    head: Seq
    n: Seq
    first: Seq
    entries: list[Entry]
    modifiers: list[Entry] = []


class PageEvent(msgspec.Struct, tag_field="t", tag="page", frozen=True):
    rid: RequestId
    page: Page


class SignalEvent(msgspec.Struct, tag_field="t", tag="signal", frozen=True):
    """Coalesced: of several signals of one kind by one sender within 100 ms only the last arrives."""

    ch: Channel
    by: str
    kind: KindName
    body: dict[str, Any]


class Presence(msgspec.Struct, tag_field="t", tag="presence", frozen=True, omit_defaults=True):
    """Who is here. `online` is a snapshot (after `subscribed`); `joined` and `left` are changes.

    Where more than PRESENCE_NAMED are here only `count` is told: whoever receives it forgets the names. When there are
    few enough again, a snapshot names them.
    """

    ch: Channel
    online: list[str] | None = None
    joined: list[str] = []
    left: list[str] = []
    count: int | None = None


class PositionEvent(msgspec.Struct, tag_field="t", tag="position", frozen=True):
    """Somebody's positions have moved: another device of one's own, or another member."""

    ch: Channel
    by: str
    read: Seq
    read_n: Seq
    delivered: Seq


class Dropped(msgspec.Struct, tag_field="t", tag="dropped", frozen=True):
    """The subscription has ended (removed from the group, channel deleted)."""

    ch: Channel
    code: Code


class Pong(msgspec.Struct, tag_field="t", tag="pong", frozen=True):
    rid: RequestId
    at: Millis


class Bye(msgspec.Struct, tag_field="t", tag="bye", frozen=True, omit_defaults=True):
    """The last frame before the server closes; `close` is the close code that follows."""

    close: int
    reason: str
    retry_after: float | None = None


ServerFrame = (
    Welcome
    | Subscribed
    | Refused
    | Unsubscribed
    | EntryEvent
    | Ack
    | Error
    | PageEvent
    | SignalEvent
    | Presence
    | PositionEvent
    | Dropped
    | Pong
    | Bye
)

_decoder = msgspec.json.Decoder(ClientFrame)
_encoder = msgspec.json.Encoder()


def decode(frame: bytes | str) -> ClientFrame:
    """Raises msgspec.DecodeError (ValidationError is one) when the bytes are no frame."""
    decoded: ClientFrame = _decoder.decode(frame)
    return decoded


def encode(frame: ServerFrame) -> bytes:
    return _encoder.encode(frame)
