"""Conversations as one member sees them: names, the newest entry, unread counts."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from server.chat.mentions import MentionRepo
from server.chat.model import (
    MENTIONED_MOST,
    Conversation,
    Conversations,
    Member,
    MemberPosition,
    Membership,
    Pin,
    Room,
)
from server.chat.repo import ConversationRepo
from server.clock import to_ms
from server.errors import Code, VouchError
from server.notifications.model import Notify
from server.people.model import PersonCard
from server.realtime.hub import Hub
from server.realtime.positions import Mark
from server.realtime.teller import POSITIONS_SHOWN

#: Conversations whose state is looked up at once.
_AT_ONCE = 8


class Cards(Protocol):
    async def cards(self, ids: Collection[str]) -> dict[str, PersonCard]: ...


class Choices(Protocol):
    async def of(self, person: str, conversations: Collection[str]) -> Mapping[str, Notify]:
        """What the person wants to hear of these, where it is not everything."""


class ConversationView:
    def __init__(
        self, repo: ConversationRepo, mentions: MentionRepo, hub: Hub, people: Cards, choices: Choices
    ) -> None:
        self._repo = repo
        self._mentions = mentions
        self._hub = hub
        self._people = people
        self._choices = choices

    async def one(self, person: str, id: str) -> Conversation:
        """Raises `not_found` for anybody but a member."""
        room = await self._repo.room(id)
        if room is None or person not in room.members:
            raise VouchError(Code.NOT_FOUND)
        marks = await self._hub.positions.of(person, [room.ch])
        calls = await self._mentions.of(person, [id])
        notify = (await self._choices.of(person, [id])).get(id, Notify())
        return await self._assemble(person, room, marks.get(room.ch, Mark()), calls.get(id, ()), notify)

    async def page(self, person: str, before: str | None, limit: int) -> Conversations:
        """The most recently active first; `before` is the `next` of the page before.

        The order is told from saved heads, which may be some seconds old; every number shown is exact.
        """
        ids = await self._repo.rooms_of(person)
        heads = await self._hub.pages.saved_heads([f"conv:{id}" for id in ids])
        active = {id: heads[f"conv:{id}"].at if f"conv:{id}" in heads else None for id in ids}
        # A conversation without a saved head is seconds old: it goes first.
        order = sorted(ids, key=lambda id: (_rank(active[id]), id), reverse=True)
        cursors = {id: f"{_rank(active[id]):.3f}~{id}" for id in order}
        if before is not None:
            position, _, last = before.partition("~")
            try:
                after = (float(position), last)
            except ValueError:
                raise VouchError(Code.BAD_REQUEST, field="before") from None
            order = [id for id in order if (_rank(active[id]), id) < after]
        chosen = order[:limit]
        marks = await self._hub.positions.of(person, [f"conv:{id}" for id in chosen])
        calls = await self._mentions.of(person, chosen)
        notify = await self._choices.of(person, chosen)
        turn = asyncio.Semaphore(_AT_ONCE)

        async def load(id: str) -> Conversation | None:
            async with turn:
                room = await self._repo.room(id)
                if room is None or person not in room.members:
                    return None
                mark = marks.get(room.ch, Mark())
                return await self._assemble(person, room, mark, calls.get(id, ()), notify.get(id, Notify()))

        loaded = [c for c in await asyncio.gather(*(load(id) for id in chosen)) if c is not None]
        loaded.sort(key=lambda conversation: (conversation.active_at, conversation.id), reverse=True)
        return Conversations(loaded, cursors[chosen[-1]] if len(order) > len(chosen) else None)

    async def _assemble(
        self, person: str, room: Room, mark: Mark, calls: Sequence[int], notify: Notify
    ) -> Conversation:
        """`calls` are the numbers of the messages that call this person, read or not."""
        membership = room.members[person]
        head, last = await self._hub.pages.latest(room.ch, membership.first)
        cards = await self._people.cards(list(room.members))
        # What was said before one's time does not count as unread.
        before = await self._hub.pages.count_at(room.ch, membership.first - 1) if membership.first > 1 else 0
        return Conversation(
            id=room.id,
            ch=room.ch,
            kind=room.kind,
            title=room.title,
            members=[_member(m) for m in room.members.values()],
            people=[cards[p] for p in room.members if p in cards],
            closed=room.closed,
            share_history=room.share_history,
            created_at=to_ms(room.created_at),
            version=room.version,
            head=head.seq,
            n=head.n,
            last=last,
            active_at=last.at if last else to_ms(membership.joined_at),
            read=mark.read,
            read_n=max(mark.read_n, before),
            delivered=mark.delivered,
            first=membership.first,
            positions=await self._positions(person, room),
            everybody_by=room.everybody_by,
            pins=[Pin(pin.seq, pin.by, to_ms(pin.at)) for pin in room.pins if pin.seq >= membership.first],
            mentioned=[seq for seq in calls if seq > mark.read and seq >= membership.first][-MENTIONED_MOST:],
            notify=notify,
        )

    async def _positions(self, person: str, room: Room) -> list[MemberPosition]:
        others = [other for other in room.members if other != person]
        if len(others) > POSITIONS_SHOWN:
            return []
        marks = await self._hub.positions.among(room.ch, others)
        return [MemberPosition(other, mark.shown, mark.delivered) for other, mark in marks.items()]


def _member(member: Membership) -> Member:
    until = member.silenced_until
    return Member(member.person, member.role, to_ms(member.joined_at), None if until is None else to_ms(until))


def _rank(at: datetime | None) -> float:
    return float("inf") if at is None else at.timestamp()
