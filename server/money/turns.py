"""Whose turn it is in this process. Transactions on the same accounts wait for each other here, before they begin, and
not in the database, where they would conflict and be run again (46 transfers a second instead of 191, measured)."""

from __future__ import annotations

import asyncio
import heapq
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from server.money.folio import LANES, PERSONAL
from server.money.model import Account


class Turns:
    """Nobody waits for a lane while others wait for a lock that they hold: locks first, in fixed order, then a lane.

    The number of lanes is also how many transfers of this process the database works on at once; it does more no
    faster.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # Those that are used least often differ from node to node, so that nodes get into each other's way seldom.
        self._first = secrets.randbelow(LANES)
        self._free = list(range(LANES))
        self._room = asyncio.Semaphore(LANES)

    @asynccontextmanager
    async def of(self, accounts: Iterable[Account]) -> AsyncIterator[int]:
        """Ours alone, in this process: these people's accounts, and one lane of every account of the house."""
        owners = sorted({account.owner for account in accounts if account.kind in PERSONAL})
        async with AsyncExitStack() as stack:
            for owner in owners:
                if (lock := self._locks.get(owner)) is None:
                    lock = self._locks[owner] = asyncio.Lock()
                await stack.enter_async_context(lock)
            await stack.enter_async_context(self._room)
            place = heapq.heappop(self._free)
            try:
                yield (place + self._first) % LANES
            finally:
                heapq.heappush(self._free, place)


def any_lane() -> int:
    """For a transaction that took no turn: most likely one that nobody has."""
    return secrets.randbelow(LANES)
