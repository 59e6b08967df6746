"""Pushes about calls: a phone that rings cannot wait, and what is older than the ringing is no news.

They go out as the inbox tells of a ring, without the pause that messages have, and services drop what they could not
bring within 45 s. Quiet hours and a muted conversation hold for them, too. When it rings no more, the devices on which
it still does are told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from server.chat.model import ConversationKind, Room
from server.clock import Clock, from_ms
from server.limits import Limits
from server.notifications import rules
from server.notifications.badges import Badges
from server.notifications.courier import Courier
from server.notifications.model import Notify
from server.notifications.repo import ChoicesRepo, SubscriptionsRepo
from server.people.inbox import CallMissed, RingNews, RingOver
from server.people.model import Language, PersonCard
from server.realtime.protocol import Entry

#: A phone rings for so long.
RINGS = timedelta(seconds=45)
#: A missed call is news for longer.
_MISSED = timedelta(hours=1)
#: It rings no more because of what somebody has done, here or elsewhere. (What was missed is told by another push.)
_SILENCED = frozenset({"joined", "declined", "removed"})
KINDS = frozenset({"ring", "ring_over", "call_missed"})


class People(Protocol):
    async def cards(self, ids: Collection[str]) -> dict[str, PersonCard]: ...

    async def languages(self, ids: Collection[str]) -> dict[str, Language]: ...

    async def live_sessions(self, sessions: Collection[str]) -> set[str]: ...


class Rooms(Protocol):
    async def room(self, id: str) -> Room | None: ...


class CallPushes:
    def __init__(
        self,
        *,
        choices: ChoicesRepo,
        subscriptions: SubscriptionsRepo,
        rooms: Rooms,
        people: People,
        badges: Badges,
        courier: Courier,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._choices = choices
        self._subscriptions = subscriptions
        self._rooms = rooms
        self._people = people
        self._badges = badges
        self._courier = courier
        self._limits = limits
        self._clock = clock

    async def note(self, ch: str, entries: Sequence[Entry]) -> None:
        """An inbox has these new entries. Told twice it is pushed twice, which the browser shows once (its tag)."""
        person = ch.partition(":")[2]
        for entry in entries:
            if entry.kind == "ring":
                await self._ring(person, entry)
            elif entry.kind == "ring_over":
                over = msgspec.convert(entry.body, RingOver)
                if over.why in _SILENCED and self._is_fresh(entry, RINGS):
                    await self._send(person, over.call, {"call": "over"}, RINGS)
            elif entry.kind == "call_missed" and self._is_fresh(entry, _MISSED):
                missed = msgspec.convert(entry.body, CallMissed)
                await self._tell(person, missed.call, missed.conversation, missed.by, {"call": "missed"}, _MISSED)

    async def _ring(self, person: str, entry: Entry) -> None:
        ring = msgspec.convert(entry.body, RingNews)
        left = from_ms(entry.at) + RINGS - self._clock.now()
        if left > timedelta():
            content = {"call": "ring", "video": ring.video}
            await self._tell(person, ring.call, ring.conversation, ring.by, content, left)

    def _is_fresh(self, entry: Entry, most: timedelta) -> bool:
        return from_ms(entry.at) > self._clock.now() - most

    async def _tell(
        self, person: str, call: str, conversation: str, by: str, content: dict[str, Any], ttl: timedelta
    ) -> None:
        """Unless it is quiet, or the conversation is muted. A call is for its people, as words that name them are."""
        at = self._clock.now()
        settings = (await self._choices.settings_of([person]))[person]
        chosen = (await self._choices.notify_in(conversation, [person])).get(person, Notify())
        if rules.is_quiet(settings.quiet, at) or not rules.wants(chosen, at, called=True):
            return
        if settings.previews:
            card, room = (await self._people.cards([by])).get(by), await self._rooms.room(conversation)
            if card is not None:
                content = content | {"from": card.name}
            if room is not None and room.kind is ConversationKind.GROUP:
                content = content | {"title": room.title}
        await self._send(person, call, content, ttl)

    async def _send(self, person: str, call: str, content: dict[str, Any], ttl: timedelta) -> None:
        subscriptions = await self._subscriptions.of([person])
        live = await self._people.live_sessions([one.session for one in subscriptions]) if subscriptions else set()
        reached = [one for one in subscriptions if one.session in live]
        if not reached or not await self._limits.take("push", person, 1):
            return
        language = (await self._people.languages([person])).get(person, Language.ENGLISH)
        badge = (await self._badges.of([person])).get(person, 0)
        tag = f"call:{call}"
        payload = rules.payload(
            {"url": f"/calls/{call}", "tag": tag, "badge": badge, "language": str(language), **content}
        )
        for subscription in reached:
            topic = rules.topic(subscription.id, tag)
            self._courier.send(subscription, payload, topic=topic, urgent=True, ttl=ttl)
