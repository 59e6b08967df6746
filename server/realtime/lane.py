"""One lane of the appender: a queue, and one batch on its way into the log while the next one gathers."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
import structlog

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.realtime.channels import Draft, EntryKind
from server.realtime.entries import EntryLog, Head
from server.realtime.metrics import APPEND_BATCH, APPEND_CONFLICTS, APPEND_QUEUE
from server.realtime.protocol import Entry
from server.realtime.trail import Trail
from server.store import Document, Encoded, StoreError

#: A lane's queue: beyond this it says `try_later` instead of growing.
QUEUE_ENTRIES = 4_000
QUEUE_BYTES = 32 * 1024 * 1024
BATCH_ENTRIES = 500
BATCH_BYTES = 4 * 1024 * 1024
_HEADS_KEPT = 20_000

log = structlog.get_logger(__name__)


class Accepted(msgspec.Struct, frozen=True):
    """A durable entry: what the sender is told and the subscribers get."""

    ch: str
    entry: Entry


class Ticket:
    """One append on its way."""

    __slots__ = ("body", "digest", "draft", "future", "key", "kind", "since", "size")

    def __init__(self, draft: Draft, kind: EntryKind | None, body: Encoded, digest: bytes) -> None:
        self.draft = draft
        self.kind = kind
        self.key = f"{draft.by}:{draft.id}"
        self.body = body
        self.size = len(body.raw) + 200
        self.digest = digest
        self.since = time.monotonic()
        self.future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()

    def refuse(self, fault: VouchError) -> None:
        if not self.future.done():
            self.future.set_exception(fault)


class Desk(Protocol):
    """What a lane needs of the appender."""

    alone: Callable[[], bool]
    conflict: Callable[[Iterable[str]], None]

    def accept(self, ticket: Ticket, accepted: Accepted) -> None:
        """The ticket's entry is durable."""

    def give_up(self, tickets: Iterable[Ticket]) -> None:
        """Nobody can say now what becomes of these."""

    def lose_patience(self, tickets: Iterable[Ticket]) -> None:
        """Gives up those of them that have waited too long."""


class Lane:
    """One queue, one batch in flight."""

    def __init__(self, desk: Desk, log: EntryLog, clock: Clock, trail: Trail) -> None:
        self._desk = desk
        self._log = log
        self._clock = clock
        self.trail = trail
        self._queue: deque[Ticket] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.heads: OrderedDict[str, Head] = OrderedDict()
        self.dirty: set[str] = set()

    def start(self, number: int) -> None:
        self._task = asyncio.create_task(self._run(), name=f"append lane {number}")

    async def stop(self) -> bool:
        """Whether all that was accepted is durable: a database that hangs is waited for some seconds only."""
        self._stopping = True
        self._wake.set()
        if self._task is None:
            return True
        _, late = await asyncio.wait([self._task], timeout=5.0)
        for task in late:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return not late

    def put(self, ticket: Ticket) -> None:
        if self._stopping or len(self._queue) >= QUEUE_ENTRIES or self._bytes + ticket.size > QUEUE_BYTES:
            raise VouchError(Code.TRY_LATER, retry_after=1.0)
        self._queue.append(ticket)
        APPEND_QUEUE.inc()
        self._bytes += ticket.size
        self._wake.set()

    async def _run(self) -> None:
        while self._queue or not self._stopping:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._take()
            try:
                await self._commit(batch)
            except Exception:  # the appender never dies: one batch is told, the next one is tried
                log.exception("append batch failed")
                for ticket in batch:
                    self.heads.pop(ticket.draft.ch, None)
                self._desk.give_up(batch)

    def _take(self) -> list[Ticket]:
        batch: list[Ticket] = []
        size = 0
        while self._queue and len(batch) < BATCH_ENTRIES:
            if batch and size + self._queue[0].size > BATCH_BYTES:
                break
            ticket = self._queue.popleft()
            APPEND_QUEUE.dec()
            self._bytes -= ticket.size
            if not ticket.future.done():  # nobody appends what its sender has been told to send again
                size += ticket.size
                batch.append(ticket)
        return batch

    async def _commit(self, batch: list[Ticket]) -> None:
        pending, pause = batch, 0.005
        while pending:
            try:
                await self._know({ticket.draft.ch for ticket in pending})
                rows = self._number(pending)
                APPEND_BATCH.observe(len(rows))
                if self._desk.alone():
                    await self._log.insert(rows)
                else:
                    wrote = [(row["ch"], row["seq"]) for row in rows]
                    await self._log.insert([*rows, self.trail.row(rows[0]["at"], wrote)])
                    self.trail.written()
            except StoreError:
                # Whatever happened (another node was first, a repeat, the connection broke half-way, the driver
                # retried by itself): the log alone knows.
                APPEND_CONFLICTS.inc()
                pending = await self._sort_out(pending)
                if pending:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 1.0)
                continue
            for ticket, row in zip(pending, rows, strict=True):
                self._accept(ticket, row)
            return

    async def _know(self, channels: set[str]) -> None:
        """Reads the heads that are not known. The known ones are touched first, so that none of them makes room."""
        known = channels & self.heads.keys()
        for ch in known:
            self.heads.move_to_end(ch)
        for ch in channels - known:
            self.remember(ch, await self._log.head(ch))

    def _number(self, pending: list[Ticket]) -> list[Document]:
        at = self._clock.now()
        ahead: dict[str, tuple[int, int]] = {}
        rows: list[Document] = []
        for ticket in pending:
            draft = ticket.draft
            head = self.heads[draft.ch]
            seq, n = ahead.get(draft.ch, (head.seq, head.n))
            seq, n = seq + 1, n + (ticket.kind is not None and ticket.kind.counts(draft))
            ahead[draft.ch] = (seq, n)
            row: Document = {
                "_id": ticket.key,
                "ch": draft.ch,
                "seq": seq,
                "n": n,
                "at": at,
                "by": draft.by,
                "kind": draft.kind,
                "body": ticket.body,
                "digest": ticket.digest,
            }
            if draft.ref is not None:
                row["ref"] = draft.ref
                if ticket.kind is None or ticket.kind.modifies:
                    row["mod"] = draft.ch
            rows.append(row)
        return rows

    async def _sort_out(self, pending: list[Ticket]) -> list[Ticket]:
        """Acknowledges what the log has, refuses conflicts, reads the heads again; returns what must be retried."""
        self._desk.lose_patience(pending)
        left = [ticket for ticket in pending if not ticket.future.done()]
        try:
            found = await self._log.by_ids([self.trail.next_id, *(ticket.key for ticket in left)])
            if self.trail.next_id in found:
                self.trail.written()
            lost: list[str] = []
            for ch in {ticket.draft.ch for ticket in left}:
                before = self.heads.pop(ch, None)
                was = before.seq if before is not None else None
                head = await self._log.head(ch, before)
                self.remember(ch, head)
                if was is not None and head.seq - was > sum(row["ch"] == ch for row in found.values()):
                    lost.append(ch)
            self._desk.conflict(lost)
        except StoreError:
            return left
        retry: list[Ticket] = []
        for ticket in left:
            row = found.get(ticket.key)
            if row is None:
                retry.append(ticket)
            elif row["digest"] == ticket.digest:
                self._accept(ticket, row)
            else:
                ticket.refuse(VouchError(Code.IDEMPOTENCY_CONFLICT))
        return retry

    def _accept(self, ticket: Ticket, row: Document) -> None:
        draft = ticket.draft
        head = self.heads.get(draft.ch)
        if head is not None and head.seq < row["seq"]:
            head.seq, head.n, head.at = row["seq"], row["n"], row["at"]
        self.dirty.add(draft.ch)
        gone = bool(row.get("gone"))
        body: dict[str, Any] = {} if gone else draft.body
        entry = Entry(row["seq"], row["n"], to_ms(row["at"]), draft.by, draft.id, draft.kind, body, draft.ref, gone)
        self._desk.accept(ticket, Accepted(draft.ch, entry))

    def remember(self, ch: str, head: Head) -> None:
        self.heads[ch] = head
        self.heads.move_to_end(ch)
        while len(self.heads) > _HEADS_KEPT:
            old, _ = self.heads.popitem(last=False)
            self.dirty.discard(old)
