"""Two whole nodes on a Redis cluster: what they share lies in many slots."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from server.errors import VouchError
from server.keys import Keys
from server.limits import LIMITS, Limit, Limits
from server.realtime.channels import Draft
from server.services import Services
from server.settings import Settings
from tests.conftest import Run, eventually
from tests.nodes.valkey import Cluster
from tests.realtime.test_gate import Seen

CHANNELS = [f"conv:c_{number:020}" for number in range(20)]


@pytest.fixture
def pair(settings: Settings, keys: Keys, cluster: Cluster, run: Run[Any]) -> Iterator[tuple[Services, Services]]:
    there = msgspec.structs.replace(settings, redis_url=cluster.url)
    made = [Services(there, keys, mongodb_uri=there.mongodb_uri, redis_url=there.redis_url) for _ in range(2)]
    for services in made:
        run(services.start())
    yield made[0], made[1]
    for services in made:
        run(services.stop())


async def test_entries_and_people_of_many_channels_are_known_on_both(pair: tuple[Services, Services]) -> None:
    a, b = pair
    for services in pair:
        await services._nodes.renew()
    await asyncio.gather(*(services.hub.gates.open(ch) for services in pair for ch in CHANNELS))
    for ch in CHANNELS:
        gate = b.hub.gates.get(ch)
        assert gate is not None
        gate.subscribers.add(Seen())
        a.hub.presence.enter(ch, "p_1")
    for number, ch in enumerate(CHANNELS):
        await a.hub.append(Draft(ch, "p_1", f"id{number:020}", "message", {"text": "word"}))
    await eventually(lambda: all(gate.delivered == 1 for gate in b.hub.gates))
    await eventually(lambda: all(b.hub.presence.online(ch) == ["p_1"] for ch in CHANNELS))
    for ch in CHANNELS:
        b.hub.presence.forget(ch)
        while not b.hub.presence.online(ch):
            await b.hub.presence.load(ch)  # from the lists, each in a slot of its own
            await asyncio.sleep(0.01)
    assert all(b.hub.presence.online(ch) == ["p_1"] for ch in CHANNELS)


async def test_limits_are_counted_together(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "sign_in", Limit("3 per 1 minute", "login"))
    one, other = Limits(cluster.url), Limits(cluster.url)
    assert await one.ping()
    for login in ("lin", "chen", "emma"):  # in several slots
        await one.hit("sign_in", login)
        await other.hit("sign_in", login)
        await one.hit("sign_in", login)
        with pytest.raises(VouchError):
            await other.hit("sign_in", login)
    await asyncio.gather(one.stop(), other.stop())


async def test_limits_are_counted_alone_while_the_cluster_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "sign_in", Limit("3 per 1 minute", "login"))
    alone = Limits("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    assert not await alone.ping()
    for _ in range(3):
        await alone.hit("sign_in", "lin")
    with pytest.raises(VouchError):
        await alone.hit("sign_in", "lin")
    await alone.stop()
