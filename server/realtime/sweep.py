"""The sweep: finds entries that other nodes made durable and the bus did not bring.

Every 5 s and after each rejoining of the bus the trails of the other nodes are read on. When a node comes or goes, or
this one was away for so long that a trail has been deleted, every gate is compared with the log: what was written
before two nodes knew of each other, or by one that died before it could tell, is found too. A node that is alone reads
nothing, unless appends of its own have ended in doubt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import structlog

from server.realtime.entries import EntryLog
from server.realtime.gate import Gate
from server.realtime.gates import Gates
from server.realtime.metrics import RECOVERED
from server.realtime.nodes import LEASE, Nodes
from server.realtime.trail import trail_channel
from server.store import StoreError

EVERY = 5.0  # seconds
#: For so many seconds after an append was left in doubt its channel is compared with the log.
DOUBT = 120.0
#: For so many seconds after a node has come it may not know of this one yet, and not tell it what it writes.
ACQUAINTED = LEASE
#: Gates compared with the log at once.
_AT_ONCE = 16

log = structlog.get_logger(__name__)


class Sweep:
    def __init__(self, log: EntryLog, nodes: Nodes, gates: Gates) -> None:
        self._log = log
        self._nodes = nodes
        self._gates = gates
        self._wake = asyncio.Event()
        #: trail → the last number that was read
        self._read: dict[str, int] = {}
        #: until when (monotonic seconds) every gate is compared; at least once when `_thorough`
        self._thorough_until = 0.0
        self._thorough = False
        #: channel → until when it is compared
        self._doubtful: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        nodes.on_come.append(lambda _: self.be_thorough(ACQUAINTED))
        nodes.on_gone.append(lambda _: self.be_thorough())
        nodes.on_absence.append(lambda: self.be_thorough(ACQUAINTED))

    def start(self) -> None:
        if not self._nodes.alone:
            self.be_thorough(ACQUAINTED)
        self._task = asyncio.create_task(self._run(), name="sweep")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hurry(self) -> None:
        """Sweeps at once: something may have been missed."""
        self._wake.set()

    def be_thorough(self, seconds: float = 0.0) -> None:
        """Compares every gate with the log, once or for some time."""
        self._thorough = True
        self._thorough_until = max(self._thorough_until, time.monotonic() + seconds)
        self._wake.set()

    def doubt(self, channels: Iterable[str]) -> None:
        """Appends to these channels were refused although they may have become durable, or still may."""
        until = time.monotonic() + DOUBT
        self._doubtful.update(dict.fromkeys(channels, until))

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
        others = self._nodes.trails_of_others()
        for node, trails in others.items():
            for lane, last in enumerate(trails):
                await self._follow(trail_channel(node, lane), last)
        known = {trail_channel(node, lane) for node, trails in others.items() for lane in range(len(trails))}
        self._read = {trail: last for trail, last in self._read.items() if trail in known}
        now = time.monotonic()
        self._doubtful = {ch: until for ch, until in self._doubtful.items() if until > now}
        if self._thorough or now < self._thorough_until:
            self._thorough = False
            try:
                await self._compare(list(self._gates))
            except StoreError:
                self._thorough = True
                raise
        elif self._doubtful:
            await self._compare([gate for ch in self._doubtful if (gate := self._gates.live(ch)) is not None])

    async def _follow(self, trail: str, last: int) -> None:
        """Reads a trail on; it has come to `last` or further."""
        read = self._read.get(trail)
        if read is None:
            # Known from now on: what was written before is found by comparing, because the node has just come.
            self._read[trail] = last
            return
        while rows := await self._log.trail(trail, read + 1):
            for row in rows:
                read = row["seq"]
                for ch, seq in row["wrote"]:
                    self._announce(ch, seq)
            self._read[trail] = read
        if read < last:  # deleted meanwhile
            self._read[trail] = last
            self.be_thorough()

    def _announce(self, ch: str, seq: int) -> None:
        gate = self._gates.live(ch)
        if gate is not None and seq > gate.delivered:
            RECOVERED.inc()
            gate.expect(seq)

    async def _compare(self, gates: list[Gate]) -> None:
        for start in range(0, len(gates), _AT_ONCE):
            await asyncio.gather(*(self._compare_one(gate) for gate in gates[start : start + _AT_ONCE]))

    async def _compare_one(self, gate: Gate) -> None:
        if gate.is_open and await self._log.exists(gate.ch, gate.delivered + 1):
            head = await self._gates.log_head(gate.ch)
            self._announce(gate.ch, head.seq)
