"""The sweep: finds entries that other nodes made durable and the bus did not bring.

Every 5 s, after each rejoining of the bus, and for two minutes after a node's lease has lapsed, what the other nodes
wrote in the last window of time is compared with the gates here. A node that is alone reads nothing, unless one of its
own appends has ended in doubt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from server.clock import Clock
from server.realtime.entries import EntryLog
from server.realtime.gate import Gate
from server.realtime.metrics import RECOVERED
from server.realtime.nodes import Nodes
from server.store import StoreError

EVERY = 5.0  # seconds
#: Windows overlap by this much: the clocks of two nodes may differ, and a write takes a while.
OVERLAP = timedelta(seconds=15)
#: How far back, and how long from then on, this node's own entries are looked for after an append was left in doubt.
DOUBT = timedelta(minutes=2)
_STEP = timedelta(seconds=30)

log = structlog.get_logger(__name__)


class Sweep:
    def __init__(self, log: EntryLog, nodes: Nodes, clock: Clock, gate: Callable[[str], Gate | None]) -> None:
        self._log = log
        self._nodes = nodes
        self._clock = clock
        self._gate = gate
        self._wake = asyncio.Event()
        self._until: datetime | None = None
        self._doubt_until: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._until = self._clock.now()
        self._task = asyncio.create_task(self._run(), name="sweep")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hurry(self) -> None:
        """Sweeps at once: something may have been missed."""
        self._wake.set()

    def doubt(self) -> None:
        """An append of this node was refused although it may have become durable: its own entries are swept too."""
        now = self._clock.now()
        self._doubt_until = now + DOUBT
        self._until = min(self._until or now, now - DOUBT)

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(EVERY):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.once()
            except StoreError as fault:
                log.warning("sweep waits for the database", fault=type(fault).__name__)
            except Exception:
                log.exception("sweep failed; it goes on")

    async def once(self) -> None:
        """One sweep over what was written since the last one."""
        now, swept = self._clock.now(), self._until
        since = min(swept or now, now) - OVERLAP
        nodes = self._nodes.recent()
        if self._doubt_until is not None and now < self._doubt_until:
            nodes.add(self._nodes.node)
        while since < now + OVERLAP:
            until = since + _STEP
            for node in nodes:
                for ch, seq in await self._log.written_by(node, since, until):
                    gate = self._gate(ch)
                    if gate is not None and seq > gate.delivered:
                        RECOVERED.inc()
                        gate.expect(seq)
            since = until
        if self._until == swept:  # else a doubt has come up meanwhile
            self._until = now
