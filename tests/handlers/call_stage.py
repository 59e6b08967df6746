"""Calls over HTTP: people at their browsers, and what makes things fail for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.calls.repo import CallsRepo
from server.errors import Code
from server.limits import Limits
from tests.calls.conftest import OFFER, Silent
from tests.chat.conftest import World
from tests.conftest import RunningServer
from tests.handlers.conftest import Answer, Client
from tests.people.conftest import CHEAP
from tests.wire.client import client_id

NOWHERE = "/calls/cl_" + "0" * 20
OFF = "/recordings/cr_" + "0" * 20


class Exchange(World):
    """Ann has a group with Tom and Max, in which Tom is a member like Max, and speaks with Tom alone, too. Eve knows
    nobody. A client by the name of each, and `ids` by name."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__(server.services)
        self.patch: pytest.MonkeyPatch
        self.ids: dict[str, str] = {}
        self.ann, self.tom, self.max, self.eve = (Client(server.url) for _ in range(4))
        self.again = Client(server.url)  # Tom's other device
        self.crowd = self.pair = ""

    async def open(self, patch: pytest.MonkeyPatch) -> Exchange:
        patch.setattr(self.services.people._passwords, "_hasher", CHEAP)
        for name in ("ann", "tom", "max", "eve"):
            self.ids[name] = (await getattr(self, name).register(name))["id"]
        await (await self.again.begin()).post("/sessions", {"login": "tom", "password": "paper and seal"})
        ann, tom, max_ = (self.ids[name] for name in ("ann", "tom", "max"))
        await self.befriend(ann, tom, max_)
        self.crowd, self.pair = await self.group(ann, tom, max_), await self.direct(ann, tom)
        return self

    @property
    def plane(self) -> Silent:
        return self.services._live.plane  # type: ignore[return-value]

    async def clear(self) -> None:
        """Nobody is in a call."""
        for name in ("call_claims", "calls", "call_seats"):
            await self.services.store.collection(name).delete_many({})

    def wanted(self, room: str = "", **more: Any) -> dict[str, Any]:
        return {"conversation": room or self.crowd, "key": client_id(), **more}

    async def ringing(self, by: Client | None = None, room: str = "") -> str:
        """The path of a fresh call, started by Ann."""
        await self.clear()
        answer = await (by or self.ann).post("/calls", self.wanted(room))
        assert answer.status == 201, answer.data
        return f"/calls/{answer.json['id']}"

    async def running(self, room: str = "") -> str:
        """Tom has joined."""
        path = await self.ringing(room=room)
        answer = await self.tom.post(f"{path}/accept")
        assert answer.status == 200, answer.data
        return path

    async def connected(self, direction: str = "watch") -> tuple[str, str]:
        """A call, and a connection of Tom's in it."""
        path = await self.running()
        answer = await self.tom.post(f"{path}/connections", {"direction": direction, "offer": OFFER})
        assert answer.status == 201, answer.data
        return path, f"{path}/connections/{answer.json['id']}"

    async def recorded(self, *, over: bool = True) -> str:
        """The path of a recording of Ann and Tom."""
        path = await self.running()
        await self.tom.post(f"{path}/connections", {"direction": "publish", "offer": OFFER})
        for client in (self.ann, self.tom):
            assert (await client.post(f"{path}/recording", {"on": True})).status == 200
        await self.settle()
        recording = self.plane.recording[path.rpartition("/")[2]][0]
        if over:
            await self.tom.post(f"{path}/recording", {"on": False})
            await self.settle()
        return f"/recordings/{recording}"

    async def settle(self) -> None:
        works = [part._background for part in (self.services.calls.keeper, self.services.calls.recordings)]
        while any(work._tasks for work in works):
            for work in works:
                await work.stop(5)

    # ── What makes things fail ──────────────────────────────────────────────────────────────────────────────────────

    def exhaust(self, limit: str) -> None:
        real = Limits.take

        async def take(limits: Limits, name: str, key: str, n: int) -> bool:
            return name != limit and await real(limits, name, key, n)

        self.patch.setattr(Limits, "take", take)

    def others_faster(self) -> None:
        """Whatever is written, somebody else was there before."""

        async def refuse(*args: Any, **more: Any) -> bool:
            return False

        self.patch.setattr(CallsRepo, "replace", refuse)


Scene = Callable[[Exchange], Awaitable[Answer]]
SCENES: dict[tuple[str, Code], Scene] = {}


def scene(operation: str, code: Code) -> Callable[[Scene], Scene]:
    def add(play: Scene) -> Scene:
        SCENES[operation, code] = play
        return play

    return add
