"""Browsers that get pushes, and how long these wait: for the tests of pushes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import msgspec

from server.notifications.model import AddSubscription
from server.services import Services
from tests.chat.conftest import World
from tests.conftest import eventually
from tests.notifications.push_service import Push
from tests.people.conftest import TurnedClock

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def sign_in(services: Services, person: str) -> str:
    """The id of a new sign-in."""
    session, _ = await services.store.transact(
        lambda tx: services.people.sessions.open(tx, person, "192.0.2.1", FIREFOX)
    )
    return session.id


async def subscribe(services: Services, person: str, wanted: dict[str, str], session: str = "") -> str:
    """The subscription's id; it belongs to a sign-in of its own unless one is given."""
    session = session or await sign_in(services, person)
    made = await services.notifications.subscribe(person, session, FIREFOX, msgspec.convert(wanted, AddSubscription))
    return made.id


def saying(body: str) -> Callable[[Push], bool]:
    return lambda push: push.content.get("body") == body


def hold(world: World) -> None:
    """Nothing is pushed, however slow the machine, until `quiet` turns the clock."""
    world.services.notifications.pushes.wait = timedelta(minutes=5)


async def quiet(world: World) -> None:
    """Everything that was said has waited, was looked at, and every push has arrived or was given up."""
    services = world.services
    await services.outbox.drained()  # news of pledges go through it
    await services.followers.settled()
    if isinstance(services.clock, TurnedClock):
        services.clock.ahead += services.notifications.pushes.wait
    async with asyncio.timeout(20):
        while await services.store.collection("pushes").find_one({"due": {"$exists": True}}):
            await services.notifications.pushes.look()
    await services.notifications.pushes.look()  # waits for the one that is under way
    await eventually(lambda: services.notifications.courier.waiting == 0)
