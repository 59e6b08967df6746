"""People who send things to each other over HTTP, on the real server with real workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from tornado.httputil import HTTPHeaders

from server.media.rules import CHUNK, OPEN_MOST
from server.settings import Settings
from tests.conftest import RunningServer
from tests.handlers.conftest import Answer, Client
from tests.wire.client import client_id

#: seconds that a worker may take on a busy machine
PATIENCE = 60.0


class Sender(Client):
    """Somebody with a browser who uploads. Refusals are checked against what the operations declare."""

    id = ""

    async def begin_upload(self, conversation: str, kind: str, size: int, name: str = "thing") -> Answer:
        wanted = {"conversation": conversation, "kind": kind, "name": name, "size": size}
        return await self.post("/uploads", wanted)

    async def patch(self, upload: str, offset: int, data: bytes) -> Answer:
        return await self.call(
            "PATCH",
            f"/uploads/{upload}?offset={offset}",
            data=data,
            headers={"Content-Type": "application/octet-stream"},
        )

    async def upload(self, conversation: str, kind: str, data: bytes, name: str = "thing") -> dict[str, Any]:
        """Sends all of it; the Upload once it is ready or refused."""
        begun = await self.begin_upload(conversation, kind, len(data), name)
        assert begun.status == 201, begun.data
        id: str = begun.json["id"]
        for offset in range(0, len(data), CHUNK):
            answer = await self.patch(id, offset, data[offset : offset + CHUNK])
            assert answer.status == 200, answer.data
        return await self.settled(id)

    async def settled(self, upload: str) -> dict[str, Any]:
        """Polls as clients do."""
        async with asyncio.timeout(PATIENCE):
            while True:
                told: dict[str, Any] = (await self.get(f"/uploads/{upload}")).json
                if told["state"] in ("ready", "refused"):
                    return told
                await asyncio.sleep(0.05)

    async def ready(self, conversation: str, kind: str, data: bytes, name: str = "thing") -> dict[str, Any]:
        """The facts of what has become ready."""
        told = await self.upload(conversation, kind, data, name)
        assert told["state"] == "ready", told
        facts: dict[str, Any] = told["media"]
        return facts

    async def refused(self, conversation: str, kind: str, data: bytes, name: str = "thing") -> str:
        """The code of why it was refused, with a sentence."""
        told = await self.upload(conversation, kind, data, name)
        assert told["state"] == "refused", told
        assert told["fault"]["message"].endswith(".")
        assert told["media"] is None
        return str(told["fault"]["code"])

    async def send(self, conversation: str, *media: dict[str, Any], text: str = "", id: str | None = None) -> Answer:
        body = {"text": text, "media": list(media)}
        wanted = {"id": id or client_id(), "kind": "message", "body": body}
        return await self.post(f"/conversations/{conversation}/entries", wanted)

    async def read(self, media: str, variant: str = "main", **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call("GET", f"/media/{media}/{variant}", headers=sent)


Gather = Callable[..., Awaitable[list[Sender]]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Loose limits: a test that is about a limit sets it itself."""
    return msgspec.structs.replace(settings, limits_factor=1000.0)


@pytest.fixture
def gather(server: RunningServer) -> Gather:
    """`await gather("lin", "emma")`: the first is a friend of all others."""

    async def people(*handles: str) -> list[Sender]:
        made = [Sender(server.url) for _ in handles]
        for sender, handle in zip(made, handles, strict=True):
            sender.id = (await sender.register(handle))["id"]
        for other in made[1:]:
            await made[0].post("/friends/requests", {"person": other.id})
            await other.post(f"/friends/requests/{made[0].id}/accept")
        return made

    return people


async def direct(one: Sender, other: Sender) -> str:
    """The id of their conversation."""
    return str((await one.post("/conversations", {"kind": "direct", "person": other.id})).json["id"])


async def group(owner: Sender, *members: Sender, share_history: bool = False) -> str:
    wanted = {
        "kind": "group",
        "title": "Tea",
        "members": [member.id for member in members],
        "share_history": share_history,
        "key": client_id(),
    }
    return str((await owner.post("/conversations", wanted)).json["id"])


def header(answer: Answer, name: str) -> str:
    headers: HTTPHeaders = answer.headers
    return headers.get(name, "")


async def nothing_is_left(server: RunningServer, *people: Sender) -> None:
    """Of all that was ever sent here neither a row nor a byte is kept, and nobody is charged for it."""
    media, store = server.services.media, server.services.store
    async with asyncio.timeout(PATIENCE):
        while left := [name for name in _KEPT if await store.collection(name).find_one({})]:
            media.janitor.rounds.hurry()
            await media.janitor.rounds.done.wait()
    assert left == []
    for person in people:
        told = (await person.get("/uploads/limits")).json
        assert (told["used"], told["open"]) == (0, OPEN_MOST)


#: collections that are empty when nothing was sent, or all of it is gone
_KEPT = ("media", "blobs.files", "blobs.chunks", "upload_parts", "media_jobs", "media_checks")
