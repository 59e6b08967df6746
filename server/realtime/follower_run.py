"""One follower at work: what waits for it, how far it has come, and what happens when it fails."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from server.realtime.channels import split
from server.realtime.entries import EntryLog
from server.realtime.metrics import FOLLOWED, FOLLOWER_LEFT_OUT
from server.realtime.protocol import Entry
from server.store import BulkFault, Collection, StoreError, UpdateOne

#: Seconds in which entries gather: writers are not to feel what follows them. After a round that took long they gather
#: for so many times as long, at most a while: under load there are fewer rounds with more in each, which cost less.
GATHER = 0.05
_REST = 4.0
_REST_MOST = 2.0
#: Entries that `follow` gets at once.
STEP = 200
#: Offered entries that are remembered per channel; what is beyond is read from the log again.
_BUFFER = 500
#: Channels of one round, and those worked on at the same time.
_ROUND = 200
_AT_ONCE = 8
#: Seconds after which a follower that has failed is tried again; then the entries are left out, and counted.
RETRIES: tuple[float, ...] = (0.2, 1.0, 5.0, 15.0)
_AGAIN = 1.0  # seconds, while the database is away
#: A node that is alone saves its marks only so often, in seconds: a crash makes a follower see again what it has seen
#: since. Others read the marks before each round, so with them they are saved after each.
_SAVE_EVERY = 1.0
_MARKS_KEPT = 20_000

log = structlog.get_logger(__name__)


class Follower(Protocol):
    """Reads channels. `name` is the key of its marks and never changes; `kinds` are the kinds of its channels.

    `follow` gets consecutive entries of one channel, as they stand in the log now or stood when they became durable. It
    must be idempotent: after a crash, or with several nodes, it may see an entry more than once. A new one sees
    everything from the beginning of the log. What it raises is tried again, for some seconds.
    """

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> frozenset[str]: ...

    async def follow(self, ch: str, entries: Sequence[Entry]) -> None: ...


class _Waiting:
    """What is known of a channel that has not been read to its end: the last offered entries, without a hole among
    them, and the highest number heard of."""

    __slots__ = ("entries", "head", "since")

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=_BUFFER)
        self.head = 0
        self.since = time.monotonic()

    def take(self, entry: Entry) -> None:
        if self.entries:
            last = self.entries[-1].seq
            if entry.seq <= last:
                return  # a repeat
            if entry.seq > last + 1:
                self.entries.clear()
        self.entries.append(entry)
        self.head = max(self.head, entry.seq)

    def join(self, later: _Waiting) -> None:
        """What came while this was worked on."""
        self.head = max(self.head, later.head)
        for entry in later.entries:
            self.take(entry)


class FollowerRun:
    """`idle` is set while nothing waits. `marks` holds one document per channel, with a field per follower; `alone`
    tells whether there is no other node that reads and writes them."""

    def __init__(self, follower: Follower, log: EntryLog, marks: Collection, alone: Callable[[], bool]) -> None:
        self.follower = follower
        self.idle = asyncio.Event()
        self._log = log
        self._marks = marks
        self._alone = alone
        #: how far it has come, as far as is known here, and what of that is not saved yet
        self._known: OrderedDict[str, int] = OrderedDict()
        self._unsaved: dict[str, int] = {}
        self._saved_at = 0.0
        self._wake = asyncio.Event()
        self._waiting: dict[str, _Waiting] = {}
        self._round: dict[str, _Waiting] = {}
        self._compare = False

    # ── What there is to do ─────────────────────────────────────────────────────────────────────────────────────────

    def offer(self, ch: str, entry: Entry) -> None:
        self._of(ch).take(entry)

    def look(self, ch: str, head: int) -> None:
        waiting = self._of(ch)
        waiting.head = max(waiting.head, head)

    def compare(self) -> None:
        """Looks at the saved heads of all channels."""
        self._compare = True
        self.idle.clear()
        self._wake.set()

    def lag(self) -> tuple[int, float]:
        """Channels that wait, and seconds since the first of them began to."""
        waiting = [*self._waiting.values(), *self._round.values()]
        return len(waiting), max((time.monotonic() - one.since for one in waiting), default=0.0)

    def _of(self, ch: str) -> _Waiting:
        if (waiting := self._waiting.get(ch)) is None:
            waiting = self._waiting[ch] = _Waiting()
            self.idle.clear()
            self._wake.set()
        return waiting

    # ── The work ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        took = 0.0
        while True:
            if not self._waiting and not self._compare:
                self.idle.set()
                self._wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_SAVE_EVERY if self._unsaved else None):
                        await self._wake.wait()
            if self._waiting or self._compare:
                await asyncio.sleep(min(max(GATHER, took * _REST), _REST_MOST))
            began = time.monotonic()
            try:
                if self._compare:
                    self._compare = False
                    await self._compare_all()
                if self._waiting:
                    await self._one_round()
                await self._save_marks()
            except StoreError as fault:
                log.warning("follower waits for the database", name=self.follower.name, fault=type(fault).__name__)
                await asyncio.sleep(_AGAIN)
            took = time.monotonic() - began

    async def _compare_all(self) -> None:
        try:
            async for channels in self._log.all_heads():
                for ch, head in channels.items():
                    if split(ch)[0] in self.follower.kinds:
                        self.look(ch, head)
                while self._waiting:
                    await self._one_round()
        except BaseException:
            self._compare = True
            raise

    async def _one_round(self) -> None:
        """Works on the channels that have waited longest; what could not be done waits on."""
        self._round = {ch: self._waiting.pop(ch) for ch in list(self._waiting)[:_ROUND]}
        done: dict[str, int] = {}
        turn = asyncio.Semaphore(_AT_ONCE)
        try:
            marks = await self._read_marks(list(self._round))
            work = [self._work(ch, marks.get(ch, 0), done, turn) for ch in self._round]
            faults = [fault for fault in await asyncio.gather(*work, return_exceptions=True) if fault is not None]
            self._note(done)
            if faults:
                raise faults[0]
        except StoreError:
            self._put_back(done)
            raise
        finally:
            self._round = {}

    async def _work(self, ch: str, mark: int, done: dict[str, int], turn: asyncio.Semaphore) -> None:
        """One channel, from the mark to the highest number heard of; notes in `done` how far it has come."""
        waiting = self._round[ch]
        async with turn:
            while mark < waiting.head:
                entries = [entry for entry in waiting.entries if entry.seq > mark][:STEP]
                if not entries or entries[0].seq != mark + 1:
                    last = min(mark + STEP, entries[0].seq - 1 if entries else waiting.head)
                    entries = await self._log.read(ch, mark + 1, last)
                if not entries:  # a head of a log that was since restored from a backup
                    return
                await self._try(ch, entries)
                FOLLOWED.labels(self.follower.name).inc(len(entries))
                done[ch] = mark = entries[-1].seq

    def _put_back(self, done: dict[str, int]) -> None:
        for ch, waiting in self._round.items():
            if done.get(ch, 0) < waiting.head:
                if (later := self._waiting.get(ch)) is not None:
                    waiting.join(later)
                self._waiting[ch] = waiting

    async def _try(self, ch: str, entries: Sequence[Entry]) -> None:
        for pause in (*RETRIES, None):
            try:
                await self.follower.follow(ch, entries)
                return
            except StoreError:
                raise
            except Exception:
                if pause is None:
                    log.exception("follower gives these entries up", name=self.follower.name, ch=ch)
                    FOLLOWER_LEFT_OUT.labels(self.follower.name).inc(len(entries))
                    return
                log.warning("follower failed; it is tried again", name=self.follower.name, ch=ch, exc_info=True)
                await asyncio.sleep(pause)

    # ── How far it has come ─────────────────────────────────────────────────────────────────────────────────────────

    async def save(self) -> None:
        """Saves the marks that are not saved yet."""
        self._saved_at = 0.0
        await self._save_marks()

    async def _read_marks(self, channels: Sequence[str]) -> dict[str, int]:
        known = {ch: self._known[ch] for ch in channels if ch in self._known} if self._alone() else {}
        unknown = [ch for ch in channels if ch not in known]
        if not unknown:
            return known
        name = self.follower.name
        rows = await self._marks.find({"_id": {"$in": unknown}}, {name: 1}).to_list(None)
        saved = {row["_id"]: row.get(name, 0) for row in rows}
        # What is noted here and not saved yet is further on.
        return known | {ch: max(saved.get(ch, 0), self._unsaved.get(ch, 0)) for ch in unknown}

    def _note(self, done: dict[str, int]) -> None:
        self._unsaved.update(done)
        if not self._alone():  # others go on as well
            self._known.clear()
            return
        for ch, seq in done.items():
            self._known[ch] = seq
            self._known.move_to_end(ch)
        while len(self._known) > _MARKS_KEPT:
            self._known.popitem(last=False)

    async def _save_marks(self) -> None:
        if not self._unsaved or (self._alone() and time.monotonic() - self._saved_at < _SAVE_EVERY):
            return
        unsaved, self._unsaved = self._unsaved, {}
        name = self.follower.name
        writes = [UpdateOne({"_id": ch}, {"$max": {name: seq}}, upsert=True) for ch, seq in unsaved.items()]
        try:
            try:
                await self._marks.bulk_write(writes, ordered=False)
            except BulkFault:  # two followers, the first mark of a channel: now it is there
                await self._marks.bulk_write(writes, ordered=False)
        except StoreError:
            self._unsaved = unsaved | self._unsaved
            raise
        self._saved_at = time.monotonic()
