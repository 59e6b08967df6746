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
    Conversation,
    ConversationId,
    Conversations,
    CreateConversation,
    CreateGroup,
    HandOver,
    OwnPosition,
    SetPosition,
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
    """Rename a group. Only its owner may."""
    await call.services.conversations.rename(call.principal.id, id, body.title)
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

    The owner removes anybody; everybody removes themselves. An owner hands the group over before leaving it, unless
    nobody else is in it.
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
        Code.NOT_FOUND, Code.CLOSED, Code.CONFLICT, Code.IDEMPOTENCY_CONFLICT, Code.TOO_OFTEN, Code.TRY_LATER,
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
    hub = call.services.hub
    await hub.move_position(call.principal, f"conv:{id}", read=body.read, delivered=body.delivered)
    await hub.positions.flush()
    return await call.services.conversations.own_position(call.principal.id, id)


OPERATIONS = [
    list_conversations,
    create_conversation,
    get_conversation,
    change_conversation,
    add_members,
    remove_member,
    hand_over,
    list_entries,
    append_entry,
    set_position,
]
