"""Mentions: the unread messages that call somebody, as the follower keeps them and as members see them (R-32)."""

from __future__ import annotations

from typing import Any

import pytest

from server.chat.mentions import EVERYBODY, Call, MentionRepo
from server.chat.model import MENTIONED_MOST
from tests.chat.conftest import World


async def call(world: World, person: str, id: str, *persons: str, everybody: bool = False) -> int:
    body: dict[str, Any] = {"text": "come and see", "mentions": list(persons), "everybody": everybody}
    return (await world.append(person, id, "message", body)).entry.seq


async def mentioned(world: World, person: str, id: str) -> list[int]:
    await world.hub.followers.settled()
    one = (await world.view(person, id)).mentioned
    page = await world.services.conversation_view.page(person, None, 50)
    assert [c.mentioned for c in page.conversations if c.id == id] == [one]
    return one


async def test_by_name_and_with_everybody(world: World) -> None:
    """Unread ones only, and never one's own."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada)
    first = await call(world, lin, id, mei)
    second = await call(world, mei, id, ada, lin)
    all_of_them = await call(world, mei, id, everybody=True)
    third = await call(world, ada, id, mei, everybody=True)
    assert await mentioned(world, mei, id) == [first, third]
    assert await mentioned(world, lin, id) == [second, all_of_them, third]
    assert await mentioned(world, ada, id) == [second, all_of_them]
    await world.read(lin, id, second)
    assert await mentioned(world, lin, id) == [all_of_them, third]
    await world.read(lin, id, third)
    assert await mentioned(world, lin, id) == []


async def test_edits_call_anew(world: World) -> None:
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada)
    seq = await call(world, lin, id, mei)
    assert (await mentioned(world, mei, id), await mentioned(world, ada, id)) == ([seq], [])
    await world.append(lin, id, "edit", {"text": "you there", "mentions": [ada]}, ref=seq)
    assert (await mentioned(world, mei, id), await mentioned(world, ada, id)) == ([], [seq])
    await world.append(lin, id, "edit", {"text": "all of you", "everybody": True}, ref=seq)
    assert (await mentioned(world, mei, id), await mentioned(world, ada, id)) == ([seq], [seq])
    await world.append(lin, id, "edit", {"text": "nobody"}, ref=seq)
    assert (await mentioned(world, mei, id), await mentioned(world, ada, id)) == ([], [])


async def test_what_is_deleted_calls_nobody(world: World) -> None:
    """A message; all that somebody wrote who deletes their account."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada)
    seq, all_of_them, hers = (
        await call(world, lin, id, ada),
        await call(world, lin, id, everybody=True),
        await call(world, mei, id, ada, everybody=True),
    )
    assert await mentioned(world, ada, id) == [seq, all_of_them, hers]
    await world.append(lin, id, "delete", {}, ref=all_of_them)
    assert await mentioned(world, ada, id) == [seq, hers]
    await world.delete_account(mei)
    assert await mentioned(world, ada, id) == [seq]


@pytest.mark.parametrize("share_history", [False, True])
async def test_those_who_come_later_or_again(world: World, share_history: bool) -> None:
    """Calls to all from before one's time are not for oneself; calls from an earlier stay are forgotten."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada, share_history=share_history)
    by_name, to_all = await call(world, lin, id, ada), await call(world, lin, id, everybody=True)
    assert await mentioned(world, ada, id) == [by_name, to_all]
    await world.chat.remove(lin, id, ada)
    await world.chat.add(lin, id, [ada])
    assert await mentioned(world, ada, id) == ([to_all] if share_history else [])
    again = await call(world, mei, id, ada)
    assert (await mentioned(world, ada, id))[-1] == again


async def test_the_newest_are_kept(world: World) -> None:
    repo = MentionRepo(world.services.store)
    for seq in range(1, 3 * MENTIONED_MOST + 1):
        await repo.add("c_1", Call(seq, "p_lin"), ["p_mei", EVERYBODY])
    for person in ("p_mei", "p_ada"):
        kept = (await repo.of(person, ["c_1", "c_2"]))["c_1"]
        assert kept[-MENTIONED_MOST:] == list(range(2 * MENTIONED_MOST + 1, 3 * MENTIONED_MOST + 1))
        assert len(kept) <= 2 * MENTIONED_MOST
    for _ in range(2):
        await repo.add("c_1", Call(3 * MENTIONED_MOST, "p_lin"), ["p_mei"])  # again, by another node
        await repo.remove("c_1", 3 * MENTIONED_MOST - 1)
    assert (await repo.of("p_mei", ["c_1"]))["c_1"][-2:] == [3 * MENTIONED_MOST - 2, 3 * MENTIONED_MOST]
    assert await repo.of("p_lin", ["c_1"]) == {"c_1": []}  # they wrote all of it
    await repo.forget("c_1", "p_mei")
    await repo.remove_person("c_1", "p_lin")
    assert await repo.of("p_mei", ["c_1"]) == {"c_1": []}
