"""Pushes about calls: at once, urgent, for as long as it rings; not in quiet hours, and not for who has muted it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from server.calls.model import Call
from server.calls.views import StartCall
from server.notifications.model import Level, NotificationSettings, Notify, QuietHours
from server.principals import Kind, Principal
from tests.chat.conftest import World
from tests.notifications.push_service import PushService
from tests.notifications.pushing import quiet, sign_in, subscribe
from tests.people.conftest import TurnedClock
from tests.wire.client import client_id


async def principal(world: World, person: str) -> Principal:
    return Principal(Kind.PERSON, person, await sign_in(world.services, person))


async def ring(world: World, person: str, conversation: str) -> Call:
    wanted = StartCall(conversation=conversation, key=client_id())
    return (await world.services.calls.start_call(await principal(world, person), wanted))[0]


async def test_a_ring_is_pushed_at_once_and_for_45_seconds(world: World, push_service: PushService) -> None:
    ann, tom = await world.friends("ann", "tom")
    await subscribe(world.services, tom, push_service.subscription())
    world.services.notifications.pushes.wait = timedelta(minutes=5)
    call = await ring(world, ann, await world.direct(ann, tom))
    push = await push_service.until()
    assert push.content == {
        "url": f"/calls/{call.id}",
        "tag": f"call:{call.id}",
        "badge": 0,
        "language": "en",
        "call": "ring",
        "video": True,
        "from": "Ann",
    }
    assert push.headers["urgency"] == "high"
    assert 40 <= int(push.headers["ttl"]) <= 45


async def test_who_answers_elsewhere_silences_the_phone(world: World, push_service: PushService) -> None:
    ann, tom = await world.friends("ann", "tom")
    await subscribe(world.services, tom, push_service.subscription())
    call = await ring(world, ann, await world.direct(ann, tom))
    await push_service.until()
    await world.services.calls.accept(await principal(world, tom), call.id)
    over = await push_service.until(lambda push: push.content["call"] == "over")
    assert over.content["tag"] == f"call:{call.id}"
    assert "from" not in over.content


async def test_a_missed_call_is_told(world: World, push_service: PushService) -> None:
    ann, tom = await world.friends("ann", "tom")
    await subscribe(world.services, tom, push_service.subscription())
    group = await world.group(ann, tom)
    call = await ring(world, ann, group)
    await world.services.calls.end(Principal(Kind.PERSON, ann, "s_any"), call.id)
    missed = await push_service.until(lambda push: push.content["call"] == "missed")
    assert (missed.content["from"], missed.content["title"]) == ("Ann", "Tea")
    assert missed.headers["ttl"] == "3600"
    await quiet(world)
    assert [push.content["call"] for push in push_service.pushes] == ["ring", "missed"]


ALWAYS = QuietHours(on=True, from_="00:00", to="23:59", days=list(range(7)), zone="UTC")


@pytest.mark.parametrize("what", ["quiet", "muted", "signed out"])
async def test_who_does_not_want_to_be_woken_is_not(
    world: World, push_service: PushService, clock: TurnedClock, what: str
) -> None:
    ann, tom = await world.friends("ann", "tom")
    session = await sign_in(world.services, tom)
    await subscribe(world.services, tom, push_service.subscription(), session)
    room = await world.direct(ann, tom)
    choices: Any = world.services.notifications
    if what == "quiet":
        noon = clock.now().replace(hour=12, minute=0)
        clock.ahead += (noon - clock.now()) % timedelta(days=1)
        await choices.change(tom, NotificationSettings(quiet=ALWAYS))
    elif what == "muted":
        await choices.mute(tom, room, Notify(Level.NONE))
    else:
        await world.services.people.sessions.sign_out(tom, session)
    call = await ring(world, ann, room)
    await world.services.calls.end(Principal(Kind.PERSON, ann, "s_any"), call.id)
    await quiet(world)
    assert push_service.pushes == []


async def test_without_previews_nobody_is_named(world: World, push_service: PushService) -> None:
    ann, tom = await world.friends("ann", "tom")
    await subscribe(world.services, tom, push_service.subscription())
    settings = await world.services.notifications.settings(tom)
    await world.services.notifications.change(tom, msgspec.structs.replace(settings, previews=False))
    await ring(world, ann, await world.group(ann, tom))
    push = await push_service.until()
    assert not {"from", "title"} & push.content.keys()
    assert push.content["call"] == "ring"


async def test_a_ring_that_is_followed_late_is_no_news(
    world: World, push_service: PushService, clock: TurnedClock
) -> None:
    ann, tom = await world.friends("ann", "tom")
    await subscribe(world.services, tom, push_service.subscription())
    await ring(world, ann, await world.direct(ann, tom))
    await push_service.until()
    entries = (await world.hub.pages.page(f"inbox:{tom}", 1, None, None, 200)).entries
    clock.ahead += timedelta(hours=2)
    await world.services.notifications.follow(f"inbox:{tom}", entries)
    await quiet(world)
    assert len(push_service.pushes) == 1
