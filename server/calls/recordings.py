"""Recordings: who agrees, who writes, where the files go, who may read and delete them.

While one is on, the node with the call's media renews its worker's lease on writing; a hub that dies lets the lease
lapse. What was written goes from the node's disk into the database, where every node reads it and every backup has it.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import structlog

from server.calls import metrics
from server.calls.changes import Changes
from server.calls.model import Call, KeptFile, KeptRecording, RecordingState
from server.calls.neighbours import Neighbours
from server.calls.process import PlaneError
from server.calls.repo import SOME, RecordingsRepo
from server.calls.rules import recording as rules
from server.calls.viewing import Listing
from server.calls.views import RecordedFile, RecordingList, RecordingView
from server.clock import to_ms
from server.errors import Code, VouchError
from server.principals import Principal
from server.realtime.background import Background
from server.store import Store, StoreError, Tx
from server.store.blobs import Bucket

#: Seconds for which the worker writes without being told to go on, and how often it is told.
LEASE = 15.0
RENEW = 5.0
#: Bytes of all files of one recording.
MOST_BYTES = 2 * 1024**3
#: Files of a node that has died are looked for so long; then the recording counts as failed.
_FORGOTTEN = timedelta(hours=1)
_PIECE = 1024 * 1024

log = structlog.get_logger("vouch.calls")


class Recorded(msgspec.Struct, frozen=True):
    """One file's content, to be read whole or in part."""

    size: int
    etag: str
    bucket: Bucket
    key: str

    def read(self, first: int, length: int) -> AsyncIterator[bytes]:
        return self.bucket.read(self.key, first, length)


class Recordings:
    """Raises VouchError."""

    def __init__(self, near: Neighbours, changes: Changes, repo: RecordingsRepo, listing: Listing) -> None:
        self._near = near
        self._changes = changes
        self._repo = repo
        self._listing = listing
        self._bucket = bucket(near.store)
        #: call → the recording that this node's worker writes, and when it was told last (monotonic seconds)
        self._running: dict[str, tuple[str, float]] = {}
        #: those that have been stopped and are on their way into the database
        self._finishing: set[str] = set()
        self._background = Background()

    async def start(self) -> None:
        await self._repo.ensure_indexes()
        await self._bucket.ensure_indexes()

    async def stop(self) -> None:
        await self._background.stop()

    # ── What people ask ─────────────────────────────────────────────────────────────────────────────────────────────

    async def consent(self, principal: Principal, id: str, on: bool) -> Call:
        if on:  # no limit keeps anybody from withdrawing
            await self._near.limits.hit("record_call", principal.id)
        await self._listing.readable(principal, id)
        return await self._changes.apply(
            id, lambda call, now: rules.consent(call, principal.id, principal.session, on, now)
        )

    async def of(self, principal: Principal, id: str) -> RecordingList:
        """Those of the call that one is in, the newest first."""
        await self._listing.readable(principal, id)
        found = [one for one in await self._repo.of_call(id) if principal.id in one.people]
        found.sort(key=lambda one: one.began, reverse=True)
        cards = await self._near.people.cards({person for one in found for person in one.people})
        return RecordingList(
            [
                RecordingView(
                    id=one.id,
                    call=one.call,
                    by=one.by,
                    people=[cards[person] for person in one.people if person in cards],
                    began=to_ms(one.began),
                    ended=to_ms(one.ended) if one.ended else None,
                    reason=one.ending or None,
                    files=[RecordedFile(n, file.person, file.bytes) for n, file in enumerate(one.files)],
                )
                for one in found
            ]
        )

    async def read(self, principal: Principal, id: str, n: int) -> Recorded:
        """Raises `not_found` to whoever is not in it, and while it goes on."""
        found = await self._mine(principal, id)
        if found.ended is None or n >= len(found.files):
            raise VouchError(Code.NOT_FOUND)
        return Recorded(found.files[n].bytes, f'"{id}-{n}"', self._bucket, f"{id}/{n}")

    async def delete(self, principal: Principal, id: str) -> None:
        found = await self._mine(principal, id)
        if found.ended is None:
            raise VouchError(Code.CONFLICT, "It goes on still.")
        await self._delete(found)

    async def _mine(self, principal: Principal, id: str) -> KeptRecording:
        found = await self._repo.get(id)
        if found is None or principal.id not in found.people:
            raise VouchError(Code.NOT_FOUND)
        return found

    async def _delete(self, recording: KeptRecording) -> None:
        """The row goes last: dying in between leaves something to delete once more."""
        for n in range(len(recording.files)):
            await self._bucket.delete(f"{recording.id}/{n}")
        await self._repo.delete(recording.id)

    async def doom(self, tx: Tx, person: str) -> None:
        await self._repo.doom(person, tx)

    # ── What follows from the call ──────────────────────────────────────────────────────────────────────────────────

    async def follow(self, id: str, call: Call | None) -> None:
        """Begins, goes on with, or ends what this node writes of a call (None: it is over, or at another place)."""
        wanted = call.recording.id if call is not None and call.recording.state is RecordingState.ON else ""
        running, told = self._running.get(id, ("", 0.0))
        if running and running != wanted:
            await self._stop(id, running)
        if call is None or not wanted or (running == wanted and time.monotonic() - told < RENEW):
            return
        people = tuple(seat.person for seat in call.inside)
        directory = self._near.directory / wanted
        self._running[id] = (wanted, time.monotonic())
        try:
            if running != wanted:
                await self._begin(id, call, people)
                await asyncio.to_thread(directory.mkdir, 0o700, True, True)
            await self._near.plane.record(id, wanted, people, directory, lease=LEASE, max_bytes=MOST_BYTES)
        except PlaneError as fault:
            log.error("not recorded", call=id, code=fault.code, text=fault.text)
            await self.ended(id, wanted, "failed")
        except (OSError, StoreError):
            self._running.pop(id, None)  # it is begun by the next round
            raise

    async def _begin(self, id: str, call: Call, people: tuple[str, ...]) -> None:
        await self._repo.insert(
            KeptRecording(
                id=call.recording.id,
                call=id,
                by=call.recording.by,
                people=people,
                node=self._near.node,
                began=self._near.clock.now(),
            )
        )

    async def _stop(self, id: str, recording: str) -> None:
        mine = self._claim(id, recording)
        try:
            await self._near.plane.stop_recording(id, recording)
        except PlaneError as fault:  # its worker has died: what was written is there
            log.warning("a recording was not stopped by its worker", call=id, code=fault.code)
        if mine:
            self._keep(recording, "stopped")

    async def ended(self, id: str, recording: str, reason: str) -> None:
        """It ended by itself: everybody is told that it is off."""
        mine = self._claim(id, recording)
        try:
            await self._changes.apply(id, lambda call, now: rules.ended(call, recording, now))
        finally:
            if mine:
                self._keep(recording, reason)

    async def lost(self, id: str) -> None:
        """The worker that wrote it has died."""
        running, _ = self._running.get(id, ("", 0.0))
        if running:
            await self.ended(id, running, "failed")

    def _claim(self, id: str, recording: str) -> bool:
        """It is not written any more. Whether nobody else takes it into the database."""
        self._running.pop(id, None)
        mine = recording not in self._finishing
        self._finishing.add(recording)
        return mine

    def _keep(self, id: str, ending: str) -> None:
        """Nobody waits for that: it may be gigabytes, while people wait for what follows from a call."""

        async def keep() -> None:
            try:
                await self._take(id, ending)
            except (OSError, StoreError) as fault:
                log.warning("a recording is kept later", recording=id, fault=type(fault).__name__)

        self._background.spawn(keep(), "a recording")

    async def finish(self, id: str, ending: str) -> None:
        """Takes what was written into the database. Twice is once."""
        if id not in self._finishing:
            self._finishing.add(id)
            await self._take(id, ending)

    async def _take(self, id: str, ending: str) -> None:
        try:
            found = await self._repo.get(id)
            if found is None or found.ended is not None:
                return
            directory = self._near.directory / id
            files: list[KeptFile] = []
            for path in await asyncio.to_thread(_written, directory):
                key = f"{id}/{len(files)}"
                await self._bucket.delete(key)  # half of it, of a node that died over this
                size = await self._bucket.put(key, _pieces(path), self._near.clock.now())
                files.append(KeptFile(path.name.partition(".")[0].partition("-")[0], path.name, size))
            done = msgspec.structs.replace(found, ended=self._near.clock.now(), ending=ending, files=tuple(files))
            if not await self._repo.replace(done):
                await self._delete(done)
            await asyncio.to_thread(shutil.rmtree, directory, True)
            metrics.RECORDINGS.labels(ending).inc()
        finally:
            self._finishing.discard(id)

    async def tidy(self) -> None:
        """What a crash has left, and what goes with an account."""
        for one in await self._repo.doomed():
            if one.ended is not None:
                await self._delete(one)
        running = {recording for recording, _ in self._running.values()}
        for one in await self._repo.unfinished():
            if one.id in running or one.node in self._near.live():
                continue
            here = await asyncio.to_thread((self._near.directory / one.id).exists)
            old = self._near.clock.now() - one.began > _FORGOTTEN
            if here or one.node == self._near.node or old:
                await self.finish(one.id, "failed")
        await self._sweep()

    async def _sweep(self) -> None:
        """Files that are in the database, or were deleted, do not stay on a disk: their node has died over them."""
        for name in await asyncio.to_thread(_directories, self._near.directory):
            found = await self._repo.get(name)
            busy = {recording for recording, _ in self._running.values()} | self._finishing
            if name not in busy and (found is None or found.ended is not None):
                await asyncio.to_thread(shutil.rmtree, self._near.directory / name, True)


def bucket(store: Store) -> Bucket:
    return Bucket(store, "recordings")


def _written(directory: Path) -> list[Path]:
    """The files, also those that nobody has finished; the empty ones are left out."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.is_file() and path.stat().st_size)


def _directories(parent: Path) -> list[str]:
    """Those of recordings."""
    return sorted(path.name for path in parent.glob("cr_*") if path.is_dir())[:SOME]


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
