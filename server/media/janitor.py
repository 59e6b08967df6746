"""Takes away what nothing needs any more: abandoned uploads, things nobody sent, contents without an owner, and all
that people leave who delete their account.

Everything is found in the database by when it is due, so that a crash forgets nothing; to be done twice harms nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from server.clock import Clock
from server.errors import VouchError
from server.media import metrics
from server.media.blobs import BlobStore
from server.media.model import UploadState
from server.media.repo import SOME, MediaRepo
from server.media.rows import MediaRow
from server.media.uploads import Uploads
from server.realtime.rounds import Rounds
from server.store import Store, Tx

#: seconds between looks
_LOOK = 60.0
#: Uploads that were under way when an account was deleted have ended after this long: then it is looked once more.
LATE = timedelta(minutes=5)


class Janitor:
    """`is_sent` looks into the log: a follower may be behind, and what a message carries is never taken for unsent."""

    def __init__(
        self,
        store: Store,
        repo: MediaRepo,
        blobs: BlobStore,
        uploads: Uploads,
        clock: Clock,
        is_sent: Callable[[MediaRow], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._repo = repo
        self._blobs = blobs
        self._uploads = uploads
        self._clock = clock
        self._is_sent = is_sent
        self.rounds = Rounds("media janitor", self._tidy_all, every=_LOOK)

    async def _tidy_all(self) -> None:
        while await self.tidy():
            pass

    async def tidy(self) -> bool:
        """Takes some of what is due; whether there may be more."""
        more = await self._erase_people()
        now = self._clock.now()
        uploads = await self._repo.uploads_due(now)
        for upload in uploads:
            with suppress(VouchError):  # it has changed: it is not due any more
                await self._uploads.give_up(upload)
        things = await self._repo.media_due(now)
        for thing in things:
            if not await self._is_sent(thing):
                await self.delete(thing, unsent=True)
        checks = await self._repo.checks_due(now)
        for name in checks:
            await self._check(name)
        return more or SOME in (len(uploads), len(things), len(checks))

    async def delete(self, thing: MediaRow, *, unsent: bool = False) -> None:
        """Deletes a thing; its contents go with the next look unless a copy shares them. `unsent`: only while nothing
        carries it."""

        async def body(tx: Tx) -> None:
            if await self._repo.delete_media(tx, thing, unsent=unsent):
                await self._repo.release(tx, thing.by, thing.bytes)
                await self._repo.check(tx, thing.keys, self._clock.now())
                tx.on_commit(self.rounds.hurry)

        await self._store.transact(body)

    async def _check(self, name: str) -> None:
        """`name` is the key of a content, or an upload whose parts may be left."""
        if name.startswith("u_"):
            upload = await self._repo.upload(name)
            if upload is None or upload.state in (UploadState.READY, UploadState.REFUSED):
                await self._repo.delete_parts(name)
        elif not await self._repo.is_used(name):
            if not await self._repo.give_up(name):
                return
            await self._blobs.delete(name)
            metrics.CLEARED.inc()
        await self._repo.end_check(name)

    async def _erase_people(self) -> bool:
        more = False
        for person, at in await self._repo.erasures():
            uploads, things = await self._repo.uploads_of(person), await self._repo.media_of(person)
            for upload in uploads:
                with suppress(VouchError):
                    await self._uploads.give_up(upload)
            for thing in things:
                await self.delete(thing)
            more = more or SOME in (len(uploads), len(things))
            if not uploads and not things and self._clock.now() - at > LATE:
                await self._repo.end_erasure(person)
        return more
