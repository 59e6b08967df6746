"""Search on the real database: the chat's world, and the index that follows it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server.chat.words import Message
from server.media.model import Media
from server.realtime.channels import Draft
from server.realtime.entries import EntryLog
from server.search.indexer import Indexer
from server.search.model import Filters, Hits
from server.search.repo import IndexRepo
from server.services import Services
from tests.chat.conftest import World
from tests.wire.client import client_id


class Library(World):
    """A world in which one can search."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.index = IndexRepo(services.store)

    async def indexed(self) -> None:
        """Waits until everything that was said is in the index."""
        await self.services.followers.settled()

    async def made_anew(self, *rooms: str) -> None:
        """Empties the index and has that of these conversations made from their logs, as another node would."""
        await self.indexed()
        for name in ("search_shelves", "search_blocks"):
            await self.services.store.collection(name).delete_many({})
        log = EntryLog(self.services.store)
        for room in rooms:
            head = await self.hub.gates.log_head(f"conv:{room}")
            await Indexer(self.index, log).follow(f"conv:{room}", await log.read(f"conv:{room}", 1, head.seq))

    async def find(self, who: str, query: str, *, before: str | None = None, limit: int = 20, **filters: Any) -> Hits:
        await self.indexed()
        return await self.services.search.find(who, query, Filters(**filters), before, limit)

    async def carry(self, person: str, id: str, text: str, *things: Media) -> int:
        """A message with media, as if they had been uploaded."""
        body = msgspec.to_builtins(Message(text, list(things)))
        draft = Draft(f"conv:{id}", person, client_id(), "message", body)
        return (await self.hub.append(draft)).entry.seq

    async def kept(self) -> set[str]:
        """All terms that the database holds, wherever."""
        await self.indexed()
        store, terms = self.services.store, set[str]()
        for shelf in await store.collection("search_shelves").find({}).to_list(None):
            for line in shelf["lines"]:
                terms |= set(line[:-1].split("\n")[1:])
        for block in await store.collection("search_blocks").find({}).to_list(None):
            terms |= set(block["terms"][1:-1].split("\n"))
        return terms - {""}

    async def numbers(self, who: str, query: str, **asked: Any) -> list[int]:
        """The numbers of what is found, in the order of the answer."""
        return [hit.entry.seq for hit in (await self.find(who, query, **asked)).hits]


@pytest.fixture
def library(services: Services) -> Library:
    return Library(services)
