"""Two nodes on one database and one Redis: what one makes durable the other delivers, whatever the bus does."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio as redis
from pymongo.errors import AutoReconnect

from server.errors import Code, VouchError
from server.keys import Keys
from server.principals import Kind, Principal
from server.realtime import bus as bus_module
from server.realtime import sweep as sweep_module
from server.realtime.channels import Draft
from server.realtime.gate import Gate
from server.services import Services
from server.settings import Settings
from tests.conftest import eventually
from tests.realtime.test_gate import Seen

CH = "conv:c_00000000000000000000"


def message(n: int, by: str = "p_1") -> Draft:
    return Draft(CH, by, f"id{n:020}", "message", {"text": f"word {n}"})


async def follow(services: Services) -> tuple[Gate, Seen]:
    gate, seen = await services.hub.gates.open(CH), Seen()
    gate.subscribe(seen)
    return gate, seen


async def test_entries_of_one_node_reach_the_other_in_order(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    (gate_a, _), (gate_b, seen) = await follow(a), await follow(b)
    await asyncio.gather(*(n.hub.append(message(i, f"p_{w}")) for i in range(40) for w, n in enumerate(nodes)))
    await eventually(lambda: gate_a.delivered == gate_b.delivered == 80)
    assert [e.seq for e in gate_b.recent()] == list(range(1, 81))
    await eventually(lambda: b"".join(gate_a.since(0)) == b"".join(gate_b.since(0)) == b"".join(seen.frames))


async def acquainted(*nodes: Services) -> None:
    """Each knows the others, so that each leaves a trail and follows theirs."""
    for node in nodes:
        await node._nodes.renew()
    for node in nodes:
        await node._nodes.renew()
        assert not node._nodes.alone
        await node.hub._sweep.once()


async def test_what_the_bus_lost_is_found_by_the_sweep(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    gate, _ = await follow(b)
    await acquainted(a, b)
    b.hub._sweep._thorough_until = 0.0
    a.hub._bus.publish = lambda ch, payload: None  # type: ignore[method-assign]
    await a.hub.append(message(1))
    await a.hub.append(message(2))
    assert gate.delivered == 0
    await b.hub._sweep.once()
    await eventually(lambda: gate.delivered == 2)


async def test_a_gate_that_is_asked_for_is_in_use(nodes: tuple[Services, Services]) -> None:
    gate, _ = await follow(nodes[0])
    gate.idle_since = 0.0
    await nodes[0].hub.gates.open(CH)
    assert gate.idle_since > 0.0


async def test_the_sweep_runs_by_itself(nodes: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = nodes
    monkeypatch.setattr(sweep_module, "EVERY", 0.05)
    b.hub._sweep.hurry()
    gate, _ = await follow(b)
    await b._nodes.renew()
    a.hub._bus.publish = lambda ch, payload: None  # type: ignore[method-assign]
    await a.hub.append(message(1))
    await eventually(lambda: gate.delivered == 1)


async def test_a_repeat_is_offered_again_for_whoever_died_before_publishing(nodes: tuple[Services, Services]) -> None:
    """A node that inserted and died before it published: the sender repeats the id to another node."""
    a, b = nodes
    gate, _ = await follow(b)
    a.hub._bus.publish = lambda ch, payload: None  # type: ignore[method-assign]
    first = await a.hub.append(message(1))
    again = await b.hub.append(message(1))
    assert again.entry == first.entry
    assert gate.delivered == 1


async def test_a_lost_bus_is_joined_again_and_swept(
    nodes: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = nodes
    gate, _ = await follow(b)
    await b._nodes.renew()
    rejoined = asyncio.Event()
    hurry = b.hub._sweep.hurry

    def noticed() -> None:
        hurry()
        rejoined.set()

    monkeypatch.setattr(b.hub._sweep, "hurry", noticed)
    client = redis.Redis.from_url(a.settings.redis_url)
    await client.client_kill_filter(_type="pubsub")  # every subscription of every node is cut
    a.hub._bus.publish = lambda ch, payload: None  # type: ignore[method-assign]
    await a.hub.append(message(1))
    await asyncio.wait_for(rejoined.wait(), 10)
    await eventually(lambda: gate.delivered == 1)
    await client.aclose()


async def test_without_redis_a_node_goes_on_alone(
    settings: Settings, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "_CONFIRM_WITHIN", 0.05)
    alone = Services(settings, keys, mongodb_uri=settings.mongodb_uri, redis_url="unix:///nowhere/redis.sock")
    await alone.start()
    gate, seen = await follow(alone)
    await alone.hub.append(message(1))
    assert gate.delivered == 1
    await eventually(lambda: len(seen.frames) == 1)
    await alone.stop()


async def test_presence_is_one_list_over_all_nodes(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    await follow(a)
    a.hub.presence.enter(CH, "p_1")
    await eventually(lambda: not a.hub.presence._changed)
    await follow(b)  # the snapshot from Redis
    await b._nodes.renew()
    await b.hub.presence.load(CH)
    assert b.hub.presence.online(CH) == ["p_1"]
    a.hub.presence.enter(CH, "p_2")  # a change over the bus
    await eventually(lambda: b.hub.presence.online(CH) == ["p_1", "p_2"])
    a.hub.presence.leave(CH, "p_1")
    await eventually(lambda: b.hub.presence.online(CH) == ["p_2"])
    b.hub.presence.node_gone(a.node)  # its lease has lapsed
    assert b.hub.presence.online(CH) == []


async def test_who_is_here_through_two_nodes_leaves_once(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    await follow(a)
    await follow(b)
    a.hub.presence.enter(CH, "p_1")
    b.hub.presence.enter(CH, "p_1")
    await eventually(lambda: a.node in b.hub.presence._elsewhere.get(CH, {}))
    a.hub.presence.leave(CH, "p_1")
    await eventually(lambda: not b.hub.presence._elsewhere[CH][a.node])
    assert b.hub.presence.online(CH) == ["p_1"]


async def test_a_flushed_redis_is_filled_again(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    await follow(a)
    a.hub.presence.enter(CH, "p_1")
    await eventually(lambda: not a.hub.presence._changed)
    await follow(b)
    client = redis.Redis.from_url(a.settings.redis_url)
    await client.flushall()
    await a.hub.presence.restate()
    await b._nodes.renew()
    await b.hub.presence.load(CH)
    assert b.hub.presence.online(CH) == ["p_1"]
    await client.aclose()


async def test_positions_only_move_forward_and_follow_the_person(nodes: tuple[Services, Services]) -> None:
    a, b = nodes
    await asyncio.gather(*(a.hub.append(message(n)) for n in range(6)))
    await follow(a)
    await follow(b)
    a.hub.positions.move("p_1", CH, read=4)
    b.hub.positions.move("p_1", CH, read=2, delivered=6)
    await a.hub.positions.flush()
    await b.hub.positions.flush()
    mark = (await b.hub.positions.of("p_1", [CH]))[CH]
    assert (mark.read, mark.read_n, mark.delivered) == (4, 4, 6)
    assert await a.hub.positions.among(CH, ["p_1", "p_2"]) == {"p_1": mark}


async def test_a_position_beyond_the_head_is_refused(nodes: tuple[Services, Services]) -> None:
    stranger = Principal(Kind.PERSON, id="p_9")
    with pytest.raises(VouchError) as refused:
        await nodes[0].hub.move_position(stranger, CH, read=1)
    assert refused.value.code is Code.NOT_FOUND


async def test_own_words_are_no_news_unless_something_unread_lies_before_them(nodes: tuple[Services, Services]) -> None:
    a, _ = nodes
    first = (await a.hub.append(message(1, "p_1"))).entry
    a.hub.positions.wrote("p_1", CH, first.seq, first.n)
    await a.hub.positions.flush()
    await a.hub.append(message(2, "p_2"))
    third = (await a.hub.append(message(3, "p_1"))).entry
    a.hub.positions.wrote("p_1", CH, third.seq, third.n)
    await a.hub.positions.flush()
    mark = (await a.hub.positions.of("p_1", [CH]))[CH]
    assert (mark.read, mark.read_n) == (1, 1)  # what p_2 said in between is still unread
    a.hub.positions.move("p_1", CH, read=2)
    a.hub.positions.wrote("p_1", CH, third.seq, third.n)
    await a.hub.positions.flush()
    mark = (await a.hub.positions.of("p_1", [CH]))[CH]
    assert (mark.read, mark.read_n, mark.delivered) == (3, 3, 3)


async def test_positions_wait_for_a_database_that_is_away(
    nodes: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = nodes
    await a.hub.append(message(1))
    positions = a.hub.positions

    async def away(changes: object) -> None:
        raise AutoReconnect("away")

    with monkeypatch.context() as patch:
        patch.setattr(positions, "_write", away)
        positions.move("p_1", CH, read=1)
        await positions.flush()
        assert await positions.of("p_1", [CH]) == {}
    await positions.flush()
    assert (await positions.of("p_1", [CH]))[CH].read == 1
