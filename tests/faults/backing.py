"""The database and the Redis that several nodes share, as programs that a test may hurt.

They are the embedded ones, supervised as in the default run: what dies is started again where it was.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import redis.asyncio as redis
from redis.exceptions import ConnectionError as RedisAway

from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.keys import load_keys
from server.settings import Settings
from tests.faults.disk import full_disk

DATABASE, REDIS = "secantusd", "redis"
_POLL_SECONDS = 0.02
_START_SECONDS = 60.0


class Backing:
    """`async with Backing(directory) as backing:` from the main thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = DataDirectory(directory)
        self._directory.open()
        keys = load_keys(directory / "secrets")
        self._embedded = Embedded(Settings(data_dir=directory), keys, self._directory)
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._embedded.start()
        self._watch = asyncio.create_task(self._embedded.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._watch is not None
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)
        for name in (DATABASE, REDIS):
            self.wake(name)
        self._embedded.stop()
        self._directory.close()

    @property
    def secrets(self) -> Path:
        return self._directory.path / "secrets"

    @property
    def redis_socket(self) -> Path:
        return Path(unquote(urlsplit(self._embedded.redis_url).path))

    @property
    def database_port(self) -> int:
        port = urlsplit(self._embedded.mongodb_uri).port
        assert port is not None
        return port

    def mongodb_uri(self, port: int) -> str:
        """Where a proxy on this port stands in front of the database."""
        return self._embedded.mongodb_uri.replace(f":{self.database_port}/", f":{port}/")

    def pid(self, name: str) -> int:
        return int((self._directory.run / f"{name}.pid").read_text())

    def send(self, name: str, number: signal.Signals) -> None:
        """Sends a signal; without effect on a program that has just died."""
        with suppress(ProcessLookupError, FileNotFoundError):
            os.kill(self.pid(name), number)

    def wake(self, name: str) -> None:
        self.send(name, signal.SIGCONT)

    async def end(self, name: str, number: signal.Signals) -> None:
        """SIGKILL or SIGTERM; returns when the program has been started again."""
        before = self.pid(name)
        self.send(name, number)
        async with asyncio.timeout(_START_SECONDS):
            while self.pid(name) == before:
                await asyncio.sleep(_POLL_SECONDS)
        await self.answers(name)

    async def answers(self, name: str) -> None:
        """Returns when the program accepts connections."""
        async with asyncio.timeout(_START_SECONDS):
            while True:
                with suppress(OSError):
                    if name == DATABASE:
                        _, writer = await asyncio.open_connection("127.0.0.1", self.database_port)
                    else:
                        _, writer = await asyncio.open_unix_connection(self.redis_socket)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(_POLL_SECONDS)

    async def empty_redis(self) -> None:
        async with redis.Redis(unix_socket_path=str(self.redis_socket)) as client:
            with suppress(RedisAway):  # it has died meanwhile, and comes back empty
                await client.flushall()

    async def fill_disk(self, seconds: float) -> None:
        """For so long the database finds no room."""
        async with full_disk(lambda: self.pid(DATABASE)):
            await asyncio.sleep(seconds)
        await self.answers(DATABASE)
