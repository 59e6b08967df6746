"""Conversations over HTTP. The socket is the way to live in one; this is for making, changing and reading them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.operations import Call, operation
from server.chat.model import (
    AddMembers,
    Appended,
    AppendEntry,
    ChangeConversation,
    ChangeMember,
    Conversation,
    ConversationId,
    Conversations,
    CreateConversation,
    CreateGroup,
    HandOver,
    MemberPositions,
    MemberRole,
    OwnPosition,
    SetPosition,
    Silence,
    ThreadPage,
    Threads,
    Versions,
)
from server.errors import Code, VouchError
from server.people.model import PersonId
from server.principals import PEOPLE
from server.realtime.protocol import MAX_PAGE, Page, Seq

TAG = "conversations"


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    before: Annotated[str, Meta(max_length=64)] | None = None


class EntriesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    before: Seq | None = None
    after: Seq | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50


class ThreadsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    first: Seq
    last: Seq


class ThreadQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    before: Seq | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50


@operation("GET", "/conversations", allow=PEOPLE, tag=TAG)
async def list_conversations(call: Call, query: ListQuery) -> Conversations:
    """List one's conversations.

    The most recently active come first. `before` is the `next` of the page before.
    """
    return await call.services.conversation_view.page(call.principal.id, query.before, query.limit)


@operation(
    "POST",
    "/conversations",
    allow=PEOPLE,
    tag=TAG,
    status=201,
    also={200: "It was there already."},
    errors=(Code.BLOCKED, Code.LIMIT_REACHED, Code.TOO_OFTEN, Code.TRY_LATER),
)
async def create_conversation(call: Call, body: CreateConversation) -> Conversation:
    """Begin a conversation.

    A direct one needs a friend, and the same two people always get the same one. A group takes friends only; its `key`
    is chosen by the client, and repeating the request with it makes no second group.
    """
    if isinstance(body, CreateGroup):
        await call.services.limits.hit("create_conversation", call.principal.id)
    id, new = await call.services.conversations.create(call.principal.id, body)
    if not new:
        call.status = 200
    return await call.services.conversation_view.one(call.principal.id, id)


@operation("GET", "/conversations/{id}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_conversation(call: Call, id: ConversationId) -> Conversation:
    """Look at a conversation. Only its members find it."""
    return await call.services.conversation_view.one(call.principal.id, id)


@operation("PATCH", "/conversations/{id}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND, Code.CONFLICT, Code.STALE))
async def change_conversation(call: Call, id: ConversationId, body: ChangeConversation) -> Conversation:
    """Rename a group, or say who may call everybody in it.

    Only its owner may. What is left out stays as it is.
    """
    await call.services.conversations.change(call.principal.id, id, body)
    return await call.services.conversation_view.one(call.principal.id, id)


@operation(
    "POST",
    "/conversations/{id}/members",
    allow=PEOPLE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.STALE, Code.BLOCKED, Code.LIMIT_REACHED, Code.TOO_OFTEN),
)
async def add_members(call: Call, id: ConversationId, body: AddMembers) -> Conversation:
    """Add friends to a group. Every member may; who is in it already stays as they are."""
    await call.services.limits.hit("add_members", call.principal.id)
    await call.services.conversations.add(call.principal.id, id, body.persons)
    return await call.services.conversation_view.one(call.principal.id, id)


@operation(
    "DELETE",
    "/conversations/{id}/members/{person}",
    allow=PEOPLE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.STALE),
)
async def remove_member(call: Call, id: ConversationId, person: PersonId) -> None:
    """Remove a member, or leave.

    Owner and administrators remove whoever ranks below them; everybody removes themselves. An owner hands the group
    over before leaving it, unless nobody else is in it.
    """
    await call.services.conversations.remove(call.principal.id, id, person)


@operation(
    "PUT",
    "/conversations/{id}/owner",
    allow=PEOPLE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.STALE, Code.ALREADY),
)
async def hand_over(call: Call, id: ConversationId, body: HandOver) -> Conversation:
    """Hand a group over to another member. Only its owner may."""
    await call.services.conversations.hand_over(call.principal.id, id, body.person)
    return await call.services.conversation_view.one(call.principal.id, id)


@operation(
    "PATCH",
    "/conversations/{id}/members/{person}",
    allow=PEOPLE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.STALE),
)
async def change_member(call: Call, id: ConversationId, person: PersonId, body: ChangeMember) -> Conversation:
    """Name an administrator of a group, or end that.

    Only the owner may. Administrators remove messages and members, silence members, and pin.
    """
    await call.services.conversations.change_role(call.principal.id, id, person, MemberRole(body.role))
    return await call.services.conversation_view.one(call.principal.id, id)


@operation(
    "PUT",
    "/conversations/{id}/members/{person}/silence",
    allow=PEOPLE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.STALE),
)
async def silence_member(call: Call, id: ConversationId, person: PersonId, body: Silence) -> Conversation:
    """Silence a member of a group for a while (a year at most), or let them write again.

    Owner and administrators silence whoever ranks below them. What a silenced member writes is refused with `silenced`
    and the seconds that are left.
    """
    await call.services.conversations.silence(call.principal.id, id, person, body.until)
    return await call.services.conversation_view.one(call.principal.id, id)


@operation("GET", "/conversations/{id}/entries", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def list_entries(call: Call, id: ConversationId, query: EntriesQuery) -> Page:
    """Read a page of a conversation.

    Without `before` and `after` the newest page; edits, deletions and reactions that belong to its entries but lie
    outside it come along as `modifiers`.
    """
    hub, ch = call.services.hub, f"conv:{id}"
    access = await hub.access(call.principal, ch)
    if not access.read:
        raise VouchError(Code.NOT_FOUND)
    return await hub.pages.page(ch, access.first, query.before, query.after, query.limit)


@operation(
    "POST",
    "/conversations/{id}/entries",
    allow=PEOPLE,
    tag=TAG,
    status=201,
    errors=(
        Code.NOT_FOUND, Code.CLOSED, Code.SILENCED, Code.CONFLICT, Code.IDEMPOTENCY_CONFLICT, Code.TOO_OFTEN,
        Code.TRY_LATER,
    ),
)  # fmt: skip
async def append_entry(call: Call, id: ConversationId, body: AppendEntry) -> Appended:
    """Write to a conversation.

    What the socket's `append` does, for programs without a socket. Repeating it with the same `id` is safe: the first
    acknowledgement comes again.
    """
    accepted = await call.services.hub.append_as(call.principal, f"conv:{id}", body.id, body.kind, body.body, body.ref)
    entry = accepted.entry
    return Appended(entry.id, accepted.ch, entry.seq, entry.n, entry.at)


@operation("PUT", "/conversations/{id}/position", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def set_position(call: Call, id: ConversationId, body: SetPosition) -> OwnPosition:
    """Say how far one has read. Positions only move forward."""
    await call.services.hub.move_position(call.principal, f"conv:{id}", read=body.read, delivered=body.delivered)
    return await call.services.conversations.own_position(call.principal.id, id)


@operation("GET", "/conversations/{id}/positions", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def list_positions(call: Call, id: ConversationId) -> MemberPositions:
    """See how far the others have read."""
    return await call.services.conversation_reader.positions(call.principal.id, id)


@operation("GET", "/conversations/{id}/pins", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def list_pins(call: Call, id: ConversationId) -> Page:
    """Read the messages that are pinned.

    With all that was done to them, as `modifiers`.
    """
    return await call.services.conversation_reader.pins(call.principal.id, id)


@operation(
    "PUT",
    "/conversations/{id}/pins/{seq}",
    allow=PEOPLE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.CLOSED, Code.LIMIT_REACHED, Code.STALE, Code.TOO_OFTEN),
)
async def pin_message(call: Call, id: ConversationId, seq: Seq) -> Conversation:
    """Pin a message.

    In a direct conversation both may, in a group its owner and administrators. At most 50 are pinned.
    """
    await call.services.limits.hit("pin", call.principal.id)
    await call.services.conversations.pin(call.principal.id, id, seq)
    return await call.services.conversation_view.one(call.principal.id, id)


@operation(
    "DELETE",
    "/conversations/{id}/pins/{seq}",
    allow=PEOPLE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CLOSED, Code.STALE),
)
async def unpin_message(call: Call, id: ConversationId, seq: Seq) -> Conversation:
    """Unpin a message. Without effect when it is not pinned."""
    await call.services.conversations.unpin(call.principal.id, id, seq)
    return await call.services.conversation_view.one(call.principal.id, id)


@operation("GET", "/conversations/{id}/threads", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def list_threads(call: Call, id: ConversationId, query: ThreadsQuery) -> Threads:
    """See which messages began a thread.

    Of the messages numbered `first` to `last` (at most 500): how many answers each has, when the last one came, and
    from whom.
    """
    return await call.services.conversation_reader.threads(call.principal.id, id, query.first, query.last)


@operation("GET", "/conversations/{id}/threads/{seq}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_thread(call: Call, id: ConversationId, seq: Seq, query: ThreadQuery) -> ThreadPage:
    """Read a thread: the message `seq`, its last answers, and what was done to these.

    With `before`, the answers before that number.
    """
    return await call.services.conversation_reader.thread(call.principal.id, id, seq, query.before, query.limit)


@operation("GET", "/conversations/{id}/entries/{seq}/versions", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def list_versions(call: Call, id: ConversationId, seq: Seq) -> Versions:
    """Read what a message said before it was edited."""
    return await call.services.conversation_reader.versions(call.principal.id, id, seq)


OPERATIONS = [
    list_conversations,
    create_conversation,
    get_conversation,
    change_conversation,
    add_members,
    remove_member,
    change_member,
    silence_member,
    hand_over,
    list_entries,
    append_entry,
    set_position,
    list_positions,
    list_pins,
    pin_message,
    unpin_message,
    list_threads,
    get_thread,
    list_versions,
]
