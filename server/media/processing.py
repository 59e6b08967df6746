"""Makes what has arrived ready: out of the database into a file, through a worker, into the blobs.

What is to be done stands in the database, so that another node, or the next start, does what this one leaves. A job
that was begun three times and never ended is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import structlog
from msgspec.structs import replace

from server.clock import Clock
from server.ids import new_id
from server.media import metrics
from server.media.blobs import BlobStore, new_key
from server.media.content import LOOKED_AT, type_of
from server.media.model import ID_LENGTH, FaultCode, Media, MediaKind, UploadState, Variant
from server.media.orders import Made, Piece, Refusal
from server.media.repo import MediaRepo
from server.media.rows import Job, MediaRow, Part, UploadRow
from server.media.uploads import ABANDONED
from server.media.workshop import Lost, Workshop
from server.realtime.rounds import Rounds
from server.store import Store, StoreError, Tx

#: how long somebody may wait before sending what is ready
UNSENT = timedelta(days=7)
#: how long contents may lie there before something refers to them
STAGED = timedelta(hours=2)
#: how often a job is begun
TRIES = 3
#: seconds between looks for jobs that others have left
_LOOK = 15.0
_READ = 256 * 1024

log = structlog.get_logger(__name__)


class _Gone(Exception):
    """The upload was given up meanwhile."""


class Processing:
    def __init__(
        self,
        store: Store,
        repo: MediaRepo,
        blobs: BlobStore,
        workshop: Workshop,
        clock: Clock,
        scratch: Path,
        node: str,
        others: Callable[[], set[str]],
    ) -> None:
        self._store = store
        self._repo = repo
        self._blobs = blobs
        self._workshop = workshop
        self._clock = clock
        self._scratch = scratch
        self._node = node
        self._others = others
        self._rounds = Rounds("media jobs", self._begin_all, every=_LOOK)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.cleared: Callable[[], None] = lambda: None

    def start(self) -> None:
        self._rounds.start()

    async def stop(self) -> None:
        """What is under way is begun again by the next start."""
        await self._rounds.stop()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def busy(self) -> bool:
        """Whether this node is making something ready."""
        return bool(self._tasks)

    def hurry(self) -> None:
        self._rounds.hurry()

    async def _begin_all(self) -> None:
        jobs = await self._repo.jobs()
        metrics.WAITING.set(len(jobs))
        others = self._others()
        for job in jobs:
            if job.upload in self._tasks or (job.node is not None and job.node in others):
                continue
            if await self._repo.take_job(job, self._node):
                task = asyncio.create_task(self._do(job), name=f"media job {job.upload}")
                self._tasks[job.upload] = task

    async def _do(self, job: Job) -> None:
        tries = job.tries + 1
        try:
            upload = await self._repo.upload(job.upload)
            if upload is not None and upload.state is UploadState.PROCESSING:
                await self._decide(upload, last=job.tries >= TRIES)
        except _Gone:
            log.info("an upload was given up while it was made ready", upload=job.upload)
        except Lost as fault:
            log.warning("media worker was lost", upload=job.upload, why=str(fault), tries=tries)
            await self._leave(job.upload, tries)
        except asyncio.CancelledError:
            await self._leave(job.upload, job.tries)
            raise
        except StoreError as fault:
            log.warning("media wait for the database", fault=type(fault).__name__)
            await self._leave(job.upload, job.tries)
        except Exception:
            log.exception("a thing was not made ready", upload=job.upload, tries=tries)
            await self._leave(job.upload, tries)
        finally:
            self._tasks.pop(job.upload, None)

    async def _decide(self, upload: UploadRow, *, last: bool) -> None:
        try:
            if last:
                raise Refusal(FaultCode.FAILED)
            await self._make(upload)
        except Refusal as refusal:
            await self._refuse(upload, refusal.code)

    async def _leave(self, upload: str, tries: int) -> None:
        with suppress(StoreError):
            await self._repo.leave_job(upload, self._node, tries=tries)
        if tries:
            self._rounds.hurry()

    async def _make(self, upload: UploadRow) -> None:
        place = self._scratch / upload.id
        await asyncio.to_thread(_empty, place)
        try:
            with metrics.SECONDS.labels(upload.kind).time():
                source = place / "source"
                await self._fetch(upload, source)
                into = place / "made"
                into.mkdir()
                if upload.kind is MediaKind.FILE:
                    made = await asyncio.to_thread(_as_it_is, source, into)
                else:
                    made = await self._workshop.make(upload.id, upload.kind, source, into, upload.seconds)
                await self._keep(upload, made, into)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, place, True))

    async def _fetch(self, upload: UploadRow, source: Path) -> None:
        size = 0
        with source.open("wb") as file:
            async for data in self._repo.parts(upload.id):
                size += await asyncio.to_thread(file.write, data)
        if size != upload.size:  # given up, and its parts are being deleted
            raise _Gone

    async def _keep(self, upload: UploadRow, made: Made, into: Path) -> None:
        """Puts what was made into the blobs, then says that it is ready, in one transaction."""
        keys = {piece.file: new_key() for piece in made.pieces}
        # Noted before they are there: whatever happens, somebody will look whether they are needed.
        await self._repo.check(None, keys.values(), self._clock.now() + STAGED)
        sizes = {file: await self._blobs.put(key, _read(into / file)) for file, key in keys.items()}
        parts = {piece.variant: Part(keys[piece.file], piece.type, sizes[piece.file]) for piece in made.pieces}
        original = next(piece.file for piece in made.pieces if piece.variant is Variant.MAIN)
        digest = await asyncio.to_thread(_digest, into / original)
        main = parts[Variant.MAIN] = replace(parts[Variant.MAIN], digest=digest)
        facts = Media(
            id=new_id("m", ID_LENGTH),
            kind=upload.kind,
            name=upload.name,
            type=main.type,
            size=main.size,
            width=made.width,
            height=made.height,
            seconds=made.seconds,
            blur=made.blur,
            levels=made.levels,
        )
        now = self._clock.now()
        row = MediaRow(
            by=upload.by,
            place=upload.place,
            facts=facts,
            parts=parts,
            bytes=sum(sizes.values()),
            at=now,
        )

        async def body(tx: Tx) -> None:
            changes = {"state": UploadState.READY.value, "media": row.id}
            if not await self._repo.move_upload(tx, upload, now + ABANDONED, **changes):
                raise _Gone
            if not await self._repo.keep(tx, row.keys):
                raise Lost("what was made took too long to be kept")
            await self._repo.add_media(tx, row, now + UNSENT)
            await self._repo.release(tx, upload.by, upload.size - row.bytes, uploads=1)
            await self._end(tx, upload)

        await self._store.transact(body)
        metrics.READY.labels(upload.kind).inc()

    async def _refuse(self, upload: UploadRow, code: FaultCode) -> None:
        async def body(tx: Tx) -> None:
            changes = {"state": UploadState.REFUSED.value, "fault": code.value}
            if await self._repo.move_upload(tx, upload, self._clock.now() + ABANDONED, **changes):
                await self._repo.release(tx, upload.by, upload.size, uploads=1)
                await self._end(tx, upload)

        await self._store.transact(body)
        metrics.REFUSED.labels(upload.kind, code).inc()
        log.info("media refused", upload=upload.id, kind=upload.kind, why=code)

    async def _end(self, tx: Tx, upload: UploadRow) -> None:
        await self._repo.delete_job(tx, upload.id)
        await self._repo.check(tx, [upload.id], self._clock.now())
        tx.on_commit(self.cleared)


def _empty(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700, parents=True)


def _as_it_is(source: Path, into: Path) -> Made:
    """A file is kept byte for byte, and only ever given out as an attachment."""
    with source.open("rb") as file:
        kind = type_of(file.read(LOOKED_AT))
    source.rename(into / "file")
    return Made([Piece(Variant.MAIN, "file", kind)])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _read(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while data := await asyncio.to_thread(file.read, _READ):
            yield data
