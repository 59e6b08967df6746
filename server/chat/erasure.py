"""Erases the words of people who have deleted their account; the numbers of their messages stay.

The list of rooms is written with the deletion, so that a restart goes on where it stopped.
"""

from __future__ import annotations

import asyncio

import structlog

from server.chat.repo import ConversationRepo
from server.realtime.hub import Hub
from server.store import StoreError

_AGAIN = 60.0  # seconds

log = structlog.get_logger(__name__)


class Erasure:
    def __init__(self, repo: ConversationRepo, hub: Hub) -> None:
        self._repo = repo
        self._hub = hub
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        #: set while nothing is left to erase
        self.done = asyncio.Event()

    def start(self) -> None:
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="erasure")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hurry(self) -> None:
        self.done.clear()
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_AGAIN):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                for person, rooms in await self._repo.erasures():
                    for room in rooms:
                        await self._hub.eraser.person(f"conv:{room}", person)
                        await self._repo.erased(person, room)
                    await self._repo.end_erasure(person)
                if not self._wake.is_set():
                    self.done.set()
            except StoreError as fault:
                log.warning("erasure waits for the database", fault=type(fault).__name__)
            except Exception:
                log.exception("erasure failed; it is tried again")
