"""The words of conversations: what travels over HTTP, what stands in a conversation's log, what the database keeps."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from server.people.model import PersonCard, PersonId
from server.realtime.protocol import ClientId, Entry, KindName, Millis, Seq

TITLE_LONGEST = 80
TEXT_LONGEST = 16_000
MEMBERS_MOST = 2_000

ConversationId = Annotated[str, Meta(pattern=r"^c_[0-9a-z]{20}$", max_length=22)]
Title = Annotated[str, Meta(min_length=1, max_length=TITLE_LONGEST)]


class ConversationKind(StrEnum):
    DIRECT = "direct"
    GROUP = "group"


class MemberRole(StrEnum):
    OWNER = "owner"
    MEMBER = "member"


# ── What travels over HTTP ──────────────────────────────────────────────────────────────────────────────────────────


class Member(msgspec.Struct, frozen=True):
    person: str
    role: MemberRole
    joined_at: Millis


class MemberPosition(msgspec.Struct, frozen=True):
    """How far another member has read, and received."""

    person: str
    read: Seq
    delivered: Seq


class Conversation(msgspec.Struct, frozen=True):
    """A conversation as one member sees it.

    `title` is empty for direct ones. `head` and `n` are the newest entry's numbers, `last` the newest entry worth a
    preview, `active_at` its time; `read`, `read_n` and `delivered` are the member's own positions (unread = n − read_n)
    and `first` the lowest entry they may see. `closed`: nothing can be written any more. `positions` are the other
    members' (left empty where there are more than 50 of them).
    """

    id: str
    ch: str
    kind: ConversationKind
    title: str
    members: list[Member]
    people: list[PersonCard]
    closed: bool
    share_history: bool
    created_at: Millis
    version: int
    head: Seq
    n: Seq
    last: Entry | None
    active_at: Millis
    read: Seq
    read_n: Seq
    delivered: Seq
    first: Seq
    positions: list[MemberPosition]


class Conversations(msgspec.Struct, frozen=True):
    """A page of conversations, the most recently active first; `next` continues it."""

    conversations: list[Conversation]
    next: str | None


class CreateDirect(msgspec.Struct, frozen=True, tag_field="kind", tag="direct", forbid_unknown_fields=True):
    """A direct conversation with a friend; the same two always get the same one."""

    person: PersonId


class CreateGroup(msgspec.Struct, frozen=True, tag_field="kind", tag="group", forbid_unknown_fields=True):
    """A group of friends. `key` is chosen by the client: repeating the request with it makes no second group.

    `share_history`: who joins later may read what was said before.
    """

    title: Title
    members: Annotated[list[PersonId], Meta(max_length=200)]
    key: ClientId
    share_history: bool = False


CreateConversation = CreateDirect | CreateGroup


class ChangeConversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Title


class AddMembers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    persons: Annotated[list[PersonId], Meta(min_length=1, max_length=100)]


class HandOver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: PersonId


class AppendEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The socket's `append`, for programs that have no socket."""

    id: ClientId
    kind: KindName
    body: msgspec.Raw
    ref: Seq | None = None


class Appended(msgspec.Struct, frozen=True):
    id: ClientId
    ch: str
    seq: Seq
    n: Seq
    at: Millis


class SetPosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    read: Seq = 0
    delivered: Seq = 0


class OwnPosition(msgspec.Struct, frozen=True):
    read: Seq
    read_n: Seq
    delivered: Seq


# ── What stands in a conversation's log ─────────────────────────────────────────────────────────────────────────────


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Plain text; clients never read it as HTML."""

    text: Annotated[str, Meta(min_length=1, max_length=TEXT_LONGEST)]


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Replaces the text of one's own message (`ref`)."""

    text: Annotated[str, Meta(min_length=1, max_length=TEXT_LONGEST)]


class Delete(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Erases the words of a message (`ref`); its number stays."""


class Reaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Puts an emoji on a message (`ref`), or takes one's own away."""

    emoji: Annotated[str, Meta(min_length=1, max_length=16)]
    on: bool


class Created(msgspec.Struct, frozen=True):
    title: str
    kind: ConversationKind


class Joined(msgspec.Struct, frozen=True):
    persons: list[str]
    by: str


class Left(msgspec.Struct, frozen=True):
    person: str


class Removed(msgspec.Struct, frozen=True):
    person: str
    by: str


class Renamed(msgspec.Struct, frozen=True):
    title: str
    by: str


class HandedOver(msgspec.Struct, frozen=True):
    person: str
    by: str


class Closed(msgspec.Struct, frozen=True):
    """Nothing can be written any more."""


class Reopened(msgspec.Struct, frozen=True):
    """It can be written to again."""


class Erased(msgspec.Struct, frozen=True):
    """This person has deleted their account: clients drop the words of all their messages."""

    person: str


class Typing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signal: repeated every 3 s while typing, shown for 5 s."""

    on: bool


# ── What is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """One person in one conversation. `first` is the lowest entry that they may see."""

    person: str
    role: MemberRole
    joined_at: datetime
    first: int = 1


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as the rules see it. `members` are those in it now; `version` counts changes."""

    id: str
    kind: ConversationKind
    title: str = ""
    share_history: bool = False
    closed: bool = False
    created_at: datetime
    version: int = 0
    members: dict[str, Membership] = {}

    @property
    def ch(self) -> str:
        return f"conv:{self.id}"

    def owner(self) -> str | None:
        return next((m.person for m in self.members.values() if m.role is MemberRole.OWNER), None)
