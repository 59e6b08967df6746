"""The gate: how entries reach the subscribers of a channel on one node, in order and once.

Everything passes it: this node's own appends, what the bus brings, what the sweep finds. It lets through only number
`delivered + 1`; what is ahead waits, and a hole that has not closed after 30 ms is read from the log. The bus may
therefore lose, double and reorder; the log does not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from server.realtime.channels import bare
from server.realtime.frames import text_frame
from server.realtime.metrics import DELIVERED, HOLES
from server.realtime.protocol import Entry, EntryEvent, encode
from server.store import StoreError

HOLE_WAIT = 0.03  # seconds
RING_ENTRIES = 256
RING_BYTES = 1024 * 1024
_HELD = 2_000
_READ = 500
#: The longest pause, in seconds, between two looks for an entry that was announced and is not in the log.
_LONGEST_PAUSE = 1.0

log = structlog.get_logger(__name__)


class Subscriber(Protocol):
    """A connection as the gate sees it: takes framed bytes, never blocks."""

    def send(self, frame: bytes) -> None:
        """Takes frames; they leave at the end of the tick, with all others for this connection."""

    def transmit(self, frame: bytes) -> None:
        """Takes frames; they leave at once where nothing waits before them."""


class Passed(msgspec.Struct, frozen=True):
    """An entry that has passed the gate, with its frame as it went over the wire."""

    entry: Entry
    frame: bytes


def _nothing(ch: str, entry: Entry, first: int) -> bool:
    return False


class Gate:
    """One channel on one node.

    `read(ch, first, last)` reads the log; `passed(gate, entry)` is called for each entry right after its delivery;
    `withheld(ch, entry, first)` tells whether its words are not for subscribers who see the channel from `first` on:
    they get it without. `later(gate)` sees to it that `flush` is called soon. What is delivered until then leaves as
    one piece of bytes, joined once for all subscribers: a system call per message and subscriber is what fan-out costs.
    A gate starts closed: what arrives is held until `open_at` tells where the log stood after the bus had been joined.
    """

    __slots__ = (
        "_announced",
        "_due",
        "_hole",
        "_late",
        "_later",
        "_passed",
        "_read",
        "_ring",
        "_ring_bytes",
        "_waiting",
        "_withheld",
        "access",
        "at",
        "ch",
        "delivered",
        "erasures",
        "generation",
        "idle_since",
        "is_open",
        "n",
        "pins",
        "subscribers",
    )

    def __init__(
        self,
        ch: str,
        read: Callable[[str, int, int], Awaitable[list[Entry]]],
        passed: Callable[[Gate, Entry], None],
        later: Callable[[Gate], None],
        withheld: Callable[[str, Entry, int], bool] = _nothing,
    ) -> None:
        self.ch = ch
        self.is_open = False
        #: the number and the count of the last entry that went through
        self.delivered = 0
        self.n = 0
        #: its time in milliseconds, 0 in an empty channel
        self.at = 0
        self.subscribers: set[Subscriber] = set()
        #: how many connections follow the channel without a subscription
        self.pins = 0
        #: who may do what here, as asked since the last entry that changed it; `generation` counts those changes
        self.access: dict[tuple[str, str], object] = {}
        self.generation = 0
        #: how often words were erased from the ring
        self.erasures = 0
        self.idle_since = 0.0
        self._read = read
        self._passed = passed
        self._later = later
        self._withheld = withheld
        #: the subscribers who do not see the channel from its beginning, and from where on
        self._late: dict[Subscriber, int] = {}
        #: frames that the subscribers have not been given yet
        self._due: list[bytes] = []
        self._ring: deque[Passed] = deque()
        self._ring_bytes = 0
        self._waiting: dict[int, Entry] = {}
        #: the highest number that anybody has spoken of; what lies before it is fetched even if it was not held
        self._announced = 0
        self._hole: asyncio.Task[None] | None = None

    def open_at(self, seq: int, n: int, at: int = 0) -> None:
        self.delivered, self.n, self.at = seq, n, at
        self.is_open = True
        for waiting in [number for number in self._waiting if number <= seq]:
            del self._waiting[waiting]
        self._drain()

    def close(self) -> None:
        if self._hole is not None:
            self._hole.cancel()

    def subscribe(self, subscriber: Subscriber, first: int = 1) -> None:
        """From the next frame on; those that are due belong to what it was replayed. It sees the channel from `first`
        on."""
        self.flush()
        self.subscribers.add(subscriber)
        if first > 1:
            self._late[subscriber] = first

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """What is due still reaches it, ahead of anything it is told from now on."""
        if subscriber in self.subscribers:
            self.flush()
            self.subscribers.discard(subscriber)
            self._late.pop(subscriber, None)

    def tell(self, frame: bytes) -> None:
        """Gives all subscribers a frame that is no entry, behind the entries delivered so far."""
        if self.subscribers:
            self._due.append(frame)
            if len(self._due) == 1:
                self._later(self)

    def flush(self, *, at_once: bool = False) -> None:
        """Hands what is due to the subscribers: into their own queues, or (`at_once`) to the kernel."""
        due, self._due = self._due, []
        if not due:
            return
        data = due[0] if len(due) == 1 else b"".join(due)
        # A copy: a subscriber that is too slow may be closed by this very piece, and then leaves the set.
        for subscriber in tuple(self.subscribers):
            if at_once:
                subscriber.transmit(data)
            else:
                subscriber.send(data)

    def offer(self, entry: Entry, payload: bytes | None = None) -> None:
        """Takes an entry in any order, any number of times; `payload` is its encoded event, if somebody has it."""
        if self.is_open and entry.seq <= self.delivered:
            return
        if self.is_open and entry.seq == self.delivered + 1:
            self._deliver(entry, payload)
            if self._waiting:
                self._drain()
            return
        if len(self._waiting) < _HELD:
            self._waiting[entry.seq] = entry
        self.expect(entry.seq)

    def expect(self, seq: int) -> None:
        """Tells that the log holds this number: the gate fetches what it is not brought."""
        self._announced = max(self._announced, seq)
        self._watch_hole()

    async def reach(self, seq: int) -> None:
        """Returns when everything up to this number, which the log holds, has passed (or the gate was closed)."""
        self.expect(seq)
        while self.delivered < seq and self._hole is not None:
            await asyncio.wait([self._hole])  # unlike awaiting it, this does not end with its cancellation

    def covers(self, after: int) -> bool:
        """True when the ring holds everything after this number."""
        return after >= self.delivered or bool(self._ring and self._ring[0].entry.seq <= after + 1)

    def since(self, after: int, first: int = 1) -> list[bytes]:
        """The frames after this number, from the ring, for somebody who sees the channel from `first` on; call only
        where `covers` said yes."""
        return [self.seen(passed, first) for passed in self._ring if passed.entry.seq > after]

    def seen(self, passed: Passed, first: int) -> bytes:
        """An entry's frame for somebody who sees the channel from `first` on: numbers have no holes, so words that are
        withheld look like words that are gone."""
        if first > 1 and self._withheld(self.ch, passed.entry, first):
            return self._frame(bare(passed.entry))
        return passed.frame

    def remember(self, older: Sequence[Passed]) -> None:
        """Takes what was read from the log into the ring, where it goes right up to what the ring holds: the next one
        who has missed it need not read."""
        known = self._ring[0].entry.seq if self._ring else self.delivered + 1
        fitting = [passed for passed in older if passed.entry.seq < known]
        if not fitting or fitting[-1].entry.seq != known - 1:
            return
        for passed in reversed(fitting):
            if len(self._ring) >= RING_ENTRIES or self._ring_bytes + len(passed.frame) > RING_BYTES:
                return
            self._ring.appendleft(passed)
            self._ring_bytes += len(passed.frame)

    def recent(self) -> list[Entry]:
        """What the ring holds, oldest first."""
        return [passed.entry for passed in self._ring]

    def scrub(self, seqs: set[int]) -> None:
        """Erases the bodies of these entries from the ring."""
        self.erasures += 1
        for index, passed in enumerate(self._ring):
            if passed.entry.seq in seqs and not passed.entry.gone:
                without = bare(passed.entry)
                self._ring[index] = Passed(without, self._frame(without))

    def changed(self) -> None:
        """Forgets who may do what here."""
        self.access.clear()
        self.generation += 1

    def _frame(self, entry: Entry) -> bytes:
        return text_frame(encode(EntryEvent(self.ch, entry)))

    def _deliver(self, entry: Entry, payload: bytes | None = None) -> None:
        frame = self._frame(entry) if payload is None else text_frame(payload)
        self.delivered, self.n, self.at = entry.seq, entry.n, entry.at
        passed = Passed(entry, frame)
        self._ring.append(passed)
        self._ring_bytes += len(frame)
        while len(self._ring) > RING_ENTRIES or (self._ring_bytes > RING_BYTES and len(self._ring) > 1):
            self._ring_bytes -= len(self._ring.popleft().frame)
        if self._late and entry.ref is not None:
            self._tell_each(passed)
        else:
            self.tell(frame)
        DELIVERED.inc(len(self.subscribers))
        self._passed(self, entry)

    def _tell_each(self, passed: Passed) -> None:
        """Tells an entry that may not have the same words for all."""
        ref = passed.entry.ref
        without: set[Subscriber] = set()
        if ref is not None and self._withheld(self.ch, passed.entry, ref + 1):  # else from nobody: most are answers
            without = {subscriber for subscriber, first in self._late.items() if first > ref}
        if not without:
            self.tell(passed.frame)
            return
        self.flush()
        frame = self._frame(bare(passed.entry))
        for subscriber in tuple(self.subscribers):
            subscriber.send(frame if subscriber in without else passed.frame)

    def _drain(self) -> None:
        while (entry := self._waiting.pop(self.delivered + 1, None)) is not None:
            self._deliver(entry)
        self._watch_hole()

    def _watch_hole(self) -> None:
        if self._announced > self.delivered and self.is_open and self._hole is None:
            self._hole = asyncio.create_task(self._fill(), name="gate hole")

    async def _fill(self) -> None:
        """Reads from the log what is missing up to the newest entry that was announced."""
        pause = HOLE_WAIT
        try:
            await asyncio.sleep(HOLE_WAIT)
            while self._announced > self.delivered:
                HOLES.inc()
                first, last = self.delivered + 1, self._announced
                try:
                    missing = await self._read(self.ch, first, min(last, first + _READ - 1))
                except StoreError:
                    await asyncio.sleep(0.25)
                    continue
                for entry in missing:
                    self._waiting.setdefault(entry.seq, entry)
                while (waiting := self._waiting.pop(self.delivered + 1, None)) is not None:
                    self._deliver(waiting)
                for stale in [number for number in self._waiting if number <= self.delivered]:
                    del self._waiting[stale]
                if self.delivered < first:
                    # Announced, but not (yet) readable: the bus is faster than the majority read.
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            self._hole = None
