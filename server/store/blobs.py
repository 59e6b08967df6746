"""Large contents in the database, in GridFS' layout, so that they are replicated and backed up with everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from server.store.client import Document, Index, Store

#: bytes of one document, GridFS' own default
CHUNK = 255 * 1024
#: chunks that one query reads, and that one insert writes
_READ_AT_ONCE, _WRITTEN_AT_ONCE = 4, 16


class Bucket:
    """`<name>.files` and `<name>.chunks` as GridFS lays them out, with keys of ours as ids.

    The layout is GridFS', so its tools read it; the queries are ours. The driver's own writer makes each chunk durable
    by itself: 38 s for 200 MB on the embedded database, with sixteen chunks at once 16 s. Ranges are read by narrow
    windows over (file, number), 9 ms for 2 MB among 2,000 chunks, and no cursor stays open while a slow client reads.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._files = store.collection(f"{name}.files")
        self._chunks = store.collection(f"{name}.chunks")

    async def ensure_indexes(self) -> None:
        """Those that GridFS makes itself at a first upload."""
        await self._store.ensure_indexes(f"{self._name}.files", [Index([("filename", 1), ("uploadDate", 1)])])
        await self._store.ensure_indexes(f"{self._name}.chunks", [Index([("files_id", 1), ("n", 1)], unique=True)])

    async def put(self, key: str, content: AsyncIterator[bytes], at: datetime) -> int:
        """Keeps the content under a key that nothing has; the number of bytes. Half a content is never found: the row
        that says how long it is comes last."""
        length, number, left = 0, 0, bytearray()
        async for piece in content:
            length += len(piece)
            left += piece
            if len(left) >= CHUNK * _WRITTEN_AT_ONCE:
                number = await self._write(key, number, left, len(left) // CHUNK * CHUNK)
        await self._write(key, number, left, len(left))
        row: Document = {"_id": key, "length": length, "chunkSize": CHUNK, "uploadDate": at, "filename": key}
        await self._files.insert_one(row)
        return length

    async def _write(self, key: str, number: int, left: bytearray, length: int) -> int:
        """Takes the first `length` bytes; the number of the next chunk."""
        rows = [
            {"files_id": key, "n": number + index, "data": bytes(left[first : min(first + CHUNK, length)])}
            for index, first in enumerate(range(0, length, CHUNK))
        ]
        if rows:
            await self._chunks.insert_many(rows, ordered=False)
            del left[:length]
        return number + len(rows)

    async def size(self, key: str) -> int | None:
        """Bytes; None when there is no such content."""
        found = await self._files.find_one({"_id": key}, {"length": 1})
        return int(found["length"]) if found else None

    async def read(self, key: str, first: int, length: int) -> AsyncIterator[bytes]:
        """`length` bytes from `first` on, in pieces. Raises KeyError when they are not all there."""
        number, skip = divmod(first, CHUNK)
        while length > 0:
            count = min(_READ_AT_ONCE, (skip + length + CHUNK - 1) // CHUNK)
            window: Document = {"files_id": key, "n": {"$gte": number, "$lt": number + count}}
            rows = await self._chunks.find(window, {"n": 1, "data": 1}).to_list(count)
            if len(rows) != count:
                raise KeyError(key)
            for row in sorted(rows, key=lambda row: int(row["n"])):
                piece = bytes(row["data"])[skip : skip + length]
                skip, length = 0, length - len(piece)
                yield piece
            number += count

    async def delete(self, key: str) -> None:
        """What is not there, or only half, is deleted too."""
        await self._files.delete_one({"_id": key})
        await self._chunks.delete_many({"files_id": key})
