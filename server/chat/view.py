"""Conversations as one member sees them: names, the newest entry, unread counts."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from server.chat.model import Conversation, Conversations, Member, MemberPosition, Room
from server.chat.repo import ConversationRepo
from server.clock import to_ms
from server.errors import Code, VouchError
from server.people.model import PersonCard
from server.realtime.hub import POSITIONS_SHOWN, Hub
from server.realtime.positions import Mark

#: Conversations whose state is looked up at once.
_AT_ONCE = 8


class Cards(Protocol):
    async def cards(self, ids: Collection[str]) -> dict[str, PersonCard]: ...


class ConversationView:
    def __init__(self, repo: ConversationRepo, hub: Hub, people: Cards) -> None:
        self._repo = repo
        self._hub = hub
        self._people = people

    async def one(self, person: str, id: str) -> Conversation:
        """Raises `not_found` for anybody but a member."""
        room = await self._repo.room(id)
        if room is None or person not in room.members:
            raise VouchError(Code.NOT_FOUND)
        marks = await self._hub.positions.of(person, [room.ch])
        return await self._assemble(person, room, marks.get(room.ch, Mark()))

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
        turn = asyncio.Semaphore(_AT_ONCE)

        async def load(id: str) -> Conversation | None:
            async with turn:
                room = await self._repo.room(id)
                if room is None or person not in room.members:
                    return None
                return await self._assemble(person, room, marks.get(room.ch, Mark()))

        loaded = [c for c in await asyncio.gather(*(load(id) for id in chosen)) if c is not None]
        loaded.sort(key=lambda conversation: (conversation.active_at, conversation.id), reverse=True)
        return Conversations(loaded, cursors[chosen[-1]] if len(order) > len(chosen) else None)

    async def _assemble(self, person: str, room: Room, mark: Mark) -> Conversation:
        membership = room.members[person]
        head, last = await self._hub.pages.latest(room.ch)
        if last is not None and last.seq < membership.first:
            last = None
        cards = await self._people.cards(list(room.members))
        # What was said before one's time does not count as unread.
        before = await self._hub.pages.count_at(room.ch, membership.first - 1) if membership.first > 1 else 0
        return Conversation(
            id=room.id,
            ch=room.ch,
            kind=room.kind,
            title=room.title,
            members=[Member(m.person, m.role, to_ms(m.joined_at)) for m in room.members.values()],
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
        )

    async def _positions(self, person: str, room: Room) -> list[MemberPosition]:
        others = [other for other in room.members if other != person]
        if len(others) > POSITIONS_SHOWN:
            return []
        marks = await self._hub.positions.among(room.ch, others)
        return [MemberPosition(other, mark.read, mark.delivered) for other, mark in marks.items()]


def _rank(at: datetime | None) -> float:
    return float("inf") if at is None else at.timestamp()
