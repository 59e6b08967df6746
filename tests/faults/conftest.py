"""`./scripts/test faults --seed N --minutes M --rate R`: which faults, for how long, under what load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient

from server.settings import Settings
from tests.faults.server_process import ServerProcess

Play = Callable[[Coroutine[Any, Any, None]], None]
Serve = Callable[..., ServerProcess]


def shared(settings: Settings) -> dict[str, str]:
    """What servers that belong together have in common: database, Redis, secrets."""
    return {
        "VOUCH_MONGODB_URI": settings.mongodb_uri,
        "VOUCH_REDIS_URL": settings.redis_url,
        "VOUCH_DATABASE": settings.database,
        "VOUCH_SECRETS_DIR": str(settings.secrets_path),
    }


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--seed", type=int, default=1, help="which series of faults is injected (1)")
    group.addoption("--minutes", type=float, default=0.0, help="how long the storm of faults lasts (each kind once)")
    group.addoption("--rate", type=float, default=150.0, help="messages a second that all members want to send (150)")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("seed", 1))


@pytest.fixture
def minutes(request: pytest.FixtureRequest) -> float:
    """0: only as long as each kind of fault once takes."""
    return float(request.config.getoption("minutes", 0.0))


@pytest.fixture
def rate(request: pytest.FixtureRequest) -> float:
    """Messages a second of all members together."""
    return float(request.config.getoption("rate", 150.0))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve("name", environ)` makes a server with a data directory of its own; ended with the test."""
    made: list[ServerProcess] = []

    def serve(name: str = "node", environ: Mapping[str, str] | None = None) -> ServerProcess:
        made.append(ServerProcess(tmp_path / name, environ))
        return made[-1]

    yield serve
    for process in made:
        process.end()


@pytest.fixture
def play() -> Play:
    """Runs a scene of any length on a loop of its own; what it leaves running is cancelled."""

    async def scene(coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            await coroutine
        finally:
            AsyncHTTPClient().close()

    return lambda coroutine: asyncio.run(scene(coroutine))
