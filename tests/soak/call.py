"""Four people in a call, all through the real server: HTTP, sockets, the media worker, stock peers."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.websocket import WebSocketClosedError

from scripts.benchmarks.film import Publisher, Viewer
from tests.handlers.conftest import Client
from tests.wire.client import Socket, client_id


class Caller(Client):
    """Somebody who shows a film and watches the films of the others."""

    def __init__(self, url: str, handle: str) -> None:
        super().__init__(url)
        self.handle = handle
        self.id = ""
        self.path = ""
        self._socket = Socket(handle)
        self._publisher: Publisher | None = None
        self._viewer: Viewer | None = None
        self._others: list[Caller] = []

    async def arrive(self) -> None:
        self.id = (await self.register(self.handle))["id"]

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Raises AssertionError when the server refuses."""
        answer = await (self.call(method, path) if body is None else self.call(method, path, body))
        assert answer.status < 300, (method, path, answer.data)
        return answer.json if answer.data else None

    async def join(self, path: str, others: list[Caller]) -> None:
        self.path, self._others = path, others
        await self.ask("POST", f"{path}/accept", {})
        await self.listen()
        await self.show()

    async def listen(self) -> None:
        """A new socket; what the old one has heard is forgotten with it."""
        self._socket.close()
        self._socket = Socket(self.handle)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        await self._socket.open(self.url.replace("http", "ws", 1) + "/api/v1/socket", {"Cookie": cookies})
        await self._socket.hello()
        await self._socket.subscribe(f"call:{self.path.rpartition('/')[2]}")

    async def there(self) -> bool:
        """Whether the socket is; it says so, as clients do."""
        try:
            await self._socket.fence()
        except (AssertionError, WebSocketClosedError):
            return False
        return True

    async def show(self) -> None:
        publisher = Publisher()
        await self._connect(publisher, "publish")
        before, self._publisher = self._publisher, publisher
        await self.ask("PATCH", f"{self.path}/seat", {"voice": True, "camera": True})
        if before is not None:
            await before.close()

    async def watch(self) -> None:
        viewer = Viewer(voices=len(self._others), cameras=len(self._others))
        connection = await self._connect(viewer, "watch")
        before, self._viewer = self._viewer, viewer
        slots = [
            {"index": index + more, "person": other.id, "track": track}
            for more, track in ((0, "voice"), (len(self._others), "camera"))
            for index, other in enumerate(self._others)
        ]
        await self.ask("PUT", f"{self.path}/connections/{connection}/view", {"slots": slots})
        await self.ask("PATCH", f"{self.path}/seat", {"watching": [other.id for other in self._others]})
        if before is not None:
            await before.close()

    async def _connect(self, end: Publisher | Viewer, direction: str) -> str:
        try:
            body = {"direction": direction, "offer": await end.offer()}
            answer = await self.ask("POST", f"{self.path}/connections", body)
            await end.take(answer["answer"])
            await end.connected()
        except BaseException:
            await end.close()
            raise
        return str(answer["id"])

    async def leave_and_join(self) -> None:
        """As somebody who closes the page and comes back."""
        await self.ask("POST", f"{self.path}/leave", {})
        await self._hang_up()
        await self.join(self.path, self._others)
        await self.watch()

    @property
    def counts(self) -> list[int]:
        """Packets by line: the others' voices, then their pictures."""
        return list(self._viewer.counts) if self._viewer is not None else []

    async def _hang_up(self) -> None:
        ends, self._publisher, self._viewer = (self._publisher, self._viewer), None, None
        await asyncio.gather(*(end.close() for end in ends if end is not None))

    async def go(self) -> None:
        await self._hang_up()
        self._socket.close()


async def begun(url: str, handles: tuple[str, ...]) -> list[Caller]:
    """A running call of friends, in which everybody shows themselves and watches all others."""
    first, *others = callers = [Caller(url, handle) for handle in handles]
    for caller in callers:
        await caller.arrive()
    for other in others:
        await first.ask("POST", "/friends/requests", {"person": other.id})
        await other.ask("POST", f"/friends/requests/{first.id}/accept", {})
    group = {"kind": "group", "title": "Soak", "members": [other.id for other in others], "key": client_id()}
    room = (await first.ask("POST", "/conversations", group))["id"]
    call = await first.ask("POST", "/calls", {"conversation": room, "key": client_id()})
    path = f"/calls/{call['id']}"
    for caller in callers:
        await caller.join(path, [other for other in callers if other is not caller])
    for caller in callers:
        await caller.watch()
    return callers
