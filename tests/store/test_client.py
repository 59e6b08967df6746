"""The store: durable writes, transactions that run again, and one clear line for each database that will not do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from server.errors import Code, StartupError, VouchError
from server.settings import Settings
from server.store import Duplicate, Index, Store, Tx, Unavailable, Unstorable, encoded
from tests.conftest import Run
from tests.faults.proxies import Proxy


@pytest.fixture
def store(settings: Settings, run: Run[Any]) -> Iterator[Store]:
    store = Store(settings.mongodb_uri, settings.database)
    run(store.connect())
    yield store
    store.close()


async def test_a_transaction_commits_as_a_whole_and_then_tells(store: Store) -> None:
    told: list[int] = []

    async def body(tx: Tx) -> str:
        await store.collection("a").insert_one({"_id": 1}, session=tx.session)
        await store.collection("b").insert_one({"_id": 2}, session=tx.session)
        tx.on_commit(lambda: told.append(1))
        return "done"

    assert await store.transact(body) == "done"
    assert told == [1]
    assert await store.collection("a").find_one({"_id": 1})
    assert await store.collection("b").find_one({"_id": 2})


async def test_a_transaction_that_raises_leaves_nothing_and_tells_nobody(store: Store) -> None:
    told: list[int] = []

    async def body(tx: Tx) -> None:
        await store.collection("a").insert_one({"_id": 1}, session=tx.session)
        tx.on_commit(lambda: told.append(1))
        raise VouchError(Code.CONFLICT)

    with pytest.raises(VouchError):
        await store.transact(body)
    assert told == []
    assert await store.collection("a").find_one({"_id": 1}) is None


class Silent(Proxy):
    """A line to the database on which, at some time, no answers come any more."""

    def __init__(self, upstream: int) -> None:
        super().__init__(upstream)
        self.speaks = asyncio.Event()
        self.speaks.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.speaks.wait()
            writer.write(data)


async def test_who_gives_up_a_transaction_of_a_silent_database_holds_nobody_up(settings: Settings) -> None:
    port = urlsplit(settings.mongodb_uri).port
    assert port is not None
    line = Silent(port)
    await line.start()
    store = Store(settings.mongodb_uri.replace(f":{port}/", f":{line.port}/"), settings.database)
    await store.connect()
    written = asyncio.Event()

    async def body(tx: Tx) -> None:
        await store.collection("a").insert_one({"_id": 1}, session=tx.session)
        written.set()
        await asyncio.Event().wait()

    try:
        giving_up = asyncio.create_task(store.transact(body))
        await written.wait()
        line.speaks.clear()
        began = asyncio.get_running_loop().time()
        for _ in range(3):  # the abort is begun, given up, and its session is given back
            giving_up.cancel()
            await asyncio.sleep(0.1)
        assert asyncio.get_running_loop().time() - began < 5.0, "the loop stood still until a time-out of the driver's"
        assert giving_up.cancelled()
        line.speaks.set()
        assert await store.collection("a").find_one({"_id": 1}) is None
    finally:
        store.close()
        await line.stop()


async def test_large_integers_come_back_as_integers(store: Store) -> None:
    """Times in milliseconds inside of bodies; the driver has a class of its own for them, which cannot be encoded."""
    body = {"until": 1_795_340_000_000, "deep": [{"at": 2**53 - 1}], "small": 7}
    await store.collection("a").insert_one({"_id": 1, "body": body})
    row = await store.collection("a").find_one({"_id": 1})
    assert row is not None
    assert msgspec.json.decode(msgspec.json.encode(row["body"])) == body


async def test_conflicting_transactions_run_again_until_all_are_in(store: Store) -> None:
    counters = store.collection("counters")
    await counters.insert_one({"_id": "c", "n": 0})
    told: list[int] = []

    async def body(tx: Tx) -> None:
        row = await counters.find_one({"_id": "c"}, session=tx.session)
        assert row is not None
        await counters.update_one({"_id": "c"}, {"$set": {"n": row["n"] + 1}}, session=tx.session)
        tx.on_commit(lambda: told.append(1))

    await asyncio.gather(*(store.transact(body) for _ in range(8)))
    row = await counters.find_one({"_id": "c"})
    assert row is not None
    assert row["n"] == 8
    assert len(told) == 8


async def test_indexes_are_made_once_and_hold(store: Store) -> None:
    for _ in range(2):
        await store.ensure_indexes("people", [Index([("handle", 1)], unique=True)])
    await store.collection("people").insert_one({"handle": "lin"})
    with pytest.raises(Duplicate):
        await store.collection("people").insert_one({"handle": "lin"})


async def test_an_index_that_was_made_otherwise_is_made_anew(store: Store) -> None:
    kept, changed = Index([("a", 1)], unique=True), Index([("expires", 1)], sparse=True, ttl=0)
    await store.ensure_indexes("things", [kept, changed])
    await store.ensure_indexes("things", [kept, Index([("expires", 1)], sparse=True)])
    made = await store.collection("things").index_information()
    assert set(made) == {"_id_", "a_1", "expires_1"}
    assert "expireAfterSeconds" not in made["expires_1"]
    assert made["a_1"]["unique"]


async def test_times_come_back_aware(store: Store) -> None:
    from server.clock import SystemClock

    now = SystemClock().now()
    await store.collection("times").insert_one({"_id": 1, "at": now})
    row = await store.collection("times").find_one({"_id": 1})
    assert row is not None
    assert row["at"] == now
    assert row["at"].tzinfo is not None


async def test_a_database_that_does_not_answer_is_one_line() -> None:
    store = Store("mongodb://127.0.0.1:1/?directConnection=true", "x", timeout=0.2)
    with pytest.raises(StartupError) as refused:
        await store.connect()
    assert refused.value.code == "database_unreachable"
    assert "\n" not in str(refused.value)
    with pytest.raises(Unavailable):
        await store.ping()
    store.close()


async def test_a_wrong_password_is_one_line(settings: Settings) -> None:
    uri = settings.mongodb_uri.replace("://vouch:", "://vouch:wrong")
    store = Store(uri, settings.database, timeout=5)
    with pytest.raises(StartupError) as refused:
        await store.connect()
    assert refused.value.code == "database_refused"
    store.close()


def test_an_uri_that_is_none_is_one_line() -> None:
    with pytest.raises(StartupError) as refused:
        Store("http://somewhere", "x")
    assert refused.value.code == "bad_mongodb_uri"


def test_what_cannot_be_stored_is_told_before_it_is_sent() -> None:
    for bad in ({"n": 10**30}, {"a\x00b": 1}, {"t": "\ud800"}, {"t": "x" * 2_000}):
        with pytest.raises(Unstorable):
            encoded(bad, most=1_000)
    assert len(encoded({"t": "x"}, most=1_000).raw) < 50
