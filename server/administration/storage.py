"""What is kept, and how much of it: counted in the background, because counting is dear on the embedded engine."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from server.administration.model import Holding, Storage
from server.clock import Clock, to_ms
from server.store import Store, StoreError, probe, raw

#: A census is good for so long.
FRESH = timedelta(minutes=15)
#: The embedded engine has no counts of its own: so many documents of a collection are looked at.
COUNTED = 10_000

log = structlog.get_logger(__name__)

#: Tells a count that somebody keeps.
Count = Callable[[], Awaitable[int]]


class Census:
    """`kept` are collections whose documents somebody counts already; `directory` holds the embedded database, None
    with one of its own."""

    def __init__(self, store: Store, clock: Clock, *, kept: Mapping[str, Count], directory: Path | None) -> None:
        self._store = store
        self._clock = clock
        self._kept = kept
        self._directory = directory
        self._holdings: list[Holding] = []
        self._at: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def storage(self) -> Storage:
        """What was counted last; begins to count again when that is old."""
        if self._at is None or self._clock.now() - self._at > FRESH:
            self._begin()
        disk, free = await asyncio.to_thread(self._disk)
        return Storage(
            engine="mongodb" if self._directory is None else "embedded",
            counted_at=to_ms(self._at) if self._at else None,
            holdings=self._holdings,
            disk_bytes=disk,
            free_bytes=free,
        )

    async def counted(self) -> None:
        """Waits for the census under way."""
        if self._task is not None:
            await self._task

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._count(), name="census")

    async def _count(self) -> None:
        try:
            holdings = [await self._holding(name) for name in await raw.names(self._store)]
        except StoreError as fault:
            log.warning("the database could not be counted", fault=type(fault).__name__)
            return
        self._holdings = sorted(holdings, key=lambda holding: (-holding.documents, holding.name))
        self._at = self._clock.now()

    async def _holding(self, name: str) -> Holding:
        if self._directory is None:
            size = await probe.size(self._store, name)
            return Holding(name, size.documents, False, size.bytes, size.index_bytes)
        if (count := self._kept.get(name)) is not None:
            return Holding(name, await count(), False, None, None)
        documents = await probe.count_up_to(self._store, name, COUNTED)
        return Holding(name, documents, documents == COUNTED, None, None)

    def _disk(self) -> tuple[int | None, int | None]:
        if self._directory is None:
            return None, None
        try:
            used = sum(file.stat().st_size for file in self._directory.rglob("*") if file.is_file())
            return used, shutil.disk_usage(self._directory).free
        except OSError:
            return None, None
