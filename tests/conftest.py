"""The fixtures that every part of the tests shares; tests/README.md explains them.

One embedded database and one Redis serve the whole test session; every test gets a database of its own in it.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest
import redis
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port
from tornado.web import Application

from server.clock import SystemClock
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.keys import Keys, load_keys
from server.settings import Settings

if TYPE_CHECKING:
    from server.services import Services

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]

#: seconds that one `run` may take
RUN_TIMEOUT = 30.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`async def` tests run on `io_loop` without being marked."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            if item.get_closest_marker("gen_test") is None:
                item.add_marker(pytest.mark.gen_test)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> DataDirectory:
    """The data directory of the session's embedded database."""
    return DataDirectory(tmp_path_factory.mktemp("vouch") / "data")


@pytest.fixture(scope="session")
def keys(data_dir: DataDirectory) -> Keys:
    return load_keys(data_dir.path / "secrets")


@pytest.fixture(scope="session")
def embedded(data_dir: DataDirectory, keys: Keys) -> Iterator[Embedded]:
    """The running database and Redis: `embedded.mongodb_uri`, `embedded.redis_url`."""
    data_dir.open()
    try:
        with Embedded(Settings(data_dir=data_dir.path), keys, data_dir) as children:
            yield children
    finally:
        data_dir.close()


@pytest.fixture
def database_name() -> str:
    """An empty database. It goes with the session's directory: to drop one the embedded database makes the end of every
    document durable by itself."""
    return f"test_{secrets.token_hex(6)}"


@pytest.fixture
def redis_url(embedded: Embedded) -> str:
    """The session's Redis, emptied."""
    with redis.Redis.from_url(embedded.redis_url) as client:
        client.flushall()
    return embedded.redis_url


@pytest.fixture
def settings(embedded: Embedded, redis_url: str, database_name: str, data_dir: DataDirectory) -> Settings:
    """Settings of a server on a free port with an empty database; `msgspec.structs.replace` changes one."""
    return Settings(
        port=0,
        data_dir=data_dir.path,
        mongodb_uri=embedded.mongodb_uri,
        redis_url=redis_url,
        database=database_name,
    )


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """pytest-tornado's fixture, ended properly: what a test leaves running is cancelled and waited for."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    io_loop = IOLoop(asyncio_loop=loop, make_current=False)
    yield io_loop
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    io_loop.close()


@pytest.fixture
def run(io_loop: IOLoop) -> Run[Any]:
    """`run(coroutine)` runs it to its end on the test's loop: for fixtures and for bodies under `@given`."""

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        result: T = io_loop.run_sync(lambda: coroutine, timeout=RUN_TIMEOUT)
        return result

    return run


@pytest.fixture
def services(settings: Settings, keys: Keys, run: Run[Any]) -> Iterator[Services]:
    """All services, started on the test's loop."""
    from server.services import Services

    services = Services(settings, keys, SystemClock(), mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    run(services.start())
    yield services
    run(services.stop())


@pytest.fixture
def nodes(settings: Settings, keys: Keys, run: Run[Any]) -> Iterator[tuple[Services, Services]]:
    """Two nodes on one database and one Redis, in this process."""
    from server.services import Services

    made = [
        Services(settings, keys, SystemClock(), mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
        for _ in range(2)
    ]
    for services in made:
        run(services.start())
    yield made[0], made[1]
    for services in made:
        run(services.stop())


async def eventually(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for what has no event of its own."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


class RunningServer(NamedTuple):
    """A real server on a real socket, in this process and on the test's loop."""

    port: int
    services: Services
    application: Application

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/v1/socket"


@pytest.fixture
def server(services: Services, run: Run[Any]) -> Iterator[RunningServer]:
    from handlers.application import make_application

    application = make_application(services)
    http = HTTPServer(application)
    listening, port = bind_unused_port()
    http.add_socket(listening)
    yield RunningServer(port, services, application)
    http.stop()
    run(http.close_all_connections())
