"""How groups keep order: silence that ends by itself, pins that never show what is gone, ranks; and conversations that
were made before there was any of it (R-32)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from server.chat.model import PINS_MOST, ChangeConversation, EverybodyBy, MemberRole
from server.clock import to_ms
from server.errors import Code, VouchError
from server.realtime.channels import Draft
from tests.chat.conftest import HandClock, World
from tests.wire.client import client_id


async def refusal(doing: Coroutine[Any, Any, Any]) -> VouchError:
    with pytest.raises(VouchError) as refused:
        await doing
    return refused.value


async def signal(world: World, person: str, id: str) -> None:
    await world.hub.signal(world.principal(person), f"conv:{id}", "typing", msgspec.Raw(b'{"on":true}'))


@pytest.mark.parametrize("followed", [False, True])
async def test_silence_ends_when_it_was_said_to_end(calm: World, clock: HandClock, followed: bool) -> None:
    """Whether or not rights are remembered here; nothing comes by to tell that it is over."""
    world = calm
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada)
    if followed:
        await world.hub.gates.open(f"conv:{id}")
    key = client_id()
    said = await world.say(mei, id, "before", key=key)
    end = to_ms(clock.at) + 600_000
    await world.chat.silence(lin, id, mei, end)
    for minutes in (0, 5, 4.99):
        clock.pass_by(minutes=minutes)
        for act in (
            world.say(mei, id, "but"),
            world.append(mei, id, "reaction", {"emoji": "😶", "on": True}, ref=said),
            world.append(mei, id, "delete", {}, ref=said),
            signal(world, mei, id),
        ):
            fault = await refusal(act)
            assert (fault.code, fault.retry_after) == (Code.SILENCED, round((end - to_ms(clock.at)) / 1000, 1))
    access = await world.hub.access(world.principal(mei), f"conv:{id}")
    assert (access.read, access.write, access.signal) == (True, False, True)  # presence and typing of others are heard
    assert await world.say(mei, id, "before", key=key) == said  # what was acknowledged stays so
    assert await world.say(ada, id, "the others go on") > said
    clock.pass_by(seconds=1)
    await world.say(mei, id, "again")
    await signal(world, mei, id)
    assert (await world.hub.access(world.principal(mei), f"conv:{id}")).write


async def test_silence_is_lifted(calm: World, clock: HandClock) -> None:
    """By whoever ranks above, and by getting the group; not by leaving it and being let in again."""
    world = calm
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada)
    until = to_ms(clock.at) + 600_000
    await world.chat.change_role(lin, id, ada, MemberRole.ADMIN)
    await world.chat.silence(ada, id, mei, until)
    await world.chat.silence(lin, id, mei, None)
    await world.say(mei, id, "thanks")

    await world.chat.silence(ada, id, mei, until)
    for minutes, silent in ((5, True), (6, False)):
        await world.chat.remove(mei, id, mei)
        clock.pass_by(minutes=minutes)
        await world.chat.add(lin, id, [mei])
        kinds = [entry.kind for entry in await world.log(id)][-2:]
        assert kinds == (["joined", "silenced"] if silent else ["left", "joined"])
        if silent:
            assert (await refusal(world.say(mei, id, "but"))).code is Code.SILENCED
    await world.say(mei, id, "now")

    await world.chat.silence(lin, id, mei, until + 600_000)
    await world.chat.hand_over(lin, id, mei)
    await world.say(mei, id, "mine")


async def test_both_nodes_hear_of_silence(nodes: tuple[Any, Any]) -> None:
    """Rights that another node remembers are asked for again as the entry passes its gate."""
    here, there = World(nodes[0]), World(nodes[1])
    lin, mei = await here.friends("lin", "mei")
    id = await here.group(lin, mei)
    gate = await there.hub.gates.open(f"conv:{id}")
    await there.say(mei, id, "before")
    await here.chat.silence(lin, id, mei, to_ms(here.hub.clock.now()) + 600_000)
    await there.hub.gates.reach(gate, (await here.log(id))[-1].seq)
    assert (await refusal(there.say(mei, id, "but"))).code is Code.SILENCED


# ── Pins ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def pins(world: World, person: str, id: str) -> list[int]:
    """As the snapshot has them, and as they are read."""
    seqs = [pin.seq for pin in (await world.view(person, id)).pins]
    page = await world.services.conversation_reader.pins(person, id)
    assert [entry.seq for entry in page.entries] == sorted(seqs)
    return seqs


async def test_pins_are_read_with_what_was_done_to_them(world: World) -> None:
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei)
    first, second = await world.say(lin, id, "rules: be kind"), await world.say(mei, id, "tea at five")
    for seq in (second, first, second):
        await world.chat.pin(lin, id, seq)
    assert await pins(world, mei, id) == [second, first]
    await world.append(mei, id, "edit", {"text": "tea at six"}, ref=second)
    page = await world.services.conversation_reader.pins(mei, id)
    assert [(entry.kind, entry.ref, entry.body) for entry in page.modifiers] == [
        ("edit", second, {"text": "tea at six"})
    ]
    await world.chat.add(lin, id, [ada])
    assert await pins(world, ada, id) == []  # from before her time
    assert (await refusal(world.chat.pin(lin, id, 1))).code is Code.NOT_FOUND  # no message
    assert (await refusal(world.chat.pin(lin, id, 9_999))).code is Code.NOT_FOUND
    await world.chat.unpin(lin, id, second)
    await world.chat.unpin(lin, id, second)
    assert await pins(world, mei, id) == [first]


async def test_what_is_gone_is_not_on_top(world: World) -> None:
    """Deleted by its author, by somebody above, by staff; erased with an account."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada)
    own, above, staff, erased, stays = [await world.say(who, id, "x") for who in (mei, mei, mei, ada, lin)]
    for seq in (own, above, staff, erased, stays):
        await world.chat.pin(lin, id, seq)
    await world.append(mei, id, "delete", {}, ref=own)
    await world.append(lin, id, "delete", {}, ref=above)
    await world.hub.append(Draft(f"conv:{id}", "system", client_id(), "delete", {}, staff))
    await world.delete_account(ada)
    await world.quiet()
    assert await pins(world, mei, id) == [stays]
    told = [(entry.body["seq"], entry.body["by"]) for entry in await world.log(id) if entry.kind == "pinned"][5:]
    assert sorted(told) == sorted([(own, mei), (above, lin), (staff, "system"), (erased, ada)])
    assert (await refusal(world.chat.pin(lin, id, own))).code is Code.CONFLICT


async def test_pinning_and_deleting_at_once(world: World) -> None:
    lin, mei = await world.friends("lin", "mei")
    id = await world.group(lin, mei)
    for _ in range(8):
        seq = await world.say(mei, id, "now or never")
        await asyncio.gather(
            world.chat.pin(lin, id, seq), world.append(mei, id, "delete", {}, ref=seq), return_exceptions=True
        )
    await world.quiet()
    assert await pins(world, lin, id) == []


async def test_so_many_are_pinned_and_no_more(world: World) -> None:
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    seqs = [await world.say(lin, id, f"number {number}") for number in range(PINS_MOST + 1)]
    for seq in seqs[:-1]:
        await world.chat.pin(mei, id, seq)
    assert (await refusal(world.chat.pin(lin, id, seqs[-1]))).code is Code.LIMIT_REACHED
    assert await pins(world, lin, id) == seqs[:-1]
    await world.delete_account(lin)  # all of them at once, in one change
    await world.quiet()
    assert await pins(world, mei, id) == []
    kinds = [entry.kind for entry in await world.log(id)][-PINS_MOST - 2 :]
    assert kinds == ["erased", *["pinned"] * PINS_MOST, "closed"]


# ── Conversations from before ───────────────────────────────────────────────────────────────────────────────────────


async def test_conversations_of_the_former_version_go_on(world: World) -> None:
    """Their documents know nothing of roles, silence, pins and who calls everybody; their messages only of text."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada)
    store = world.services.store
    await store.collection("conversations").update_one({"_id": id}, {"$unset": {"everybody_by": "", "pins": ""}})
    await store.collection("members").update_many({"conv": id}, {"$unset": {"silenced_until": ""}})
    quoted = await world.say(lin, id, "who said this?")
    answer = Draft(f"conv:{id}", mei, client_id(), "message", {"text": "I did"}, quoted)  # an answer without a thread
    seq = (await world.hub.append(answer)).entry.seq
    await world.quiet()
    view = await world.view(mei, id)
    assert (view.pins, view.everybody_by, view.mentioned) == ([], EverybodyBy.MEMBERS, [])
    assert {member.silenced_until for member in view.members} == {None}
    reader = world.services.conversation_reader
    assert (await reader.threads(mei, id, 1, 100)).threads == []
    assert [entry.seq for entry in (await reader.versions(mei, id, seq)).entries] == [seq]
    assert (await reader.pins(mei, id)).entries == []

    await world.append(ada, id, "message", {"text": "me too", "thread": seq}, ref=seq)
    await world.append(mei, id, "edit", {"text": "@all I did", "everybody": True}, ref=seq)
    await world.chat.silence(lin, id, ada, to_ms(world.hub.clock.now()) + 600_000)
    await world.chat.change_role(lin, id, mei, MemberRole.ADMIN)
    await world.chat.pin(mei, id, seq)
    await world.chat.change(lin, id, ChangeConversation(everybody_by=EverybodyBy.ADMINS))
    await world.quiet()
    view = await world.view(ada, id)
    assert ([pin.seq for pin in view.pins], view.mentioned) == ([seq], [seq])
    assert [(thread.root, thread.replies) for thread in (await reader.threads(lin, id, 1, 100)).threads] == [(seq, 1)]
    assert (await refusal(world.say(ada, id, "hm"))).code is Code.SILENCED
