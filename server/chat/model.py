"""The words of conversations: what travels over HTTP, and what the database keeps. The log's stand in `words`."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from server.notifications.model import Notify
from server.people.model import PersonCard, PersonId
from server.realtime.protocol import ClientId, Entry, KindName, Millis, Seq

TITLE_LONGEST = 80
MEMBERS_MOST = 2_000
PINS_MOST = 50
#: Unread mentions that are told, the newest ones.
MENTIONED_MOST = 100
#: For so long a member is silenced at most.
SILENCE_LONGEST = timedelta(days=366)
#: Entries whose threads are asked for at once.
THREADS_SPAN = 500
#: People shown with a thread: those who answered last.
THREAD_PEOPLE = 5

ConversationId = Annotated[str, Meta(pattern=r"^c_[0-9a-z]{20}$", max_length=22)]
Title = Annotated[str, Meta(min_length=1, max_length=TITLE_LONGEST)]


class ConversationKind(StrEnum):
    DIRECT = "direct"
    GROUP = "group"


class MemberRole(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"

    @property
    def rank(self) -> int:
        """Nobody acts on somebody of the same rank, or of a higher one."""
        return _RANKS[self.value]


_RANKS = {"owner": 2, "admin": 1, "member": 0}


class EverybodyBy(StrEnum):
    """Who may call everybody in a group."""

    MEMBERS = "members"
    ADMINS = "admins"


# ── What travels over HTTP ──────────────────────────────────────────────────────────────────────────────────────────


class Member(msgspec.Struct, frozen=True):
    """`silenced_until`: until then they write nothing (None, or past: they may)."""

    person: str
    role: MemberRole
    joined_at: Millis
    silenced_until: Millis | None = None


class Pin(msgspec.Struct, frozen=True):
    """A message on top of a conversation, and who put it there."""

    seq: Seq
    by: str
    at: Millis


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
    members' (left empty where there are more than 50 of them). `pins` are the messages on top, the last pinned last;
    `mentioned` the unread messages that call this member, by name or with everybody; `everybody_by` who may call all,
    `notify` what this member wants to hear.
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
    everybody_by: EverybodyBy
    pins: list[Pin]
    mentioned: list[Seq]
    notify: Notify


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
    """What is left out stays as it is."""

    title: Title | None = None
    everybody_by: EverybodyBy | None = None


class AddMembers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    persons: Annotated[list[PersonId], Meta(min_length=1, max_length=100)]


class HandOver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: PersonId


class ChangeMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names an administrator of a group, or no longer. (An owner hands the group over.)"""

    role: Literal["admin", "member"]


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Until when a member writes nothing; null: they may write again."""

    until: Millis | None


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


class MemberPositions(msgspec.Struct, frozen=True):
    """How far the other members have read: who is missing has read nothing yet."""

    positions: list[MemberPosition]


class Thread(msgspec.Struct, frozen=True):
    """What is told of a thread beside the message `root` with which it began: how many answers there are, when the
    last one came, and who wrote the last ones (the latest first)."""

    root: Seq
    replies: int
    last_at: Millis
    people: list[str]


class Threads(msgspec.Struct, frozen=True):
    threads: list[Thread]


class ThreadPage(msgspec.Struct, frozen=True):
    """A thread: the message with which it began (null: from before one's time), some of its answers in order, and what
    was done to all of these. `count` is the number of all answers that one may see; `more`: there are older ones than
    these. `head` is the number of the conversation's newest entry when this was read: what comes later is live.
    """

    ch: str
    head: Seq
    root: Entry | None
    replies: list[Entry]
    modifiers: list[Entry]
    count: int
    more: bool


class Versions(msgspec.Struct, frozen=True):
    """A message and its edits, the oldest first; what was deleted has no words."""

    entries: list[Entry]


class SetPosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    read: Seq = 0
    delivered: Seq = 0


class OwnPosition(msgspec.Struct, frozen=True):
    read: Seq
    read_n: Seq
    delivered: Seq


# ── What is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """One person in one conversation. `first` is the lowest entry that they may see; `silenced_until` may be past."""

    person: str
    role: MemberRole
    joined_at: datetime
    first: int = 1
    silenced_until: datetime | None = None


class KeptPin(msgspec.Struct, frozen=True, kw_only=True):
    """`author` wrote the message: with their account it leaves the top."""

    seq: int
    by: str
    at: datetime
    author: str


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
    everybody_by: EverybodyBy = EverybodyBy.MEMBERS
    pins: tuple[KeptPin, ...] = ()

    @property
    def ch(self) -> str:
        return f"conv:{self.id}"

    def owner(self) -> str | None:
        return next((m.person for m in self.members.values() if m.role is MemberRole.OWNER), None)
