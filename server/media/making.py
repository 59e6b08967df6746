"""Things that the server itself has made for somebody: kept as uploads are, without having been one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from hashlib import sha256

import msgspec

from server.clock import Clock
from server.errors import Code, VouchError
from server.ids import new_id
from server.media.blobs import DatabaseBlobs, new_key
from server.media.model import ID_LENGTH, Media, MediaKind, Variant
from server.media.processing import STAGED, UNSENT
from server.media.repo import MediaRepo
from server.media.rows import MediaRow, Part
from server.store import Store, Tx


class Shape(msgspec.Struct, frozen=True):
    """How large a picture is (pixels), and its ThumbHash."""

    width: int
    height: int
    blur: str


class Making:
    def __init__(self, store: Store, clock: Clock, quota: int) -> None:
        self._repo = MediaRepo(store)
        self._blobs = DatabaseBlobs(store, clock)
        self._clock = clock
        self._quota = quota

    async def put(
        self, person: str, place: str, name: str, pieces: Mapping[Variant, tuple[str, bytes]], shape: Shape
    ) -> MediaRow:
        """Puts a picture's contents (type, bytes) where contents lie, under its facts; `add` makes it a thing. What is
        not added goes by itself."""
        await self._repo.begin_usage(person)
        keys = {variant: new_key() for variant in pieces}
        await self._repo.check(None, keys.values(), self._clock.now() + STAGED)
        parts: dict[Variant, Part] = {}
        for variant, (kind, content) in pieces.items():
            size = await self._blobs.put(keys[variant], _whole(content))
            digest = sha256(content).hexdigest() if variant is Variant.MAIN else ""
            parts[variant] = Part(keys[variant], kind, size, digest)
        main = parts[Variant.MAIN]
        facts = Media(
            id=new_id("m", ID_LENGTH),
            kind=MediaKind.PICTURE,
            name=name,
            type=main.type,
            size=main.size,
            width=shape.width,
            height=shape.height,
            blur=shape.blur,
        )
        size = sum(part.size for part in parts.values())
        return MediaRow(by=person, place=place, facts=facts, parts=parts, bytes=size, at=self._clock.now())

    async def add(self, tx: Tx, row: MediaRow) -> None:
        """From now on it is a thing that its person may send. Raises `limit_reached` when there is no room for it,
        `try_later` when its contents lay too long."""
        if not await self._repo.reserve(tx, row.by, row.bytes, self._quota):
            raise VouchError(Code.LIMIT_REACHED, "There is no room left for more of your files.")
        if not await self._repo.keep(tx, row.keys):
            raise VouchError(Code.TRY_LATER)
        await self._repo.add_media(tx, row, self._clock.now() + UNSENT)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
