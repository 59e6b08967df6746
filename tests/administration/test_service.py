"""What admins see and do, on the real database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from server.administration.model import Suspend, SystemRole, Verdict
from server.errors import Code, VouchError
from server.moderation.model import Reason
from server.people.accounts import NewAccount, ProfileChange
from server.principals import Grant, Role
from server.services import Services
from server.store import Numbered
from tests.chat.conftest import PASSWORD, World
from tests.chat.test_service import refused


@pytest.fixture
def world(services: Services) -> World:
    return World(services)


async def admins(world: World, *handles: str) -> list[str]:
    people = await world.people(*handles)
    for person in people:
        await world.services.people.grant(person, Grant(Role.ADMIN), "system")
    return people


async def test_accounts_are_found_by_the_beginnings_of_their_names(world: World) -> None:
    services = world.services
    accounts, users = services.people.accounts, services.administration.users
    wanted = [("xiaoyu", "林小雨"), ("emma.c", "Emma Clarke"), ("emil", "Émile Zola"), ("clark", "Kent")]
    ids = {
        handle: await accounts.create(NewAccount(handle=handle, password=PASSWORD, name=name))
        for handle, name in wanted
    }
    await accounts.change(ids["emil"], ProfileChange(phone="+44 7400 123456"), "127.0.0.1")

    async def found(query: str) -> set[str]:
        return {line.person.handle for line in (await users.all(query, None, 50)).users}

    for query, handles in (
        ("em", {"emma.c", "emil"}), ("EMILE", {"emil"}), ("cla", {"emma.c", "clark"}), ("emma cla", {"emma.c"}),
        ("林", {"xiaoyu"}), ("小雨", {"xiaoyu"}), ("雨", {"xiaoyu"}), ("@xiao", {"xiaoyu"}), ("ma", set()),
        ("+447400123456", {"emil"}), ("+447400", set()), (" ", {"xiaoyu", "emma.c", "emil", "clark"}),
    ):  # fmt: skip
        assert await found(query) == handles, query
    await accounts.change(ids["clark"], ProfileChange(name="Superman"), "127.0.0.1")
    assert await found("kent") == set()
    assert await found("super") == {"clark"}
    assert (await users.all("em", None, 1)).more


async def test_the_newest_come_first_through_all_pages(world: World) -> None:
    """Also where hundreds registered at once: those pages are cut by narrower windows."""
    services = world.services
    people, rows = await world.people("ada", "ben", "cem"), services.store.collection("people")
    base = await rows.find_one({"_id": people[0]}) or {}
    old = datetime(2024, 2, 29, 12, tzinfo=UTC)
    copies = [
        {
            **base,
            "_id": f"p_{number:020}",
            "handle": f"copy{number}",
            "created_at": old + timedelta(seconds=number // 3),
        }
        for number in range(700)
    ]
    await rows.insert_many(copies)
    seen: list[str] = []
    before: int | None = None
    times: list[int] = []
    for _ in range(30):
        page = await services.administration.users.all("", before, 90)
        seen += [line.person.id for line in page.users]
        times += [line.created_at for line in page.users]
        before = page.next
        if before is None:
            break
    assert times == sorted(times, reverse=True)
    assert set(people) <= set(seen[:3])
    assert len(set(seen)) > 690  # those of one moment may be cut where a page ends
    assert len(seen) == len(set(seen))


async def test_roles_are_given_and_taken_and_told(world: World) -> None:
    ann, joe = await world.people("ann", "joe")
    services = world.services
    users = services.administration.users
    await refused(Code.FORBIDDEN, users.give(joe, ann, SystemRole.STAFF))  # no admin any more, or never
    await services.people.grant(ann, Grant(Role.ADMIN), "system")
    view = await users.give(ann, joe, SystemRole.STAFF)
    assert view.grants == [Grant(Role.STAFF)]
    await refused(Code.ALREADY, users.give(ann, joe, SystemRole.STAFF))
    assert (await users.take(ann, joe, SystemRole.STAFF)).grants == []
    await refused(Code.ALREADY, users.take(ann, joe, SystemRole.STAFF))
    await refused(Code.FORBIDDEN, users.take(ann, ann, SystemRole.ADMIN))
    await refused(Code.NOT_FOUND, users.give(ann, "p_" + "0" * 20, SystemRole.STAFF))
    await services.outbox.drained()
    inbox = await services.hub.pages.page(f"inbox:{joe}", 1, None, None, 50)
    assert [entry.kind for entry in inbox.entries if entry.body.get("person") == joe].count("profile_changed") == 2
    acts = (await services.administration.audit({"target": joe}, None, 10)).acts
    assert [(act.action, act.by, act.facts) for act in acts] == [
        ("grant.taken", ann, {"role": "staff"}),
        ("grant.given", ann, {"role": "staff"}),
    ]
    assert (await services.administration.audit({"by": joe}, None, 10)).acts == []


async def test_of_two_admins_who_take_the_role_from_each_other_one_stays(world: World) -> None:
    ann, bea = await admins(world, "ann", "bea")
    users = world.services.administration.users
    outcomes = await asyncio.gather(
        users.take(ann, bea, SystemRole.ADMIN), users.take(bea, ann, SystemRole.ADMIN), return_exceptions=True
    )
    faults = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [fault.code for fault in faults if isinstance(fault, VouchError)] == [Code.FORBIDDEN]
    assert len(await world.services.people.holders(Role.ADMIN)) == 1


async def test_an_account_tells_its_sign_ins_and_admins_end_them(world: World) -> None:
    (ann,), (joe,) = await admins(world, "ann"), await world.people("joe")
    services = world.services
    sessions, users = services.people.sessions, services.administration.users
    for _ in range(3):
        await sessions.sign_in("joe", PASSWORD, "192.0.2.1", "Firefox")
    view = await users.one(joe)
    assert len(view.sessions) == 3
    assert view.seen_at == max(session.seen_at for session in view.sessions)
    assert (view.suspended_until, view.deleted_at, view.media_bytes) == (None, None, 0)
    await users.end_session(ann, joe, view.sessions[0].id)
    await refused(Code.NOT_FOUND, users.end_session(ann, joe, view.sessions[0].id))
    await refused(Code.NOT_FOUND, users.end_session(ann, ann, view.sessions[1].id))  # somebody else's
    assert await users.end_sessions(ann, joe) == 2
    assert await users.end_sessions(ann, joe) == 0
    assert (await users.one(joe)).sessions == []


async def test_a_suspended_person_is_told_until_when(world: World) -> None:
    """Only who knows the password is told, and programs get no new token either."""
    (ann, bea), (joe,) = await admins(world, "ann", "bea"), await world.people("joe")
    services = world.services
    sessions, users = services.people.sessions, services.administration.users
    _, session, token = await sessions.sign_in("joe", PASSWORD, "192.0.2.1", "Firefox")
    view = await users.suspend(ann, joe, Suspend(24, Reason.SPAM))
    assert view.suspended_until is not None
    assert view.sessions == []
    assert await services.people.authenticate_session(token) is None
    with pytest.raises(VouchError) as caught:
        await sessions.sign_in("joe", PASSWORD, "192.0.2.1", "Firefox")
    assert caught.value.code is Code.SUSPENDED
    assert 23 * 3600 < (caught.value.retry_after or 0) <= 24 * 3600
    await refused(Code.WRONG_CREDENTIALS, sessions.sign_in("joe", "not the password", "192.0.2.1", "Firefox"))
    await refused(Code.SUSPENDED, sessions.create_token(joe, "bot", "192.0.2.1"))
    await refused(Code.FORBIDDEN, users.suspend(ann, ann, Suspend(1, Reason.SPAM)))
    await users.suspend(ann, bea, Suspend(1, Reason.SPAM))  # admins may be, by another one
    await services.moderation.lift(ann, joe)
    person, _, _ = await sessions.sign_in("joe", PASSWORD, "192.0.2.1", "Firefox")
    assert person.id == joe
    assert session.id not in {one.id for one in (await users.one(joe)).sessions}


async def test_a_sign_in_under_way_does_not_slip_past_a_suspension(world: World) -> None:
    """Whichever comes first: afterwards nobody who is suspended is signed in."""
    (ann,), (joe,) = await admins(world, "ann"), await world.people("joe")
    services = world.services
    sessions, users = services.people.sessions, services.administration.users

    async def sign_in() -> None:
        await sessions.sign_in("joe", PASSWORD, "192.0.2.1", "Firefox")

    suspended = users.suspend(ann, joe, Suspend(1, Reason.SPAM))
    outcomes = await asyncio.gather(*(sign_in() for _ in range(6)), suspended, return_exceptions=True)
    faults = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {fault.code for fault in faults if isinstance(fault, VouchError)} <= {Code.SUSPENDED}
    assert all(isinstance(fault, VouchError) for fault in faults)
    assert (await users.one(joe)).sessions == []


async def test_figures_are_put_together_over_nodes_and_minutes(nodes: tuple[Services, Services]) -> None:
    world = World(nodes[0])
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    one, other = (services.administration.figures for services in nodes)
    await one.gather()
    await other.gather()
    for number in range(5):
        await world.say(ada, room, f"line {number}")
    await one.gather()
    await other.gather()  # both count the same process here: what one node counted comes twice
    now = nodes[0].clock.now()
    charts = await one.between(now - timedelta(hours=1), now)
    assert charts.step == 60_000
    assert sum(moment.entries for moment in charts.moments) >= 10
    timed = [moment for moment in charts.moments if moment.p50 is not None]
    assert timed
    assert all(0 < (moment.p50 or 0) <= (moment.p99 or 0) for moment in timed)
    week = await one.between(now - timedelta(days=30), now + timedelta(days=1))
    assert len(week.moments) <= 240
    assert week.step == 43 * 60_000
    assert (await one.between(now - timedelta(hours=3), now - timedelta(hours=2))).moments == []


async def test_storage_is_counted_in_the_background(world: World) -> None:
    ada, ben = await world.friends("ada", "ben")
    room = await world.direct(ada, ben)
    await world.say(ada, room, "hello")
    census = world.services.administration.census
    first = await census.storage()
    assert first.counted_at is None
    await census.counted()
    second = await census.storage()
    assert second.counted_at is not None
    holdings = {holding.name: holding.documents for holding in second.holdings}
    assert holdings["people"] == 2
    assert holdings["conversations"] == 1


async def test_queues_versions_and_configuration_are_told(nodes: tuple[Services, Services]) -> None:
    condition = nodes[0].administration.condition
    queues = await condition.queues()
    names = {queue.name for queue in queues.queues}
    assert {"outbox", "aside", "erasures"} <= names
    assert any(name.startswith("follower:") for name in names)
    assert queues.push is not None
    await nodes[0].store.collection("nodes").find_one({})
    versions = await condition.versions()
    assert versions.nodes[0].own
    assert versions.nodes[0].python.startswith("3.")
    assert versions.nodes[0].packages["tornado"]
    assert versions.database
    found = {finding.name: finding.verdict for finding in (await condition.configuration()).findings}
    assert found["backup_never"] is Verdict.WARNING
    assert found["plain"] is Verdict.WARNING
    assert "demo" not in found


async def test_numbers_have_no_holes_and_rare_rows_are_found_far_back(services: Services) -> None:
    """The trail's pages: narrow windows whatever is looked for, and nothing lost between them."""
    rows = Numbered(services.store, "numbers")
    await rows.ensure_indexes()
    await rows.ensure_counter()

    async def insert(n: int) -> int:
        return await services.store.transact(lambda tx: rows.insert(tx, {"kind": "rare" if n == 3 else "plain"}))

    made = await asyncio.gather(*(insert(n) for n in range(12)))
    assert sorted(made) == list(range(1, 13))
    many = [{"number": number, "kind": "plain"} for number in range(13, 1300)]
    await rows.rows.insert_many(many)
    await services.store.collection("counters").update_one({"_id": "numbers"}, {"$set": {"n": 1299}})
    found, following = await rows.page({"kind": "rare"}, None, 5)
    assert len(found) == 1
    assert following is None
    page, before = await rows.page({}, None, 500)
    seen = [row["number"] for row in page]
    while before is not None:
        page, before = await rows.page({}, before, 500)
        seen += [row["number"] for row in page]
    assert seen == list(range(1299, 0, -1))
