"""A room in which somebody writes what should be reported, and people who look after it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from server.moderation.model import MakeReport, OwnReport, Reason
from server.principals import Grant, Role
from server.services import Services
from tests.chat.conftest import World
from tests.conftest import Run


class Street(NamedTuple):
    """Ada and Ben share a group; Ben has written number `seq`. Sam and Sue are staff, Ann is admin, Eve nobody."""

    world: World
    ada: str
    ben: str
    sam: str
    sue: str
    ann: str
    eve: str
    room: str
    seq: int

    @property
    def desk(self) -> Any:
        return self.world.services.moderation

    async def report(self, reason: Reason = Reason.INSULT, note: str = "") -> OwnReport:
        request = MakeReport(reason=reason, note=note, conversation=self.room, seq=self.seq)
        return await self.world.services.moderation.report(self.world.principal(self.ada), request)

    async def inbox(self, person: str, kind: str) -> list[dict[str, Any]]:
        """The bodies of the entries of one kind in somebody's inbox."""
        await self.world.services.outbox.drained()
        page = await self.world.hub.pages.page(f"inbox:{person}", 1, None, None, 100)
        return [entry.body for entry in page.entries if entry.kind == kind]


@pytest.fixture
def street(services: Services, run: Run[Any]) -> Street:
    async def make() -> Street:
        world = World(services)
        ada, ben = await world.friends("ada", "ben")
        sam, sue, ann, eve = await world.people("sam", "sue", "ann", "eve")
        for person, role in ((sam, Role.STAFF), (sue, Role.STAFF), (ann, Role.ADMIN)):
            await services.people.grant(person, Grant(role), "system")
        room = await world.group(ada, ben)
        for number in range(7):
            await world.say(ada if number % 2 else ben, room, f"line {number}")
        seq = await world.say(ben, room, "you fool")
        return Street(world, ada, ben, sam, sue, ann, eve, room, seq)

    street: Street = run(make())
    return street
