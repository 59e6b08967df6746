"""Conversations on the real database, without sockets: people made directly, and the log read back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from server.chat.model import Conversation, CreateDirect, CreateGroup, Room
from server.keys import Keys
from server.people.accounts import NewAccount
from server.principals import Kind, Principal
from server.realtime.lane import Accepted
from server.realtime.protocol import Entry, Page
from server.services import Services
from server.settings import Settings
from tests.conftest import Run
from tests.wire.client import client_id

PASSWORD = "paper and seal"


class HandClock:
    """Stands still until it is moved on."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_by(self, **time: float) -> None:
        self.at += timedelta(**time)


class World:
    """What a test needs at hand. People are named by their ids."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.chat = services.conversations
        self.hub = services.hub

    async def people(self, *handles: str) -> list[str]:
        accounts = self.services.people.accounts
        return [await accounts.create(NewAccount(handle=h, password=PASSWORD, name=h.title())) for h in handles]

    async def befriend(self, one: str, *others: str) -> None:
        for other in others:
            await self.services.people.friends.request(one, other, "")
            await self.services.people.friends.accept(other, one)

    async def friends(self, *handles: str) -> list[str]:
        """The first is a friend of all others."""
        first, *rest = await self.people(*handles)
        await self.befriend(first, *rest)
        return [first, *rest]

    async def direct(self, one: str, other: str) -> str:
        return (await self.chat.create(one, CreateDirect(other)))[0]

    async def group(self, owner: str, *members: str, share_history: bool = False) -> str:
        wanted = CreateGroup("Tea", list(members), client_id(), share_history)
        return (await self.chat.create(owner, wanted))[0]

    async def say(self, person: str, id: str, text: str, *, key: str | None = None) -> int:
        return (await self.append(person, id, "message", {"text": text}, key=key)).entry.seq

    async def append(
        self, person: str, id: str, kind: str, body: dict[str, Any], *, ref: int | None = None, key: str | None = None
    ) -> Accepted:
        """As the socket does it, with all checks."""
        raw = msgspec.Raw(msgspec.json.encode(body))
        return await self.hub.append_as(self.principal(person), f"conv:{id}", key or client_id(), kind, raw, ref)

    async def log(self, id: str) -> list[Entry]:
        """The whole log, as the database holds it."""
        return (await self.page(id)).entries

    async def page(self, id: str, first: int = 1, before: int | None = None, limit: int = 200) -> Page:
        return await self.hub.pages.page(f"conv:{id}", first, before, None, limit)

    async def room(self, id: str) -> Room:
        room = await self.chat.repo.room(id)
        assert room is not None
        return room

    async def view(self, person: str, id: str) -> Conversation:
        return await self.services.conversation_view.one(person, id)

    async def read(self, person: str, id: str, seq: int) -> None:
        await self.hub.move_position(self.principal(person), f"conv:{id}", read=seq)
        await self.hub.positions.flush()

    async def delete_account(self, person: str) -> None:
        """Returns when the words are erased too."""
        await self.services.people.accounts.delete(person, PASSWORD)
        await self.services.outbox.drained()
        await self.chat.erasure.rounds.done.wait()

    async def quiet(self) -> None:
        """Returns when everything that follows from what was done is done."""
        for _ in range(2):
            await self.hub.followers.settled()
            await self.services.outbox.drained()

    @staticmethod
    def principal(person: str) -> Principal:
        return Principal(Kind.PERSON, id=person)


@pytest.fixture
def world(services: Services) -> World:
    return World(services)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def calm(settings: Settings, keys: Keys, run: Run[Any], clock: HandClock) -> Iterator[World]:
    """A world in which time passes by hand."""
    services = Services(settings, keys, clock, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    run(services.start())
    yield World(services)
    run(services.stop())
