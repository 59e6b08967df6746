"""From a message to what a browser reads: who gets a push, and who does not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.errors import Code, VouchError
from server.ids import new_id
from server.notifications.model import (
    SUBSCRIPTIONS_MOST,
    Level,
    NotificationSettings,
    Notify,
    QuietHours,
)
from server.services import Services
from tests.chat.conftest import PASSWORD, World
from tests.conftest import eventually
from tests.notifications.push_service import PushService, Receiver
from tests.notifications.pushing import hold, quiet, saying, sign_in, subscribe
from tests.people.conftest import TurnedClock


async def test_a_message_becomes_a_push_that_only_the_browser_reads(world: World, push_service: PushService) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    await subscribe(world.services, ben, push_service.subscription())
    seq = await world.say(ada, room, "See you\nat *six*")
    push = await push_service.until()
    assert push.content == {
        "title": "Ada",
        "body": "See you at *six*",
        "url": f"/chats/{room}?at={seq}",
        "tag": f"conv:{room}",
        "badge": 1,
        "language": "en",
    }
    assert push.claims["sub"] == "mailto:admin@vouch.example"
    assert push.claims["key"] == world.services.notifications.key().key
    assert push.headers["ttl"] == "86400"
    assert push.headers["urgency"] == "high"
    assert len(push.headers["topic"]) == 32
    await quiet(world)
    assert len(push_service.pushes) == 1


async def test_without_previews_a_push_says_nothing_but_that_there_is_one(
    world: World, push_service: PushService
) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    await subscribe(world.services, ben, push_service.subscription())
    await world.services.notifications.change(ben, NotificationSettings(previews=False))
    await world.say(ada, room, "a secret")
    push = await push_service.until()
    assert push.content.keys() == {"url", "tag", "badge", "language"}


async def test_of_several_messages_the_last_is_pushed_once(world: World, push_service: PushService) -> None:
    hold(world)
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    await subscribe(world.services, ben, push_service.subscription())
    for text in ("one", "two"):
        await world.say(ada, room, text)
    seq = await world.say(ada, room, "three")
    await world.append(ada, room, "edit", {"text": "three, or four"}, ref=seq)
    await quiet(world)
    assert [push.content["body"] for push in push_service.pushes] == ["three, or four"]
    assert push_service.pushes[0].content["badge"] == 3


async def test_what_was_read_deleted_or_written_oneself_is_not_pushed(world: World, push_service: PushService) -> None:
    hold(world)
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    await subscribe(world.services, ada, push_service.subscription("ada"))
    await subscribe(world.services, ben, push_service.subscription("ben"))
    await world.read(ben, room, await world.say(ada, room, "read at once"))
    await quiet(world)
    seq = await world.say(ada, room, "a slip")
    await world.append(ada, room, "delete", {}, ref=seq)
    await quiet(world)
    assert push_service.pushes == []


async def test_levels_decide_what_is_pushed_and_mute_leaves_the_badge_alone(
    world: World, push_service: PushService, clock: TurnedClock
) -> None:
    ada, ben, cyd = await world.friends("ada", "ben", "cyd")
    room, other = await world.group(ada, ben, cyd), await world.direct(ada, ben)
    notifications = world.services.notifications
    await subscribe(world.services, ben, push_service.subscription())

    await notifications.mute(ben, room, Notify(Level.MENTIONS))
    await world.say(ada, room, "to all of you")
    await quiet(world)
    assert push_service.pushes == []
    await world.append(ada, room, "message", {"text": "@ben look", "mentions": [ben]})
    assert (await push_service.until()).content["from"] == "Ada"
    assert push_service.pushes[0].content["title"] == "Tea"

    at = world.services.clock.now()
    await notifications.mute(ben, room, Notify(Level.NONE, until=round((at.timestamp() + 3_600) * 1_000)))
    await world.append(ada, room, "message", {"text": "@all", "everybody": True})
    await quiet(world)
    assert len(push_service.pushes) == 1
    await world.say(ada, other, "only you")
    await push_service.until(saying("only you"))
    assert push_service.pushes[1].content["badge"] == 1  # the muted group does not count

    clock.ahead += timedelta(hours=2)
    await world.say(ada, room, "an hour later")
    push = await push_service.until(saying("an hour later"))
    assert push.content["badge"] == 5


async def test_quiet_hours_are_quiet_and_nothing_comes_afterwards(
    world: World, push_service: PushService, clock: TurnedClock
) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    await subscribe(world.services, ben, push_service.subscription())
    now = world.services.clock.now()
    hours = QuietHours(on=True, from_=f"{now:%H:%M}", to=f"{now + timedelta(hours=2):%H:%M}", zone="UTC")
    await world.services.notifications.change(ben, NotificationSettings(quiet=hours))
    await world.say(ada, room, "in the night")
    await quiet(world)
    clock.ahead += timedelta(hours=3)
    await quiet(world)
    assert push_service.pushes == []
    await world.say(ada, room, "in the morning")
    push = await push_service.until()
    assert (push.content["body"], push.content["badge"]) == ("in the morning", 2)


async def test_nobody_hears_of_a_group_from_those_with_whom_there_is_a_block(
    world: World, push_service: PushService
) -> None:
    ada, ben, cyd = await world.friends("ada", "ben", "cyd")
    room = await world.group(ada, ben, cyd)
    await subscribe(world.services, ben, push_service.subscription("ben"))
    await subscribe(world.services, cyd, push_service.subscription("cyd"))
    await world.services.people.friends.block(ben, ada)
    await world.say(ada, room, "hello")
    await push_service.until()
    await quiet(world)
    assert [push.path for push in push_service.pushes] == ["cyd"]


async def test_who_joins_later_is_not_pushed_what_was_before(world: World, push_service: PushService) -> None:
    hold(world)
    ada, ben, cyd = await world.friends("ada", "ben", "cyd")
    room = await world.group(ada, ben)
    await subscribe(world.services, cyd, push_service.subscription())
    await world.say(ada, room, "before")
    await world.chat.add(ada, room, [cyd])
    await quiet(world)
    assert push_service.pushes == []
    await world.say(ada, room, "after")
    await quiet(world)
    assert [push.content["badge"] for push in push_service.pushes] == [1]


async def test_old_messages_are_no_news(world: World, push_service: PushService, clock: TurnedClock) -> None:
    world.services.notifications.pushes.wait = timedelta(minutes=90)
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    await subscribe(world.services, ben, push_service.subscription())
    await world.say(ada, room, "the server was away for long")
    await world.services.followers.settled()
    clock.ahead += timedelta(hours=2)
    while await world.services.notifications.pushes.look():
        pass
    assert push_service.asked == 0


async def test_two_nodes_push_once(nodes: tuple[Services, Services], push_service: PushService) -> None:
    here, there = World(nodes[0]), World(nodes[1])
    ada, ben = await here.friends("ada", "ben")
    room = await here.direct(ada, ben)
    await subscribe(nodes[0], ben, push_service.subscription())
    nodes[1].notifications.pushes.somebody_subscribed()
    for number in range(6):
        await (here, there)[number % 2].say(ada, room, f"message {number}")
        # Both see the entry, as after a crash: followers may see everything twice.
        entries = await here.log(room)
        await asyncio.gather(*(node.notifications.follow(f"conv:{room}", entries) for node in nodes))
        await push_service.until(saying(f"message {number}"))
    await quiet(here)
    await quiet(there)
    assert [push.content["body"] for push in push_service.pushes] == [f"message {number}" for number in range(6)]


@pytest.mark.gen_test(timeout=60)
async def test_a_large_group_is_told_in_portions(world: World, push_service: PushService) -> None:
    """The look-ups are for all together, and the loop is never held up for long."""
    ada, ben = await world.friends("ada", "ben")
    room = await world.group(ada, ben)
    now = world.services.clock.now()
    crowd = [new_id("p") for _ in range(150)]
    store = world.services.store
    await store.collection("people").insert_many(
        [
            {"_id": p, "name": p, "introduction": "", "language": "en", "time_zone": "UTC", "birth_date": None}
            | {"avatar": None, "password": "", "created_at": now, "deleted_at": None, "version": 1, "handle": p}
            for p in crowd
        ]
    )
    await store.collection("members").insert_many(
        [
            {"_id": f"{room}|{p}", "conv": room, "person": p, "role": "member", "joined_at": now, "first": 1}
            for p in crowd
        ]
    )
    sessions = {p: new_id("s") for p in crowd}
    await store.collection("sessions").insert_many(
        [{"_id": s, "person": p, "hash": s, "expires": now + timedelta(days=1)} for p, s in sessions.items()]
    )
    await store.collection("push_subscriptions").insert_many(
        [
            {"_id": new_id("w"), "person": p, "session": sessions[p], "name": "", "created_at": now}
            | {"endpoint": f"https://{push_service.host}/{p}", "print": p, "p256dh": push_service.receiver.point}
            | {"auth": push_service.receiver.secret, "last_at": None, "fault": None, "failing_since": None}
            for p in crowd
        ]
    )
    world.services.notifications.pushes.somebody_subscribed()
    late, running = [0.0], True

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        while running:
            before = loop.time()
            await asyncio.sleep(0.01)
            late.append(loop.time() - before - 0.01)

    watching = asyncio.create_task(watch())
    await world.say(ada, room, "hello everybody")
    await eventually(lambda: len(push_service.pushes) == len(crowd), seconds=50)
    running = False
    await watching
    assert {push.path for push in push_service.pushes} == set(crowd)
    assert max(late) < 1.0  # generous: the push service's own TLS runs on this loop too


# ── Subscriptions ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_subscription_ends_with_its_sign_in(world: World, push_service: PushService) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    session = await sign_in(world.services, ben)
    await subscribe(world.services, ben, push_service.subscription(), session)
    await world.services.people.sessions.sign_out(ben, session)
    assert await world.services.notifications.subscriptions.all_of(ben, "") == []
    await world.say(ada, room, "hello")
    await quiet(world)
    assert push_service.asked == 0


async def test_a_sign_in_that_has_run_out_gets_nothing(
    world: World, push_service: PushService, clock: TurnedClock
) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    await subscribe(world.services, ben, push_service.subscription())
    clock.ahead += timedelta(days=31)
    await world.say(ada, room, "hello")
    await quiet(world)
    assert push_service.asked == 0


async def test_nothing_is_left_of_who_deletes_their_account(world: World, push_service: PushService) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    notifications = world.services.notifications
    await subscribe(world.services, ben, push_service.subscription())
    await notifications.change(ben, NotificationSettings(previews=False))
    await notifications.mute(ben, room, Notify(Level.NONE))
    await world.services.people.accounts.delete(ben, PASSWORD)
    for name in ("push_subscriptions", "notification_settings", "notify"):
        assert await world.services.store.collection(name).find({}).to_list(None) == []


async def test_a_browser_belongs_to_whoever_subscribed_it_last(world: World, push_service: PushService) -> None:
    ada, ben = await world.friends("ada", "ben")
    await subscribe(world.services, ada, push_service.subscription())
    await subscribe(world.services, ben, push_service.subscription())
    assert await world.services.notifications.subscriptions.all_of(ada, "") == []
    (kept,) = await world.services.notifications.subscriptions.all_of(ben, "")
    assert (kept.name, kept.service, kept.fault) == ("Firefox on Linux", "127.0.0.1", None)


async def test_subscribing_twice_at_once_keeps_one(world: World, push_service: PushService) -> None:
    (ada,) = await world.people("ada")
    session = await sign_in(world.services, ada)
    await asyncio.gather(*(subscribe(world.services, ada, push_service.subscription(), session) for _ in range(4)))
    assert len(await world.services.notifications.subscriptions.all_of(ada, session)) == 1


async def test_the_oldest_makes_room(world: World, push_service: PushService, clock: TurnedClock) -> None:
    (ada,) = await world.people("ada")
    for number in range(SUBSCRIPTIONS_MOST + 2):
        clock.ahead += timedelta(minutes=5)
        await subscribe(world.services, ada, push_service.subscription(f"{number}"))
    kept = await world.services.store.collection("push_subscriptions").find({}).to_list(None)
    numbers = {int(row["endpoint"].rsplit("/", 1)[1]) for row in kept}
    assert numbers == set(range(2, SUBSCRIPTIONS_MOST + 2))


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example/x",
        "https://127.0.0.1/x",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "https://2130706433/x",
        "https://localhost/x",
        "https://127.0.0.1:1/x",
        "https://169.254.169.254/latest/meta-data",
    ],
)
async def test_addresses_inside_are_refused_when_they_are_given(world: World, endpoint: str) -> None:
    (ada,) = await world.people("ada")
    with pytest.raises(VouchError) as refusal:
        await subscribe(world.services, ada, Receiver().subscription(endpoint))
    assert (refusal.value.code, refusal.value.field) == (Code.BAD_REQUEST, "endpoint")


# ── When the service does not take it ───────────────────────────────────────────────────────────────────────────────


async def pushed(world: World, push_service: PushService) -> str:
    """One push to Ben has been tried; his subscription's id."""
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    await subscribe(world.services, ben, push_service.subscription())
    await world.say(ada, room, "hello")
    await eventually(lambda: push_service.asked > 0)
    await quiet(world)
    return ben


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_is_gone_is_forgotten(world: World, push_service: PushService, status: int) -> None:
    push_service.answers = [status]
    ben = await pushed(world, push_service)
    assert await world.services.notifications.subscriptions.all_of(ben, "") == []
    assert push_service.asked == 1
    health = await world.services.notifications.health()
    assert (health.ended, health.failed, health.subscriptions) == (1, 0, 0)


async def test_a_busy_service_is_asked_again(world: World, push_service: PushService) -> None:
    push_service.answers = [503, (429, {"Retry-After": "0"}), 201]
    await pushed(world, push_service)
    assert (push_service.asked, len(push_service.pushes)) == (3, 1)
    health = await world.services.notifications.health()
    assert (health.sent, health.failed, health.failing) == (1, 0, 0)
    assert health.services[0].host == "127.0.0.1"


async def test_a_service_that_goes_on_failing_is_shown(world: World, push_service: PushService) -> None:
    push_service.answers = [500] * 10
    ben = await pushed(world, push_service)
    assert push_service.asked == 3
    (shown,) = await world.services.notifications.subscriptions.all_of(ben, "")
    assert shown.fault == "status 500"
    assert shown.failing_since is not None
    health = await world.services.notifications.health()
    assert (health.failed, health.failing, health.services[0].fault) == (1, 1, "status 500")


async def test_one_that_fails_is_left_in_peace_for_a_while_and_recovers(
    world: World, push_service: PushService, clock: TurnedClock
) -> None:
    push_service.answers = [400]
    ben = await pushed(world, push_service)
    ada = (await world.services.people.friends.all_of(ben)).friends[0].person.id
    room = await world.direct(ada, ben)
    await world.say(ada, room, "too soon")
    await quiet(world)
    assert push_service.asked == 1
    clock.ahead += timedelta(minutes=2)
    await world.say(ada, room, "again")
    await push_service.until()
    await quiet(world)
    (shown,) = await world.services.notifications.subscriptions.all_of(ben, "")
    assert (shown.fault, shown.failing_since) == (None, None)


async def test_one_that_has_failed_for_weeks_is_given_up(
    world: World, push_service: PushService, clock: TurnedClock
) -> None:
    push_service.answers = [400, 400]
    ben = await pushed(world, push_service)
    ada = (await world.services.people.friends.all_of(ben)).friends[0].person.id
    clock.ahead += timedelta(days=15)
    await world.say(ada, await world.direct(ada, ben), "hello?")
    await eventually(lambda: push_service.asked == 2)
    await quiet(world)
    assert await world.services.notifications.subscriptions.all_of(ben, "") == []


async def test_a_long_retry_after_is_not_waited_for(world: World, push_service: PushService) -> None:
    push_service.answers = [(429, {"Retry-After": "86400"})]
    await pushed(world, push_service)
    assert push_service.asked == 1
