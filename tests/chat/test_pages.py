"""Pages: bounded by bytes, modifiers folded, the preview as it reads now."""

from __future__ import annotations

import msgspec
import pytest

from server.realtime.pages import PAGE_BYTES
from tests.chat.conftest import World
from tests.wire.client import client_id


async def test_a_page_of_long_messages_is_no_backlog(world: World) -> None:
    """One member can fill a page with the longest messages: it must not close its readers as slow ones."""
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    for _ in range(12):
        await world.say(lin, id, "字" * 16_000)
    page = await world.page(id)
    assert len(msgspec.json.encode(page)) < 2 * PAGE_BYTES
    assert page.entries[-1].seq == page.head
    seen = list(page.entries)
    while seen[0].seq > 1:
        earlier = await world.page(id, before=seen[0].seq)
        assert earlier.entries[-1].seq == seen[0].seq - 1
        seen = earlier.entries + seen
    assert [entry.seq for entry in seen] == list(range(1, page.head + 1))


async def test_a_reaction_put_on_and_taken_off_many_times_is_one_modifier(world: World) -> None:
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    seq = await world.say(lin, id, "first")
    for turn in range(7):
        await world.append(mei, id, "reaction", {"emoji": "👍", "on": turn % 2 == 0}, ref=seq)
    await world.append(mei, id, "reaction", {"emoji": "🎉", "on": True}, ref=seq)
    await world.append(lin, id, "edit", {"text": "second"}, ref=seq)
    await world.append(lin, id, "edit", {"text": "third"}, ref=seq)
    page = await world.page(id, before=seq + 1)
    told = [(entry.kind, entry.body) for entry in page.modifiers]
    assert told == [
        ("reaction", {"emoji": "👍", "on": True}),
        ("reaction", {"emoji": "🎉", "on": True}),
        ("edit", {"text": "third"}),
    ]


async def test_the_preview_shows_the_last_edit(world: World) -> None:
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    seq = await world.say(lin, id, "before")
    await world.append(lin, id, "edit", {"text": "after"}, ref=seq)
    last = (await world.view(mei, id)).last
    assert last is not None
    assert (last.seq, last.body["text"]) == (seq, "after")


@pytest.mark.parametrize("followed", [False, True])
async def test_a_crowd_that_reacts_does_not_push_the_words_away(world: World, followed: bool) -> None:
    """What is about a message is no preview, however much of it comes."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei)
    if followed:
        await world.hub.gates.open(f"conv:{id}")
    seq = await world.say(lin, id, "who is there?")
    for turn in range(40):
        await world.append(mei, id, "reaction", {"emoji": "👍", "on": turn % 2 == 0}, ref=seq)
    last = (await world.view(mei, id)).last
    assert last is not None
    assert last.seq == seq
    await world.chat.add(lin, id, [ada])
    await world.append(lin, id, "edit", {"text": "not for her"}, ref=seq)
    last = (await world.view(ada, id)).last
    assert last is not None
    assert (last.kind, last.body["persons"]) == ("joined", [ada])


async def test_a_deletion_with_a_used_id_is_refused_before_words_go(world: World) -> None:
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    key = client_id()
    seq = await world.say(lin, id, "kept", key=key)
    refused = ""
    try:
        await world.append(lin, id, "delete", {}, ref=seq, key=key)
    except Exception as fault:
        refused = getattr(fault, "code", "")
    assert refused == "idempotency_conflict"
    assert (await world.log(id))[-1].body == {"text": "kept"}
