"""The processes that read, seal and check pictures: two wait, warm, for a while after somebody was about to need them.

One that has looked into somebody's file ends with that order: whatever was in the file is gone with it. One that seals
gets bare pixels from us, and goes on; it ends after so many pictures, or so long, or when nobody needs it, or when an
order takes too long, or with the server.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import StrEnum

import structlog

from server.media.workshop import end, spawn
from server.proofs import metrics
from server.realtime.background import Background

_MODULE = "server.proofs.worker"
#: seconds that a worker waits for an order, and pictures that one seals
IDLE_SECONDS = 600.0
MOST_ORDERS = 100

log = structlog.get_logger(__name__)


class Trade(StrEnum):
    """`look`: reads and checks what people send, without a key. `seal`: draws and signs."""

    LOOK = "look"
    SEAL = "seal"


class Worker:
    def __init__(self, trade: Trade, process: asyncio.subprocess.Process) -> None:
        self.trade = trade
        self.process = process
        self.orders = 0
        #: whether it has waited for its order, and may have died meanwhile
        self.waited = False

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    @property
    def worn(self) -> bool:
        """Whether it has to end after what it has done."""
        return (self.trade is Trade.LOOK and self.orders > 0) or self.orders >= MOST_ORDERS


class Workers:
    """At most one of each trade waits; how many work is bounded by who asks for them."""

    def __init__(self) -> None:
        self._waiting: dict[Trade, Worker] = {}
        self._spawning = {trade: asyncio.Lock() for trade in Trade}
        self._background = Background()
        self._retiring: asyncio.TimerHandle | None = None
        self._stopped = False

    def warm(self) -> None:
        """Somebody is about to take a picture: has one of each trade ready."""
        for trade in Trade:
            self._background.spawn(self._warm(trade), "picture worker")

    async def take(self, trade: Trade) -> Worker:
        """One that waits, or a new one. Raises OSError."""
        async with self._spawning[trade]:  # one that is just being started is waited for
            worker = self._waiting.pop(trade, None)
        if worker is not None and worker.alive:
            worker.waited = True
            return worker
        if worker is not None:
            await self.end(worker)
        return await self._start(trade)

    async def put_back(self, worker: Worker) -> None:
        """It has answered."""
        worker.orders += 1
        if worker.worn or not worker.alive or worker.trade in self._waiting or self._stopped:
            await self.end(worker)
            return
        self._waiting[worker.trade] = worker
        self._retire_later()

    async def end(self, worker: Worker) -> None:
        await end(worker.process)
        metrics.WORKERS.dec()

    @property
    def waiting(self) -> dict[Trade, int]:
        """Trade → process id."""
        return {trade: worker.process.pid for trade, worker in self._waiting.items() if worker.alive}

    async def stop(self) -> None:
        self._stopped = True
        if self._retiring is not None:
            self._retiring.cancel()
        await self._background.stop()
        await self._retire()

    async def _warm(self, trade: Trade) -> None:
        async with self._spawning[trade]:
            known = self._waiting.get(trade)
            if known is not None and known.alive:
                self._retire_later()
                return
            if known is not None:
                await self.end(self._waiting.pop(trade))
            with suppress(OSError):  # whoever needs it says so
                self._waiting[trade] = await self._start(trade)
        self._retire_later()

    async def _start(self, trade: Trade) -> Worker:
        process = await spawn(_MODULE, trade.value)
        metrics.WORKERS.inc()
        return Worker(trade, process)

    def _retire_later(self) -> None:
        if self._retiring is not None:
            self._retiring.cancel()
        if not self._stopped:
            loop = asyncio.get_running_loop()
            self._retiring = loop.call_later(
                IDLE_SECONDS, lambda: self._background.spawn(self._retire(), "idle picture workers")
            )

    async def _retire(self) -> None:
        while self._waiting:
            await self.end(self._waiting.popitem()[1])
