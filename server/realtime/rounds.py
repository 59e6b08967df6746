"""Work that comes round: every so many seconds, and at once when somebody knows that there is something to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog

from server.store import StoreError

log = structlog.get_logger(__name__)


async def put_down(tasks: Iterable[asyncio.Task[Any]], within: float = 1.0) -> None:
    """Cancels what can be gone on with later. A database that hangs is waited for `within` seconds."""
    cancelled = set(tasks)
    for task in cancelled:
        task.cancel()
    if cancelled:
        await asyncio.wait(cancelled, timeout=within)


class Rounds:
    """Calls `work` at the start, after each `hurry`, and `every` so many seconds besides.

    It waits for a database that is away, and no fault ends it: `work` finds in the database what there is to do, so the
    next round does what this one could not. `done` is set when a round has ended well and nobody has hurried since.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], *, every: float) -> None:
        self._name = name
        self._work = work
        self._every = every
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.done = asyncio.Event()

    def start(self) -> None:
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self, within: float = 1.0) -> None:
        """What is under way is left where it is; a database that hangs is waited for `within` seconds."""
        if self._task is not None:
            await put_down([self._task], within)

    def hurry(self) -> None:
        self.done.clear()
        self._wake.set()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._work()
                if not self._wake.is_set():
                    self.done.set()
            except StoreError as fault:
                log.warning("round waits for the database", name=self._name, fault=type(fault).__name__)
            except Exception:
                log.exception("round failed; there will be another", name=self._name)
