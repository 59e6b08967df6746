"""Sign-ins on the real database (R-01)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.errors import Code, VouchError
from server.people.model import SessionKind
from server.people.sessions import MOST_BROWSERS, MOST_TOKENS
from server.principals import Kind
from tests.people.conftest import PASSWORD, World

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


async def test_signs_in_by_handle_and_by_phone_in_any_form(world: World) -> None:
    me = await world.join("lin", phone="+8613800138000")
    for login in ("lin", " LIN ", "ｌｉｎ", "13800138000", "+86 138 0013 8000", "１３８００１３８０００"):
        person, session, token = await world.people.sessions.sign_in(login, PASSWORD, "192.0.2.7", CHROME)
        assert person.id == me.id
        assert (session.name, session.kind, session.ip, session.current) == (
            "Chrome on Linux",
            SessionKind.BROWSER,
            "192.0.2.7",
            True,
        )
        principal = await world.people.authenticate_session(token)
        assert principal is not None
        assert (principal.kind, principal.id, principal.session) == (Kind.PERSON, me.id, session.id)


@pytest.mark.parametrize("login", ["lin", "nobody", "13900139000", "+", "", "\x00", "x" * 5000])
async def test_wrong_password_and_unknown_login_look_alike(world: World, login: str) -> None:
    await world.join("lin")
    with pytest.raises(VouchError) as caught:
        await world.people.sessions.sign_in(login, "wrong password", "192.0.2.7", "")
    assert caught.value.code is Code.WRONG_CREDENTIALS
    assert caught.value.field is None


async def test_ten_tries_per_login_then_wait(world: World) -> None:
    await world.join("lin")
    for _ in range(10):
        with pytest.raises(VouchError, match="wrong_credentials"):
            await world.people.sessions.sign_in("lin", "wrong password", "192.0.2.7", "")
    with pytest.raises(VouchError) as caught:
        await world.people.sessions.sign_in("LIN", PASSWORD, "192.0.2.8", "")
    assert caught.value.code is Code.TOO_OFTEN
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 900


async def test_only_the_hash_of_a_token_is_stored(world: World) -> None:
    me = await world.join("lin")
    token, view = await world.people.sessions.create_token(me.id, "Backup robot", "192.0.2.1")
    rows = await world.store.collection("sessions").find({"person": me.id}).to_list(None)
    assert not any(token in str(row) or token.removeprefix("vouch_") in str(row) for row in rows)
    assert (view.kind, view.name, view.current) == (SessionKind.TOKEN, "Backup robot", False)
    principal = await world.people.authenticate_token(token)
    assert principal is not None
    assert (principal.kind, principal.id) == (Kind.PROGRAM, me.id)


async def test_a_cookie_is_no_bearer_token_and_a_bearer_token_no_cookie(world: World) -> None:
    me = await world.join("lin")
    token, _ = await world.people.sessions.create_token(me.id, "Robot", "192.0.2.1")
    _, _, cookie = await world.people.sessions.sign_in("lin", PASSWORD, "192.0.2.1", "")
    assert await world.people.authenticate_session(token) is None
    assert await world.people.authenticate_token(cookie) is None
    assert await world.people.authenticate_session("") is None
    assert await world.people.authenticate_token("vouch_" + "x" * 43) is None


async def test_a_session_slides_and_ends(world: World) -> None:
    await world.join("lin")
    _, session, token = await world.people.sessions.sign_in("lin", PASSWORD, "192.0.2.1", "")
    world.clock.ahead = timedelta(days=29)
    known = await world.people.sessions.authenticate_browser(token, "192.0.2.9")
    assert known is not None
    assert known.touched
    known = await world.people.sessions.authenticate_browser(token, "192.0.2.9")
    assert known is not None
    assert not known.touched  # at most once a minute
    world.clock.ahead = timedelta(days=58)
    assert await world.people.authenticate_session(token) is not None
    assert await world.people.live_sessions([session.id, "s_other"]) == {session.id}
    world.clock.ahead = timedelta(days=58 + 31)
    assert await world.people.authenticate_session(token) is None
    assert await world.people.live_sessions([session.id]) == set()
    assert await world.people.sessions.all_of(known.principal.id, "") == []


async def test_ending_one_tells_the_inbox(world: World) -> None:
    me = await world.join("lin")
    other = await world.join("chen")
    _, session, token = await world.people.sessions.sign_in("lin", PASSWORD, "192.0.2.1", "")
    with pytest.raises(VouchError, match="not_found"):
        await world.people.sessions.revoke(other.id, session.id)
    assert await world.people.authenticate_session(token) is not None
    await world.people.sessions.revoke(me.id, session.id)
    assert await world.people.authenticate_session(token) is None
    assert await world.news(me.id) == [("session_ended", {"sessions": [session.id]})]
    with pytest.raises(VouchError, match="not_found"):
        await world.people.sessions.revoke(me.id, session.id)
    await world.people.sessions.sign_out(me.id, session.id)  # twice is once
    assert await world.news(me.id) == []


async def test_ending_all_others_keeps_this_one(world: World) -> None:
    me = await world.join("lin")
    _, mine, token = await world.people.sessions.sign_in("lin", PASSWORD, "192.0.2.1", "")
    await world.people.sessions.create_token(me.id, "Robot", "192.0.2.1")
    assert await world.people.sessions.end_others(me.id, mine.id) == 2  # registration's and the robot's
    assert [view.id for view in await world.people.sessions.all_of(me.id, mine.id)] == [mine.id]
    assert await world.people.authenticate_session(token) is not None
    assert await world.people.sessions.end_others(me.id, mine.id) == 0


async def test_too_many_browsers_push_out_the_one_unused_for_longest(world: World) -> None:
    me = await world.join("lin")
    first = (await world.people.sessions.all_of(me.id, ""))[0]

    async def open_one() -> None:
        await world.store.transact(lambda tx: world.people.sessions.open(tx, me.id, "192.0.2.1", ""))

    for _ in range(MOST_BROWSERS):
        world.clock.ahead += timedelta(seconds=1)
        await open_one()
    left = await world.people.sessions.all_of(me.id, "")
    assert len(left) == MOST_BROWSERS
    assert first.id not in {view.id for view in left}


async def test_tokens_are_limited(world: World) -> None:
    me = await world.join("lin")
    for number in range(MOST_TOKENS):
        await world.people.sessions.create_token(me.id, f"Robot {number}", "192.0.2.1")
    with pytest.raises(VouchError, match="limit_reached"):
        await world.people.sessions.create_token(me.id, "One more", "192.0.2.1")


async def test_a_password_hashed_by_older_parameters_is_hashed_anew(world: World) -> None:
    from argon2 import PasswordHasher

    await world.join("lin")
    older = PasswordHasher(time_cost=2, memory_cost=32, parallelism=1).hash(PASSWORD)
    people = world.store.collection("people")
    await people.update_one({"handle": "lin"}, {"$set": {"password": older}})
    await world.people.sessions.sign_in("lin", PASSWORD, "192.0.2.1", "")
    row = await people.find_one({"handle": "lin"})
    assert row is not None
    assert row["password"] != older
    await world.people.sessions.sign_in("lin", PASSWORD, "192.0.2.1", "")


async def test_many_sign_ins_at_once(world: World) -> None:
    me = await world.join("lin")
    together = [world.people.sessions.sign_in("lin", PASSWORD, "192.0.2.1", "") for _ in range(8)]
    tokens = {token for _, _, token in await asyncio.gather(*together)}
    assert len(tokens) == 8
    assert len(await world.people.sessions.all_of(me.id, "")) == 9
