"""Conversations as channels: who may do what on `conv:<id>`, and what its log may hold."""

from __future__ import annotations

from server.chat import rules
from server.chat.model import (
    Closed,
    Created,
    Delete,
    Edit,
    Erased,
    HandedOver,
    Joined,
    Left,
    Message,
    Reaction,
    Removed,
    Renamed,
    Reopened,
    Typing,
)
from server.chat.repo import ConversationRepo
from server.principals import PEOPLE, Principal
from server.realtime.channels import (
    DENIED,
    NO_EFFECTS,
    Access,
    ChannelKind,
    ChannelPolicy,
    Draft,
    Effects,
    EntryKind,
)
from server.realtime.protocol import Entry


class ConversationPolicy:
    """Members read; they write and signal unless the conversation is closed."""

    def __init__(self, repo: ConversationRepo) -> None:
        self._repo = repo

    async def access(self, principal: Principal, channel_id: str) -> Access:
        if not PEOPLE.permits(principal):
            return DENIED
        membership = await self._repo.membership(channel_id, principal.id)
        if membership is None:
            return DENIED
        is_open = not await self._repo.is_closed(channel_id)
        return Access(read=True, write=is_open, signal=is_open, first=membership.first)

    async def admit(self, principal: Principal, channel_id: str, draft: Draft, target: Entry | None) -> None:
        owner = await self._repo.owner(channel_id) if draft.kind == "delete" else None
        rules.admit(owner, principal.id, draft, target)

    def effects(self, entry: Entry) -> Effects:
        match entry.kind:
            case "left" | "removed":
                return Effects(drop=(entry.body["person"],))
            case "erased":
                return Effects(erase=(entry.body["person"],), recheck=True)
            case "closed" | "reopened":
                return Effects(recheck=True)
        return NO_EFFECTS


def conversation_kind(policy: ChannelPolicy) -> ChannelKind:
    return ChannelKind(
        name="conv",
        policy=policy,
        entries=(
            EntryKind("message", Message, by_clients=True, countable=True),
            EntryKind("edit", Edit, by_clients=True, modifies=True, replaces=True),
            EntryKind("delete", Delete, by_clients=True, modifies=True, scrubs=True),
            EntryKind("reaction", Reaction, by_clients=True, modifies=True, topic="emoji"),
            EntryKind("created", Created),
            EntryKind("joined", Joined),
            EntryKind("left", Left),
            EntryKind("removed", Removed),
            EntryKind("renamed", Renamed),
            EntryKind("handed_over", HandedOver),
            EntryKind("closed", Closed),
            EntryKind("reopened", Reopened),
            EntryKind("erased", Erased),
        ),
        signals={"typing": Typing},
        presence=True,
        positions=True,
    )
