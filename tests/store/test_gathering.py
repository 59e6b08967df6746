"""Reads that are gathered: few queries, fresh answers, faults for everybody whom they concern."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from server.store import Gathered, StoreError
from server.store.gathering import AT_ONCE


class Table:
    """Reads wait until they are let go; `rows` is what they find then."""

    def __init__(self, rows: dict[str, int]) -> None:
        self.rows = rows
        self.queries: list[list[str]] = []
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def read(self, keys: Sequence[str]) -> dict[str, int]:
        self.queries.append(list(keys))
        snapshot = dict(self.rows)
        self.begun.set()
        await self.open.wait()
        return {key: snapshot[key] for key in keys if key in snapshot}


async def test_reads_of_one_tick_are_one_query() -> None:
    table = Table({"a": 1, "b": 2})
    gathered = Gathered(table.read)
    assert await asyncio.gather(*(gathered.get(key) for key in ("a", "b", "a", "none"))) == [1, 2, 1, None]
    assert table.queries == [["a", "b", "none"]]


async def test_who_asks_during_a_query_gets_what_is_true_after_asking() -> None:
    table = Table({"a": 1})
    gathered = Gathered(table.read)
    table.open.clear()
    first = asyncio.create_task(gathered.get("a"))
    await table.begun.wait()
    table.rows["a"] = 2
    second = asyncio.create_task(gathered.get("a"))
    await asyncio.sleep(0)
    table.open.set()
    assert (await first, await second) == (1, 2)
    assert table.queries == [["a"], ["a"]]


async def test_many_keys_are_several_queries() -> None:
    table = Table({str(n): n for n in range(2 * AT_ONCE + 1)})
    gathered = Gathered(table.read)
    assert await asyncio.gather(*(gathered.get(key) for key in table.rows)) == list(table.rows.values())
    assert [len(keys) for keys in table.queries] == [AT_ONCE, AT_ONCE, 1]


async def test_a_fault_is_told_to_all_and_the_next_query_is_tried() -> None:
    faults = [StoreError("away")]

    async def read(keys: Sequence[str]) -> dict[str, int]:
        if faults:
            raise faults.pop()
        return dict.fromkeys(keys, 7)

    gathered = Gathered(read)
    outcomes = await asyncio.gather(gathered.get("a"), gathered.get("b"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreError, StoreError]
    assert await gathered.get("a") == 7


async def test_who_goes_away_takes_nobody_along() -> None:
    table = Table({"a": 1})
    gathered = Gathered(table.read)
    table.open.clear()
    gone, stays = asyncio.create_task(gathered.get("a")), asyncio.create_task(gathered.get("a"))
    await table.begun.wait()
    gone.cancel()
    table.open.set()
    assert await stays == 1
    with pytest.raises(asyncio.CancelledError):
        await gone
