"""Taking turns by name: so many at once for each key, and nothing kept of keys that nobody uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """`async with turns.of(key):` waits while `at_once` others with the same key are inside."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._turns: dict[str, tuple[asyncio.Semaphore, int]] = {}

    def __len__(self) -> int:
        """Keys in use."""
        return len(self._turns)

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        turn, users = self._turns.get(key) or (asyncio.Semaphore(self._at_once), 0)
        self._turns[key] = (turn, users + 1)
        try:
            async with turn:
                yield
        finally:
            users = self._turns[key][1] - 1
            if users:
                self._turns[key] = (turn, users)
            else:
                del self._turns[key]
