"""The motor client behind one class, so that another driver can take its place in this file."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any, TypeVar

from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.int64 import Int64
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession, AsyncIOMotorCollection
from pymongo import IndexModel
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from server.errors import StartupError

Document = dict[str, Any]
Collection = AsyncIOMotorCollection[Document]
T = TypeVar("T")

#: Raised by an insert or update that breaks a unique index.
Duplicate = DuplicateKeyError
#: Raised when some writes of a bulk could not be done.
BulkFault = BulkWriteError
#: Anything that the database or its driver can raise.
StoreError = PyMongoError
#: The database cannot be reached at the moment; handlers answer `unavailable`.
Unavailable = ConnectionFailure

#: what MongoDB answers when an index has the same name or keys and other options
_OTHER_OPTIONS = frozenset({85, 86})
_FAREWELL_SECONDS = 1.0
_DURABLE = WriteConcern(w="majority", j=True)


class _Plain(TypeDecoder):
    """The driver gives large integers a class of their own, which msgspec cannot encode."""

    bson_type = Int64

    def transform_bson(self, value: int) -> int:
        return int(value)


_CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC, type_registry=TypeRegistry([_Plain()]))


class Index:
    """An index as the repos declare it. `ttl` is seconds after the (single) date field; 0 means "at that time"."""

    def __init__(
        self,
        keys: Sequence[tuple[str, int]],
        *,
        unique: bool = False,
        sparse: bool = False,
        ttl: int | None = None,
        partial: Document | None = None,
    ) -> None:
        options: Document = {}
        if unique:
            options["unique"] = True
        if sparse:
            options["sparse"] = True
        if ttl is not None:
            options["expireAfterSeconds"] = ttl
        if partial is not None:
            options["partialFilterExpression"] = partial
        self.model = IndexModel(list(keys), **options)


class Tx:
    """A transaction under way. Pass `tx.session` as `session=` to every call that belongs to it."""

    def __init__(self, session: AsyncIOMotorClientSession) -> None:
        self.session = session
        self.committed: list[Callable[[], None]] = []

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Runs once, right after the commit; never when the transaction is rolled back."""
        self.committed.append(callback)


class Store:
    """One database. Every write is durable when it returns (`w: majority, j: true`); every read is `majority`.

    `timeout` bounds, in seconds, how long an operation looks for a server before it raises `Unavailable`.
    """

    def __init__(self, uri: str, database: str, *, timeout: float = 10.0) -> None:
        try:
            self._client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
                uri,
                document_class=dict,
                serverSelectionTimeoutMS=round(timeout * 1000),
                connectTimeoutMS=5_000,
                # A server that has stopped (not died) takes requests and answers none.
                socketTimeoutMS=15_000,
                tz_aware=True,
                maxPoolSize=64,
                retryReads=True,
                appname="vouch",
            )
        except (InvalidURI, ConfigurationError, ValueError) as fault:
            raise StartupError("bad_mongodb_uri", f"VOUCH_MONGODB_URI is not usable: {fault}.") from None
        self.name = database
        self._database = self._client.get_database(
            database, codec_options=_CODEC, write_concern=_DURABLE, read_concern=ReadConcern("majority")
        )

    async def connect(self) -> None:
        """Checks that the database answers, lets us in and can do transactions.

        Raises StartupError `database_unreachable`, `database_refused` or `not_replica_set`.
        """
        try:
            hello = await self._client.admin.command("hello")
            if "setName" not in hello and hello.get("msg") != "isdbgrid":
                raise StartupError(
                    "not_replica_set",
                    "MongoDB answers, but it is no replica set, and Vouch needs transactions.",
                    hint="Start it with --replSet and run rs.initiate() once (docs/operations.md).",
                )
            await self._database.command("ping")
        except OperationFailure as fault:
            raise StartupError("database_refused", f"The database refused the sign-in: {fault.details}.") from None
        except ConnectionFailure as fault:
            line = str(fault).split(", Timeout:")[0]
            raise StartupError("database_unreachable", f"The database does not answer: {line}.") from None

    async def ping(self) -> None:
        """Raises StoreError when the database cannot be read: one with a broken disk still answers a plain ping."""
        await self._database.get_collection("meta").find_one({"_id": "epoch"}, {"_id": 1})

    def close(self) -> None:
        """Ends sessions and connections; a database that hangs is told so for a second."""
        telling = threading.Thread(target=self._client.close, name="close", daemon=True)
        telling.start()
        telling.join(_FAREWELL_SECONDS)

    async def drop(self) -> None:
        """Drops the whole database. For tests and the demo."""
        await self._client.drop_database(self.name)

    def collection(self, name: str) -> Collection:
        return self._database.get_collection(name)

    async def ensure_indexes(self, name: str, indexes: Sequence[Index]) -> None:
        """Makes those that are missing; one that an earlier version has made with other options is made anew."""
        collection = self.collection(name)
        try:
            await collection.create_indexes([index.model for index in indexes])
        except OperationFailure as fault:
            if fault.code not in _OTHER_OPTIONS:
                raise
            for index in indexes:
                try:
                    await collection.create_indexes([index.model])
                except OperationFailure as differing:
                    if differing.code not in _OTHER_OPTIONS:
                        raise
                    await collection.drop_index(index.model.document["name"])
                    await collection.create_indexes([index.model])

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncIOMotorClientSession]:
        """Motor's own `async with` aborts what a cancelled task has left open on the event loop, which a database that
        hangs then holds for fifteen seconds. This one leaves it to a thread, and waits unless it is cancelled again."""
        session = await self._client.start_session()
        try:
            yield session
        finally:
            if session.delegate.in_transaction:
                await asyncio.shield(session.end_session())
            else:
                session.delegate.end_session()  # gives it back, and asks nobody

    async def transact(self, body: Callable[[Tx], Awaitable[T]]) -> T:
        """Runs `body` in a transaction and returns its result; runs it again on a transient conflict.

        `body` may therefore run several times: it must not touch anything but the database and its `tx`. (A callback
        and not a context manager, because the body of a `with` cannot be run again.)
        """
        last: list[Tx] = []

        async def attempt(session: AsyncIOMotorClientSession) -> T:
            last[:] = [Tx(session)]
            return await body(last[0])

        async with self._session() as session:
            result: T = await session.with_transaction(attempt)
        for callback in last[0].committed:
            callback()
        return result
