"""The state of the books: the ledger against its journal, and the chain of the audit trail, verified in the background
on one node at a time. What was found last is kept for everybody to see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

import msgspec
import structlog

from server.administration.chain import ChainReport, sentence
from server.clock import to_ms
from server.errors import Code, VouchError
from server.finance.model import Book, BookState
from server.finance.neighbours import Desk
from server.finance.repo import BooksRepo
from server.money.report import Report
from server.money.report import sentence as fault_of_ledger
from server.realtime.rounds import put_down
from server.store import Document, Store, StoreError, Tx

#: A book is verified by itself when that was so long ago.
FRESH = timedelta(days=1)
#: seconds between two notes of how far it is
_NOTED_EVERY = 0.5
#: Whoever verifies holds the book for so long after the last note.
_LEASE = timedelta(minutes=2)
_NAMED = 100

log = structlog.get_logger(__name__)

#: Hears how many rows of how many were looked at; of 0: that is not known.
Progress = Callable[[int, int], None]


class Verified(msgspec.Struct, frozen=True):
    """`faults` are English sentences; `head` is where the chain ends."""

    rows: int
    faults: Sequence[str]
    count: int
    head: str | None = None


Verify = Callable[[Progress], Awaitable[Verified]]


def of_trail(verify: Callable[[Progress], Awaitable[ChainReport]]) -> Verify:
    """The chain of the audit trail as a book."""

    async def verified(progress: Progress) -> Verified:
        report = await verify(progress)
        head = f"{report.head.number}:{report.head.seal}" if report.head.seal and not report.count else None
        return Verified(report.rows, [sentence(fault) for fault in report.faults], report.count, head)

    return verified


def of_ledger(verify: Callable[[Progress], Awaitable[Report]]) -> Verify:
    """The ledger as a book."""

    async def verified(progress: Progress) -> Verified:
        report = await verify(progress)
        head = f"{report.head.number}:{report.head.signature}" if report.head and report.whole else None
        return Verified(report.transfers, [fault_of_ledger(fault) for fault in report.faults], report.count, head)

    return verified


class BookService:
    def __init__(self, store: Store, desk: Desk, repo: BooksRepo, verifies: Mapping[Book, Verify]) -> None:
        self._store = store
        self._desk = desk
        self._repo = repo
        self._verifies = verifies
        self._tasks: dict[Book, asyncio.Task[None]] = {}

    async def stop(self) -> None:
        await put_down(self._tasks.values())

    async def begin(self, actor: str, book: Book) -> None:
        """Raises `conflict` while it is being verified already, `not_found` for a book that is not kept here."""
        if book not in self._verifies:
            raise VouchError(Code.NOT_FOUND)

        async def body(tx: Tx) -> None:
            await self._desk.still(tx, actor)
            await self._desk.note(tx, actor, "book.verified", book.value)

        await self._store.transact(body)
        if not await self._start(book, actor):
            raise VouchError(Code.CONFLICT, "It is being verified at the moment.")

    async def daily(self) -> None:
        """Verifies what was not for a day. For whoever sweeps."""
        now = self._desk.now()
        rows = await self._repo.all()
        for book in self._verifies:
            verified = rows.get(book, {}).get("verified_at")
            if verified is None or now - verified > FRESH:
                await self._start(book, "system")

    async def finished(self, book: Book) -> None:
        """Waits for what this process verifies. For tests and the demo."""
        if (task := self._tasks.get(book)) is not None:
            await task

    async def states(self) -> list[BookState]:
        rows = await self._repo.all()
        return [self._state(book, rows.get(book, {})) for book in Book]

    async def faults(self) -> int:
        """How many books are not whole."""
        return sum(bool(row.get("count")) for row in (await self._repo.all()).values())

    async def _start(self, book: Book, by: str) -> bool:
        now = self._desk.now()
        turn = await self._repo.begin(book, by, now, now + _LEASE)
        if turn is None:
            return False
        self._tasks[book] = asyncio.create_task(self._verify(book, turn, by), name=f"verify {book}")
        return True

    async def _verify(self, book: Book, turn: int, by: str) -> None:
        latest = [0, 0]

        def progress(done: int, of: int) -> None:
            latest[:] = [done, of]

        noting = asyncio.create_task(self._note(book, turn, latest))
        try:
            found = await self._verifies[book](progress)
        except StoreError as fault:
            log.warning("a book could not be verified", book=book, fault=type(fault).__name__)
            await self._finish(book, turn, {})
            return
        except Exception:
            log.exception("a book could not be verified", book=book)
            await self._finish(book, turn, {})
            return
        finally:
            noting.cancel()
        if found.count:
            log.error("a book is not whole", book=book, count=found.count, first=list(found.faults[:3]))
        outcome = {
            "verified_at": self._desk.now(),
            "rows": found.rows,
            "faults": list(found.faults[:_NAMED]),
            "count": found.count,
            "head": found.head,
            "by": by,
        }
        await self._finish(book, turn, outcome)

    async def _finish(self, book: Book, turn: int, outcome: Document) -> None:
        try:
            await self._repo.finish(book, turn, outcome)
        except StoreError as fault:  # the lease ends by itself
            log.warning("how a book is could not be kept", book=book, fault=type(fault).__name__)

    async def _note(self, book: Book, turn: int, latest: list[int]) -> None:
        """Keeps the others up to date, and the lease."""
        noted, at = [0, 0], time.monotonic()
        while True:
            await asyncio.sleep(_NOTED_EVERY)
            if latest != noted or time.monotonic() - at > _LEASE.total_seconds() / 4:
                noted, at = list(latest), time.monotonic()
                try:
                    await self._repo.progress(book, turn, noted[0], noted[1], self._desk.now() + _LEASE)
                except StoreError:
                    continue

    def _state(self, book: Book, row: Document) -> BookState:
        lease = row.get("lease")
        running = lease is not None and lease > self._desk.now()
        return BookState(
            book=book,
            running=running,
            done=int(row.get("done", 0)) if running else 0,
            of=int(row.get("of", 0)) if running else 0,
            verified_at=to_ms(row["verified_at"]) if row.get("verified_at") else None,
            rows=int(row.get("rows", 0)),
            count=int(row.get("count", 0)),
            faults=list(row.get("faults", [])),
            head=row.get("head"),
            by=row.get("by"),
        )
