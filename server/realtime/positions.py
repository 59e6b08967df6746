"""How far each person has read: one monotone document per person and channel, shared by all their devices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from server.realtime.protocol import PositionEvent
from server.store import Document, Duplicate, Store, StoreError

#: Seconds in which several moves of one person become one write. A crash forgets at most this much reading.
GATHER = 0.3

log = structlog.get_logger(__name__)


class Mark(msgspec.Struct, frozen=True):
    """`read` and `delivered` are numbers of entries, `read_n` the count of countable ones up to `read`."""

    read: int = 0
    read_n: int = 0
    delivered: int = 0


class Positions:
    """Moves positions forward. `count(ch, seq)` tells `n` at an entry; `announce` tells the channel's subscribers."""

    def __init__(
        self,
        store: Store,
        count: Callable[[str, int], Awaitable[int]],
        announce: Callable[[PositionEvent], None],
    ) -> None:
        self._rows = store.collection("positions")
        self._count = count
        self._announce = announce
        self._moves: dict[tuple[str, str], tuple[int, int]] = {}
        self._flushing: asyncio.Task[None] | None = None

    def move(self, person: str, ch: str, *, read: int = 0, delivered: int = 0) -> None:
        """Moves forward what is behind; the caller has checked that the numbers are not beyond the head."""
        before = self._moves.get((person, ch), (0, 0))
        self._moves[person, ch] = (max(before[0], read), max(before[1], delivered, read))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_soon(), name="positions")

    async def of(self, person: str, channels: Sequence[str]) -> dict[str, Mark]:
        """A person's positions; channels never read are left out."""
        ids = [f"{person}|{ch}" for ch in channels]
        rows: list[Document] = await self._rows.find({"_id": {"$in": ids}}).to_list(None)
        return {
            row["_id"][len(person) + 1 :]: Mark(row.get("read", 0), row.get("read_n", 0), row.get("delivered", 0))
            for row in rows
        }

    async def among(self, ch: str, persons: Sequence[str]) -> dict[str, Mark]:
        """Several persons' positions in one channel."""
        rows: list[Document] = await self._rows.find({"_id": {"$in": [f"{p}|{ch}" for p in persons]}}).to_list(None)
        return {
            row["_id"].partition("|")[0]: Mark(row.get("read", 0), row.get("read_n", 0), row.get("delivered", 0))
            for row in rows
        }

    async def flush(self) -> None:
        """Writes what has gathered; waits for it."""
        moves, self._moves = self._moves, {}
        for (person, ch), (read, delivered) in moves.items():
            try:
                await self._write(person, ch, read, delivered)
            except StoreError as fault:
                log.warning("position not written; kept for later", fault=type(fault).__name__)
                self.move(person, ch, read=read, delivered=delivered)

    async def stop(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)
        await self.flush()
        if self._flushing is not None:
            self._flushing.cancel()

    async def _flush_soon(self) -> None:
        await asyncio.sleep(GATHER)
        self._flushing = None
        await self.flush()

    async def _write(self, person: str, ch: str, read: int, delivered: int) -> None:
        forward: Document = {"delivered": delivered}
        if read:
            forward |= {"read": read, "read_n": await self._count(ch, read)}
        key = {"_id": f"{person}|{ch}"}
        try:
            result = await self._rows.update_one(key, {"$max": forward}, upsert=True)
        except Duplicate:  # two devices, the first position in this channel: now it is there
            result = await self._rows.update_one(key, {"$max": forward})
        if result.modified_count or result.upserted_id is not None:
            mark = (await self.of(person, [ch]))[ch]
            self._announce(PositionEvent(ch, person, mark.read, mark.read_n, mark.delivered))
