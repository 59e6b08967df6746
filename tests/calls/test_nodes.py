"""Calls on two nodes: media at one, people at both; and a node that goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from server.calls.model import SeatState
from server.calls.wire import Direction
from server.errors import Code, VouchError
from server.keys import Keys
from server.services import Services
from server.settings import Settings
from tests.calls.conftest import Switchboard, _all
from tests.calls.test_service import refusal
from tests.chat.conftest import HandClock
from tests.conftest import Run, eventually


@pytest.fixture
def boards(
    silent: None,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    keys: Keys,
    run: Run[Any],
    clock: HandClock,
) -> Iterator[tuple[Switchboard, Switchboard]]:
    made = []
    for _ in range(2):
        services = Services(settings, keys, clock, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
        run(services.start())
        run(services.calls.keeper.rounds.stop())
        monkeypatch.setattr(services.people, "live_sessions", _all)
        made.append(Switchboard(services, clock))
    run(_met(*made))
    yield made[0], made[1]
    for board in made:
        run(board.services.stop())


async def _met(one: Switchboard, two: Switchboard) -> None:
    await eventually(lambda: not one.services._nodes.alone and not two.services._nodes.alone)


async def test_media_are_at_one_node_and_people_ask_at_any(boards: tuple[Switchboard, Switchboard]) -> None:
    here, there = boards
    ann, tom, max_ = await here.friends("ann", "tom", "max")
    call = await here.joined(await here.group(ann, tom, max_), ann, max_)
    await there.calls.accept(there.who(tom), call.id)
    mine = await there.connect(tom, call.id)
    assert here.plane.people(call.id) == [(tom, "publish")]
    assert there.plane.links == {}
    assert await refusal(there.connect(tom, call.id, offer="nonsense")) is Code.BAD_OFFER
    await there.connect(max_, call.id, Direction.WATCH)
    await there.calls.connections.disconnect(there.who(tom), call.id, mine)
    assert here.plane.people(call.id) == [(max_, "watch")]
    await there.connect(tom, call.id)
    await there.calls.leave(there.who(tom), call.id)  # the other node closes what is there
    await there.settle()
    assert here.plane.people(call.id) == [(max_, "watch")]


async def test_a_socket_at_another_node_counts(boards: tuple[Switchboard, Switchboard]) -> None:
    from tests.calls.test_service import Socket

    here, there = boards
    ann, tom, max_ = await here.friends("ann", "tom", "max")
    call = await here.joined(await here.group(ann, tom, max_), ann, tom, max_)
    kept = there.hub.roster._peers
    there.hub.roster._peers = {tom: [Socket(there.who(tom), call.ch)]}  # type: ignore[dict-item]
    await here.calls.keeper.look()
    here.clock.pass_by(seconds=11)
    await here.calls.keeper.look()
    there.hub.roster._peers = kept
    after = await here.calls.repo.get(call.id)
    assert after is not None
    states = {seat.person: seat.state for seat in after.seats}
    assert states == {ann: SeatState.AWAY, tom: SeatState.JOINED, max_: SeatState.AWAY}


async def test_calls_of_a_node_that_is_gone_are_taken_over_once(boards: tuple[Switchboard, Switchboard]) -> None:
    here, there = boards
    ann, tom = await here.friends("ann", "tom")
    call = await here.joined(await here.direct(ann, tom), ann, tom)
    await here.connect(ann, call.id)
    keeper = there.calls.keeper
    await asyncio.gather(*(keeper.take_over(here.services.node) for _ in range(3)))
    after = await there.calls.repo.get(call.id)
    assert after is not None
    assert (after.place, after.epoch) == (there.services.node, 2)
    await there.settle()
    assert here.plane.links == {}  # it was not gone after all, and hears of it
    assert await refusal(here.connect(ann, call.id, epoch=1)) is Code.STALE
    await here.connect(ann, call.id, epoch=2)
    assert there.plane.people(call.id) == [(ann, "publish")]


async def test_a_call_of_a_node_that_nobody_knows_is_found(boards: tuple[Switchboard, Switchboard]) -> None:
    here, _ = boards
    ann, tom = await here.friends("ann", "tom")
    call = await here.joined(await here.direct(ann, tom), ann, tom)
    rows = here.services.store.collection("calls")
    await rows.update_one({"_id": call.id}, {"$set": {"place": "n_long_gone"}})
    for _ in range(4):
        await here.calls.keeper.look()
    after = await here.calls.repo.get(call.id)
    assert after is not None
    assert (after.place, after.epoch) == (here.services.node, 2)
    await rows.update_one({"_id": call.id}, {"$set": {"place": "n_long_gone"}})
    await here.connect(ann, call.id)  # whoever asks before finds it at once
    assert here.plane.people(call.id) == [(ann, "publish")]


async def test_a_node_that_does_not_answer_is_unavailable(boards: tuple[Switchboard, Switchboard]) -> None:
    here, there = boards
    ann, tom = await here.friends("ann", "tom")
    call = await here.joined(await here.direct(ann, tom), ann, tom)
    here.plane.refuses = "unavailable"
    assert await refusal(there.connect(ann, call.id)) is Code.UNAVAILABLE
    here.plane.refuses = ""
    real, there.hub.asking._send = there.hub.asking._send, lambda *_: None  # type: ignore[method-assign]
    asking = asyncio.create_task(there.connect(ann, call.id))
    await eventually(lambda: bool(there.hub.asking._waiting))
    there.hub.asking.gone(here.services.node)
    assert await refusal(asking) is Code.UNAVAILABLE
    there.hub.asking._send = real  # type: ignore[method-assign]


@pytest.mark.parametrize("second", ["cancel", "decline", "leave", "accept"])
async def test_whatever_two_do_at_once_at_two_nodes_happens_in_one_order(
    boards: tuple[Switchboard, Switchboard], second: str
) -> None:
    """Tom answers on one device while Ann takes it back, or he declines, leaves or answers on another one: the thread
    tells of one beginning and one end, his phones stop once, nobody is left in a call that is over."""
    here, there = boards
    ann, tom = await here.friends("ann", "tom")
    room = await here.direct(ann, tom)
    for round in range(6):
        call = await here.start(ann, room)
        other = here.who(ann) if second == "cancel" else here.who(tom, "2")
        works = [there.calls.accept(there.who(tom), call.id), getattr(here.calls, second)(other, call.id)]
        done = await asyncio.gather(*(works if round % 2 else works[::-1]), return_exceptions=True)
        assert not [fault for fault in done if isinstance(fault, BaseException) and not isinstance(fault, VouchError)]
        if not (await here.calls.changes.get(call.id)).over:
            assert len((await here.calls.changes.get(call.id)).inside) == 2
            await here.calls.end(here.who(ann), call.id)
        for board in boards:
            await board.settle()
        assert await here.services.store.collection("call_claims").find({}).to_list(9) == []
        await here.quiet()
        told = [entry.body["state"] for entry in await here.log(room) if entry.body.get("call") == call.id]
        assert len(told) == 2
        assert told[0] == "started"
        over = [one for one in await here.inbox(tom, "ring_over") if one.body["call"] == call.id]
        assert len(over) == 1


async def test_nobody_waits_for_a_node_that_is_gone(boards: tuple[Switchboard, Switchboard]) -> None:
    here, there = boards
    ann, tom = await here.friends("ann", "tom")
    call = await here.joined(await here.direct(ann, tom), ann, tom)
    mine = await here.connect(ann, call.id)
    await here.services.store.collection("calls").update_one({"_id": call.id}, {"$set": {"place": "n_gone"}})
    there.hub.asking._send = sent_to_nobody  # type: ignore[method-assign, assignment]
    closing = there.calls.connections.disconnect(there.who(ann), call.id, mine)
    assert await refusal(closing) is Code.UNAVAILABLE


def sent_to_nobody(*_: object) -> None:
    raise AssertionError("a question to a node that is gone")
