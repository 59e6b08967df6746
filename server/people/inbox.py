"""A person's inbox: the channel that tells their own windows that something has changed. Read-only for everybody.

Its entries say what to load again; they hold ids and no words.
"""

from __future__ import annotations

import msgspec

from server.errors import Code, VouchError
from server.principals import Kind, Principal
from server.realtime.channels import DENIED, NO_EFFECTS, Access, ChannelKind, Draft, Effects, EntryKind
from server.realtime.protocol import Entry


class FriendNews(msgspec.Struct, frozen=True):
    """`person` is the other one of the two; `by` is who acted."""

    person: str
    by: str


class ProfileNews(msgspec.Struct, frozen=True):
    """`person` has a new name, handle or picture: oneself or a friend."""

    person: str


class ConversationNews(msgspec.Struct, frozen=True):
    conversation: str


class SessionNews(msgspec.Struct, frozen=True):
    """These sign-ins have ended; their sockets are closed."""

    sessions: list[str]


ENTRIES = (
    EntryKind("friend_requested", FriendNews),
    EntryKind("friend_accepted", FriendNews),
    EntryKind("friend_removed", FriendNews),
    EntryKind("request_withdrawn", FriendNews),
    EntryKind("profile_changed", ProfileNews),
    EntryKind("conversation_added", ConversationNews),
    EntryKind("conversation_removed", ConversationNews),
    EntryKind("session_ended", SessionNews),
)


class InboxPolicy:
    """Everybody reads their own inbox; only the server writes."""

    async def access(self, principal: Principal, channel_id: str) -> Access:
        own = principal.kind in (Kind.PERSON, Kind.PROGRAM) and principal.id == channel_id
        return Access(read=True) if own else DENIED

    async def admit(self, principal: Principal, channel_id: str, draft: Draft, target: Entry | None) -> None:
        raise VouchError(Code.FORBIDDEN)

    def effects(self, entry: Entry) -> Effects:
        if entry.kind == "session_ended":
            return Effects(end_sessions=tuple(entry.body["sessions"]))
        return NO_EFFECTS


def inbox_kind() -> ChannelKind:
    return ChannelKind("inbox", InboxPolicy(), ENTRIES, personal=True)
