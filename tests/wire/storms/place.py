"""Where the storms take place."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tornado.httpclient import AsyncHTTPClient

from scripts.hub_process import HubProcess
from tests.faults.accounts import Account, befriend, call, direct, group, register
from tests.wire.storms.bystanders import bystanders
from tests.wire.storms.line import Line, arrived, open_line

#: so many passwords wait to be hashed at once before the server says `try_later`
_AT_ONCE = 32
#: so many members one request may name
_BATCH = 100


def scaled(whole: int, scale: float) -> int:
    """A number of the full size at this scale, at least 4."""
    return max(4, round(whole * scale))


class Place:
    """The hub in its own process, and the people in it, who are made as they are needed and stay for the next storm."""

    def __init__(self, hub: HubProcess, scale: float, factor: float) -> None:
        self.hub = hub
        self.scale = scale
        #: what the limits are multiplied by
        self.factor = factor
        self._people: list[Account] = []
        self._lines: list[Line] = []
        self._calm: tuple[str, list[Account]] | None = None

    @property
    def url(self) -> str:
        return self.hub.url

    def size(self, whole: int) -> int:
        return scaled(whole, self.scale)

    async def people(self, count: int) -> list[Account]:
        """All of them friends of the first."""
        missing = count - len(self._people)
        for start in range(0, missing, _AT_ONCE):
            names = range(start, min(start + _AT_ONCE, missing))
            made = await asyncio.gather(*(register(self.url, f"p{number}") for number in names))
            self._people += made
            first = self._people[0]
            await asyncio.gather(*(befriend(self.url, first, other) for other in made if other is not first))
        return self._people[:count]

    async def group(self, members: list[Account]) -> str:
        """The channel of a new group; the first is its owner."""
        owner, *others = members
        ch = await group(self.url, owner, others[:_BATCH], "Storm")
        path = f"/conversations/{ch.partition(':')[2]}/members"
        for start in range(_BATCH, len(others), _BATCH):
            persons = [other.id for other in others[start : start + _BATCH]]
            await call(self.url, "POST", path, {"persons": persons}, token=owner.token)
        return ch

    @asynccontextmanager
    async def others(self, what: str) -> AsyncIterator[None]:
        """Two people chat in peace meanwhile; what they have noticed is printed and bounded, very loosely."""
        if self._calm is None:
            pair = list(await asyncio.gather(*(register(self.url, f"calm{n}") for n in range(2))))
            await befriend(self.url, *pair)
            self._calm = await direct(self.url, *pair), pair
        ch, pair = self._calm
        async with bystanders(self.url, ch, pair) as notice:
            yield
        print(f"\n{what}: {notice}")  # noqa: T201 - what the run has shown
        assert notice.p99 < 20.0

    async def metrics(self) -> dict[str, float]:
        """What /metrics says, by name with labels."""
        answer = await AsyncHTTPClient().fetch(self.url + "/metrics", request_timeout=20.0)
        lines = [line for line in answer.body.decode().splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    async def closed(self, code: str) -> int:
        """How many sockets the server has closed with this code."""
        return int((await self.metrics()).get(f'vouch_connections_closed_total{{code="{code}"}}', 0))

    async def open(self, first: bytes, *, buffer: int = 0) -> Line:
        """A socket on its way, see `open_line`; closed at the end of the test."""
        line = await open_line(self.url, first, buffer=buffer)
        self._lines.append(line)
        return line

    async def open_all(
        self, firsts: Sequence[bytes], *, at_once: int = 100, buffer: int = 0, seconds: float = 60.0
    ) -> list[Line]:
        """Sockets that are all subscribed; so many on their way at once."""
        room = asyncio.Semaphore(at_once)

        async def one(first: bytes) -> Line:
            async with room:
                return await arrived(await self.open(first, buffer=buffer), seconds)

        return list(await asyncio.gather(*(one(first) for first in firsts)))

    def forget(self, line: Line) -> None:
        """The test has closed this socket itself."""
        self._lines.remove(line)

    async def empty(self) -> None:
        """Closes all sockets; returns when the server knows of no connection any more."""
        for line in self._lines:
            line.close()
        self._lines.clear()
        async with asyncio.timeout(60):
            while (await self.metrics())["vouch_connections"]:
                await asyncio.sleep(0.05)

    def memory(self) -> int:
        """The server's resident memory in bytes, without its children's."""
        pages = int(Path(f"/proc/{self.hub.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()
