"""News for the inbox: who has called somebody by name, answered them, or reacted to their words.

A notice holds ids and no words: the client loads what it shows. Ids are deterministic, so that an entry that is
followed twice is told once; reactions to one message are gathered by the hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from server.chat.model import Room
from server.clock import Clock, from_ms
from server.errors import Code, VouchError
from server.notifications import rules
from server.notifications.model import Level, Notify
from server.notifications.repo import ChoicesRepo
from server.realtime.channels import Draft
from server.realtime.entries import EntryLog
from server.realtime.protocol import Entry

#: Nobody is told of what is older: a log that is followed for the first time.
FRESH = timedelta(days=1)
#: Notices of one entry that are appended at the same time.
_AT_ONCE = 100
_HOUR = 3_600_000

#: `hub.append`.
Append = Callable[[Draft], Awaitable[Any]]


class Notice(msgspec.Struct, frozen=True):
    """`seq` is the message that it is about, `by` who acted; `id` makes it once."""

    person: str
    kind: str
    id: str
    seq: int
    by: str


class People(Protocol):
    async def blocked_with(self, person: str, others: Collection[str]) -> set[str]: ...


class Rooms(Protocol):
    async def room(self, id: str) -> Room | None: ...


class Notices:
    def __init__(
        self, *, log: EntryLog, rooms: Rooms, people: People, choices: ChoicesRepo, append: Append, clock: Clock
    ) -> None:
        self._log = log
        self._rooms = rooms
        self._people = people
        self._choices = choices
        self._append = append
        self._clock = clock

    async def note(self, ch: str, entries: Sequence[Entry]) -> None:
        """A conversation has these new entries. Raises VouchError when the log takes nothing at the moment."""
        since = self._clock.now() - FRESH
        news = [entry for entry in entries if _concerns(entry) and from_ms(entry.at) > since]
        if not news:
            return
        id = ch.partition(":")[2]
        room = await self._rooms.room(id)
        if room is None:
            return
        for entry in news:
            await self._tell(room, await self._of(room, entry))

    async def _of(self, room: Room, entry: Entry) -> list[Notice]:
        """Whom this entry concerns: one notice per person, being called before being answered."""
        body, by = entry.body, entry.by
        about = entry.seq if entry.kind == "message" else entry.ref or 0
        found: dict[str, Notice] = {}
        if entry.kind in ("message", "edit"):
            called = list(body.get("mentions", ()))
            if body.get("everybody") and entry.kind == "message":
                called = list(room.members)
            for person in called:
                found[person] = Notice(person, "mentioned", f"mentioned:{room.id}:{about}:{person}", about, by)
        if entry.kind != "edit" and entry.ref is not None:
            target = await self._log.point(room.ch, entry.ref)
            if target is not None and target.kind == "message" and target.by not in found:
                if entry.kind == "reaction":
                    id = f"reacted:{room.id}:{about}:{target.by}:{entry.at // _HOUR}"
                    found[target.by] = Notice(target.by, "reacted", id, about, by)
                else:
                    id = f"answered:{room.id}:{about}:{target.by}"
                    found[target.by] = Notice(target.by, "answered", id, about, by)
        return [
            notice
            for person, notice in found.items()
            if person != by and person in room.members and room.members[person].first <= about
        ]

    async def _tell(self, room: Room, notices: Sequence[Notice]) -> None:
        """To those who have not muted the conversation altogether, and have no block between them and the sender."""
        if not notices:
            return
        at = self._clock.now()
        persons = [notice.person for notice in notices]
        chosen = await self._choices.notify_in(room.id, persons)
        blocked = await self._people.blocked_with(notices[0].by, persons)
        wanted = [
            notice
            for notice in notices
            if notice.person not in blocked and rules.level(chosen.get(notice.person, Notify()), at) is not Level.NONE
        ]
        for start in range(0, len(wanted), _AT_ONCE):
            await asyncio.gather(*(self._put(room, notice) for notice in wanted[start : start + _AT_ONCE]))

    async def _put(self, room: Room, notice: Notice) -> None:
        body = {"conversation": room.id, "seq": notice.seq, "by": notice.by}
        try:
            await self._append(Draft(f"inbox:{notice.person}", "system", notice.id, notice.kind, body))
        except VouchError as fault:
            if fault.code is not Code.IDEMPOTENCY_CONFLICT:  # somebody else has reacted in the same hour: told already
                raise


def _concerns(entry: Entry) -> bool:
    """Whether this entry may be a notice for anybody."""
    body = entry.body
    match entry.kind:
        case "message":
            return bool(body.get("mentions") or body.get("everybody") or entry.ref is not None) and not entry.gone
        case "edit":
            return bool(body.get("mentions"))
        case "reaction":
            return body.get("on") is True
    return False
