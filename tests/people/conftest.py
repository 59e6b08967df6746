"""The domain on the real database, with an outbox that is read instead of relayed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher

from server.clock import SystemClock
from server.keys import Keys
from server.limits import Limits
from server.people.accounts import NewAccount
from server.people.model import Me
from server.people.passwords import Passwords
from server.people.service import People
from server.realtime.outbox import Outbox
from server.settings import Settings
from server.store import Store
from tests.conftest import Run

#: Quick to compute: these tests are not about how hard a password is to guess.
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PASSWORD = "paper and seal"


class TurnedClock(SystemClock):
    """The real time, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> Any:
        return super().now() + self.ahead


class World:
    """What a test needs at hand: the domain, its clock, and what it has told people."""

    def __init__(self, store: Store, people: People, clock: TurnedClock) -> None:
        self.store = store
        self.people = people
        self.clock = clock

    async def join(self, handle: str, **more: Any) -> Me:
        account = NewAccount(**{"handle": handle, "password": PASSWORD, "name": handle.title(), **more})
        me, _ = await self.people.accounts.register(account, "192.0.2.1", "")
        return me

    async def befriend(self, one: str, other: str) -> None:
        await self.people.friends.request(one, other, "")
        await self.people.friends.accept(other, one)

    async def news(self, person: str) -> list[tuple[str, dict[str, Any]]]:
        """Kind and body of what was put into a person's inbox and not looked at before."""
        outbox = self.store.collection("outbox")
        rows = await outbox.find({"ch": f"inbox:{person}"}).to_list(None)
        await outbox.delete_many({"ch": f"inbox:{person}"})
        rows.sort(key=lambda row: (row["at"], row["order"]))
        return [(row["kind"], row["body"]) for row in rows]


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def limits(redis_url: str, run: Run[Any]) -> Iterator[Limits]:
    limits = Limits(redis_url)
    yield limits
    run(limits.stop())


@pytest.fixture
def store(settings: Settings, run: Run[Any]) -> Iterator[Store]:
    store = Store(settings.mongodb_uri, settings.database)
    run(store.connect())
    yield store
    store.close()


@pytest.fixture
def world(store: Store, limits: Limits, keys: Keys, clock: TurnedClock, run: Run[Any]) -> Iterator[World]:
    people = People(
        store=store, outbox=Outbox(store, clock), limits=limits, keys=keys, clock=clock, passwords=Passwords(CHEAP)
    )
    run(people.start())
    yield World(store, people, clock)
    run(people.stop())


Together = Callable[..., Awaitable[list[Any]]]
