"""Friends, requests, blocks and who sees whom, on the real database (R-01)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from server.errors import Code, VouchError
from server.people.friends import MOST_OPEN_REQUESTS
from server.people.model import Pair, PairState, Relation
from server.store import Tx
from tests.people.conftest import PASSWORD, World


async def test_from_strangers_to_friends(world: World) -> None:
    ann, ben = await world.join("ann"), await world.join("ben")
    view = await world.people.friends.request(ann.id, ben.id, " Hello, it is Ann ")
    assert (view.id, view.relation) == (ben.id, Relation.OUTGOING)
    assert await world.news(ben.id) == [("friend_requested", {"person": ann.id, "by": ann.id})]
    assert await world.news(ann.id) == [("friend_requested", {"person": ben.id, "by": ann.id})]

    seen = await world.people.friends.all_of(ben.id)
    assert [(r.person.handle, r.note) for r in seen.incoming] == [("ann", "Hello, it is Ann")]
    assert (seen.friends, seen.outgoing, seen.blocked) == ([], [], [])

    view = await world.people.friends.accept(ben.id, ann.id)
    assert view.relation is Relation.FRIEND
    assert await world.news(ann.id) == [("friend_accepted", {"person": ben.id, "by": ben.id})]
    assert [f.person.handle for f in (await world.people.friends.all_of(ann.id)).friends] == ["ben"]
    assert await world.people.are_friends(ann.id, [ben.id, "p_other"]) == {ben.id}

    await world.people.friends.remove(ann.id, ben.id)
    assert (await world.people.friends.all_of(ben.id)).friends == []
    assert await world.people.are_friends(ben.id, [ann.id]) == set()


async def test_a_declined_request_looks_open_to_the_asker(world: World) -> None:
    ann, ben = await world.join("ann"), await world.join("ben")
    await world.people.friends.request(ann.id, ben.id, "It is me")
    await world.news(ann.id)
    seen = await world.people.friends.all_of(ann.id)
    assert [(r.person.id, r.note) for r in seen.outgoing] == [(ben.id, "It is me")]
    world.clock.ahead = timedelta(hours=1)
    await world.people.friends.decline(ben.id, ann.id)
    assert await world.news(ann.id) == []
    assert await world.people.friends.all_of(ann.id) == seen
    assert (await world.people.friends.all_of(ben.id)).incoming == []
    await world.people.friends.withdraw(ann.id, ben.id)
    assert (await world.people.friends.all_of(ann.id)).outgoing == []


async def test_both_ask_at_once_and_are_friends(world: World) -> None:
    ann, ben = await world.join("ann"), await world.join("ben")
    await asyncio.gather(
        world.people.friends.request(ann.id, ben.id, ""), world.people.friends.request(ben.id, ann.id, "")
    )
    assert await world.people.directory.relation(ann.id, ben.id) is Relation.FRIEND


async def test_the_same_step_many_times_at_once_is_one_step(world: World) -> None:
    ann, ben = await world.join("ann"), await world.join("ben")
    await world.people.friends.request(ann.id, ben.id, "")
    await world.news(ann.id)
    await asyncio.gather(*(world.people.friends.accept(ben.id, ann.id) for _ in range(5)))
    assert len(await world.news(ann.id)) == 1


async def test_a_block_ends_what_there_was_and_calls_the_hooks_in_its_transaction(world: World) -> None:
    ann, ben = await world.join("ann"), await world.join("ben")
    await world.befriend(ann.id, ben.id)
    closed: list[tuple[str, str, str]] = []

    async def note(tx: Tx, who: str, whom: str) -> None:
        await world.store.collection("hooked").insert_one({"who": who}, session=tx.session)
        closed.append(("block", who, whom))

    async def note_unblock(tx: Tx, who: str, whom: str) -> None:
        closed.append(("unblock", who, whom))

    world.people.on_block(note)
    world.people.on_unblock(note_unblock)
    view = await world.people.friends.block(ann.id, ben.id)
    assert view.relation is Relation.BLOCKED
    assert closed == [("block", ann.id, ben.id)]
    assert await world.store.collection("hooked").find_one({"who": ann.id}) is not None
    assert await world.people.blocked_between(ben.id, ann.id)
    assert not await world.people.blocked_between(ann.id, ann.id)
    seen = await world.people.friends.all_of(ann.id)
    assert ([p.id for p in seen.blocked], seen.friends) == ([ben.id], [])
    for one, other in ((ben.id, ann.id), (ann.id, ben.id)):
        with pytest.raises(VouchError) as caught:
            await world.people.friends.request(one, other, "")
        assert caught.value.code is Code.BLOCKED
    assert (await world.people.friends.all_of(ben.id)).blocked == []

    await world.people.friends.block(ann.id, ben.id)  # again: nothing happens
    assert len(closed) == 1
    assert (await world.people.friends.unblock(ann.id, ben.id)).relation is Relation.NONE
    assert closed[-1] == ("unblock", ann.id, ben.id)


async def test_a_hook_that_fails_leaves_everything_as_it_was(world: World) -> None:
    ann, ben = await world.join("ann"), await world.join("ben")
    await world.befriend(ann.id, ben.id)
    await world.news(ben.id)

    async def fail(tx: Tx, who: str, whom: str) -> None:
        raise VouchError(Code.CONFLICT)

    world.people.on_block(fail)
    with pytest.raises(VouchError, match="conflict"):
        await world.people.friends.block(ann.id, ben.id)
    assert await world.people.directory.relation(ann.id, ben.id) is Relation.FRIEND
    assert await world.news(ben.id) == []


async def test_only_who_exists_can_be_asked_or_blocked(world: World) -> None:
    ann, ben = await world.join("ann"), await world.join("ben")
    await world.people.accounts.delete(ben.id, PASSWORD)
    for other in (ben.id, "p_" + "0" * 20):
        with pytest.raises(VouchError, match="not_found"):
            await world.people.friends.request(ann.id, other, "")
        with pytest.raises(VouchError, match="not_found"):
            await world.people.friends.block(ann.id, other)
    with pytest.raises(VouchError, match="bad_request"):
        await world.people.friends.request(ann.id, ann.id, "")


async def test_a_hundred_open_requests_are_enough(world: World) -> None:
    ann, ben = await world.join("ann"), await world.join("ben")
    pairs = world.store.collection("pairs")
    row: dict[str, Any] = {
        "a": ann.id,
        "state": "declined",
        "asker": ann.id,
        "note": "",
        "at": None,
        "blocked_by": [],
        "version": 1,
    }
    await pairs.insert_many([{**row, "_id": f"{ann.id}|{n}", "b": str(n)} for n in range(MOST_OPEN_REQUESTS)])
    with pytest.raises(VouchError, match="limit_reached"):
        await world.people.friends.request(ann.id, ben.id, "")


async def test_requests_are_limited_per_day(world: World) -> None:
    ann, ben = await world.join("ann"), await world.join("ben")
    for _ in range(50):
        await world.people.friends.request(ann.id, ben.id, "")
    with pytest.raises(VouchError) as caught:
        await world.people.friends.request(ann.id, ben.id, "")
    assert caught.value.code is Code.TOO_OFTEN


# ── Who sees whom ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_people_are_found_by_exact_handle_or_phone_only(world: World) -> None:
    ann = await world.join("ann")
    ben = await world.join("benjamin", phone="13800138000")
    find = world.people.directory.find
    assert (await find(ann.id, "192.0.2.1", handle="@Benjamin")).id == ben.id
    assert (await find(ann.id, "192.0.2.1", phone="138 0013 8000")).relation is Relation.NONE
    assert (await find(ann.id, "192.0.2.1", handle="ann")).relation is Relation.SELF
    for handle in ("benjami", "benjaminn", "ben"):
        with pytest.raises(VouchError, match="not_found"):
            await find(ann.id, "192.0.2.1", handle=handle)
    for wrong in ({}, {"handle": "benjamin", "phone": "13800138000"}):
        with pytest.raises(VouchError, match="bad_request"):
            await find(ann.id, "192.0.2.1", **wrong)
    await world.people.friends.block(ben.id, ann.id)
    with pytest.raises(VouchError, match="not_found"):
        await find(ann.id, "192.0.2.1", handle="benjamin")
    assert (await find(ben.id, "192.0.2.1", handle="ann")).relation is Relation.BLOCKED


async def test_nobody_can_enumerate(world: World) -> None:
    ann = await world.join("ann")
    for number in range(20):
        with pytest.raises(VouchError, match="not_found"):
            await world.people.directory.find(ann.id, f"192.0.2.{number}", phone=f"138001380{number:02}")
    with pytest.raises(VouchError) as caught:
        await world.people.directory.find(ann.id, "192.0.2.99", handle="somebody")
    assert caught.value.code is Code.TOO_OFTEN


async def test_strangers_are_not_shown_but_those_of_a_circle_are(world: World) -> None:
    ann, ben, eve = await world.join("ann"), await world.join("ben"), await world.join("eve")
    with pytest.raises(VouchError, match="not_found"):
        await world.people.directory.person(ann.id, ben.id)
    assert await world.people.directory.cards_for(ann.id, [ben.id, eve.id]) == []

    async def class_6b(person: str, ids: set[str]) -> set[str]:
        return ids & {ben.id} if person == ann.id else set()

    world.people.add_circle(class_6b)
    assert (await world.people.directory.person(ann.id, ben.id)).relation is Relation.NONE
    await world.people.friends.request(eve.id, ann.id, "")
    cards = await world.people.directory.cards_for(ann.id, [eve.id, ben.id, ann.id, "p_none", eve.id])
    assert [card.handle for card in cards] == ["eve", "ben", "ann"]
    assert await world.people.directory.cards_for(ben.id, [ann.id]) == []
    assert (await world.people.directory.person(ann.id, ann.id)).relation is Relation.SELF


async def test_a_pair_is_compared_before_it_is_set(world: World) -> None:
    ann, ben = await world.join("ann"), await world.join("ben")
    await world.befriend(ann.id, ben.id)
    a, b = sorted((ann.id, ben.id))
    stale = Pair(a=a, b=b, state=PairState.NONE, version=2)
    repo = world.people.friends._repo
    assert not await world.store.transact(lambda tx: repo.put(tx, stale))


async def test_of_two_who_block_each_other_the_first_unblock_opens_nothing(world: World) -> None:
    """R-01: what a block has closed stays closed while either of the two still blocks."""
    opened: list[str] = []

    async def note_unblock(tx: Tx, who: str, whom: str) -> None:
        opened.append(who)

    world.people.on_unblock(note_unblock)
    ann, ben = await world.join("ann"), await world.join("ben")
    await world.people.friends.block(ann.id, ben.id)
    await world.people.friends.block(ben.id, ann.id)
    await world.people.friends.unblock(ann.id, ben.id)
    assert opened == []
    await world.people.friends.unblock(ben.id, ann.id)
    assert opened == [ben.id]
