"""Whole collections as BSON bytes, for backups: what is copied is not decoded, so nothing can be lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import BulkWriteError, ConnectionFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from server.store.client import Document, Store

_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_BATCH = 1_000
_INSERTED_AT_ONCE = 500
_TRIES = 5
#: seconds before it is tried again, the first time
PAUSE = 1.0
_DUPLICATE = 11000

#: Reads one collection, document by document.
Read = Callable[[str], AsyncIterator[bytes]]


def _collection(store: Store, name: str) -> AsyncIOMotorCollection[RawBSONDocument]:
    raw = store._database.get_collection(name, codec_options=_RAW)
    return cast("AsyncIOMotorCollection[RawBSONDocument]", raw)


async def names(store: Store) -> list[str]:
    """The collections of the database, sorted, without those of the engine itself."""
    found = await store._database.list_collection_names()
    return sorted(name for name in found if not name.startswith("system."))


@asynccontextmanager
async def snapshot(store: Store) -> AsyncIterator[Read]:
    """Everything that is read inside is the database at one moment, however long it takes and whoever writes.

    It is a transaction that only reads. MongoDB ends transactions after `transactionLifetimeLimitSeconds` (60 s unless
    it is raised): reading then raises StoreError.
    """
    async with store._session() as session:
        session.start_transaction(read_concern=ReadConcern("snapshot"))

        async def read(name: str) -> AsyncIterator[bytes]:
            async for document in _collection(store, name).find({}, session=session, batch_size=_BATCH):
                yield document.raw

        try:
            yield read
        finally:
            with suppress(PyMongoError):  # it is over either way
                await session.abort_transaction()  # nothing was written


async def insert(store: Store, name: str, documents: Sequence[bytes]) -> None:
    """Inserts what `snapshot` has read. What is there already stays as it is: a slow database may have done what was
    not answered in time, and is asked again."""
    for start in range(0, len(documents), _INSERTED_AT_ONCE):
        some = [RawBSONDocument(document) for document in documents[start : start + _INSERTED_AT_ONCE]]
        for attempt in range(_TRIES):
            try:
                await _collection(store, name).insert_many(some, ordered=False)
                break
            except BulkWriteError as fault:
                if any(error["code"] != _DUPLICATE for error in fault.details["writeErrors"]):
                    raise
                break
            except ConnectionFailure:
                if attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(PAUSE * (attempt + 1))


def split(data: bytes) -> list[bytes]:
    """The documents that stand one after the other in `data`. Raises ValueError when it is anything else."""
    documents: list[bytes] = []
    start = 0
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "little")
        if length < 5 or start + length > len(data):
            raise ValueError("not a sequence of BSON documents")
        documents.append(data[start : start + length])
        start += length
    return documents


def decoded(document: bytes) -> Document:
    """Raises ValueError."""
    try:
        return dict(bson.decode(document))
    except BSONError as fault:
        raise ValueError(str(fault)) from None
