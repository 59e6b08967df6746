"""How an entry gets its number: gapless, idempotent, durable, in batches.

Gapless by construction: an append inserts number `head + 1` under a unique index; a duplicate means that another node
was first, so we look again, renumber and retry. Idempotent by the primary key: a repeat finds the first one and gets
its acknowledgement. Channels are spread over lanes by hash; a lane has one batch in flight while the next one gathers.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import zlib
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.realtime.channels import Draft, EntryKind
from server.realtime.entries import EntryLog, Head, to_entry
from server.realtime.metrics import APPEND_BATCH, APPEND_CONFLICTS, APPEND_SECONDS, APPENDED
from server.realtime.protocol import Entry
from server.store import Document, Encoded, StoreError, Unstorable, encoded

LANES = 4
#: A lane's queue: beyond this it says `try_later` instead of growing.
QUEUE_ENTRIES = 4_000
QUEUE_BYTES = 32 * 1024 * 1024
BATCH_ENTRIES = 500
BATCH_BYTES = 4 * 1024 * 1024
#: Seconds after which the sender is told `try_later`; the entry may still become durable, repeating it is safe.
PATIENCE = 15.0
#: A body as BSON is a little larger than as JSON (MAX_BODY): numbers take 8 bytes.
_BODY_BYTES = 512 * 1024
_HEADS_KEPT = 20_000
_ACKS_KEPT = 8_192
#: Larger entries are looked up in the log when they are repeated.
_ACK_BYTES = 4 * 1024
_SAVE_EVERY = 5.0
#: Hints in one write: much cheaper than one by one, and short enough for appends not to notice.
_SAVED_AT_ONCE = 25

log = structlog.get_logger(__name__)


class Accepted(msgspec.Struct, frozen=True):
    """A durable entry: what the sender is told and the subscribers get."""

    ch: str
    entry: Entry


class _Ticket:
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


class Appender:
    """Numbers entries and makes them durable.

    `publish` is called for each durable entry, in order per channel, repeats included (somebody may have died between
    insert and publish); `doubt` when an append is refused though it may be, or become, durable. `digest_key` keys the
    digests of bodies, so that a deleted word cannot be guessed from one.
    """

    def __init__(
        self,
        log: EntryLog,
        clock: Clock,
        node: str,
        digest_key: bytes,
        publish: Callable[[Accepted], None],
        doubt: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._clock = clock
        self._node = node
        self._digest_key = digest_key[:64]
        self._publish = publish
        self.doubt = doubt
        self._lanes = [_Lane(self) for _ in range(LANES)]
        self._flying: dict[str, _Ticket] = {}
        self._acks: OrderedDict[str, tuple[bytes, Accepted]] = OrderedDict()
        self._saver: asyncio.Task[None] | None = None

    def start(self) -> None:
        for number, lane in enumerate(self._lanes):
            lane.start(number)
        self._saver = asyncio.create_task(self._save_heads(), name="heads saver")

    async def stop(self) -> None:
        """Makes durable what was accepted into the queues, as far as the database allows, then stops."""
        await asyncio.gather(*(lane.stop() for lane in self._lanes))
        if self._saver is not None:
            self._saver.cancel()
            await asyncio.gather(self._saver, return_exceptions=True)
        try:
            async with asyncio.timeout(2):
                await self._save_heads_once()
        except (StoreError, TimeoutError):
            pass  # hints only

    def submit(self, draft: Draft, kind: EntryKind | None) -> asyncio.Future[Accepted]:
        """Queues a draft; the future ends with the durable entry.

        Raises (here or in the future) VouchError `bad_request` for what cannot be stored, `too_large`,
        `idempotency_conflict`, `try_later`. Drafts of one channel are numbered in the order of submission.
        """
        try:
            body = encoded(draft.body, most=_BODY_BYTES)
        except Unstorable as fault:
            raise VouchError(Code.BAD_REQUEST, f"This cannot be stored: {fault}.", field="body") from None
        digest = self._digest(draft)
        key = f"{draft.by}:{draft.id}"
        if (flying := self._flying.get(key)) is not None:
            if flying.digest != digest:
                raise VouchError(Code.IDEMPOTENCY_CONFLICT)
            return asyncio.shield(flying.future)
        if (known := self._acks.get(key)) is not None:
            if known[0] != digest:
                raise VouchError(Code.IDEMPOTENCY_CONFLICT)
            return self._again(known[1])
        ticket = _Ticket(draft, kind, body, digest)
        self._lanes[zlib.crc32(draft.ch.encode()) % LANES].put(ticket)
        self._flying[key] = ticket
        ticket.future.add_done_callback(lambda _: self._flying.pop(key, None))
        # Whoever waits may go away (a closed socket); the append goes on, and nobody misses its exception.
        ticket.future.add_done_callback(lambda future: future.cancelled() or future.exception())
        return asyncio.shield(ticket.future)

    def seen(self, ch: str, head: Head) -> None:
        """A head that was read: remembered, and saved as the hint for whoever reads next."""
        lane = self._lanes[zlib.crc32(ch.encode()) % LANES]
        if head.seq and ch not in lane.heads:
            lane.remember(ch, msgspec.structs.replace(head))
            lane.dirty.add(ch)

    async def find(self, draft: Draft) -> asyncio.Future[Accepted] | None:
        """The acknowledgement of a draft that was appended before; None when it never was."""
        key, digest = f"{draft.by}:{draft.id}", self._digest(draft)
        if key in self._flying or key in self._acks:
            return self.submit(draft, None)
        row = (await self._log.by_ids([key])).get(key)
        if row is None:
            return None
        if row["digest"] != digest:
            raise VouchError(Code.IDEMPOTENCY_CONFLICT)
        return self._again(Accepted(draft.ch, to_entry(row)))

    def cached_head(self, ch: str) -> Head | None:
        """The head as this node last saw it; other nodes may have gone on."""
        return self._lanes[zlib.crc32(ch.encode()) % LANES].heads.get(ch)

    def _digest(self, draft: Draft) -> bytes:
        text = msgspec.json.encode((draft.ch, draft.kind, draft.ref, draft.body), order="deterministic")
        return hashlib.blake2b(text, digest_size=16, key=self._digest_key).digest()

    def _again(self, accepted: Accepted) -> asyncio.Future[Accepted]:
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        future.set_result(accepted)
        self._publish(accepted)
        return future

    def accept(self, ticket: _Ticket, accepted: Accepted) -> None:
        if ticket.size <= _ACK_BYTES:
            self._acks[ticket.key] = (ticket.digest, accepted)
        if len(self._acks) > _ACKS_KEPT:
            self._acks.popitem(last=False)
        APPENDED.inc()
        APPEND_SECONDS.observe(time.monotonic() - ticket.since)
        self._publish(accepted)
        if not ticket.future.done():
            ticket.future.set_result(accepted)

    def forget_body(self, ch: str, seqs: set[int]) -> None:
        """Drops remembered acknowledgements of scrubbed entries, so that no word stays in memory."""
        for key, (_, accepted) in list(self._acks.items()):
            if accepted.ch == ch and accepted.entry.seq in seqs:
                del self._acks[key]

    async def _save_heads(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            try:
                await self._save_heads_once()
            except StoreError:
                continue

    async def _save_heads_once(self) -> None:
        for lane in self._lanes:
            while lane.dirty:
                some = [lane.dirty.pop() for _ in range(min(len(lane.dirty), _SAVED_AT_ONCE))]
                heads = {ch: lane.heads[ch] for ch in some if ch in lane.heads}
                try:
                    await self._log.save_heads(heads)
                except StoreError:
                    lane.dirty.update(some)
                    raise


class _Lane:
    """One queue, one batch in flight."""

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        self._queue: deque[_Ticket] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.heads: OrderedDict[str, Head] = OrderedDict()
        self.dirty: set[str] = set()

    def start(self, number: int) -> None:
        self._task = asyncio.create_task(self._run(), name=f"append lane {number}")

    async def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=5.0)
            for task in late:
                task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def put(self, ticket: _Ticket) -> None:
        if self._stopping or len(self._queue) >= QUEUE_ENTRIES or self._bytes + ticket.size > QUEUE_BYTES:
            raise VouchError(Code.TRY_LATER, retry_after=1.0)
        self._queue.append(ticket)
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
                self._appender.doubt()
                for ticket in batch:
                    self.heads.pop(ticket.draft.ch, None)
                    _refuse(ticket, VouchError(Code.TRY_LATER, retry_after=1.0))

    def _take(self) -> list[_Ticket]:
        batch: list[_Ticket] = []
        size = 0
        while self._queue and len(batch) < BATCH_ENTRIES:
            if batch and size + self._queue[0].size > BATCH_BYTES:
                break
            ticket = self._queue.popleft()
            size += ticket.size
            batch.append(ticket)
        self._bytes -= size
        return batch

    async def _commit(self, batch: list[_Ticket]) -> None:
        pending, pause = batch, 0.005
        while pending:
            try:
                await self._know({ticket.draft.ch for ticket in pending})
                rows = self._number(pending)
                APPEND_BATCH.observe(len(rows))
                await self._appender._log.insert(rows)
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
            self.remember(ch, await self._appender._log.head(ch))

    def _number(self, pending: list[_Ticket]) -> list[Document]:
        at = self._appender._clock.now()
        ahead: dict[str, tuple[int, int]] = {}
        rows: list[Document] = []
        for ticket in pending:
            draft = ticket.draft
            head = self.heads[draft.ch]
            seq, n = ahead.get(draft.ch, (head.seq, head.n))
            seq, n = seq + 1, n + (ticket.kind is not None and ticket.kind.countable)
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
                "node": self._appender._node,
            }
            if draft.ref is not None:
                row["ref"] = draft.ref
                if ticket.kind is None or ticket.kind.modifies:
                    row["mod"] = draft.ch
            rows.append(row)
        return rows

    async def _sort_out(self, pending: list[_Ticket]) -> list[_Ticket]:
        """Acknowledges what the log has, refuses conflicts, reads the heads again; returns what must be retried."""
        for ticket in pending:
            if ticket.future.done():
                continue
            if time.monotonic() - ticket.since > PATIENCE:
                self._appender.doubt()
                _refuse(ticket, VouchError(Code.TRY_LATER, retry_after=2.0))
        left = [ticket for ticket in pending if not ticket.future.done()]
        try:
            found = await self._appender._log.by_ids([ticket.key for ticket in left])
            for ch in {ticket.draft.ch for ticket in left}:
                self.remember(ch, await self._appender._log.head(ch, self.heads.pop(ch, None)))
        except StoreError:
            return left
        retry: list[_Ticket] = []
        for ticket in left:
            row = found.get(ticket.key)
            if row is None:
                retry.append(ticket)
            elif row["digest"] == ticket.digest:
                self._accept(ticket, row)
            else:
                _refuse(ticket, VouchError(Code.IDEMPOTENCY_CONFLICT))
        return retry

    def _accept(self, ticket: _Ticket, row: Document) -> None:
        draft = ticket.draft
        head = self.heads.get(draft.ch)
        if head is not None and head.seq < row["seq"]:
            head.seq, head.n, head.at = row["seq"], row["n"], row["at"]
        self.dirty.add(draft.ch)
        gone = bool(row.get("gone"))
        body: dict[str, Any] = {} if gone else draft.body
        entry = Entry(row["seq"], row["n"], to_ms(row["at"]), draft.by, draft.id, draft.kind, body, draft.ref, gone)
        self._appender.accept(ticket, Accepted(draft.ch, entry))

    def remember(self, ch: str, head: Head) -> None:
        self.heads[ch] = head
        self.heads.move_to_end(ch)
        while len(self.heads) > _HEADS_KEPT:
            old, _ = self.heads.popitem(last=False)
            self.dirty.discard(old)


def _refuse(ticket: _Ticket, fault: VouchError) -> None:
    if not ticket.future.done():
        ticket.future.set_exception(fault)
