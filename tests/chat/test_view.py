"""Conversations as their members see them: order, previews, unread counts, positions (R-02)."""

from __future__ import annotations

import asyncio

import pytest

from server.chat.model import Conversation
from server.errors import Code, VouchError
from server.realtime.entries import EntryLog
from tests.chat.conftest import World


async def pages(world: World, person: str, limit: int) -> list[list[Conversation]]:
    """All of a person's conversations, page by page."""
    found: list[list[Conversation]] = []
    before: str | None = None
    while True:
        page = await world.services.conversation_view.page(person, before, limit)
        found.append(page.conversations)
        if (before := page.next) is None:
            return found


async def test_the_most_recently_active_comes_first(world: World) -> None:
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    first, second, third = await world.direct(lin, mei), await world.group(lin, mei), await world.direct(lin, ada)
    await world.say(mei, second, "I am here")
    await world.say(lin, first, "so am I")
    (page,) = await pages(world, lin, 50)
    assert page[0].id == first
    assert {conversation.id for conversation in page} == {first, second, third}
    assert [conversation.active_at for conversation in page] == sorted(
        (conversation.active_at for conversation in page), reverse=True
    )
    (page,) = await pages(world, ada, 50)
    assert [conversation.id for conversation in page] == [third]


@pytest.mark.parametrize("saved", [False, True])
async def test_pages_hold_each_conversation_once(world: World, saved: bool) -> None:
    """Whether the heads that tell the order were saved already or are seconds old."""
    lin, mei = await world.friends("lin", "mei")
    ids = [await world.group(lin, mei) for _ in range(7)]
    for id in ids:
        await world.say(mei, id, "hello")
    if saved:
        log = EntryLog(world.services.store)
        await log.save_heads({f"conv:{id}": await log.head(f"conv:{id}") for id in ids})
    found = await pages(world, lin, 3)
    assert [len(page) for page in found] == [3, 3, 1]
    listed = [conversation.id for page in found for conversation in page]
    assert sorted(listed) == sorted(ids)
    if saved:
        assert listed == ids[::-1]
    with pytest.raises(VouchError, match="bad_request"):
        await world.services.conversation_view.page(lin, "no cursor", 3)


async def test_the_preview_is_the_newest_message(world: World) -> None:
    """Reactions, edits and comings and goings do not push it away, whether or not the channel is followed here."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei)
    view = await world.view(lin, id)
    assert view.last is not None
    assert view.last.kind == "joined"  # until somebody says something
    seq = await world.say(mei, id, "tea?")
    for _ in range(5):
        await world.append(lin, id, "reaction", {"emoji": "🍵", "on": True}, ref=seq)
    for followed in (False, True):
        if followed:
            await world.hub.gates.open(f"conv:{id}")
            await world.append(lin, id, "reaction", {"emoji": "🍵", "on": False}, ref=seq)  # now the ring has this
        last = (await world.view(lin, id)).last
        assert last is not None
        assert (last.kind, last.body) == ("message", {"text": "tea?"})
    later = await world.say(lin, id, "at five")
    last = (await world.view(mei, id)).last
    assert last is not None
    assert last.seq == later

    await world.chat.add(lin, id, [ada])
    view = await world.view(ada, id)
    assert view.last is None or view.last.seq >= view.first  # she sees nothing from before


async def test_what_one_has_read_this_moment_is_read(world: World) -> None:
    """Nobody waits for the write: a page that is loaded anew at once knows it, also while it is being written."""
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    numbers = [await world.say(lin, id, f"number {number}") for number in range(2)]
    for number in numbers:
        await world.hub.move_position(world.principal(mei), f"conv:{id}", read=number)
        assert (await world.view(mei, id)).read == number
    await world.hub.move_position(world.principal(mei), f"conv:{id}", read=numbers[-1])
    writing = asyncio.create_task(world.hub.positions.flush())
    await asyncio.sleep(0)
    assert (await world.view(mei, id)).read == numbers[-1]
    await writing


async def test_unread_is_what_came_after_the_last_reading(world: World) -> None:
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    numbers = [await world.say(lin, id, f"number {number}") for number in range(5)]
    view = await world.view(mei, id)
    assert (view.n - view.read_n, view.read) == (5, 0)

    # Two devices read at once, one further than the other: the further one counts.
    await asyncio.gather(world.read(mei, id, numbers[3]), world.read(mei, id, numbers[1]))
    view = await world.view(mei, id)
    assert (view.n - view.read_n, view.read, view.delivered) == (1, numbers[3], numbers[3])
    await world.append(lin, id, "edit", {"text": "number 4!"}, ref=numbers[4])
    view = await world.view(mei, id)
    assert view.n - view.read_n == 1  # an edit is nothing new to read
    await world.read(mei, id, view.head)
    view = await world.view(mei, id)
    assert (view.n - view.read_n, view.read) == (0, view.head)
    for seq in (view.head + 1, 2**50):
        with pytest.raises(VouchError, match="bad_request"):
            await world.read(mei, id, seq)

    # The other one sees how far she is, and his own unread is his own.
    theirs = await world.view(lin, id)
    assert [(p.person, p.read) for p in theirs.positions] == [(mei, view.head)]
    assert theirs.read == numbers[-1]  # writing counts as reading


@pytest.mark.parametrize("share_history", [False, True])
async def test_what_newcomers_see(world: World, share_history: bool) -> None:
    """Without shared history nothing from before: no entries, no unread counts, no preview (R-02)."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, share_history=share_history)
    head = max([await world.say(lin, id, f"number {number}") for number in range(4)])
    await world.chat.add(lin, id, [ada])
    await world.say(mei, id, "welcome")
    view = await world.view(ada, id)
    access = await world.hub.access(world.principal(ada), f"conv:{id}")
    assert view.first == access.first == (1 if share_history else head + 1)
    assert view.n - view.read_n == (5 if share_history else 1)
    entries = (await world.page(id, access.first)).entries
    assert entries[0].seq == view.first

    # Who leaves and comes back begins anew, and what was read before still is.
    await world.read(ada, id, view.head)
    await world.chat.remove(ada, id, ada)
    await world.say(lin, id, "she is gone")
    await world.chat.add(lin, id, [ada])
    view = await world.view(ada, id)
    assert view.n - view.read_n == (1 if share_history else 0)


async def test_names_come_along(world: World) -> None:
    lin, mei = await world.friends("lin", "mei")
    id = await world.group(lin, mei)
    view = await world.view(mei, id)
    assert {card.id: card.name for card in view.people} == {lin: "Lin", mei: "Mei"}
    assert [(member.person, member.role) for member in view.members if member.person == lin] == [(lin, "owner")]
    assert (view.title, view.closed, view.share_history, view.version) == ("Tea", False, False, 1)
    assert (view.ch, view.kind) == (f"conv:{id}", "group")


async def test_a_deleted_friend_is_shown_without_a_name(world: World) -> None:
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    await world.delete_account(mei)
    view = await world.view(lin, id)
    assert view.closed
    assert {card.id: card.name for card in view.people} == {lin: "Lin", mei: ""}


async def test_only_members_find_it(world: World) -> None:
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.direct(lin, mei)
    for person, what in ((ada, id), (lin, "c_" + "0" * 20)):
        with pytest.raises(VouchError) as refused:
            await world.view(person, what)
        assert refused.value.code is Code.NOT_FOUND


async def test_a_page_brings_the_modifiers_of_its_entries(world: World) -> None:
    """Those in the page stand in it; those beyond come along; those of other entries do not."""
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    old, new = await world.say(lin, id, "old"), await world.say(lin, id, "new")
    await world.append(lin, id, "edit", {"text": "older"}, ref=old)
    await world.append(mei, id, "reaction", {"emoji": "👍", "on": True}, ref=new)
    await world.append(lin, id, "delete", {}, ref=old)
    page = await world.page(id, before=new)
    assert [entry.seq for entry in page.entries] == [1, old]
    assert [(entry.kind, entry.ref, entry.body) for entry in page.modifiers] == [
        ("edit", old, {}),
        ("delete", old, {}),
    ]
    whole = await world.page(id)
    assert [entry.kind for entry in whole.entries] == ["created", "message", "message", "edit", "reaction", "delete"]
    assert whole.modifiers == []
