"""The outbox: a change and its entries are one thing, whoever dies in between (DESIGN 2)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from server.clock import SystemClock
from server.errors import Code, VouchError
from server.realtime import outbox as outbox_module
from server.realtime.channels import Draft
from server.realtime.outbox import Outbox
from server.settings import Settings
from server.store import Store, Tx
from tests.conftest import Run


@pytest.fixture
def store(settings: Settings, run: Run[Any]) -> Iterator[Store]:
    store = Store(settings.mongodb_uri, settings.database)
    run(store.connect())
    yield store
    store.close()


class Sink:
    """Where the relay appends; may refuse."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.refuse: dict[str, VouchError] = {}

    async def __call__(self, draft: Draft) -> None:
        if draft.id in self.refuse:
            raise self.refuse[draft.id]
        self.drafts.append(draft)

    @property
    def ids(self) -> list[str]:
        return [draft.id for draft in self.drafts]


def change(outbox: Outbox, *orders: int, ch: str = "conv:a") -> Any:
    async def body(tx: Tx) -> None:
        for order in orders:
            await outbox.put(tx, id=f"{ch}:{order}", ch=ch, order=order, kind="renamed", body={"n": order})

    return body


async def test_entries_follow_the_commit_in_order(store: Store) -> None:
    outbox, sink = Outbox(store, SystemClock()), Sink()
    await outbox.start(sink)
    await store.transact(change(outbox, 10, 9, 11))
    await outbox.drained()
    assert sink.ids == ["conv:a:9", "conv:a:10", "conv:a:11"]
    assert await store.collection("outbox").find_one({"ch": "conv:a"}) is None
    await outbox.stop()


async def test_nothing_is_told_of_a_change_that_was_rolled_back(store: Store) -> None:
    outbox, sink = Outbox(store, SystemClock()), Sink()
    await outbox.start(sink)

    async def body(tx: Tx) -> None:
        await change(outbox, 1)(tx)
        raise VouchError(Code.CONFLICT)

    with pytest.raises(VouchError):
        await store.transact(body)
    await outbox.drained()
    assert sink.ids == []
    assert await store.collection("outbox").find_one({"ch": "conv:a"}) is None
    await outbox.stop()


async def test_what_a_dead_process_left_is_relayed_at_start(store: Store) -> None:
    await store.transact(change(Outbox(store, SystemClock()), 1, 2))  # never started: as if killed after the commit
    outbox, sink = Outbox(store, SystemClock()), Sink()
    await outbox.start(sink)
    assert sink.ids == ["conv:a:1", "conv:a:2"]
    await outbox.stop()


async def test_what_another_dead_process_left_is_found_by_the_sweep(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "SWEEP_EVERY", 0.05)
    outbox, sink = Outbox(store, SystemClock()), Sink()
    await outbox.start(sink)
    await store.transact(change(Outbox(store, SystemClock()), 1))
    async with asyncio.timeout(5):
        while not sink.ids:
            await asyncio.sleep(0.01)
    await outbox.stop()


async def test_a_busy_log_is_tried_again_and_order_holds(store: Store) -> None:
    outbox, sink = Outbox(store, SystemClock()), Sink()
    sink.refuse["conv:a:1"] = VouchError(Code.TRY_LATER)
    await outbox.start(sink)
    await store.transact(change(outbox, 1, 2))
    async with asyncio.timeout(5):
        while outbox._wake.is_set() or not outbox._dirty:
            await asyncio.sleep(0.01)
    assert sink.ids == []
    sink.refuse.clear()
    await outbox.drained()
    assert sink.ids == ["conv:a:1", "conv:a:2"]
    await outbox.stop()


async def test_an_entry_that_can_never_be_appended_is_set_aside_and_stops_nobody(store: Store) -> None:
    outbox, sink = Outbox(store, SystemClock()), Sink()
    sink.refuse["conv:a:1"] = VouchError(Code.IDEMPOTENCY_CONFLICT)
    await outbox.start(sink)
    await store.transact(change(outbox, 1, 2))
    await outbox.drained()
    assert sink.ids == ["conv:a:2"]
    aside = await store.collection("outbox").find_one({"_id": "system:conv:a:1"})
    assert aside is not None
    assert aside["shard"] == -1
    await outbox.stop()
