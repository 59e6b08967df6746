"""Two nodes and one hot channel: who owns it, and what happens when the owner, its answers or its lease are gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from server.errors import Code, VouchError
from server.principals import Kind, Principal
from server.realtime import owners as owners_module
from server.realtime import routes
from server.realtime.channels import Draft
from server.realtime.owners import Leases
from server.redis_url import RedisUrl
from server.services import Services
from tests.conftest import eventually
from tests.nodes.valkey import Cluster, Valkey

CH = "conv:c_00000000000000000000"
KEY = f"owner:{CH}"


def message(n: int, by: str = "p_1") -> Draft:
    return Draft(CH, by, f"id{n:020}", "message", {"text": f"word {n}"})


@pytest.fixture
def bus(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


async def own(owner: Services, other: Services) -> None:
    """The one node owns the channel, and the other knows."""
    for services in (owner, other):
        await services._nodes.renew()
    await owner.hub._owners._ask(CH)
    await eventually(lambda: route_of(other) == owner.node)


def route_of(services: Services) -> str | None:
    """Where the node's drafts of the channel go; None: into its own log."""
    route = services.hub._owners._routes.get(CH)
    return route.owner if route is not None else None


async def whole(services: Services, count: int) -> None:
    """The log holds so many entries of the channel, without holes."""
    entries = await services.hub._log.read(CH, 1, count + 10)
    assert [entry.seq for entry in entries] == list(range(1, count + 1))
    assert len({(entry.by, entry.id) for entry in entries}) == count


async def test_nodes_that_fight_for_numbers_find_an_owner_and_lose_nothing(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    for services in nodes:
        await services._nodes.renew()
    sent = 0

    async def fight() -> None:
        nonlocal sent
        many = [message(sent + n, f"p_{w}") for n in range(10) for w in range(2)]
        sent += len(many)
        await asyncio.gather(*((a if draft.by == "p_0" else b).hub.append(draft) for draft in many))

    async with asyncio.timeout(20):
        while not (a.hub._owners._owned or b.hub._owners._owned):
            await fight()
    owner, other = (a, b) if a.hub._owners._owned else (b, a)
    await eventually(lambda: route_of(other) == owner.node)
    for _ in range(5):
        await fight()
    entries = await a.hub._log.read(CH, 1, sent + 10)
    assert [entry.seq for entry in entries] == list(range(1, sent + 1))
    for by in ("p_0", "p_1"):
        ids = [entry.id for entry in entries if entry.by == by]
        assert ids == sorted(ids)


async def test_the_other_nodes_drafts_are_numbered_by_the_owner_and_delivered_everywhere(
    nodes: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = nodes
    gates = [await services.hub.gates.open(CH) for services in nodes]
    await own(b, a)

    def forbidden(draft: Draft, kind: object) -> None:
        raise AssertionError("this node has numbered it itself")

    monkeypatch.setattr(a.hub._appender, "submit", forbidden)
    futures = [a.hub.append(message(n)) for n in range(30)]
    assert [accepted.entry.seq for accepted in await asyncio.gather(*futures)] == list(range(1, 31))
    await eventually(lambda: all(gate.delivered == 30 for gate in gates))
    again = await a.hub.append(message(7))
    assert again.entry.seq == 8
    with pytest.raises(VouchError) as refused:
        await a.hub.append(Draft(CH, "p_1", message(7).id, "message", {"text": "another word"}))
    assert refused.value.code is Code.IDEMPOTENCY_CONFLICT


async def test_rights_are_asked_where_the_socket_is(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    await own(b, a)
    with pytest.raises(VouchError) as refused:
        await a.hub.append_as(Principal(Kind.PERSON, id="p_9"), CH, "i" * 22, "message", b'{"text":"word"}', None)
    assert refused.value.code is Code.NOT_FOUND
    await whole(b, 0)


@asynccontextmanager
async def lossy(services: Services, loses: Callable[[bytes], bool]) -> AsyncIterator[None]:
    """What the node sends to others directly is lost where `loses` says so."""
    send = services.hub._bus.send

    def lose(node: str, payload: bytes) -> None:
        if not loses(payload):
            send(node, payload)

    services.hub._bus.send = lose  # type: ignore[method-assign]
    yield
    services.hub._bus.send = send  # type: ignore[method-assign]


async def test_a_lost_answer_costs_a_moment_and_no_second_entry(
    nodes: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "ANSWER_WITHIN", 0.2)
    a, b = nodes
    await own(b, a)
    async with lossy(b, lambda payload: b"answer" in payload):
        accepted = await asyncio.gather(*(a.hub.append(message(n)) for n in range(5)))
    assert [each.entry.seq for each in accepted] == [1, 2, 3, 4, 5]
    await whole(a, 5)
    assert route_of(a) is None
    await b.hub._owners.renew()  # claims it again
    await eventually(lambda: route_of(a) == b.node)
    assert (await a.hub.append(message(5))).entry.seq == 6


async def test_a_lost_draft_is_not_overtaken_by_those_after_it(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    await own(b, a)
    lost: list[bytes] = []

    def first_forward(payload: bytes) -> bool:
        if b"forward" in payload and not lost:
            lost.append(payload)
            return True
        return False

    async with lossy(a, first_forward):
        began = time.monotonic()
        accepted = await asyncio.gather(*(a.hub.append(message(n)) for n in range(5)))
    assert lost
    assert [each.entry.seq for each in accepted] == [1, 2, 3, 4, 5]  # in the order of saying
    assert time.monotonic() - began < 5  # the owner has refused the rest: nobody waited for the end of patience


async def test_a_doubled_bus_doubles_nothing(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    await own(b, a)
    send = a.hub._bus.send

    def twice(node: str, payload: bytes) -> None:
        send(node, payload)
        send(node, payload)

    a.hub._bus.send = twice  # type: ignore[method-assign]
    await asyncio.gather(*(a.hub.append(message(n)) for n in range(20)))
    assert route_of(a) == b.node
    await whole(a, 20)


async def test_an_owner_that_has_died_is_not_waited_for(
    nodes: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "ANSWER_WITHIN", 30.0)
    a, b = nodes
    await own(b, a)
    async with lossy(a, lambda payload: True):
        appending = asyncio.gather(*(a.hub.append(message(n)) for n in range(5)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not appending.done()
        a.hub._owners.gone(b.node)  # its lease in the database has lapsed
        await appending
    assert route_of(a) is None
    await whole(a, 5)


async def test_a_lease_that_moves_is_followed(nodes: tuple[Services, Services], bus: Any) -> None:
    a, b = nodes
    await own(b, a)
    bus.set(KEY, a.node, px=10_000)  # it had lapsed, and the other was quicker
    await b.hub._owners.renew()
    assert not b.hub._owners._owned
    await eventually(lambda: route_of(a) is None)
    await own(a, b)
    await asyncio.gather(*(n.hub.append(message(i, f"p_{w}")) for i in range(20) for w, n in enumerate(nodes)))
    await whole(a, 40)


async def test_who_is_asked_without_owning_says_so(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    await own(b, a)
    b.hub._owners._disown(CH)
    began = time.monotonic()
    assert (await a.hub.append(message(1))).entry.seq == 1
    assert time.monotonic() - began < routes.ANSWER_WITHIN
    assert route_of(a) is None


async def test_a_flushed_redis_makes_two_owners_for_a_moment_and_no_harm(
    nodes: tuple[Services, Services], bus: Any
) -> None:
    a, b = nodes
    await own(b, a)
    bus.flushall()
    await a.hub._owners._ask(CH)
    assert a.hub._owners._owned
    await asyncio.gather(*(n.hub.append(message(i, f"p_{w}")) for i in range(20) for w, n in enumerate(nodes)))
    await whole(a, 40)
    await b.hub._owners.renew()
    assert not b.hub._owners._owned


async def test_without_redis_nobody_owns_anything(
    nodes: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = nodes
    await own(b, a)
    for services in nodes:
        monkeypatch.setattr(services.hub._owners, "_leases", Leases(RedisUrl("redis://127.0.0.1:1").client(0.2), "n"))
    await b.hub._owners.renew()
    assert not b.hub._owners._owned
    await eventually(lambda: route_of(a) is None)
    await a.hub._owners._ask(CH)
    assert route_of(a) is None
    assert (await a.hub.append(message(1))).entry.seq == 1


async def test_what_nobody_needs_is_given_up(
    nodes: tuple[Services, Services], bus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = nodes
    await own(b, a)
    assert bus.get(KEY).decode() == b.node
    await b.hub._owners.renew()
    assert b.hub._owners._owned
    monkeypatch.setattr(owners_module, "UNUSED", -1.0)
    await b.hub._owners.renew()
    assert bus.get(KEY) is None
    await eventually(lambda: route_of(a) is None)
    await a.hub._owners.renew()
    assert not a.hub._owners._routes


async def test_a_node_that_stops_gives_up_its_channels(nodes: tuple[Services, Services], bus: Any) -> None:
    a, b = nodes
    await own(b, a)
    await b.hub._owners.stop()
    assert bus.get(KEY) is None
    await eventually(lambda: route_of(a) is None)
    assert (await a.hub.append(message(1))).entry.seq == 1


async def test_a_claim_that_is_not_renewed_lapses(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    await own(b, a)
    a.hub._owners._routes[CH].until = 0.0
    await a.hub._owners.renew()
    assert route_of(a) is None


async def test_nobody_speaks_for_others_who_can_only_write_to_redis(nodes: tuple[Services, Services]) -> None:
    """Regression guard: a draft that comes over the bus is appended without asking for rights."""
    a, b = nodes
    await own(b, a)
    forged = owners_module._encode(routes.Forward("run", 1, message(1, "p_victim")))
    for payload in (forged, b"\0" * 16 + forged, b"short"):
        a.hub._bus.send(b.node, payload)
    sealed = a.hub._owners._seal(a.node, "n_another", forged) + forged  # meant for somebody else
    a.hub._bus.send(b.node, sealed)
    unknown = owners_module._encode(["nonsense", 1])
    a.hub._bus.send(b.node, a.hub._owners._seal(a.node, b.node, unknown) + unknown)  # of another version
    assert (await a.hub.append(message(2))).entry.seq == 1
    await whole(a, 1)


@pytest.mark.parametrize("kind", ["plain", "cluster"])
async def test_one_node_at_a_time_has_a_lease(request: pytest.FixtureRequest, kind: str) -> None:
    server: Valkey | Cluster = request.getfixturevalue(kind)
    client = RedisUrl(server.url).client(2.0)
    one, other = Leases(client, "n_1"), Leases(client, "n_2")
    channels = [f"conv:c_{kind}{n}" for n in range(10)]
    for ch in channels:
        assert await one.take(ch) == "n_1"
        assert await other.take(ch) == "n_1"
        assert await one.take(ch) == "n_1"
        assert await one.renew(ch)
        assert not await other.renew(ch)
        await other.give_up(ch)
        assert await one.renew(ch)
        await one.give_up(ch)
        assert await other.take(ch) == "n_2"
    await client.aclose()
