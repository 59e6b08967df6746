"""The outbox: how a change of state and its entries become one thing.

A service that changes something puts the entries that tell of it into the outbox *in the same transaction*. After the
commit, at start and by sweep a relay appends them to their channels' logs and takes them out. Their ids are
deterministic, so doing it twice, or on two nodes at once, appends them once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol

import structlog

from server.clock import Clock
from server.errors import TRANSIENT, VouchError
from server.realtime.channels import Draft
from server.realtime.metrics import OUTBOX_WAITING
from server.store import Document, Index, Store, StoreError, Tx

SWEEP_EVERY = 5.0  # seconds
#: Seconds for which somebody who has changed something waits for its entries; the change holds in any case.
SETTLES_WITHIN = 2.0
_PENDING = 500
#: Channels relayed at once: their entries become durable together.
_AT_ONCE = 32

log = structlog.get_logger(__name__)


class Append(Protocol):
    async def __call__(self, draft: Draft) -> Any: ...


class Outbox:
    """Entries waiting for their number. `put` is for services; `start` and `stop` run the relay."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._rows = store.collection("outbox")
        self._clock = clock
        self._append: Append | None = None
        self._dirty: set[str] = set()
        self._relaying: set[str] = set()
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def put(
        self,
        tx: Tx,
        *,
        id: str,
        ch: str,
        order: int,
        kind: str,
        body: dict[str, Any],
        by: str = "system",
        ref: int | None = None,
    ) -> None:
        """Records an entry to be appended once `tx` commits.

        `id` is deterministic and unique (`conv:c_1:7`); `order` rises with the version of what changed: entries of one
        channel are appended in that order.
        """
        row = {"_id": f"{by}:{id}", "ch": ch, "order": order, "by": by, "id": id, "kind": kind, "body": body}
        await self._rows.insert_one({**row, "ref": ref, "shard": 0, "at": self._clock.now()}, session=tx.session)
        tx.on_commit(lambda: self._kick(ch))

    def _kick(self, ch: str) -> None:
        self._dirty.add(ch)
        self._idle.clear()
        self._wake.set()

    async def start(self, append: Append) -> None:
        """Makes the index, relays what an earlier process left behind, goes on relaying."""
        await self._store.ensure_indexes("outbox", [Index([("ch", 1)]), Index([("shard", 1)])])
        self._append = append
        await self._sweep()
        self._task = asyncio.create_task(self._run(), name="outbox relay")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def settled(self, ch: str) -> None:
        """Waits until what this process has put for a channel is appended: whoever is told that something has changed
        then finds it in the log too, and whoever may not write any more cannot. Gives up after SETTLES_WITHIN."""
        if ch not in self._dirty and ch not in self._relaying:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(ch, []).append(future)
        try:
            async with asyncio.timeout(SETTLES_WITHIN):
                await future
        except TimeoutError:
            log.warning("entries of a change come later", ch=ch)

    async def drained(self) -> None:
        """Waits until everything this process has put is appended. For orderly stops and tests."""
        await self._idle.wait()

    async def waiting(self) -> tuple[int, float | None]:
        """How many entries wait, of all nodes (counted up to 500), and for how many seconds the first of them has."""
        rows = await self._rows.find({"shard": 0}, {"at": 1}).limit(_PENDING).to_list(_PENDING)
        return len(rows), _age(rows, self._clock)

    async def aside(self) -> tuple[int, float | None]:
        """How many entries could never be appended and wait for a person to look at them, and since how long."""
        rows = await self._rows.find({"shard": -1}, {"at": 1}).limit(_PENDING).to_list(_PENDING)
        return len(rows), _age(rows, self._clock)

    async def _run(self) -> None:
        swept = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(max(0.0, swept + SWEEP_EVERY - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                while self._dirty:
                    some = [self._dirty.pop() for _ in range(min(len(self._dirty), _AT_ONCE))]
                    self._relaying.update(some)
                    await _all(self._relay_kicked(ch) for ch in some)
                self._idle.set()
                if time.monotonic() - swept >= SWEEP_EVERY:  # by the clock: a busy node sweeps too
                    swept = time.monotonic()
                    await self._sweep()
            except (StoreError, VouchError) as fault:
                log.warning("outbox waits", fault=str(fault))
                await asyncio.sleep(0.5)
                self._wake.set()
            except Exception:
                log.exception("outbox relay failed; it goes on")
                await asyncio.sleep(0.5)
                self._wake.set()

    async def _sweep(self) -> None:
        """Relays whatever waits, of this process or another: each turn takes out what it has seen."""
        more, waiting = True, 0
        while more:
            rows = await self._rows.find({"shard": 0}, {"ch": 1}).limit(_PENDING).to_list(_PENDING)
            waiting += len(rows)
            channels = list({row["ch"] for row in rows})
            for start in range(0, len(channels), _AT_ONCE):
                await _all(self._relay(ch) for ch in channels[start : start + _AT_ONCE])
            more = len(rows) == _PENDING
        OUTBOX_WAITING.set(waiting)

    async def _relay_kicked(self, ch: str) -> None:
        try:
            await self._relay(ch)
        except BaseException:
            self._dirty.add(ch)
            raise
        finally:
            self._relaying.discard(ch)
        if ch not in self._dirty:
            for future in self._waiting.pop(ch, ()):
                if not future.done():
                    future.set_result(None)

    async def _relay(self, ch: str) -> None:
        """Appends a channel's waiting entries in order.

        Order holds with several nodes too: versions commit in order, so whoever sees version 2 waiting finds version 1
        either waiting beside it or appended already.
        """
        assert self._append is not None
        rows: list[Document] = await self._rows.find({"ch": ch}).to_list(None)
        for row in sorted(rows, key=lambda row: (row["order"], row["id"])):
            try:
                await self._append(Draft(row["ch"], row["by"], row["id"], row["kind"], row["body"], row["ref"]))
            except VouchError as fault:
                if fault.code in TRANSIENT:
                    raise
                # It can never be appended: keep it for a person to look at, but let the channel go on.
                log.error("outbox entry set aside", id=row["_id"], ch=ch, code=fault.code)
                await self._rows.update_one({"_id": row["_id"]}, {"$set": {"ch": f"aside {ch}", "shard": -1}})
                continue
            await self._rows.delete_one({"_id": row["_id"]})


def _age(rows: Iterable[Document], clock: Clock) -> float | None:
    oldest = min((row["at"] for row in rows), default=None)
    return None if oldest is None else max(0.0, (clock.now() - oldest).total_seconds())


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Carries out all of them, whatever becomes of each; then raises the first fault."""
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
