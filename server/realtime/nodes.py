"""Which processes serve this database now: one lease document per node, renewed every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from server.clock import Clock
from server.store import Index, Store, StoreError

RENEW_EVERY = 5.0  # seconds
LEASE = timedelta(seconds=15)
#: How long a node that is gone is still remembered, so that its last entries are looked for.
MEMORY = timedelta(minutes=2)

log = structlog.get_logger(__name__)


class Nodes:
    """This node's lease, and the others'. `on_come` and `on_gone` are called once for each node whose lease is seen
    for the first time or lapses."""

    def __init__(self, store: Store, clock: Clock, node: str) -> None:
        self._store = store
        self._rows = store.collection("nodes")
        self._clock = clock
        self.node = node
        self.on_come: list[Callable[[str], None]] = []
        self.on_gone: list[Callable[[str], None]] = []
        self._seen: dict[str, datetime] = {}
        self._live: set[str] = set()
        #: when the leases were last read
        self._looked = clock.now()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._store.ensure_indexes("nodes", [Index([("at", 1)], ttl=3600)])
        now = self._clock.now()
        await self._rows.insert_one({"_id": self.node, "at": now, "since": now})
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

    def live(self) -> set[str]:
        """The other nodes whose lease holds."""
        return set(self._live)

    def recent(self) -> set[str]:
        """The other nodes that were alive within MEMORY before the leases were last read: while the database is away
        nobody is forgotten, and what they write meanwhile is looked for afterwards."""
        horizon = self._looked - MEMORY
        return {node for node, at in self._seen.items() if at >= horizon}

    async def renew(self) -> None:
        """Renews the lease and looks at the others'."""
        now = self._clock.now()
        await self._rows.update_one({"_id": self.node}, {"$set": {"at": now}}, upsert=True)
        rows = await self._rows.find({"at": {"$gte": now - MEMORY}}).to_list(None)
        self._looked = now
        for row in rows:
            if row["_id"] != self.node:
                self._seen[row["_id"]] = row["at"]
        live = {node for node, at in self._seen.items() if at >= now - LEASE}
        come, gone, self._live = live - self._live, self._live - live, live
        for node in come:
            for callback in self.on_come:
                callback(node)
        for node in gone:
            log.info("a node's lease has lapsed", node=node)
            for callback in self.on_gone:
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
