"""The words of the search: what is asked, what is answered, and what the index keeps."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from server.realtime.protocol import Entry, Millis

QUERY_LONGEST = 200


class SearchKind(StrEnum):
    """What a message carries. `text` are words without media; a message may be of several kinds."""

    TEXT = "text"
    PICTURE = "picture"
    VOICE = "voice"
    VIDEO = "video"
    FILE = "file"
    LINK = "link"


class Range(msgspec.Struct, frozen=True, order=True):
    """Where a text matches: from `begin` up to `end`, in UTF-16 code units, as JavaScript's `slice` counts."""

    begin: int
    end: int


class NameMatch(msgspec.Struct, frozen=True):
    """The name of the message's `media[index]` matches, at these ranges of the name."""

    index: int
    ranges: list[Range]


class Hit(msgspec.Struct, frozen=True):
    """A message that was found, as it reads now (with the words of its last edit).

    `ranges` are the places of `entry.body.text` that match, in order and without overlaps; `names` are media whose name
    matches. Both are empty where only filters were asked.
    """

    conversation: str
    entry: Entry
    ranges: list[Range]
    names: list[NameMatch]


class Hits(msgspec.Struct, frozen=True):
    """What was found, the newest first; `next` continues it. A page may hold fewer than asked for and still go on.

    `behind`: messages of the last seconds may be missing, because the index is being written.
    """

    hits: list[Hit]
    next: str | None
    behind: bool


class Filters(msgspec.Struct, frozen=True):
    """`since` and `until` are milliseconds; what was said at `until` itself is not included."""

    conversation: str | None = None
    person: str | None = None
    kind: SearchKind | None = None
    since: Millis | None = None
    until: Millis | None = None


# ── What is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


class Row(msgspec.Struct, frozen=True):
    """A message in the index: its number, when it was said (seconds, never less than the row before), its terms."""

    seq: int
    at: int
    terms: frozenset[str]


class Block(msgspec.Struct, frozen=True):
    """Some thousand messages of a conversation whose terms are packed: `first` and `last` are numbers, `since` and
    `until` seconds, `count` messages, `postings` how often a term is noted."""

    first: int
    last: int
    since: int
    until: int
    count: int
    postings: int


class Cursor(msgspec.Struct, frozen=True, order=True):
    """A place in the order of all hits: by time (seconds), conversation, number."""

    at: int
    ch: str
    seq: int
