"""Pushes about pledges: what somebody's inbox tells of them, to whoever has not read it by then.

Of each pledge the newest news is pushed. Its words are the client's, in the person's language.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol

import msgspec

from server.clock import Clock
from server.limits import Limits
from server.notifications import rules
from server.notifications.badges import Badges
from server.notifications.courier import Courier
from server.notifications.model import Due, Subscription
from server.notifications.repo import ChoicesRepo, SubscriptionsRepo
from server.people.inbox import PledgeNews
from server.people.model import Language, PersonCard
from server.realtime.entries import EntryLog
from server.realtime.positions import Positions
from server.realtime.protocol import Entry

KIND = "pledge_news"
#: Pledges that one person is pushed at once; the newest are.
PLEDGES_MOST = 5
#: Entries of an inbox that are looked at.
_NEWEST = 100
#: Worth waking a phone that saves its battery (RFC 8030 section 5.3): these wait for an answer.
_URGENT = frozenset({"check_asked", "due_soon", "case_waiting"})


class People(Protocol):
    """What these pushes need of people."""

    async def cards(self, ids: Collection[str]) -> dict[str, PersonCard]: ...

    async def languages(self, ids: Collection[str]) -> dict[str, Language]: ...

    async def live_sessions(self, sessions: Collection[str]) -> set[str]: ...


#: The titles of pledges, by id.
Titles = Callable[[Collection[str]], Awaitable[dict[str, str]]]


class PledgePushes:
    def __init__(
        self,
        *,
        choices: ChoicesRepo,
        subscriptions: SubscriptionsRepo,
        people: People,
        titles: Titles,
        log: EntryLog,
        positions: Positions,
        badges: Badges,
        courier: Courier,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._choices = choices
        self._subscriptions = subscriptions
        self._people = people
        self._titles = titles
        self._log = log
        self._positions = positions
        self._badges = badges
        self._courier = courier
        self._limits = limits
        self._clock = clock

    async def push(self, due: Due, is_fresh: Callable[[Entry], bool]) -> None:
        """What is new in one inbox, unless its owner keeps quiet hours or has read it."""
        person = due.ch.partition(":")[2]
        settings = (await self._choices.settings_of([person]))[person]
        if rules.is_quiet(settings.quiet, self._clock.now()):
            return
        news = await self._news(due, person, is_fresh)
        reached = await self._reached(person) if news else []
        if not reached:
            return
        badge = (await self._badges.of([person])).get(person, 0)
        language = (await self._people.languages([person])).get(person, Language.ENGLISH)
        titles = await self._titles([one.pledge for one in news])
        cards = await self._people.cards({one.by for one in news})
        for one in news:
            if not await self._limits.take("push", person, 1):
                return
            content: dict[str, Any] = {
                "url": f"/pledges/{one.pledge}",
                "tag": f"pledge:{one.pledge}",
                "badge": badge,
                "language": str(language),
            }
            if settings.previews:
                content["title"] = titles.get(one.pledge, "")
                content["pledge"] = one.what
                if card := cards.get(one.by):
                    content["from"] = card.name
            payload = rules.payload(content)
            for subscription in reached:
                topic = rules.topic(subscription.id, content["tag"])
                self._courier.send(subscription, payload, topic=topic, urgent=one.what in _URGENT)

    async def _news(self, due: Due, person: str, is_fresh: Callable[[Entry], bool]) -> list[PledgeNews]:
        """The newest of each pledge, the newest first."""
        marks = await self._positions.among(due.ch, [person])
        read = marks[person].read if person in marks else 0
        first = max(due.done, read, due.seen - _NEWEST) + 1
        entries = await self._log.read(due.ch, first, due.seen) if first <= due.seen else []
        found: dict[str, PledgeNews] = {}
        for entry in reversed(entries):
            if entry.kind == KIND and is_fresh(entry):
                one = msgspec.convert(entry.body, PledgeNews)
                if one.by != person:
                    found.setdefault(one.pledge, one)
        return list(found.values())[:PLEDGES_MOST]

    async def _reached(self, person: str) -> Sequence[Subscription]:
        subscriptions = await self._subscriptions.of([person])
        live = await self._people.live_sessions([one.session for one in subscriptions]) if subscriptions else set()
        return [one for one in subscriptions if one.session in live]
