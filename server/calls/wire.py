"""What the hub and its media workers say to each other: length-prefixed msgpack over a Unix socket (R-15).

Each message is four bytes of length (big endian) and one struct, tagged by `t`. The hub asks (`Ask`), the worker
answers each question once under its `id` (`Reply`) and tells what happens by itself (`News`). A worker holds nothing
that lasts: after its death calls are opened anew on another one.
"""

from __future__ import annotations

import struct
from enum import StrEnum

import msgspec

#: Bytes of one message; an offer is at most MAX_SDP, a picture of a snapshot the largest.
MAX_MESSAGE = 16 * 1024 * 1024
#: Characters of an offer.
MAX_SDP = 64 * 1024
LENGTH = struct.Struct("!I")


class Direction(StrEnum):
    """Which way the media of one peer connection go, seen from the person."""

    PUBLISH = "publish"
    WATCH = "watch"


class Track(StrEnum):
    """What somebody publishes: m-lines of their offer, in this order. `SMALL` is the camera's second, small picture."""

    VOICE = "voice"
    CAMERA = "camera"
    SMALL = "small"
    SCREEN = "screen"


class Layer(StrEnum):
    """Which picture of a camera a viewer gets: the large one while the line carries it, or one of the two."""

    AUTO = "auto"
    LARGE = "large"
    SMALL = "small"


class Slot(msgspec.Struct, frozen=True):
    """What flows in the m-line `index` of a watching connection; an empty `person` for nothing."""

    index: int
    person: str = ""
    track: Track = Track.CAMERA
    layer: Layer = Layer.AUTO


# -- questions


class Ask(msgspec.Struct, frozen=True, tag_field="t", kw_only=True):
    id: int


class Open(Ask, frozen=True, tag="open"):
    """A call begins on this worker; once more is the same."""

    call: str


class Close(Ask, frozen=True, tag="close"):
    """Everything of a call ends."""

    call: str


class Connect(Ask, frozen=True, tag="connect"):
    """Answers an offer with `Answered`. One connection per person and direction: a new one replaces the old."""

    call: str
    connection: str
    person: str
    direction: Direction
    offer: str


class Disconnect(Ask, frozen=True, tag="disconnect"):
    call: str
    connection: str


class View(Ask, frozen=True, tag="view"):
    """What a watching connection is to get from now on, all slots; those that are not named get nothing."""

    call: str
    connection: str
    slots: tuple[Slot, ...]


class Snapshot(Ask, frozen=True, tag="snapshot"):
    """One keyframe of somebody's camera (the large picture), decoded: answered with `Picture`."""

    call: str
    person: str
    within: float  # seconds


class Record(Ask, frozen=True, tag="record"):
    """Writes what these people publish, as it comes, into one file each (`directory`/PERSON.mkv).

    A lease: it ends by itself when it was not said again within `lease` seconds.
    """

    call: str
    recording: str
    people: tuple[str, ...]
    directory: str
    lease: float
    max_bytes: int


class StopRecording(Ask, frozen=True, tag="stop_recording"):
    call: str
    recording: str


class Measure(Ask, frozen=True, tag="measure"):
    """Answered with `Measured`."""


Asks = Open | Close | Connect | Disconnect | View | Snapshot | Record | StopRecording | Measure


# -- answers


class Reply(msgspec.Struct, frozen=True, tag_field="t", kw_only=True):
    id: int


class Done(Reply, frozen=True, tag="done"):
    pass


class Refused(Reply, frozen=True, tag="refused"):
    """`code` is one of: bad_offer, too_large, unknown_call, unknown_connection, no_picture, full, failed."""

    code: str
    text: str = ""


class Answered(Reply, frozen=True, tag="answered"):
    sdp: str


class Picture(Reply, frozen=True, tag="picture"):
    """RGB, 3 bytes a pixel, rows from the top; `at` in milliseconds since 1970 (when the keyframe was complete)."""

    width: int
    height: int
    rgb: bytes
    at: int


class Recorded(Reply, frozen=True, tag="recorded"):
    """The files that were written: name → bytes."""

    files: dict[str, int]


class Measured(Reply, frozen=True, tag="measured"):
    calls: int
    publishing: int
    watching: int
    packets_in: int
    packets_out: int
    bytes_in: int
    bytes_out: int
    cpu_seconds: float
    resident: int  # bytes


# -- what a worker tells by itself


class Ready(msgspec.Struct, frozen=True, tag_field="t", tag="ready"):
    """The first word of a worker: it can be asked, and media come in by this UDP port."""

    pid: int
    port: int


class Up(msgspec.Struct, frozen=True, tag_field="t", tag="up"):
    """ICE and DTLS of a connection are there."""

    call: str
    connection: str


class Down(msgspec.Struct, frozen=True, tag_field="t", tag="down"):
    """A connection has ended though nobody asked for that: `reason` is timeout, closed_by_peer or failed."""

    call: str
    connection: str
    reason: str


class Flowing(msgspec.Struct, frozen=True, tag_field="t", tag="flowing"):
    """Media of a track have begun or ended to come (nothing for 2 s)."""

    call: str
    person: str
    track: Track
    on: bool


class Line(msgspec.Struct, frozen=True, tag_field="t", tag="line"):
    """How good the line towards a viewer is, every 2 s: loss in percent, bits per second that it seems to carry."""

    call: str
    person: str
    loss: float
    bitrate: int


class RecordingEnded(msgspec.Struct, frozen=True, tag_field="t", tag="recording_ended"):
    """A recording ended by itself: `reason` is lease, full or failed."""

    call: str
    recording: str
    reason: str


News = Ready | Up | Down | Flowing | Line | RecordingEnded
FromWorker = Done | Refused | Answered | Picture | Recorded | Measured | News

_encoder = msgspec.msgpack.Encoder()
asks = msgspec.msgpack.Decoder(Asks)
replies = msgspec.msgpack.Decoder(FromWorker)


def framed(message: msgspec.Struct) -> bytes:
    """Raises ValueError for what is larger than MAX_MESSAGE."""
    body = _encoder.encode(message)
    if len(body) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(body)} bytes")
    return LENGTH.pack(len(body)) + body
