from __future__ import annotations

import asyncio

from server import demo
from server.chat.model import CreateDirect
from server.demo import cast, talk
from server.services import Services


async def heads(services: Services, people: dict[str, str]) -> list[int]:
    rooms = [room for person in people.values() for room in await services.conversations.repo.rooms_of(person)]
    return sorted([(await services.hub.pages.head(f"conv:{room}")).seq for room in rooms])


async def test_the_story_is_told_once_however_often_it_is_told(services: Services) -> None:
    lines = await demo.tell(services)
    assert cast.PASSWORD in "\n".join(lines)
    people = await cast.ids(services)
    assert set(people) == {role.handle for role in cast.CAST}
    before = await heads(services, people)
    assert len(before) == sum(len(scene.people) for scene in talk.SCENES)
    assert await demo.tell(services) == lines
    assert await cast.ids(services) == people
    assert await heads(services, people) == before


async def test_everybody_can_sign_in_and_lin_has_something_to_read(services: Services) -> None:
    await demo.tell(services)
    people = await cast.ids(services)
    me = await services.people.accounts.me(people["lin"])
    assert me.name == "林小雨"
    assert me.minor
    friends = await services.people.friends.all_of(people["lin"])
    assert {friend.person.handle for friend in friends.friends} == {"linba", "fang", "chen", "emma"}
    assert [request.person.handle for request in friends.incoming] == ["tom"]
    for conversation in await services.conversations.repo.rooms_of(people["lin"]):
        while not (position := await services.conversations.own_position(people["lin"], conversation)).read:
            await asyncio.sleep(0.01)  # positions are written a moment later, together
        head = await services.hub.pages.head(f"conv:{conversation}")
        assert position.read < head.seq


async def test_what_a_visitor_did_to_the_story_stays(services: Services) -> None:
    await demo.tell(services)
    people = await cast.ids(services)
    await services.people.friends.block(people["lin"], people["emma"])
    direct, new = await services.conversations.create(people["lin"], CreateDirect(person=people["emma"]))
    assert not new
    await services.people.accounts.delete(people["tom"], cast.PASSWORD)
    await demo.tell(services)
    assert await services.people.blocked_between(people["lin"], people["emma"])
    room = await services.conversations.repo.room(direct)
    assert room is not None
    assert room.closed


def test_the_ids_of_the_storys_lines_are_proper_client_ids() -> None:
    import msgspec

    from server.realtime.protocol import ClientId

    for scene in talk.SCENES:
        for number in range(1, len(scene.lines) + 1):
            msgspec.convert(talk.line_id(scene, number), ClientId)
        msgspec.convert(talk.group_key(scene), ClientId)
