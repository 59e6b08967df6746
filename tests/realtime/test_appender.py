"""The appender on the real database: gapless, idempotent, durable, and unmoved by faults (DESIGN 2)."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect

from server.clock import SystemClock
from server.errors import Code, VouchError
from server.realtime import appender as appender_module
from server.realtime import lane as lane_module
from server.realtime.appender import Appender
from server.realtime.channels import Draft, EntryKind
from server.realtime.entries import EntryLog
from server.realtime.lane import Accepted
from server.settings import Settings
from server.store import Document, Encoded, Store
from tests.conftest import Run


class Words(msgspec.Struct):
    text: str


MESSAGE = EntryKind("message", Words, by_clients=True, countable=True)
NOTE = EntryKind("note", Words)


def draft(ch: str, id: str, text: str = "hello", by: str = "p_1", kind: str = "message") -> Draft:
    return Draft(ch, by, id, kind, {"text": text})


class FaultyLog(EntryLog):
    """The real log behind a connection that breaks: before an insert, after it, or in the middle of a batch."""

    def __init__(self, store: Store, seed: int, rate: float) -> None:
        super().__init__(store)
        self._random = random.Random(seed)
        self.rate = rate
        self.faults = 0

    async def insert(self, rows: Sequence[Document | Encoded]) -> None:
        if self._random.random() < self.rate:
            self.faults += 1
            match self._random.randrange(3):
                case 0:
                    raise AutoReconnect("before")
                case 1:
                    await super().insert(rows[: len(rows) // 2]) if len(rows) > 1 else None
                    raise AutoReconnect("half-way")
                case _:
                    await super().insert(rows)
                    raise AutoReconnect("after")
        await super().insert(rows)


class Node:
    """An appender and what it published."""

    def __init__(self, log: EntryLog, name: str = "n_1") -> None:
        self.published: dict[str, list[Accepted]] = defaultdict(list)
        self.appender = Appender(log, SystemClock(), name, b"k" * 32, self._publish)
        self.appender.start()

    def _publish(self, accepted: Accepted) -> None:
        self.published[accepted.ch].append(accepted)

    async def append(self, draft: Draft, kind: EntryKind = MESSAGE) -> Accepted:
        return await self.appender.submit(draft, kind)


@pytest.fixture
def store(settings: Settings, run: Run[Any]) -> Iterator[Store]:
    store = Store(settings.mongodb_uri, settings.database)
    run(EntryLog(store).ensure_indexes())
    yield store
    store.close()


async def channel(store: Store, ch: str) -> list[Document]:
    rows = await store.collection("entries").find({"ch": ch, "seq": {"$gte": 1, "$lt": 10_000}}).to_list(None)
    return sorted(rows, key=lambda row: int(row["seq"]))


async def test_numbers_are_gapless_and_in_the_order_of_submission(store: Store) -> None:
    node = Node(EntryLog(store))
    accepted = await asyncio.gather(*(node.append(draft("conv:a", f"id{n:020}")) for n in range(120)))
    assert [a.entry.seq for a in accepted] == list(range(1, 121))
    assert [a.entry.n for a in accepted] == list(range(1, 121))
    assert [row["seq"] for row in await channel(store, "conv:a")] == list(range(1, 121))
    await node.appender.stop()


async def test_only_countable_kinds_count(store: Store) -> None:
    node = Node(EntryLog(store))
    await node.append(draft("conv:a", "id00000000000000001"))
    note = await node.append(draft("conv:a", "id00000000000000002", kind="note"), NOTE)
    last = await node.append(draft("conv:a", "id00000000000000003"))
    assert (note.entry.n, last.entry.n) == (1, 2)
    await node.appender.stop()


async def test_a_repeat_gets_the_first_acknowledgement(store: Store) -> None:
    node = Node(EntryLog(store))
    once = draft("conv:a", "id00000000000000001")
    first, together = await asyncio.gather(node.append(once), node.append(once))
    again = await node.append(once)
    assert first.entry == together.entry == again.entry
    await node.appender.stop()

    other = Node(EntryLog(store), "n_2")  # a restart: nothing is remembered but the log
    assert (await other.append(once)).entry == first.entry
    assert len(await channel(store, "conv:a")) == 1
    # whoever died between insert and publish: the repeat is offered again
    assert [a.entry.seq for a in other.published["conv:a"]] == [1]
    await other.appender.stop()


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_repeat_that_differs_is_refused(store: Store, fresh: bool) -> None:
    node = Node(EntryLog(store))
    await node.append(draft("conv:a", "id00000000000000001", "one"))
    if fresh:
        await node.appender.stop()
        node = Node(EntryLog(store), "n_2")
    for differing in (draft("conv:a", "id00000000000000001", "two"), draft("conv:b", "id00000000000000001", "one")):
        with pytest.raises(VouchError) as refused:
            await node.append(differing)
        assert refused.value.code is Code.IDEMPOTENCY_CONFLICT
    assert len(await channel(store, "conv:a")) == 1
    assert await channel(store, "conv:b") == []
    await node.appender.stop()


async def test_two_nodes_writing_the_same_channels_leave_no_hole(store: Store) -> None:
    nodes = [Node(EntryLog(store), f"n_{n}") for n in range(2)]
    sends = [
        node.append(draft(f"conv:{i % 3}", f"n{which}i{i:020}", by=f"p_{which}"))
        for i in range(60)
        for which, node in enumerate(nodes)
    ]
    await asyncio.gather(*sends)
    for ch in ("conv:0", "conv:1", "conv:2"):
        rows = await channel(store, ch)
        assert [row["seq"] for row in rows] == list(range(1, 41))
        assert [row["n"] for row in rows] == list(range(1, 41))
    await asyncio.gather(*(node.appender.stop() for node in nodes))


@hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_broken_connections_lose_double_and_reorder_nothing(run: Run[Any], store: Store, seed: int) -> None:
    async def body() -> None:
        ch = f"conv:{seed}"
        log = FaultyLog(store, seed, 0.5)
        node = Node(log)
        choose = random.Random(seed)
        ids = [f"{seed}x{n:020}" for n in range(30)]
        pending = []
        for id in ids:
            pending.append(node.append(draft(ch, id)))
            if choose.random() < 0.2:
                pending.append(node.append(draft(ch, choose.choice(ids[: ids.index(id) + 1]))))
            if choose.random() < 0.5:
                await asyncio.sleep(0)
        accepted = await asyncio.gather(*pending)
        rows = await channel(store, ch)
        assert [row["seq"] for row in rows] == list(range(1, 31))
        assert [row["_id"] for row in rows] == [f"p_1:{id}" for id in ids]
        numbers = {row["_id"]: row["seq"] for row in rows}
        assert all(numbers[f"p_1:{a.entry.id}"] == a.entry.seq for a in accepted)
        assert {a.entry.seq for a in node.published[ch]} == set(range(1, 31))
        await node.appender.stop()

    run(body())


@pytest.mark.parametrize(
    "body",
    [
        {"text": 10**30},
        {"a\x00b": "text"},
        {"text": "\ud800"},
        {"text": "x" * 17_000_000},
    ],
    ids=["30 digits", "NUL in a key", "lone surrogate", "17 MB"],
)
async def test_a_poisonous_entry_is_refused_alone(store: Store, body: dict[str, Any]) -> None:
    node = Node(EntryLog(store))
    before = [node.append(draft("conv:a", f"a{n:020}")) for n in range(20)]
    poison = Draft("conv:a", "p_2", "poison00000000000000", "message", body)

    async def bad() -> Accepted:
        return await node.append(poison)

    results = await asyncio.gather(*before, bad(), *(node.append(draft("conv:a", f"b{n:020}")) for n in range(20)),
                                   return_exceptions=True)  # fmt: skip
    refused = [r for r in results if isinstance(r, BaseException)]
    assert len(refused) == 1
    assert isinstance(refused[0], VouchError)
    assert refused[0].code is Code.BAD_REQUEST
    assert [row["seq"] for row in await channel(store, "conv:a")] == list(range(1, 41))
    await node.appender.stop()


async def test_a_full_queue_says_try_later_and_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "QUEUE_ENTRIES", 10)
    node = Node(EntryLog(store))
    results = await asyncio.gather(
        *(node.append(draft("conv:a", f"id{n:020}")) for n in range(40)), return_exceptions=True
    )
    refused = [r for r in results if isinstance(r, VouchError)]
    assert refused
    assert all(r.code is Code.TRY_LATER and r.retry_after for r in refused)
    rows = await channel(store, "conv:a")
    assert len(rows) + len(refused) == 40
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    await node.appender.stop()


async def test_a_database_that_stays_away_ends_in_try_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender_module, "PATIENCE", 0.2)
    log = FaultyLog(store, 1, 1.0)
    monkeypatch.setattr(FaultyLog, "insert", _away)
    node = Node(log)
    with pytest.raises(VouchError) as refused:
        await node.append(draft("conv:a", "id00000000000000001"))
    assert refused.value.code is Code.TRY_LATER
    monkeypatch.undo()
    log.rate = 0.0
    assert (await node.append(draft("conv:a", "id00000000000000001"))).entry.seq == 1  # it never died
    await node.appender.stop()


async def _away(self: FaultyLog, rows: Sequence[Document | Encoded]) -> None:
    raise AutoReconnect("away")


async def test_stopping_makes_durable_what_was_queued(store: Store) -> None:
    node = Node(EntryLog(store))
    sends = [asyncio.ensure_future(node.append(draft("conv:a", f"id{n:020}"))) for n in range(30)]
    await asyncio.sleep(0)
    await node.appender.stop()
    assert [a.entry.seq for a in await asyncio.gather(*sends)] == list(range(1, 31))
    with pytest.raises(VouchError) as refused:
        await node.append(draft("conv:a", "late0000000000000000"))
    assert refused.value.code is Code.TRY_LATER


async def test_digests_cannot_be_guessed_without_the_key(store: Store) -> None:
    one, other = Node(EntryLog(store)), Node(EntryLog(store))
    other.appender._digest_key = b"other key"
    sent = draft("conv:a", "id00000000000000001")
    assert one.appender._digest(sent) != other.appender._digest(sent)
    await asyncio.gather(one.appender.stop(), other.appender.stop())
