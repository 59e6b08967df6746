"""Where contents lie. One protocol, so that another place (an object store) can take over; GridFS now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from server.clock import Clock
from server.ids import new_id
from server.media.model import ID_LENGTH
from server.store import Store
from server.store.blobs import Bucket


class BlobMissing(LookupError):
    """The content is not there, or not whole."""


class BlobStore(Protocol):
    """Contents that are written once under a key that nobody guesses, read in ranges, and deleted."""

    async def put(self, key: str, content: AsyncIterator[bytes]) -> int:
        """Keeps the content; the number of bytes. One that breaks off is never found, but must be deleted."""

    async def size(self, key: str) -> int:
        """Bytes. Raises BlobMissing."""

    def read(self, key: str, first: int, length: int) -> AsyncIterator[bytes]:
        """`length` bytes from `first` on, in pieces of some hundred KiB. Raises BlobMissing."""

    async def delete(self, key: str) -> None:
        """What is not there is deleted too, and what was put only half."""


def new_key() -> str:
    return new_id("b", ID_LENGTH)


class DatabaseBlobs:
    """In the database, as GridFS."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._bucket = Bucket(store, "blobs")
        self._clock = clock

    async def ensure_indexes(self) -> None:
        await self._bucket.ensure_indexes()

    async def put(self, key: str, content: AsyncIterator[bytes]) -> int:
        return await self._bucket.put(key, content, self._clock.now())

    async def size(self, key: str) -> int:
        if (size := await self._bucket.size(key)) is None:
            raise BlobMissing(key)
        return size

    async def read(self, key: str, first: int, length: int) -> AsyncIterator[bytes]:
        try:
            async for piece in self._bucket.read(key, first, length):
                yield piece
        except KeyError:
            raise BlobMissing(key) from None

    async def delete(self, key: str) -> None:
        await self._bucket.delete(key)
