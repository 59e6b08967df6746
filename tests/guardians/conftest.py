"""Families on the real database: people with birth dates, a clock that is turned, and what the inboxes tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from server.administration.audit import AuditTrail
from server.guardians.service import Guardians
from server.keys import Keys
from server.limits import Limits
from server.people.rules import local_day
from server.realtime.outbox import Outbox
from server.store import Tx
from tests.conftest import Run
from tests.people import conftest as people_fixtures
from tests.people.conftest import TurnedClock, World

clock = people_fixtures.clock
limits = people_fixtures.limits
store = people_fixtures.store
world = people_fixtures.world

ZONE = "Asia/Shanghai"


class House:
    """A mother, a father, an aunt and a child who are all friends, and what was told to those who must know."""

    def __init__(self, world: World, guardians: Guardians) -> None:
        self.world = world
        self.guardians = guardians
        #: wards whose power has changed, as other domains hear it
        self.heard: list[str] = []
        guardians.on_change(self._hear)

    async def _hear(self, tx: Tx, ward: str) -> None:
        tx.on_commit(lambda: self.heard.append(ward))

    async def settle(self) -> House:
        self.mother = await self.person("mother", years=40)
        self.father = await self.person("father")
        self.aunt = await self.person("aunt", years=35)
        self.child = await self.person("child", years=12)
        for adult in (self.mother, self.father, self.aunt):
            await self.world.befriend(adult, self.child)
        return self

    async def person(self, handle: str, *, years: int | None = None) -> str:
        born = None if years is None else self.birthday(years).isoformat()
        return (await self.world.join(handle, birth_date=born, time_zone=ZONE)).id

    def birthday(self, years: int) -> date:
        """A birth date by which somebody turned so old forty days ago."""
        day = local_day(self.world.clock.now() - timedelta(days=40), ZONE)
        return date(day.year - years, day.month, min(day.day, 28))

    async def link(self, guardian: str) -> None:
        await self.guardians.ask(guardian, ward=self.child, guardian=guardian)
        await self.guardians.confirm(self.child, ward=self.child, guardian=guardian)

    async def told(self, person: str) -> list[tuple[str, str]]:
        """(what, about which guardian), oldest first; each is seen once."""
        news = await self.world.news(person)
        return [(body["done"], body["guardian"]) for kind, body in news if kind == "guardian_changed"]


@pytest.fixture
def house(world: World, limits: Limits, keys: Keys, clock: TurnedClock, run: Run[Any]) -> Iterator[House]:
    trail = AuditTrail(world.store, clock, keys.digest)
    guardians = Guardians(
        store=world.store,
        outbox=Outbox(world.store, clock),
        people=world.people,
        trail=trail,
        limits=limits,
        clock=clock,
    )
    world.people.on_block(guardians.on_block)
    world.people.on_delete(guardians.on_delete)
    world.people.on_birth_date(guardians.on_birth_date)
    run(trail.ensure_indexes())
    run(trail.ensure_counter())
    run(guardians.start())
    yield run(House(world, guardians).settle())
    run(guardians.stop())
