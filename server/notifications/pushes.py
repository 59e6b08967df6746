"""Deciding who gets a push: some seconds after a message, to whoever has not read it by then.

The follower only notes that a conversation has something new. When its time has come, one node takes the entries (a
compare-and-set on one document, so nothing is pushed twice), asks for everybody's choices and positions together, and
sends each person one push about the newest message that concerns them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from server.chat.model import ConversationKind, Room
from server.chat.words import Message
from server.clock import Clock, from_ms
from server.limits import Limits
from server.notifications import pledge_pushes, rules
from server.notifications.badges import Badges
from server.notifications.courier import Courier
from server.notifications.model import Due, Notify, Subscription
from server.notifications.pledge_pushes import PledgePushes
from server.notifications.repo import ChoicesRepo, PushesRepo, SubscriptionsRepo
from server.people.model import Language, PersonCard
from server.realtime.entries import EntryLog
from server.realtime.positions import Positions
from server.realtime.protocol import Entry
from server.realtime.rounds import Rounds

#: Somebody who is looking reads a message within this time, and needs no push.
WAIT = timedelta(seconds=5)
#: What is older is no news (a server that was away, a log that is followed for the first time).
FRESH = timedelta(hours=1)
#: Entries looked at per conversation and push.
_NEWEST = 200
#: Conversations that are worked on at the same time.
_AT_ONCE = 8
#: People whose pushes are worked out together; then others get their turn on the loop.
_PORTION = 100
#: Seconds between looks for what other nodes, or an earlier run, have left.
SWEEP_EVERY = 5.0
#: Seconds for which the answer "somebody has subscribed" is good.
_KNOWN_FOR = 10.0


#: Entries that may be pushed: what is said, and what inboxes tell of pledges.
_PUSHED = frozenset({"message", pledge_pushes.KIND})


class People(Protocol):
    """What pushes need of people."""

    async def cards(self, ids: Collection[str]) -> dict[str, PersonCard]: ...

    async def languages(self, ids: Collection[str]) -> dict[str, Language]: ...

    async def blocked_with(self, person: str, others: Collection[str]) -> set[str]: ...

    async def live_sessions(self, sessions: Collection[str]) -> set[str]: ...


class Rooms(Protocol):
    """What pushes need of conversations."""

    async def room(self, id: str) -> Room | None: ...


class Said(msgspec.Struct, frozen=True):
    """A message as it reads now."""

    entry: Entry
    message: Message

    def calls(self, person: str) -> bool:
        return self.message.everybody or person in self.message.mentions


class Pushes:
    """`wait` may be changed (tests)."""

    def __init__(
        self,
        *,
        repo: PushesRepo,
        choices: ChoicesRepo,
        subscriptions: SubscriptionsRepo,
        rooms: Rooms,
        people: People,
        log: EntryLog,
        positions: Positions,
        badges: Badges,
        courier: Courier,
        pledges: PledgePushes,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self.wait = WAIT
        self._repo = repo
        self._choices = choices
        self._subscriptions = subscriptions
        self._rooms = rooms
        self._people = people
        self._log = log
        self._positions = positions
        self._badges = badges
        self._courier = courier
        self._pledges = pledges
        self._limits = limits
        self._clock = clock
        self._anybody = (False, float("-inf"))
        self._turn = asyncio.Lock()
        self.rounds = Rounds("pushes", self._look_all, every=SWEEP_EVERY)

    def somebody_subscribed(self) -> None:
        """On this node; the others see it within seconds."""
        self._anybody = (True, asyncio.get_running_loop().time())

    async def note(self, ch: str, entries: Sequence[Entry]) -> None:
        """A conversation, or an inbox, has these new entries."""
        news = [entry.seq for entry in entries if entry.kind in _PUSHED and self._is_fresh(entry)]
        if not news or not await self._somebody():
            return
        await self._repo.note(ch, max(news), self._clock.now() + self.wait)
        asyncio.get_running_loop().call_later(self.wait.total_seconds(), self.rounds.hurry)

    async def _somebody(self) -> bool:
        """Whether anybody has subscribed: where nobody has, messages cost nothing here."""
        known, at = self._anybody
        now = asyncio.get_running_loop().time()
        if now - at > _KNOWN_FOR:
            known = await self._subscriptions.any()
            self._anybody = (known, now)
        return known

    async def _look_all(self) -> None:
        while await self.look():
            pass

    async def look(self) -> bool:
        """Pushes what is due, and answers whether there was anything."""
        async with self._turn:
            found = await self._repo.due(self._clock.now())
            turn = asyncio.Semaphore(_AT_ONCE)

            async def take(due: Due) -> None:
                async with turn:
                    if await self._repo.claim(due) and due.seen > due.done:
                        await self._push(due)

            for outcome in await asyncio.gather(*map(take, found), return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome  # the others have been pushed
            return bool(found)

    def _is_fresh(self, entry: Entry) -> bool:
        return from_ms(entry.at) > self._clock.now() - FRESH

    async def _push(self, due: Due) -> None:
        if due.ch.startswith("inbox:"):
            await self._pledges.push(due, self._is_fresh)
            return
        said = await self._said(due)
        room = await self._rooms.room(due.ch.partition(":")[2]) if said else None
        if room is None or room.closed:
            return
        subscriptions: dict[str, list[Subscription]] = {}
        for one in await self._subscriptions.of(room.members):
            subscriptions.setdefault(one.person, []).append(one)
        persons = list(subscriptions)
        for start in range(0, len(persons), _PORTION):
            some = {person: subscriptions[person] for person in persons[start : start + _PORTION]}
            await self._push_to(room, said, some)

    async def _said(self, due: Due) -> list[Said]:
        """The fresh messages, the newest first, without those deleted meanwhile and with the words of their edits."""
        entries = await self._log.read(due.ch, max(due.done + 1, due.seen - _NEWEST + 1), due.seen)
        found = [e for e in entries if e.kind == "message" and not e.gone and self._is_fresh(e)]
        if not found:
            return []
        later = await self._log.modifiers(due.ch, found[0].seq, found[-1].seq, 0)
        edits = {e.ref: e.body for e in later if e.kind == "edit" and not e.gone}
        return [
            Said(entry, msgspec.convert(entry.body | edits.get(entry.seq, {}), Message)) for entry in reversed(found)
        ]

    async def _push_to(self, room: Room, said: Sequence[Said], subscriptions: dict[str, list[Subscription]]) -> None:
        """One portion of the people in a conversation; every look-up is one query for all of them."""
        at = self._clock.now()
        settings = await self._choices.settings_of(subscriptions)
        awake = [person for person in subscriptions if not rules.is_quiet(settings[person].quiet, at)]
        chosen = await self._choices.notify_in(room.id, awake)
        marks = await self._positions.among(room.ch, awake)
        blocked = {sender: await self._people.blocked_with(sender, awake) for sender in {one.entry.by for one in said}}
        news: dict[str, Said] = {}
        for person in awake:
            read = max(marks[person].read if person in marks else 0, room.members[person].first - 1)
            for one in said:
                if one.entry.seq <= read or one.entry.by == person or person in blocked[one.entry.by]:
                    continue
                if rules.wants(chosen.get(person, Notify()), at, called=one.calls(person)):
                    news[person] = one
                    break
        if not news:
            return
        live = await self._people.live_sessions([one.session for person in news for one in subscriptions[person]])
        badges = await self._badges.of(news, at_least={room.ch: max(one.entry.n for one in said)})
        languages = await self._people.languages(news)
        cards = await self._people.cards({one.entry.by for one in news.values()})
        for person, one in news.items():
            reached = [subscription for subscription in subscriptions[person] if subscription.session in live]
            if not reached or not await self._limits.take("push", person, 1):
                continue
            content: dict[str, Any] = {
                "url": f"/chats/{room.id}?at={one.entry.seq}",
                "tag": room.ch,
                "badge": badges.get(person, 0),
                "language": str(languages.get(person, Language.ENGLISH)),
            }
            if settings[person].previews:
                content |= _shown(room, one, cards.get(one.entry.by))
            payload = rules.payload(content)
            for subscription in reached:
                topic = rules.topic(subscription.id, room.ch)
                self._courier.send(subscription, payload, topic=topic, urgent=_urgent(room, one, person))
            await asyncio.sleep(0)


def _shown(room: Room, one: Said, sender: PersonCard | None) -> dict[str, Any]:
    """What is shown of a message: in a group its name, and who speaks."""
    name = sender.name if sender else ""
    heading = {"title": room.title, "from": name} if room.kind is ConversationKind.GROUP else {"title": name}
    return heading | rules.preview(one.message)


def _urgent(room: Room, one: Said, person: str) -> bool:
    """Worth waking a phone that saves its battery (RFC 8030 section 5.3)."""
    return room.kind is ConversationKind.DIRECT or one.calls(person)
