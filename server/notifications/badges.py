"""How many messages somebody has not read, in all conversations that are not muted: the number on the icon."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from server.clock import Clock
from server.notifications import rules
from server.notifications.model import Level, Notify
from server.notifications.repo import ChoicesRepo
from server.realtime.pages import Pages
from server.realtime.positions import Positions


class Memberships(Protocol):
    async def rooms_of_many(self, persons: Collection[str]) -> Mapping[str, Sequence[tuple[str, int]]]:
        """Per person the conversations, each with the first entry that the person may see."""


class Badges:
    def __init__(
        self, memberships: Memberships, choices: ChoicesRepo, pages: Pages, positions: Positions, clock: Clock
    ) -> None:
        self._memberships = memberships
        self._choices = choices
        self._pages = pages
        self._positions = positions
        self._clock = clock

    async def of(self, persons: Collection[str], at_least: Mapping[str, int] | None = None) -> dict[str, int]:
        """Per person. What was written elsewhere some seconds ago may be missing; `at_least` tells newer counts."""
        at = self._clock.now()
        rooms = await self._memberships.rooms_of_many(persons)
        notify = await self._choices.notify_of(persons)
        heard = {
            person: [
                (f"conv:{id}", first)
                for id, first in rooms.get(person, ())
                if rules.level(notify.get((person, id), Notify()), at) is Level.ALL
            ]
            for person in persons
        }
        channels = sorted({ch for some in heard.values() for ch, _ in some})
        heads = await self._pages.counts(channels)
        for ch, n in (at_least or {}).items():
            heads[ch] = max(n, heads.get(ch, 0))
        marks = await self._positions.of_many([(person, ch) for person, some in heard.items() for ch, _ in some])
        counts: dict[str, int] = {}
        for person, some in heard.items():
            counts[person] = 0
            for ch, first in some:
                read = marks[person, ch].read_n if (person, ch) in marks else 0
                if not read and first > 1:  # what was said before one's time does not count
                    read = await self._pages.count_at(ch, first - 1)
                counts[person] += max(0, heads.get(ch, 0) - read)
        return counts
