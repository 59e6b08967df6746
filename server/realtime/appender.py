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
from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec
import structlog

from server.clock import Clock
from server.errors import Code, VouchError
from server.realtime.channels import Draft, EntryKind
from server.realtime.entries import EntryLog, Head, to_entry
from server.realtime.lane import Accepted, Lane, Ticket
from server.realtime.metrics import APPEND_SECONDS, APPENDED
from server.realtime.trail import Trail
from server.store import StoreError, Unstorable, encoded

LANES = 4
#: Seconds after which the sender is told `try_later`; the entry may still become durable, repeating it is safe.
PATIENCE = 15.0
#: A body as BSON is a little larger than as JSON (MAX_BODY): numbers take 8 bytes.
_BODY_BYTES = 512 * 1024
_ACKS_KEPT = 8_192
#: Larger entries are looked up in the log when they are repeated.
_ACK_BYTES = 4 * 1024
_SAVE_EVERY = 5.0
#: Hints in one write: much cheaper than one by one, and short enough for appends not to notice.
_SAVED_AT_ONCE = 25

log = structlog.get_logger(__name__)


class Appender:
    """Numbers entries and makes them durable.

    `publish` is called for each durable entry, in order per channel, repeats included (somebody may have died between
    insert and publish); `doubt` with the channels of appends that are refused though they may be, or become, durable.
    `alone` tells whether there is no other node that would read a trail. `digest_key` keys the digests of bodies, so
    that a deleted word cannot be guessed from one.
    """

    def __init__(
        self,
        log: EntryLog,
        clock: Clock,
        node: str,
        digest_key: bytes,
        publish: Callable[[Accepted], None],
        doubt: Callable[[Iterable[str]], None] = lambda channels: None,
        alone: Callable[[], bool] = lambda: True,
        conflict: Callable[[Iterable[str]], None] = lambda channels: None,
    ) -> None:
        self._log = log
        self._clock = clock
        self._digest_key = digest_key[:64]
        self._publish = publish
        self.doubt = doubt
        self.alone = alone
        self.conflict = conflict
        self._lanes = [Lane(self, log, clock, Trail(node, number)) for number in range(LANES)]
        self._flying: dict[str, Ticket] = {}
        self._acks: OrderedDict[str, tuple[bytes, Accepted]] = OrderedDict()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        for number, lane in enumerate(self._lanes):
            lane.start(number)
        self._tasks = [
            asyncio.create_task(self._save_heads(), name="heads saver"),
            asyncio.create_task(self._watch_patience(), name="append patience"),
        ]

    async def stop(self) -> None:
        """Makes durable what was accepted into the queues, as far as the database allows, then stops."""
        ended = await asyncio.gather(*(lane.stop() for lane in self._lanes))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not all(ended):
            return  # the database hangs
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
        ticket = Ticket(draft, kind, body, digest)
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

    def flying(self, ch: str) -> list[tuple[Draft, EntryKind | None, asyncio.Future[Accepted]]]:
        """What of a channel is not settled yet, in the order of submission. Whoever learns from elsewhere how one of
        them ended may set its future."""
        tickets = [ticket for ticket in self._flying.values() if ticket.draft.ch == ch]
        return [(ticket.draft, ticket.kind, ticket.future) for ticket in tickets]

    def trails(self) -> list[int]:
        """How far this node's trails have come, by lane."""
        return [lane.trail.last for lane in self._lanes]

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

    def accept(self, ticket: Ticket, accepted: Accepted) -> None:
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

    async def _watch_patience(self) -> None:
        """A database that neither answers nor breaks the connection keeps nobody waiting without a word."""
        while True:
            await asyncio.sleep(1.0)
            self.lose_patience(list(self._flying.values()))

    def lose_patience(self, tickets: Iterable[Ticket]) -> None:
        """Tells those who have waited too long; what they sent may still become durable."""
        latest = time.monotonic() - PATIENCE
        self.give_up([ticket for ticket in tickets if ticket.since < latest and not ticket.future.done()])

    def give_up(self, tickets: Iterable[Ticket]) -> None:
        """Refuses these, and what the same senders have said after them in the same channels: a later word must not
        become durable while an earlier one has to be sent again."""
        first: dict[tuple[str, str], float] = {}
        for ticket in tickets:
            said = (ticket.draft.by, ticket.draft.ch)
            first[said] = min(ticket.since, first.get(said, ticket.since))
        if not first:
            return
        self.doubt({ch for _, ch in first})
        for ticket in list(self._flying.values()):
            since = first.get((ticket.draft.by, ticket.draft.ch))
            if since is not None and ticket.since >= since:
                ticket.refuse(VouchError(Code.TRY_LATER, retry_after=2.0))

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
