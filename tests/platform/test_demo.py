from __future__ import annotations

import asyncio

from server import demo
from server.chat.model import CreateDirect
from server.demo import answers, cast, purses, talk
from server.money.model import Currency
from server.services import Services
from server.supervision.listing import Wanted
from server.wallet.model import PayPerson


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


async def test_lin_is_called_and_finds_answers_a_pin_and_an_administrator(services: Services) -> None:
    await demo.tell(services)
    people = await cast.ids(services)
    study = next(scene for scene in talk.SCENES if scene.name == "study")
    await services.hub.followers.settled()
    page = await services.conversation_view.page(people["lin"], None, 50)
    group = next(conversation for conversation in page.conversations if conversation.title == study.title)
    (pin,) = group.pins
    pinned = await services.conversation_reader.pins(people["lin"], group.id)
    assert [(entry.seq, entry.body["text"]) for entry in pinned.entries] == [
        (pin.seq, study.lines[answers.PINNED - 1][1])
    ]
    assert {member.person for member in group.members if member.role == "admin"} == {people[answers.ADMIN]}
    assert len(group.mentioned) == 1
    (thread,) = (await services.conversation_reader.threads(people["lin"], group.id, 1, group.head)).threads
    assert (thread.replies, set(thread.people)) == (4, {people[name] for name in ("emma", "linba", "tom", "chen")})
    handles = {"@" + handle for deed in answers.STUDY for handle in deed.mentions}
    assert all(any(handle in deed.body.get("text", "") for deed in answers.STUDY) for handle in handles)


async def test_what_a_visitor_did_to_the_story_stays(services: Services) -> None:
    await demo.tell(services)
    people = await cast.ids(services)
    await services.people.friends.block(people["lin"], people["emma"])
    direct, new = await services.conversations.create(people["lin"], CreateDirect(person=people["emma"]))
    assert not new
    (pounds,) = await services.money.balances(people["tom"])
    gift = PayPerson(id="all-that-tom-has-left", to=people["emma"], amount=pounds.available, currency=pounds.currency)
    await services.wallet.transfers.pay(people["tom"], gift)
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


async def test_the_purses_are_filled_once_and_lins_father_keeps_hers(services: Services) -> None:
    await demo.tell(services)
    people = await cast.ids(services)
    for _ in range(2):
        sums: dict[tuple[str, Currency], int] = {}
        for opening in purses.OPENINGS:
            sums[opening.handle, opening.currency] = sums.get((opening.handle, opening.currency), 0) + opening.amount
        for deed in purses.DEEDS:
            payee = "linba" if deed.to == "lin" else deed.to
            for handle, change in ((deed.payer, -deed.amount), (payee, deed.amount)):
                sums[handle, deed.currency] = sums.get((handle, deed.currency), 0) + change
        for (handle, currency), amount in sums.items():
            balances = await services.money.balances(people[handle])
            assert next(one.available + one.held for one in balances if one.currency is currency) == amount, handle
        assert await services.money.balances(people["lin"]) == []
        await demo.tell(services)
    lines = await services.money.history(people["linba"], Currency.CNY)
    assert [line.transfer.about for line in lines.lines].count(f"for:{people['lin']}") == 2


async def test_lin_has_two_guardians_and_keeps_the_one_whom_she_keeps(services: Services) -> None:
    await demo.tell(services)
    people = await cast.ids(services)
    family = await services.guardians.family(people["lin"])
    assert [(one.person.handle, one.payee) for one in family.guardians] == [("linba", True), ("fang", False)]
    await services.guardians.end(people["lin"], ward=people["lin"], guardian=people["linba"])
    await demo.tell(services)
    assert await services.guardians.payee_of(people["lin"]) == people["fang"]


async def test_the_promises_are_under_way_and_fang_has_something_to_judge(services: Services) -> None:
    """Told again, nothing is paid or stamped twice, and nobody has lost any money."""
    for _ in range(2):
        await demo.tell(services)
        people = await cast.ids(services)
        await services.supervision.staff.assign_waiting()
        found = await services.supervision.listing.mine(people["emma"], None, None, None, 30)
        cards = {card.title: card for card in found.pledges}
        assert cards["Ten characters a day"].done == 2
        assert cards["Exercises for the study group"].state == "disputed"
        assert [one.handle for one in cards["Up before seven"].supervisors] == ["fang"]
        (reading,) = (await services.supervision.listing.mine(people["lin"], None, None, None, 30)).pledges
        assert (reading.state, reading.role) == ("active", "owner")
        looking = await services.supervision.listing.open(people["lin"], Wanted(), None, 30)
        assert [card.title for card in looking.pledges] == ["早起跑步"]
        (case,) = (await services.supervision.desk.of(people["fang"])).cases
        assert case.why_not == ""
    assert (await services.ledger.run()).whole
