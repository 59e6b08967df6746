"""Conversations as channels: rights, what may be said, and what an entry changes on every node (DESIGN section 2)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server.chat import rules
from server.chat.channel import ConversationPolicy, conversation_kind
from server.chat.model import MEMBERS_MOST
from server.chat.words import TEXT_LONGEST
from server.clock import SystemClock
from server.errors import Code, VouchError
from server.principals import Grant, Kind, Principal, Role
from server.realtime.channels import DENIED, Access, ChannelKinds, Effects, NobodyPolicy, checked_body
from server.realtime.protocol import MAX_BODY, Entry
from tests.chat.conftest import World
from tests.wire.client import client_id

KIND = conversation_kind(NobodyPolicy())


@pytest.fixture
def policy(world: World) -> ConversationPolicy:
    return ConversationPolicy(world.chat.repo, SystemClock(), world.services.media)


async def test_members_and_their_programs_may_nobody_else(world: World, policy: ConversationPolicy) -> None:
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.direct(lin, mei)
    everything = Access(read=True, write=True, signal=True)
    for kind in Kind:
        for person in (lin, mei):
            expected = everything if kind in (Kind.PERSON, Kind.PROGRAM) else DENIED
            assert await policy.access(Principal(kind, person), id) == expected
    for principal in (
        Principal(Kind.PERSON, ada),
        Principal(Kind.PERSON, ada, grants=(Grant(Role.ADMIN),)),
        Principal(Kind.PERSON, ""),
        Principal(Kind.PERSON, f"{lin}|"),
    ):
        assert await policy.access(principal, id) == DENIED
    assert await policy.access(Principal(Kind.PERSON, lin), "c_unknown") == DENIED


async def test_rights_are_asked_again_after_each_change(world: World) -> None:
    """While a channel is followed rights are remembered, and forgotten with the entry that changes them."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei)
    ch, who = f"conv:{id}", world.principal(ada)
    gate = await world.hub.gates.open(ch)
    assert await world.hub.access(who, ch) == DENIED
    assert gate.access == {}  # a refusal is not remembered: whoever is let in need not wait
    await world.chat.add(lin, id, [ada])
    assert (await world.hub.access(who, ch)).write
    assert len(gate.access) == 1
    await world.chat.remove(lin, id, ada)
    assert await world.hub.access(who, ch) == DENIED


def test_effects() -> None:
    """Each entry that rules can produce: what it does beside being read."""
    policy = ConversationPolicy(None, SystemClock(), None)  # type: ignore[arg-type]  # effects ask nobody
    bodies: dict[str, tuple[dict[str, Any], Effects]] = {
        "removed": ({"person": "p_1", "by": "p_2"}, Effects(drop=("p_1",))),
        "left": ({"person": "p_1"}, Effects(drop=("p_1",))),
        "erased": ({"person": "p_1"}, Effects(erase=("p_1",), recheck=True)),
        "closed": ({}, Effects(recheck=True)),
        "silenced": ({"person": "p_1", "until": 1, "by": "p_2"}, Effects(recheck=True)),
        "handed_over": ({"person": "p_1", "by": "p_2"}, Effects(recheck=True)),
        "reopened": ({}, Effects(recheck=True)),
    }
    for kind in KIND.entries:
        body, expected = bodies.pop(kind.name, ({}, Effects()))
        entry = Entry(1, 0, 0, "system", "conv:c_1:1:0", kind.name, body)
        assert policy.effects(entry) == expected, kind.name
    assert not bodies


def test_every_entry_of_the_rules_has_a_kind() -> None:
    of_others = {"call"}  # what server.calls tells the thread; no rule of a conversation writes it
    assert set(rules.KIND_OF.values()) | of_others == {kind.name for kind in KIND.entries}
    assert not of_others & set(rules.KIND_OF.values())
    for struct, name in rules.KIND_OF.items():
        kind = KIND.entry(name)
        assert kind is not None
        assert kind.body is struct
    clients = {kind.name for kind in KIND.entries if kind.by_clients}
    assert clients == {"message", "edit", "delete", "reaction"}
    assert {kind.name for kind in KIND.entries if kind.countable} == {"message"}


def test_the_longest_entries_fit() -> None:
    """What is allowed by its type is never refused by its size: the longest text, the largest group."""
    message = KIND.entry("message")
    joined = KIND.entry("joined")
    assert message is not None
    assert joined is not None
    for character in ("a", "文", "😀"):
        body = {"text": character * TEXT_LONGEST}
        assert checked_body(message.body, msgspec.json.encode(body)) == body
    everybody = {"persons": ["p_" + "0" * 20] * 100, "by": "p_" + "0" * 20}
    assert len(msgspec.json.encode(everybody)) <= MAX_BODY
    assert MEMBERS_MOST * len(msgspec.json.encode("p_" + "0" * 20)) <= MAX_BODY


async def test_deleting_asks_for_the_owner(world: World) -> None:
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada)
    seq = await world.say(mei, id, "hers")
    with pytest.raises(VouchError) as refused:
        await world.append(ada, id, "delete", {}, ref=seq)
    assert refused.value.code is Code.FORBIDDEN
    await world.chat.hand_over(lin, id, ada)
    with pytest.raises(VouchError, match="forbidden"):
        await world.append(lin, id, "delete", {}, ref=seq)
    await world.append(ada, id, "delete", {}, ref=seq, key=client_id())


def test_a_kind_is_registered_once() -> None:
    kinds = ChannelKinds([KIND])
    with pytest.raises(ValueError, match="twice"):
        kinds.register(KIND)
    assert kinds.of("moon:1") is None
    assert [kind.name for kind in kinds] == ["conv"]


async def test_an_unwired_kind_denies_everything() -> None:
    kinds = ChannelKinds([KIND])
    assert await kinds.access(Principal(Kind.PERSON, "p_1"), "conv:c_1") == DENIED
    assert await kinds.access(Principal(Kind.PERSON, "p_1"), "moon:c_1") == DENIED
