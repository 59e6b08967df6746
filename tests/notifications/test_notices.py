"""What people find in their inboxes: who called them, answered them, reacted to them; once, and not by themselves."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from server.notifications.model import Level, Notify
from server.services import Services
from tests.chat.conftest import World
from tests.people.conftest import TurnedClock

KINDS = ("mentioned", "answered", "reacted")


async def notices(world: World, person: str, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    """Kind and body of all notices of these kinds, in order."""
    await world.services.followers.settled()
    await world.services.outbox.drained()
    page = await world.hub.pages.page(f"inbox:{person}", 1, None, None, 200)
    return [(entry.kind, entry.body) for entry in page.entries if entry.kind in (kinds or KINDS)]


async def unread(world: World, person: str) -> int:
    await world.services.followers.settled()
    await world.services.outbox.drained()
    return (await world.hub.pages.head(f"inbox:{person}")).n


async def test_who_is_called_by_name_finds_it_in_the_inbox(world: World) -> None:
    ada, ben, cyd = await world.friends("ada", "ben", "cyd")
    room = await world.group(ada, ben, cyd)
    called = await world.append(ada, room, "message", {"text": "@ben", "mentions": [ben]})
    expected = {"conversation": room, "seq": called.entry.seq, "by": ada}
    assert await notices(world, ben) == [("mentioned", expected)]
    assert await notices(world, ada) == await notices(world, cyd) == []


async def test_calling_everybody_calls_everybody_else(world: World) -> None:
    ada, ben, cyd = await world.friends("ada", "ben", "cyd")
    room = await world.group(ada, ben, cyd)
    await world.append(ada, room, "message", {"text": "@all", "everybody": True})
    for person, expected in ((ada, 0), (ben, 1), (cyd, 1)):
        assert len(await notices(world, person)) == expected


async def test_an_edit_calls_who_was_not_called_before(world: World) -> None:
    ada, ben, cyd = await world.friends("ada", "ben", "cyd")
    room = await world.group(ada, ben, cyd)
    first = (await world.append(ada, room, "message", {"text": "@ben", "mentions": [ben]})).entry.seq
    await world.append(ada, room, "edit", {"text": "@ben @cyd", "mentions": [ben, cyd]}, ref=first)
    assert [body["seq"] for _, body in await notices(world, ben)] == [first]
    assert [body["seq"] for _, body in await notices(world, cyd)] == [first]


async def test_an_answer_is_told_to_whose_words_it_answers(world: World) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    asked = await world.say(ada, room, "Shall we?")
    body = {"text": "Yes", "thread": asked}
    answered = (await world.append(ben, room, "message", body, ref=asked)).entry.seq
    assert await notices(world, ada) == [("answered", {"conversation": room, "seq": answered, "by": ben})]
    # Called and answered at once is told once.
    again = (await world.append(ben, room, "message", body | {"mentions": [ada], "text": "@ada"}, ref=asked)).entry.seq
    assert (await notices(world, ada))[1:] == [("mentioned", {"conversation": room, "seq": again, "by": ben})]


async def test_reactions_are_gathered_by_the_hour(world: World, clock: TurnedClock) -> None:
    ada, ben, cyd = await world.friends("ada", "ben", "cyd")
    room = await world.group(ada, ben, cyd)
    seq = await world.say(ada, room, "It is done")
    clock.ahead += timedelta(minutes=1)
    for person, emoji in ((ben, "👍"), (cyd, "🎉"), (ben, "🎉"), (ada, "👍")):
        await world.append(person, room, "reaction", {"emoji": emoji, "on": True}, ref=seq)
    await world.append(ben, room, "reaction", {"emoji": "👍", "on": False}, ref=seq)
    first = ("reacted", {"conversation": room, "seq": seq, "by": ben})
    assert await notices(world, ada) == [first]
    clock.ahead += timedelta(hours=1)
    await world.append(cyd, room, "reaction", {"emoji": "👏", "on": True}, ref=seq)
    assert await notices(world, ada) == [first, ("reacted", {"conversation": room, "seq": seq, "by": cyd})]


async def test_muted_altogether_nothing_is_told_and_mentions_are_where_they_are_wanted(world: World) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.group(ada, ben)
    notifications = world.services.notifications
    call = {"text": "@ben", "mentions": [ben]}
    await notifications.mute(ben, room, Notify(Level.NONE))
    await world.append(ada, room, "message", call)
    assert await notices(world, ben) == []
    await notifications.mute(ben, room, Notify(Level.MENTIONS))
    await world.append(ada, room, "message", call)
    assert len(await notices(world, ben)) == 1


async def test_a_block_silences_calls_in_groups(world: World) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.group(ada, ben)
    await world.services.people.friends.block(ben, ada)
    await world.append(ada, room, "message", {"text": "@ben", "mentions": [ben]})
    assert await notices(world, ben) == []


async def test_what_is_followed_twice_is_told_once(nodes: tuple[Services, Services]) -> None:
    here, there = World(nodes[0]), World(nodes[1])
    ada, ben = await here.friends("ada", "ben")
    room = await here.group(ada, ben)
    await here.append(ada, room, "message", {"text": "@ben", "mentions": [ben]})
    entries = await here.log(room)
    await asyncio.gather(*(node.notifications.follow(f"conv:{room}", entries) for node in nodes * 2))
    await here.services.followers.settled()
    assert len(await notices(there, ben)) == 1


async def test_the_first_run_over_an_old_log_tells_nothing(world: World, clock: TurnedClock) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.group(ada, ben)
    await world.append(ada, room, "message", {"text": "@ben", "mentions": [ben]})
    old = await world.log(room)
    before = await notices(world, ben)
    clock.ahead += timedelta(days=2)
    await world.services.store.collection("entries").delete_many({"ch": f"inbox:{ben}", "kind": "mentioned"})
    await world.services.notifications.follow(f"conv:{room}", old)
    assert len(before) == 1
    assert await world.services.store.collection("entries").find_one({"kind": "mentioned"}) is None


async def test_only_what_others_did_counts_as_unread(world: World) -> None:
    ada, ben = await world.people("ada", "ben")
    await world.services.people.friends.request(ada, ben, "")
    assert (await unread(world, ada), await unread(world, ben)) == (0, 1)
    await world.services.people.friends.accept(ben, ada)
    assert (await unread(world, ada), await unread(world, ben)) == (1, 1)
    room = await world.group(ada, ben)
    assert (await unread(world, ada), await unread(world, ben)) == (1, 2)
    assert (await notices(world, ben, "conversation_added"))[0][1] == {"conversation": room, "by": ada}


async def test_the_inbox_has_positions_of_its_own(world: World) -> None:
    _, ben = await world.friends("ada", "ben")
    await world.services.outbox.settled(f"inbox:{ben}")
    head = await world.hub.pages.head(f"inbox:{ben}")
    assert head.n
    await world.hub.move_position(world.principal(ben), f"inbox:{ben}", read=head.seq)
    await world.hub.positions.flush()
    mark = (await world.hub.positions.of(ben, [f"inbox:{ben}"]))[f"inbox:{ben}"]
    assert (mark.read, mark.read_n) == (head.seq, head.n)
