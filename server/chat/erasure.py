"""Erases the words of people who have deleted their account; the numbers of their messages stay.

The list of rooms is written with the deletion, so that a restart goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from server.chat.repo import ConversationRepo
from server.clock import Clock
from server.realtime.hub import Hub
from server.realtime.outbox import Outbox
from server.store import StoreError

_AGAIN = 60.0  # seconds
#: Words that were under way when the account was deleted are in the log after this long: then it is done once more.
LATE = timedelta(seconds=30)

log = structlog.get_logger(__name__)


class Erasure:
    def __init__(self, repo: ConversationRepo, hub: Hub, outbox: Outbox, clock: Clock) -> None:
        self._repo = repo
        self._hub = hub
        self._outbox = outbox
        self._clock = clock
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        #: set when everything known has been gone through since the last deletion
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
                for person, rooms, at in await self._repo.erasures():
                    for room in rooms:
                        await self._outbox.settled(f"conv:{room}")
                        await self._hub.eraser.person(f"conv:{room}", person)
                    if self._clock.now() - at > LATE:
                        await self._repo.end_erasure(person)
                if not self._wake.is_set():
                    self.done.set()
            except StoreError as fault:
                log.warning("erasure waits for the database", fault=type(fault).__name__)
            except Exception:
                log.exception("erasure failed; it is tried again")
