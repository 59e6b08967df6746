"""Conversations on the real database: made once, changed together with their log, closed, erased (R-01, R-02)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from server.chat import erasure
from server.chat.model import ChangeConversation, CreateDirect, CreateGroup, MemberRole
from server.errors import Code, VouchError
from server.realtime.channels import Draft
from tests.chat.conftest import World
from tests.chat.replay import Replay
from tests.wire.client import client_id


async def refused(code: Code, action: Any) -> None:
    with pytest.raises(VouchError) as caught:
        await action
    assert caught.value.code is code


async def test_two_people_have_one_direct_conversation(world: World) -> None:
    """However often, from either side and at once: one conversation, one `created` in its log."""
    lin, mei = await world.friends("lin", "mei")
    made = await asyncio.gather(
        *(world.chat.create(*pair) for pair in [(lin, CreateDirect(mei)), (mei, CreateDirect(lin))] * 4)
    )
    assert len({id for id, _ in made}) == 1
    assert [new for _, new in made].count(True) == 1
    id = made[0][0]
    await world.services.outbox.drained()
    assert [entry.kind for entry in await world.log(id)] == ["created"]
    told = []
    for person in (lin, mei):
        inbox = await world.hub.pages.page(f"inbox:{person}", 1, None, None, 50)
        told += [entry.body for entry in inbox.entries if entry.kind == "conversation_added"]
    first = (lin, mei)[any(new for _, new in made[1::2])]  # whose request came first
    assert told == [{"conversation": id, "by": first}] * 2
    assert await world.chat.create(mei, CreateDirect(lin)) == (id, False)


async def test_a_direct_conversation_needs_a_friend(world: World) -> None:
    lin, mei = await world.people("lin", "mei")
    await refused(Code.BLOCKED, world.chat.create(lin, CreateDirect(mei)))
    await refused(Code.BAD_REQUEST, world.chat.create(lin, CreateDirect(lin)))
    await refused(Code.BLOCKED, world.chat.create(lin, CreateGroup("Tea", [mei], client_id())))


async def test_repeating_the_creation_of_a_group_makes_no_second_one(world: World) -> None:
    """The key is the creator's own: another person's request with the same key is another group."""
    lin, mei = await world.friends("lin", "mei")
    wanted = CreateGroup("Tea", [mei], client_id())
    made = await asyncio.gather(*(world.chat.create(lin, wanted) for _ in range(6)))
    assert len({id for id, _ in made}) == 1
    assert [new for _, new in made].count(True) == 1
    again, new = await world.chat.create(lin, wanted)
    assert (again, new) == (made[0][0], False)
    other, new = await world.chat.create(mei, CreateGroup("Tea", [lin], wanted.key))
    assert new
    assert other != again
    assert [entry.kind for entry in await world.log(again)] == ["created", "joined"]


async def test_changes_at_once_all_count(world: World) -> None:
    """Compare-and-set by version: who comes second looks again, and nobody is lost."""
    lin, *others = await world.friends("lin", "ada", "ben", "mei", "yun")
    id = await world.group(lin)
    await asyncio.gather(*(world.chat.add(lin, id, [other]) for other in others))
    room = await world.room(id)
    assert set(room.members) == {lin, *others}
    assert room.version == 1 + len(others)
    replay = Replay()
    replay.log(await world.log(id))
    replay.must_equal(room)


async def test_the_log_alone_tells_the_group(world: World) -> None:
    """Snapshot and entries agree after every change, in the order of the versions (DESIGN section 2, outbox)."""
    lin, mei, ada, ben = await world.friends("lin", "mei", "ada", "ben")
    await world.befriend(mei, ben)
    id = await world.group(lin, mei)
    replay = Replay()
    for change in (
        world.chat.add(lin, id, [ada]),
        world.chat.change(lin, id, ChangeConversation("Tea at five")),
        world.chat.add(mei, id, [ben, ada]),
        world.chat.hand_over(lin, id, mei),
        world.chat.remove(lin, id, lin),
        world.chat.change(mei, id, ChangeConversation("Coffee")),
        world.chat.remove(mei, id, ada),
        world.chat.add(mei, id, [lin]),
        world.delete_account(mei),
    ):
        await change
        replay.log((await world.log(id))[replay.seq :])
        replay.must_equal(await world.room(id))
    room = await world.room(id)
    assert room.members[ben].role is MemberRole.OWNER  # the longest member inherits: Lin has left in between
    await refused(Code.NOT_FOUND, world.chat.change(ada, id, ChangeConversation("Mine")))
    await refused(Code.FORBIDDEN, world.chat.change(lin, id, ChangeConversation("Mine")))
    await refused(Code.CONFLICT, world.chat.remove(ben, id, ben))
    await refused(Code.NOT_FOUND, world.chat.change(ben, "c_" + "0" * 20, ChangeConversation("Nowhere")))


async def test_a_change_is_in_the_log_when_it_is_answered(world: World) -> None:
    """Whoever creates and writes at once finds `created` first; whoever was removed cannot write any more."""
    lin, mei = await world.friends("lin", "mei")
    for _ in range(5):
        id = await world.group(lin, mei)
        assert await world.say(mei, id, "first") == 3  # after `created` and `joined`
        await world.chat.remove(lin, id, mei)
        await refused(Code.NOT_FOUND, world.say(mei, id, "one more thing"))


async def test_a_block_closes_and_only_the_last_unblock_opens(world: World) -> None:
    lin, mei = await world.friends("lin", "mei")
    friends = world.services.people.friends
    id = await world.direct(lin, mei)
    for who, whom, blocked in ((lin, mei, True), (mei, lin, True), (lin, mei, False)):
        await (friends.block(who, whom) if blocked else friends.unblock(who, whom))
        await world.services.outbox.drained()
        assert (await world.room(id)).closed
        for person in (lin, mei):
            await refused(Code.CLOSED, world.say(person, id, "but"))
    await friends.unblock(mei, lin)
    await world.services.outbox.drained()
    assert not (await world.room(id)).closed
    await world.say(lin, id, "again")
    assert [entry.kind for entry in await world.log(id)] == ["created", "closed", "reopened", "message"]


async def test_a_repeat_gets_its_first_acknowledgement(world: World) -> None:
    """Even when the same would not be allowed any more; another body with the same id is a fault (DESIGN 2)."""
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    keys = {kind: client_id() for kind in ("message", "edit", "reaction")}
    said = await world.append(lin, id, "message", {"text": "tea?"}, key=keys["message"])
    seq = said.entry.seq
    edited = await world.append(lin, id, "edit", {"text": "coffee?"}, ref=seq, key=keys["edit"])
    liked = await world.append(mei, id, "reaction", {"emoji": "👍", "on": True}, ref=seq, key=keys["reaction"])
    await world.append(lin, id, "delete", {}, ref=seq)
    await world.services.people.friends.block(mei, lin)
    await world.services.outbox.drained()

    again = await world.append(lin, id, "edit", {"text": "coffee?"}, ref=seq, key=keys["edit"])
    assert (again.entry.seq, again.entry.body) == (edited.entry.seq, {})  # its number, and no words
    again = await world.append(mei, id, "reaction", {"emoji": "👍", "on": True}, ref=seq, key=keys["reaction"])
    assert again.entry == liked.entry
    again = await world.append(lin, id, "message", {"text": "tea?"}, key=keys["message"])
    assert (again.entry.seq, again.entry.n) == (said.entry.seq, said.entry.n)
    await refused(Code.CLOSED, world.say(lin, id, "tea!", key=client_id()))


async def test_a_deletion_erases_the_message_and_its_edits(world: World) -> None:
    """In the log, in the ring and in what is remembered for repeats; reactions and other messages stay."""
    lin, mei = await world.friends("lin", "mei")
    id = await world.group(lin, mei)
    ch = f"conv:{id}"
    gate = await world.hub.gates.open(ch)
    secret = await world.say(mei, id, "the word is swordfish")
    other = await world.say(mei, id, "and tea is at five")
    for text in ("the word is haddock", "the word is herring"):
        await world.append(mei, id, "edit", {"text": text}, ref=secret)
    await world.append(lin, id, "reaction", {"emoji": "🤫", "on": True}, ref=secret)
    await refused(Code.FORBIDDEN, world.append(mei, id, "delete", {}, ref=await world.say(lin, id, "not hers")))
    await world.append(lin, id, "delete", {}, ref=secret)  # the owner may

    await gate.reach((await world.hub.pages.head(ch)).seq)
    for entries in (await world.log(id), gate.recent()):
        by_seq = {entry.seq: entry for entry in entries}
        assert (by_seq[secret].body, by_seq[secret].gone) == ({}, True)
        edits = [entry for entry in entries if entry.kind == "edit"]
        assert [(edit.body, edit.gone) for edit in edits] == [({}, True)] * 2
        assert by_seq[other].body == {"text": "and tea is at five"}
        assert [entry.body["emoji"] for entry in entries if entry.kind == "reaction"] == ["🤫"]
        assert [entry.n for entry in entries] == sorted(entry.n for entry in entries)
    assert b"swordfish" not in b"".join(gate.since(0))
    await refused(Code.CONFLICT, world.append(mei, id, "edit", {"text": "cod"}, ref=secret))


async def test_an_edit_that_meets_its_deletion_keeps_no_words(world: World) -> None:
    """Both at once, over and over: whichever is numbered first, no word of the edit is left."""
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    for number in range(12):
        seq = await world.say(lin, id, f"number {number}")
        results = await asyncio.gather(
            world.append(lin, id, "edit", {"text": f"better {number}"}, ref=seq),
            world.append(lin, id, "delete", {}, ref=seq),
            return_exceptions=True,
        )
        assert not isinstance(results[1], BaseException)
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "late edit"))
    for entry in await world.log(id):
        if entry.kind in ("message", "edit"):
            assert (entry.body, entry.gone) == ({}, True)


async def test_a_deleted_account_leaves_numbers_and_no_words(world: World) -> None:
    """Out of all groups, direct conversations closed, every word erased in log and ring, an entry tells (R-01)."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    pair, group, other = await world.direct(lin, mei), await world.group(mei, lin), await world.group(lin, ada)
    gate = await world.hub.gates.open(f"conv:{group}")
    await world.chat.add(lin, group, [ada])
    for id in (pair, group):
        seq = await world.say(mei, id, "a word of Mei's")
        await world.append(mei, id, "edit", {"text": "a better word of Mei's"}, ref=seq)
        await world.append(mei, id, "reaction", {"emoji": "🍵", "on": True}, ref=await world.say(lin, id, "of Lin's"))
    elsewhere = await world.log(other)
    await world.delete_account(mei)

    for id, told in ((pair, ["erased", "closed"]), (group, ["erased", "left", "handed_over"])):
        entries = await world.log(id)
        assert [entry.kind for entry in entries][-len(told) :] == told
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        for entry in entries:
            if entry.by == mei:
                assert (entry.body, entry.gone) == ({}, True)
        assert [entry.body for entry in entries if entry.by == lin] == [{"text": "of Lin's"}]
    assert not any(entry.body for entry in gate.recent() if entry.by == mei)
    assert b"of Mei's" not in b"".join(gate.since(0))
    assert await world.log(other) == elsewhere

    room = await world.room(group)
    assert set(room.members) == {lin, ada}
    assert room.owner() == lin
    assert (await world.room(pair)).closed
    await refused(Code.NOT_FOUND, world.say(mei, group, "still here?"))
    await refused(Code.CLOSED, world.say(lin, pair, "where are you?"))


async def test_the_words_of_those_who_left_go_too(world: World) -> None:
    """Leaving a group does not take one's words along; deleting the account does, also there (R-01)."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    group, again = await world.group(lin, mei, ada), await world.group(lin, mei)
    for id in (group, again):
        await world.say(mei, id, "a word of Mei's")
        await world.chat.remove(mei, id, mei)
    await world.chat.add(lin, again, [mei])
    await world.say(ada, group, "of Ada's")
    await world.delete_account(mei)
    for id, told in ((group, ["message", "erased"]), (again, ["joined", "erased", "left"])):
        entries = await world.log(id)
        assert [entry.kind for entry in entries][-len(told) :] == told
        assert not any(entry.body for entry in entries if entry.by == mei)
    assert [entry.body for entry in await world.log(group) if entry.by == ada] == [{"text": "of Ada's"}]
    replay = Replay()
    replay.log(await world.log(group))
    replay.must_equal(await world.room(group))


async def test_an_erasure_goes_on_after_a_restart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of rooms is written with the deletion: whoever starts next erases what is left."""
    monkeypatch.setattr(erasure, "LATE", timedelta(0))
    lin, mei = await world.friends("lin", "mei")
    id = await world.direct(lin, mei)
    await world.say(mei, id, "a word of Mei's")
    await world.chat.erasure.rounds.stop()
    await world.services.people.accounts.delete(mei, "paper and seal")
    assert any(entry.body.get("text") for entry in await world.log(id))
    world.chat.erasure.rounds.start()
    await world.chat.erasure.rounds.done.wait()
    assert not any(entry.body.get("text") for entry in await world.log(id))
    assert await world.chat.repo.erasures() == []


async def test_who_met_may_see_each_others_cards(world: World) -> None:
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    await world.group(lin, mei)
    assert await world.chat.met(mei, [lin, ada, mei]) == {lin, mei}
    assert await world.chat.met(ada, [lin, mei]) == set()


async def test_system_entries_do_not_count_as_unread(world: World) -> None:
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei)
    seq = await world.say(lin, id, "one")
    await world.chat.add(lin, id, [ada])
    await world.append(mei, id, "reaction", {"emoji": "👍", "on": True}, ref=seq)
    await world.append(lin, id, "edit", {"text": "two"}, ref=seq)
    head = await world.hub.pages.head(f"conv:{id}")
    assert (head.seq, head.n) == (6, 1)
    await world.hub.append(Draft(f"conv:{id}", "system", client_id(), "renamed", {"title": "x", "by": lin}))
    assert (await world.hub.pages.head(f"conv:{id}")).n == 1


async def test_a_deleted_account_leaves_no_words_in_groups_that_it_had_left(world: World) -> None:
    """Regression: only the groups that the person was still in were looked through."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    left, back = await world.group(lin, mei, ada), await world.group(lin, mei, ada)
    for group in (left, back):
        await world.say(mei, group, "words of hers")
        await world.chat.remove(mei, group, mei)
        await world.say(ada, group, "words of others")
    await world.chat.add(lin, back, [mei])
    await world.chat.remove(lin, left, ada)
    await world.delete_account(mei)
    for group, told in ((left, ["removed", "erased"]), (back, ["joined", "erased", "left"])):
        entries = await world.log(group)
        assert [entry.body for entry in entries if entry.by == mei] == [{}]
        assert [entry.body for entry in entries if entry.by == ada] == [{"text": "words of others"}]
        assert [entry.kind for entry in entries][-len(told) :] == told
