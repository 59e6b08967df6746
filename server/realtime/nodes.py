"""Which processes serve this database now: one lease document per node, renewed every few seconds.

A lease holds while it is seen to change. Nobody's clock is compared with anybody else's: clocks of machines differ, and
jump. A node that greets over the bus is known at once, before its lease is read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import msgspec
import structlog

from server.clock import Clock
from server.store import Index, Store, StoreError

RENEW_EVERY = 5.0  # seconds
#: Seconds without a change after which a lease has lapsed.
LEASE = 15.0
#: How long a node that is gone is still remembered, so that its last entries are looked for; in seconds.
MEMORY = 120.0
#: After so many seconds the database deletes the lease of a node that could not do it itself.
_DELETED_AFTER = 3600

log = structlog.get_logger(__name__)


class _Sight(msgspec.Struct):
    """What was last seen of a node's lease, and when (monotonic seconds) it last changed."""

    changed: float
    beat: int = -1
    #: how far its trails have come, one number per lane
    trails: list[int] = []


class Nodes:
    """This node's lease, and the others'. `on_come` and `on_gone` are called once for each node that is seen for the
    first time or whose lease lapses, `on_absence` when this node itself could not renew its lease for so long that the
    others may have given it up; `trails` tells how far this node's own trails have come."""

    def __init__(self, store: Store, clock: Clock, node: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._rows = store.collection("nodes")
        self._clock = clock
        self._monotonic = monotonic
        self.node = node
        self.on_come: list[Callable[[str], None]] = []
        self.on_gone: list[Callable[[str], None]] = []
        self.on_absence: list[Callable[[], None]] = []
        self.trails: Callable[[], Sequence[int]] = tuple
        self._beat = 0
        #: when the leases were last read, in monotonic seconds
        self._looked = monotonic()
        self._sights: dict[str, _Sight] = {}
        self._live: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._store.ensure_indexes("nodes", [Index([("at", 1)], ttl=_DELETED_AFTER)])
        now = self._clock.now()
        await self._rows.insert_one({"_id": self.node, "at": now, "since": now, "beat": 0, "trails": []})
        await self.renew()
        self._task = asyncio.create_task(self._run(), name="node lease")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(2):
                await self._rows.delete_one({"_id": self.node})
        except (StoreError, TimeoutError):
            pass  # the lease lapses by itself

    @property
    def alone(self) -> bool:
        """Whether no other node is known to live: then nobody needs to be told of anything."""
        return not self._live

    def live(self) -> set[str]:
        """The other nodes whose lease holds."""
        return set(self._live)

    def trails_of_others(self) -> dict[str, list[int]]:
        """The other nodes that were alive within MEMORY, and how far their trails have come at least. While the
        database is away nobody is forgotten: what they write meanwhile is looked for afterwards."""
        return {node: sight.trails for node, sight in self._sights.items() if self._looked - sight.changed < MEMORY}

    def greeted(self, node: str) -> bool:
        """Another node was heard on the bus; answers whether it is new here."""
        if node == self.node or node in self._live:
            return False
        self._sights.setdefault(node, _Sight(0.0)).changed = self._monotonic()
        self._come(node)
        return True

    async def renew(self) -> None:
        """Renews the lease and looks at the others'."""
        self._beat += 1
        mine = {"at": self._clock.now(), "beat": self._beat, "trails": list(self.trails())}
        await self._rows.update_one({"_id": self.node}, {"$set": mine}, upsert=True)
        rows = await self._rows.find({}).to_list(None)
        now, wall = self._monotonic(), self._clock.now()
        absent, self._looked = now - self._looked, now
        if absent > 2 * RENEW_EVERY:  # nobody's lease could be seen to change meanwhile
            for sight in self._sights.values():
                sight.changed += absent
        for row in rows:
            if row["_id"] == self.node:
                continue
            beat: int = row.get("beat", 0)
            if row["_id"] not in self._sights:
                # The first look cannot see a change. A lease that looks fresh counts; another one when it has changed.
                fresh = abs(wall - row["at"]) < timedelta(seconds=LEASE)
                self._sights[row["_id"]] = _Sight(now if fresh else now - LEASE, beat)
            sight = self._sights[row["_id"]]
            if sight.beat != beat:
                sight.changed, sight.beat = now, beat
            sight.trails = row.get("trails", [])
        live = {node for node, sight in self._sights.items() if now - sight.changed < LEASE}
        gone, come = self._live - live, live - self._live
        self._live &= live
        for node in come:
            self._come(node)
        for node in gone:
            log.info("a node's lease has lapsed", node=node)
            for callback in self.on_gone:
                callback(node)
        there = {row["_id"] for row in rows} | live
        self._sights = {node: sight for node, sight in self._sights.items() if node in there}
        if absent > LEASE:
            for tell in self.on_absence:
                tell()

    def _come(self, node: str) -> None:
        self._live.add(node)
        for callback in self.on_come:
            callback(node)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                await self.renew()
            except StoreError as fault:
                log.warning("lease not renewed", fault=type(fault).__name__)
            except Exception:
                log.exception("lease not renewed; it is tried again")
