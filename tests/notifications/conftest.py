"""People whose browsers get pushes, on a server that lets a push service on this machine be one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.clock import SystemClock
from server.keys import Keys
from server.services import Services
from server.settings import Settings
from tests.chat.conftest import World
from tests.conftest import Run
from tests.notifications.push_service import PushService
from tests.people.conftest import TurnedClock


@pytest.fixture
def push_service(tmp_path: Path, run: Run[Any]) -> Iterator[PushService]:
    async def make() -> PushService:
        return PushService(tmp_path)

    service = run(make())
    yield service
    service.stop()


@pytest.fixture
def settings(settings: Settings, push_service: PushService) -> Settings:
    return msgspec.structs.replace(
        settings,
        push_allow=(push_service.host,),
        push_contact="mailto:admin@vouch.example",
        outbound_ca=push_service.authority,
    )


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def services(settings: Settings, keys: Keys, clock: TurnedClock, run: Run[Any]) -> Iterator[Services]:
    """Like the one of all tests, with a clock that can be turned and pushes that do not wait long."""
    services = Services(settings, keys, clock, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    run(services.start())
    hurry(services)
    yield services
    run(services.stop())


@pytest.fixture
def nodes(settings: Settings, keys: Keys, run: Run[Any]) -> Iterator[tuple[Services, Services]]:
    made = [
        Services(settings, keys, SystemClock(), mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
        for _ in range(2)
    ]
    for services in made:
        run(services.start())
        hurry(services)
    yield made[0], made[1]
    for services in made:
        run(services.stop())


def hurry(services: Services) -> None:
    """Nobody reads as quickly as a test: pushes go out at once."""
    services.notifications.pushes.wait = timedelta(milliseconds=50)
    services.notifications.courier.retries = (0.01, 0.01)


@pytest.fixture
def world(services: Services) -> World:
    return World(services)
