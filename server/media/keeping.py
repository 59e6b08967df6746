"""Things that are evidence: bound for good to what they prove, and told by what they contain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from server.clock import Clock
from server.errors import Code, VouchError
from server.media.blobs import BlobMissing, DatabaseBlobs
from server.media.model import Media, Variant
from server.media.repo import MediaRepo
from server.media.rows import MediaRow
from server.store import Store, Tx


class Offered(msgspec.Struct, frozen=True):
    """A thing that its uploader may still send. `digest` is SHA-256 (hex) over the main variant."""

    media: Media
    digest: str


class Keeping:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._repo = MediaRepo(store)
        self._clock = clock
        self._blobs = DatabaseBlobs(store, clock)

    async def offered(self, person: str, place: str, ids: Sequence[str]) -> list[Offered]:
        """What somebody has uploaded for a place and not sent yet, in this order. Raises `bad_request` for anything
        else."""
        rows = await self._repo.many(ids) if ids else {}
        found = []
        for id in ids:
            row = rows.pop(id, None)  # and so naming one twice fails as well
            if row is None or row.by != person or row.place != place or row.entry is not None:
                raise VouchError(Code.BAD_REQUEST, "This was not uploaded for it, or was sent before.", field="media")
            found.append(Offered(row.facts, row.parts[Variant.MAIN].digest or await self._digest(row)))
        return found

    async def keep(self, tx: Tx, ids: Sequence[str], keeper: str) -> None:
        """Binds things to what keeps them from now on. Raises `conflict` when one was sent meanwhile."""
        for id in ids:
            if not await self._repo.keep_for(tx, id, keeper):
                raise VouchError(Code.CONFLICT, "This was sent meanwhile.", field="media")

    async def is_kept(self, id: str) -> bool:
        row = await self._repo.media(id)
        return row is not None and row.kept

    async def let_go(self, tx: Tx, ids: Sequence[str]) -> None:
        """Nothing keeps these any more: they go with the janitor's next look."""
        await self._repo.let_go(tx, ids, self._clock.now())

    async def facts(self, ids: Sequence[str]) -> dict[str, Media]:
        """By id; what is gone is left out."""
        return {id: row.facts for id, row in (await self._repo.many(ids) if ids else {}).items()}

    async def digest(self, id: str) -> str | None:
        """SHA-256 (hex) over what is there now; None where the thing is gone, with the account that it belonged to."""
        row = await self._repo.media(id)
        return None if row is None else await self._digest(row)

    async def _digest(self, row: MediaRow) -> str:
        """Empty where the content is not there, or not whole."""
        part, found = row.parts[Variant.MAIN], hashlib.sha256()
        try:
            async for piece in self._blobs.read(part.key, 0, part.size):
                found.update(piece)
        except BlobMissing:
            return ""
        return found.hexdigest()
