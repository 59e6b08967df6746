"""Threads: what belongs to one, as the follower keeps it and as members see it (R-32)."""

from __future__ import annotations

import pytest

from server.chat.model import THREADS_SPAN, ThreadPage
from server.chat.threads import Answer, ThreadRepo
from server.errors import VouchError
from tests.chat.conftest import World


async def answer(world: World, person: str, id: str, text: str, *, ref: int, thread: int | None = None) -> int:
    body = {"text": text, "thread": thread or ref}
    return (await world.append(person, id, "message", body, ref=ref)).entry.seq


async def page(world: World, person: str, id: str, root: int, before: int | None = None, limit: int = 50) -> ThreadPage:
    return await world.services.conversation_reader.thread(person, id, root, before, limit)


async def told(world: World, person: str, id: str, first: int = 1, last: int = 400) -> dict[int, tuple[int, list[str]]]:
    found = await world.services.conversation_reader.threads(person, id, first, last)
    return {thread.root: (thread.replies, thread.people) for thread in found.threads}


@pytest.mark.parametrize("looked_at", [False, True])
async def test_answers_stand_in_the_thread_of_what_they_answer(world: World, looked_at: bool) -> None:
    """While somebody looks at the conversation a thread is complete at once, before the follower has come to it."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada)
    if looked_at:
        await world.hub.gates.open(f"conv:{id}")
        await world.hub.followers.stop()
    root = await world.say(lin, id, "Who brings tea?")
    other = await world.say(lin, id, "And cups?")
    first = await answer(world, mei, id, "I do", ref=root)
    second = await answer(world, ada, id, "Which one?", ref=first, thread=root)
    await answer(world, ada, id, "There are some", ref=other)
    third = await answer(world, mei, id, "Pu'er", ref=second, thread=root)
    await world.append(lin, id, "reaction", {"emoji": "🍵", "on": True}, ref=third)
    await world.append(ada, id, "edit", {"text": "Which?"}, ref=second)
    if not looked_at:
        await world.hub.followers.settled()
    thread = await page(world, ada, id, root)
    assert thread.root is not None
    assert thread.root.body["text"] == "Who brings tea?"
    assert [entry.seq for entry in thread.replies] == [first, second, third]
    assert [(entry.kind, entry.ref) for entry in thread.modifiers] == [("reaction", third), ("edit", second)]
    assert (thread.count, thread.more, thread.head) == (3, False, third + 2)
    assert await told(world, lin, id) == {root: (3, [mei, ada]), other: (1, [ada])}
    assert await told(world, lin, id, other, other) == {other: (1, [ada])}
    older = await page(world, lin, id, root, limit=2)
    assert ([entry.seq for entry in older.replies], older.more) == ([second, third], True)
    older = await page(world, lin, id, root, before=second, limit=2)
    assert ([entry.seq for entry in older.replies], older.more, older.count) == ([first], False, 3)
    with pytest.raises(VouchError, match="not_found"):
        await page(world, lin, id, 1)  # no message
    assert (await page(world, lin, id, third)).replies == []


async def test_what_is_deleted_leaves_its_thread(world: World) -> None:
    """An answer; all that somebody wrote who deletes their account. A thread outlives its root."""
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei, ada)
    root = await world.say(lin, id, "Who brings tea?")
    first = await answer(world, mei, id, "I do", ref=root)
    second = await answer(world, ada, id, "So do I", ref=root)
    third = await answer(world, mei, id, "Then I bring cups", ref=second, thread=root)
    await world.append(mei, id, "delete", {}, ref=first)
    await world.hub.followers.settled()
    assert [entry.seq for entry in (await page(world, lin, id, root)).replies] == [second, third]
    await world.append(lin, id, "delete", {}, ref=root)
    await world.hub.followers.settled()
    thread = await page(world, ada, id, root)
    assert thread.root is not None
    assert (thread.root.gone, thread.count) == (True, 2)
    late = await answer(world, ada, id, "Anybody?", ref=root)  # on with it
    await world.delete_account(mei)
    await world.hub.followers.settled()
    thread = await page(world, ada, id, root)
    assert [entry.seq for entry in thread.replies] == [second, late]
    assert await told(world, ada, id) == {root: (2, [ada])}


async def test_newcomers_see_their_part_of_a_thread(world: World) -> None:
    lin, mei, ada = await world.friends("lin", "mei", "ada")
    id = await world.group(lin, mei)
    root = await world.say(lin, id, "Who brings tea?")
    before = await answer(world, mei, id, "I do", ref=root)
    await world.chat.add(lin, id, [ada])
    await world.hub.followers.settled()
    for seq in (root, before):
        with pytest.raises(VouchError, match="not_found"):
            await page(world, ada, id, seq)
    later = await answer(world, mei, id, "And sugar", ref=root)
    await world.hub.followers.settled()
    thread = await page(world, ada, id, root)
    assert (thread.root, [entry.seq for entry in thread.replies], thread.count) == (None, [later], 1)
    assert await told(world, ada, id) == {}
    joins = await answer(world, ada, id, "Thanks", ref=later, thread=root)
    await world.hub.followers.settled()
    assert [entry.seq for entry in (await page(world, lin, id, root)).replies] == [before, later, joins]


async def test_summaries_are_asked_for_in_pieces(world: World) -> None:
    lin, mei = await world.friends("lin", "mei")
    id = await world.group(lin, mei)
    for first, last in ((1, THREADS_SPAN + 1), (5, 4)):
        with pytest.raises(VouchError, match="bad_request"):
            await told(world, lin, id, first, last)
    assert await told(world, lin, id, 1, THREADS_SPAN) == {}


async def test_doing_it_twice_does_it_once(world: World) -> None:
    """Answers of one thread lie in several documents; each may come again, and in another order (two nodes)."""
    repo = ThreadRepo(world.services.store)
    answers = [Answer(seq, "p_lin" if seq % 2 else "p_mei", 1_000 + seq) for seq in (5, 9, 2_047, 2_048, 70_000)]
    for some in (answers, answers[2:], answers[::-1]):
        await repo.add("c_1", [(3, one) for one in some])
    await repo.add("c_2", [(3, answers[0])])
    assert await repo.of("c_1", 3) == answers
    assert await repo.between("c_1", 1, 10) == {3: answers}
    assert await repo.between("c_1", 4, 10) == {}
    for _ in range(2):
        await repo.remove("c_1", 2_048)
        await repo.remove("c_1", 9)
        await repo.remove("c_1", 10)
    assert [one.seq for one in await repo.of("c_1", 3)] == [5, 2_047, 70_000]
    await repo.remove_person("c_1", "p_lin")
    assert [one.seq for one in await repo.of("c_1", 3)] == [70_000]
    assert await repo.of("c_2", 3) == [answers[0]]
