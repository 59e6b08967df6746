"""Leases and sweeps under stopped processes, databases that are away and clocks that jump (DESIGN 2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from server.realtime.nodes import LEASE, MEMORY, RENEW_EVERY, Nodes
from server.settings import Settings
from server.store import Store
from tests.conftest import Run


class Clocks:
    """A wall clock and a monotonic one, moved by hand and apart."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 5, 1, tzinfo=UTC)
        self.monotonic = 1000.0

    def now(self) -> datetime:
        return self.wall

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic += seconds


class Pair:
    """Two nodes' leases on one database; `passes` lets both renew as time goes by."""

    def __init__(self, store: Store) -> None:
        self.clocks = Clocks(), Clocks()
        self.nodes = tuple(
            Nodes(store, clocks, name, lambda clocks=clocks: clocks.monotonic)  # type: ignore[misc]
            for name, clocks in zip(("n_a", "n_b"), self.clocks, strict=True)
        )
        self.told: list[str] = []
        for node in self.nodes:
            node.on_come.append(lambda other, me=node.node: self.told.append(f"{me}: {other} has come"))  # type: ignore[misc]
            node.on_gone.append(lambda other, me=node.node: self.told.append(f"{me}: {other} has gone"))  # type: ignore[misc]
            node.on_absence.append(lambda me=node.node: self.told.append(f"{me}: away"))  # type: ignore[misc]

    async def start(self) -> None:
        for node in self.nodes:
            await node.renew()
        await self.nodes[0].renew()

    async def passes(self, seconds: float, *renewing: int) -> None:
        """Time goes by for both, in steps of one renewal; only `renewing` renew."""
        for _ in range(round(seconds / RENEW_EVERY)):
            for clocks in self.clocks:
                clocks.passes(RENEW_EVERY)
            for index in renewing:
                await self.nodes[index].renew()


@pytest.fixture
def pair(settings: Settings, run: Run[None]) -> Iterator[Pair]:
    store = Store(settings.mongodb_uri, settings.database)
    pair = Pair(store)
    run(pair.start())
    assert pair.told == ["n_b: n_a has come", "n_a: n_b has come"]
    pair.told.clear()
    yield pair
    store.close()


async def test_a_lease_that_does_not_change_lapses_and_is_told_once(pair: Pair) -> None:
    await pair.passes(LEASE - RENEW_EVERY, 1)
    assert pair.nodes[1].live() == {"n_a"}
    await pair.passes(2 * LEASE, 1)
    assert pair.told == ["n_b: n_a has gone"]
    assert pair.nodes[1].alone
    assert "n_a" in pair.nodes[1].trails_of_others()  # its last entries are still looked for
    await pair.passes(MEMORY, 1)
    assert pair.nodes[1].trails_of_others() == {}


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_clock_that_jumps_ends_no_lease(pair: Pair, jump: timedelta) -> None:
    pair.clocks[0].wall += jump
    await pair.passes(4 * LEASE, 0, 1)
    assert pair.told == []
    assert pair.nodes[0].live() == {"n_b"}
    assert pair.nodes[1].live() == {"n_a"}


async def test_a_node_with_a_wrong_clock_is_known_when_its_lease_has_changed(pair: Pair) -> None:
    late = Clocks()
    late.wall -= timedelta(hours=1)
    third = Nodes(pair.nodes[0]._store, late, "n_c", lambda: late.monotonic)
    await third.renew()
    assert third.live() == set()
    await pair.passes(RENEW_EVERY, 0, 1)
    late.passes(RENEW_EVERY)
    await third.renew()
    assert third.live() == {"n_a", "n_b"}


async def test_a_database_that_was_away_for_long_costs_nobody_the_lease(pair: Pair) -> None:
    """Regression: whoever renewed first afterwards took all others for dead, and presence flickered."""
    await pair.passes(4 * LEASE)
    await pair.passes(RENEW_EVERY, 0, 1)
    assert pair.told == ["n_a: away", "n_b: away"]
    assert pair.nodes[0].live() == {"n_b"}


async def test_a_node_that_was_stopped_knows_that_it_was_given_up(pair: Pair) -> None:
    await pair.passes(2 * LEASE, 1)
    assert pair.told == ["n_b: n_a has gone"]
    await pair.nodes[0].renew()
    await pair.nodes[1].renew()
    assert pair.told == ["n_b: n_a has gone", "n_a: away", "n_b: n_a has come"]
    assert pair.nodes[0].live() == {"n_b"}


async def test_who_greets_is_known_before_the_lease_is_read(pair: Pair) -> None:
    assert pair.nodes[0].greeted("n_new") is True
    assert pair.nodes[0].greeted("n_new") is False
    assert pair.nodes[0].greeted("n_a") is False
    assert pair.told == ["n_a: n_new has come"]
    assert pair.nodes[0].live() == {"n_b", "n_new"}
