"""Pushes about pledges: who gets one, with which words, and when there is none."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from server.ids import new_id
from server.notifications.model import NotificationSettings, QuietHours
from server.people.inbox import PledgeNews
from server.principals import Kind, Principal
from server.realtime.channels import Draft
from server.supervision.rules.change import Change, News, What, turned
from tests.chat.conftest import World
from tests.notifications.push_service import PushService
from tests.notifications.pushing import hold, quiet, subscribe
from tests.people.conftest import TurnedClock
from tests.supervision.examples import pledge, seat


async def promise(world: World, owner: str, supervisor: str, *news: News) -> str:
    """A pledge, and what its beginning tells."""
    made = turned(pledge(seats=(seat(supervisor),)), id=new_id("g"), owner=owner, drafted_by=owner)
    await world.services.supervision.changes.begin(Change(made, news=news))
    return made.id


async def tell(world: World, id: str, *news: News) -> None:
    await world.services.supervision.changes.apply(id, lambda pledge, now: Change(pledge, news=news))


async def test_news_of_a_pledge_become_a_push(world: World, push_service: PushService) -> None:
    emma, tom = await world.friends("emma", "tom")
    await subscribe(world.services, tom, push_service.subscription())
    id = await promise(world, emma, tom, News(tom, What.REPORTED, emma, 1))
    push = await push_service.until()
    assert push.content == {
        "title": "Run again",
        "pledge": "reported",
        "from": "Emma",
        "url": f"/pledges/{id}",
        "tag": f"pledge:{id}",
        "badge": 0,
        "language": "en",
    }
    assert push.headers["urgency"] == "normal"
    await quiet(world)
    assert len(push_service.pushes) == 1


async def test_a_question_that_waits_for_an_answer_is_urgent(world: World, push_service: PushService) -> None:
    emma, tom = await world.friends("emma", "tom")
    await subscribe(world.services, emma, push_service.subscription())
    await promise(world, emma, tom, News(emma, What.CHECK_ASKED, task=1))
    push = await push_service.until()
    assert "from" not in push.content  # the server asks
    assert push.headers["urgency"] == "high"


async def test_without_previews_a_push_names_neither_pledge_nor_person(world: World, push_service: PushService) -> None:
    emma, tom = await world.friends("emma", "tom")
    await subscribe(world.services, tom, push_service.subscription())
    await world.services.notifications.change(tom, NotificationSettings(previews=False))
    await promise(world, emma, tom, News(tom, What.SETTLED))
    assert (await push_service.until()).content.keys() == {"url", "tag", "badge", "language"}


async def test_of_each_pledge_the_newest_is_pushed(world: World, push_service: PushService) -> None:
    hold(world)
    emma, tom = await world.friends("emma", "tom")
    await subscribe(world.services, tom, push_service.subscription())
    one = await promise(world, emma, tom, News(tom, What.ACCEPTED, emma))
    other = await promise(world, emma, tom, News(tom, What.INVITED, emma))
    await tell(world, one, News(tom, What.BEGUN))
    await quiet(world)
    told = {push.content["url"]: push.content["pledge"] for push in push_service.pushes}
    assert told == {f"/pledges/{one}": "begun", f"/pledges/{other}": "invited"}
    assert len(push_service.pushes) == 2


async def test_quiet_hours_and_what_was_read_and_what_only_changes(
    world: World, push_service: PushService, clock: TurnedClock
) -> None:
    services = world.services
    hold(world)
    emma, tom = await world.friends("emma", "tom")
    await subscribe(services, tom, push_service.subscription())
    now = services.clock.now()
    hours = QuietHours(on=True, from_=f"{now:%H:%M}", to=f"{now + timedelta(hours=2):%H:%M}", zone="UTC")
    await services.notifications.change(tom, NotificationSettings(quiet=hours))
    id = await promise(world, emma, tom, News(tom, What.STAMP_WANTED, task=1))
    await quiet(world)
    await services.notifications.change(tom, NotificationSettings())
    await tell(world, id, News(tom, What.OUTCOME))
    await services.outbox.drained()
    ch = f"inbox:{tom}"
    head = (await services.hub.pages.page(ch, 1, None, None, 200)).head
    await services.hub.move_position(Principal(Kind.PERSON, tom), ch, read=head)
    await services.hub.positions.flush()
    await quiet(world)
    await services.supervision.changes.apply(id, lambda pledge, now: Change(turned(pledge, cohort="k_1")))
    await quiet(world)
    assert push_service.pushes == []


async def test_old_news_are_none(world: World, push_service: PushService, clock: TurnedClock) -> None:
    (tom,) = await world.people("tom")
    services = world.services
    services.notifications.pushes.wait = timedelta(hours=3)
    await subscribe(services, tom, push_service.subscription())
    body = msgspec.to_builtins(PledgeNews(new_id("g"), "begun"))
    await services.hub.append(Draft(f"inbox:{tom}", "system", new_id("x"), "pledge_news", body))
    await services.followers.settled()
    clock.ahead += timedelta(hours=4)
    await quiet(world)
    assert push_service.pushes == []
