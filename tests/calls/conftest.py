"""Calls on the real database and bus, with a media plane of which only the answers are there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from server import live
from server.calls import wire
from server.calls.model import Call
from server.calls.process import PlaneError
from server.calls.service import Calls
from server.calls.views import CallView, NewConnection, StartCall
from server.calls.wire import Direction
from server.keys import Keys
from server.principals import Kind, Principal
from server.realtime.protocol import Entry
from server.services import Services
from server.settings import Settings
from tests.chat.conftest import HandClock, World
from tests.conftest import Run
from tests.wire.client import client_id

OFFER = "v=0\r\n"


class Silent:
    """As `Plane`, of one call per worker: keeps what it is told."""

    def __init__(self, settings: Settings) -> None:
        self.on_news: Callable[[wire.News], None] = lambda _: None
        self.on_lost: Callable[[tuple[str, ...]], None] = lambda _: None
        self.links: dict[str, dict[str, tuple[str, Direction]]] = {}
        self.views: dict[str, tuple[wire.Slot, ...]] = {}
        self.recording: dict[str, tuple[str, tuple[str, ...], Path]] = {}
        self.refuses = ""

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def open(self, call: str) -> None:
        self._check()
        self.links.setdefault(call, {})

    async def close(self, call: str) -> None:
        self.links.pop(call, None)
        self.recording.pop(call, None)

    async def connect(self, call: str, connection: str, person: str, direction: Direction, offer: str) -> str:
        if offer != OFFER:
            raise PlaneError("bad_offer", "Not an offer.")
        links = self._of(call)
        for old in [name for name, link in links.items() if link == (person, direction)]:
            del links[old]
        links[connection] = (person, direction)
        return f"answer to {person}"

    async def disconnect(self, call: str, connection: str) -> None:
        self._of(call).pop(connection, None)

    async def view(self, call: str, connection: str, slots: Sequence[wire.Slot]) -> None:
        self._check()
        self.views[connection] = tuple(slots)

    async def snapshot(self, call: str, person: str, *, within: float = 3.0) -> wire.Picture:
        self._of(call)
        return wire.Picture(id=0, width=64, height=48, rgb=bytes(range(64)) * 144, at=0)

    async def record(
        self, call: str, recording: str, people: Sequence[str], directory: Path, *, lease: float, max_bytes: int
    ) -> None:
        self._of(call)
        self.recording[call] = (recording, tuple(people), directory)

    async def stop_recording(self, call: str, recording: str) -> dict[str, int]:
        _, people, directory = self.recording.pop(call)
        files = {f"{person}.mkv": len(person) for person in people}
        for name in files:
            (directory / name).write_bytes(name.removesuffix(".mkv").encode())
        return files

    def people(self, call: str) -> list[tuple[str, str]]:
        """Who has which connection."""
        return sorted((person, direction.value) for person, direction in self.links.get(call, {}).values())

    def die(self, call: str) -> None:
        self.links.pop(call, None)
        self.recording.pop(call, None)
        self.on_lost((call,))

    def _of(self, call: str) -> dict[str, tuple[str, Direction]]:
        self._check()
        if call not in self.links:
            raise PlaneError("unknown_call")
        return self.links[call]

    def _check(self) -> None:
        if self.refuses:
            raise PlaneError(self.refuses)


class Switchboard(World):
    """People by their ids; each has the sign-in `s_<person>`, and further ones by device."""

    def __init__(self, services: Services, clock: HandClock) -> None:
        super().__init__(services)
        self.clock = clock
        self.calls: Calls = services.calls
        self.plane: Silent = services._live.plane  # type: ignore[assignment]

    def who(self, person: str, device: str = "") -> Principal:
        return Principal(Kind.PERSON, person, f"s_{person}{device}")

    async def start(self, person: str, conversation: str, **more: Any) -> Call:
        wanted = StartCall(conversation=conversation, key=more.pop("key", client_id()), **more)
        return (await self.calls.start_call(self.who(person), wanted))[0]

    async def joined(self, conversation: str, first: str, *others: str, **more: Any) -> Call:
        call = await self.start(first, conversation, **more)
        for other in others:
            call = await self.calls.accept(self.who(other), call.id)
        return call

    async def connect(
        self, person: str, call: str, direction: Direction = Direction.PUBLISH, device: str = "", **more: Any
    ) -> str:
        wanted = NewConnection(direction=direction, offer=more.pop("offer", OFFER), **more)
        return (await self.calls.connections.connect(self.who(person, device), call, wanted)).id

    async def view_of(self, person: str, call: str, device: str = "") -> CallView:
        principal = self.who(person, device)
        return await self.calls.view(await self.calls.readable(principal, call), principal)

    async def inbox(self, person: str, *kinds: str) -> list[Entry]:
        await self.services.outbox.drained()
        page = await self.hub.pages.page(f"inbox:{person}", 1, None, None, 200)
        return [entry for entry in page.entries if entry.kind in kinds]

    async def settle(self) -> None:
        """Returns when what follows from the last change is done."""
        works = [part._background for part in (self.calls.keeper, self.calls.media, self.calls.recordings)]
        while any(work._tasks for work in works):
            for work in works:
                await work.stop(5)


async def _all(sessions: Collection[str]) -> set[str]:
    return set(sessions)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "Plane", Silent)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def board(
    silent: None,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    keys: Keys,
    run: Run[Any],
    clock: HandClock,
) -> Iterator[Switchboard]:
    services = Services(settings, keys, clock, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    run(services.start())
    run(services.calls.keeper.rounds.stop())  # the tests look round themselves
    monkeypatch.setattr(services.people, "live_sessions", _all)  # they are made up here
    yield Switchboard(services, clock)
    run(services.stop())
