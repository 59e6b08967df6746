"""Conversations as channels: who may do what on `conv:<id>`, and what its log may hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from server.chat import speech
from server.chat.repo import ConversationRepo
from server.chat.words import (
    Called,
    Closed,
    Created,
    Delete,
    Edit,
    Erased,
    HandedOver,
    Joined,
    Left,
    Message,
    Pinned,
    Reaction,
    Removed,
    Renamed,
    Reopened,
    RoleChanged,
    RulesChanged,
    Silenced,
    Typing,
)
from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.media.model import Media
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


class MediaClaims(Protocol):
    """What conversations need to know of media."""

    async def claim(self, person: str, conversation: str, entry_id: str, facts: Sequence[Media]) -> None:
        """Binds what the person has uploaded for this conversation to one entry. Raises VouchError unless all of it is
        theirs, ready, told word for word as it is, and not bound to another entry."""


class ConversationPolicy:
    """Members read; they write and signal unless the conversation is closed, and write unless they are silenced."""

    def __init__(self, repo: ConversationRepo, clock: Clock, media: MediaClaims) -> None:
        self._repo = repo
        self._clock = clock
        self._media = media

    async def access(self, principal: Principal, channel_id: str) -> Access:
        if not PEOPLE.permits(principal):
            return DENIED
        membership = await self._repo.membership(channel_id, principal.id)
        if membership is None:
            return DENIED
        house = await self._repo.house(channel_id)
        is_open = house is not None and not house.closed
        until = membership.silenced_until
        if is_open and until is not None and until > self._clock.now():
            return Access(read=True, signal=True, first=membership.first, silenced_until=to_ms(until))
        return Access(read=True, write=is_open, signal=is_open, first=membership.first)

    async def admit(self, principal: Principal, channel_id: str, draft: Draft, target: Entry | None) -> None:
        circle = speech.Circle()
        if persons := speech.concerned(principal.id, draft, target):
            house = await self._repo.house(channel_id)
            if house is None:
                raise VouchError(Code.NOT_FOUND)
            roles = await self._repo.roles(channel_id, persons)
            circle = speech.Circle(house.kind, house.everybody_by, roles)
        speech.admit(circle, principal.id, draft, target, to_ms(self._clock.now()))
        if draft.kind == "message" and (carried := draft.body.get("media")):
            facts = msgspec.convert(carried, list[Media])
            await self._media.claim(principal.id, channel_id, draft.id, facts)

    def effects(self, entry: Entry) -> Effects:
        match entry.kind:
            case "left" | "removed":
                return Effects(drop=(entry.body["person"],))
            case "erased":
                return Effects(erase=(entry.body["person"],), recheck=True)
            case "closed" | "reopened" | "silenced" | "handed_over":  # whoever gets a group is not silenced any more
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
            EntryKind("role_changed", RoleChanged),
            EntryKind("silenced", Silenced),
            EntryKind("pinned", Pinned),
            EntryKind("rules_changed", RulesChanged),
            EntryKind("call", Called),
            EntryKind("closed", Closed),
            EntryKind("reopened", Reopened),
            EntryKind("erased", Erased),
        ),
        signals={"typing": Typing},
        presence=True,
        positions=True,
    )
