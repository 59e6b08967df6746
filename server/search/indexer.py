"""Keeps the index up: follows the conversations' logs, some moments behind them.

What changes in several conversations at about the same time is written in one transaction, and the pause before the
next is as long as the last one took: writing the index never takes more than half of the database's time. Texts are cut
in small slices, so that nobody on this node waits for it. A new VERSION of the index is a new name among the followers:
it sees every log from its beginning, and what an older version has left goes conversation by conversation.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence

from server.realtime.entries import EntryLog
from server.realtime.protocol import Entry
from server.search import writer
from server.search.changes import Changes
from server.search.repo import VERSION, Change, IndexRepo, Shelf, Stale
from server.search.writer import Slices

#: Shelves that are remembered.
_KEPT = 200
_STEP = 200
_ATTEMPTS = 8
#: The longest pause between two transactions, in seconds.
_PAUSE = 1.0
#: Blocks that one transaction changes: each is some sixty documents.
_BLOCKS_TOGETHER = 3


class Indexer:
    """A Follower (`realtime.followers`)."""

    name = f"search{VERSION}"
    kinds = frozenset({"conv"})

    def __init__(self, index: IndexRepo, log: EntryLog) -> None:
        self._index = index
        self._log = log
        self._known: OrderedDict[str, Shelf] = OrderedDict()
        self._waiting: list[tuple[Change, asyncio.Future[None]]] = []
        self._saving: asyncio.Task[None] | None = None

    async def follow(self, ch: str, entries: Sequence[Entry]) -> None:
        """Puts what these entries change into the index; returns when it is durable."""
        for attempt in range(_ATTEMPTS):
            shelf = self._known.pop(ch, None) or await self._index.shelf(ch)
            try:
                while entries[0].seq > shelf.upto + 1:  # the shelf was made anew, or lost
                    last = min(shelf.upto + _STEP, entries[0].seq - 1)
                    await self._apply(shelf, await self._log.read(ch, shelf.upto + 1, last), last)
                await self._apply(shelf, [entry for entry in entries if entry.seq > shelf.upto], entries[-1].seq)
            except Stale:  # another node follows this conversation, too
                await asyncio.sleep(0.01 * 2**attempt)
                continue
            self._known[ch] = shelf
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
            return
        raise Stale

    async def stop(self, within: float = 1.0) -> None:
        """What is being written is written or not; the followers' marks know. A database that hangs is waited for
        `within` seconds."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.wait({self._saving}, timeout=within)

    async def _apply(self, shelf: Shelf, entries: Sequence[Entry], upto: int) -> None:
        if upto <= shelf.upto:
            return
        changes, slices = Changes(shelf.erased), Slices()
        edits = {entry.ref for entry in entries if entry.kind == "edit" and entry.ref is not None and not entry.gone}
        targets = {entry.seq: entry for entry in await self._log.among(shelf.ch, sorted(edits))} if edits else {}
        for entry in entries:
            changes.read(entry, targets.get(entry.ref or 0))
            await slices.breathe()
        await self._save(await writer.apply(self._index, shelf, changes, upto, slices))

    # ── Several conversations in one transaction ────────────────────────────────────────────────────────────────────

    async def _save(self, change: Change) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, done))
        if self._saving is None:
            self._saving = asyncio.create_task(self._save_all(), name="search index")
        await done

    async def _save_all(self) -> None:
        try:
            while self._waiting:
                batch = self._batch()
                began = time.monotonic()
                await self._save_batch(batch)
                await asyncio.sleep(min(time.monotonic() - began, _PAUSE))
        finally:
            self._saving = None

    def _batch(self) -> list[tuple[Change, asyncio.Future[None]]]:
        """The next ones that wait; of those that change blocks, which are long, only some."""
        blocks, count = 0, 0
        for change, _ in self._waiting:
            blocks += len(change.blocks)
            if count and blocks > _BLOCKS_TOGETHER:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _save_batch(self, batch: Sequence[tuple[Change, asyncio.Future[None]]]) -> None:
        try:
            await self._index.save([change for change, _ in batch])
        except Stale as fault:
            if len(batch) > 1:
                for one in batch:
                    await self._save_batch([one])
                return
            _tell(batch, fault)
        except Exception as fault:
            _tell(batch, fault)
        else:
            _tell(batch, None)


def _tell(batch: Sequence[tuple[Change, asyncio.Future[None]]], fault: Exception | None) -> None:
    for _, done in batch:
        if not done.done():
            if fault is None:
                done.set_result(None)
            else:
                done.set_exception(fault)
