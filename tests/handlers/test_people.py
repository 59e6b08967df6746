"""Accounts, sign-ins and friends over HTTP (R-01), and every refusal that their operations declare."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image

from handlers import accounts, people, sessions
from server.errors import Code, VouchError
from server.limits import Limits
from server.money.model import Account, AccountKind, Currency, Draft, Leg, TransferKind, available
from server.people.repo import PeopleRepo
from server.people.sessions import MOST_TOKENS
from server.store import Tx
from tests.conftest import RunningServer
from tests.handlers.conftest import NOBODY, PASSWORD, Answer, Client

Browser = Callable[[], Client]


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (300, 200), "#B3261E").save(out, "PNG")
    return out.getvalue()


async def test_from_registration_to_leaving(browser: Browser) -> None:
    client = await browser().begin()
    answer = await client.call(
        "POST",
        "/registrations",
        {"handle": "Lin", "password": PASSWORD, "name": "林小美"},
        headers={"Accept-Language": "fr, zh-CN;q=0.9, en;q=0.8"},
    )
    assert answer.status == 201
    me = answer.json
    assert (me["handle"], me["language"], me["grants"]) == ("lin", "zh-CN", [])
    assert set(me) == {
        *("id", "handle", "name", "avatar", "introduction", "language", "time_zone"),
        *("birth_date", "minor", "phone", "grants", "created_at"),
    }
    assert (await client.get("/me")).json == me

    changed = await client.call("PATCH", "/me", {"name": "Lin", "birth_date": "2015-06-01", "phone": "13800138000"})
    assert (changed.json["minor"], changed.json["phone"]) == (True, "+8613800138000")
    assert (await client.call("PATCH", "/me", {"phone": None})).json["phone"] is None
    assert (await client.call("PATCH", "/me", {})).json["name"] == "Lin"

    await client.call("PUT", "/me/password", {"current": PASSWORD, "new": "a seal on paper"})
    assert (await client.call("DELETE", "/sessions/current")).status == 204
    assert "vouch_session" not in client.cookies
    assert (await client.get("/me")).code == Code.UNAUTHENTICATED

    answer = await client.post("/sessions", {"login": "LIN", "password": "a seal on paper"})
    assert answer.status == 201
    assert answer.json["me"]["id"] == me["id"]
    assert answer.json["session"]["current"] is True
    assert (await client.call("DELETE", "/me", {"password": "a seal on paper"})).status == 204
    assert "vouch_session" not in client.cookies
    answer = await client.post("/sessions", {"login": "lin", "password": "a seal on paper"})
    assert answer.code == Code.WRONG_CREDENTIALS


async def test_a_picture_goes_in_and_comes_out(browser: Browser) -> None:
    lin, chen = browser(), browser()
    await lin.register("lin")
    await chen.register("chen")
    answer = await lin.call("PUT", "/me/avatar", data=png(), headers={"Content-Type": "image/png"})
    path = answer.json["avatar"]
    picture = await chen.call("GET", "/" + path)
    assert picture.headers["Content-Type"] == "image/webp"
    assert "immutable" in picture.headers["Cache-Control"]
    assert picture.data[8:12] == b"WEBP"
    assert (await browser().call("GET", "/" + path)).status == 401
    for content_type in ("image/gif", "image/svg+xml", "application/json", ""):
        answer = await lin.call("PUT", "/me/avatar", data=png(), headers={"Content-Type": content_type})
        assert answer.code == Code.BAD_REQUEST
    too_large = b"x" * (2 * 1024 * 1024 + 1)
    answer = await lin.call("PUT", "/me/avatar", data=too_large, headers={"Content-Type": "image/png"})
    assert answer.code == Code.TOO_LARGE
    assert (await lin.call("DELETE", "/me/avatar")).json["avatar"] is None
    assert (await chen.call("GET", "/" + path)).status == 404


async def test_sign_ins_are_listed_and_ended(browser: Browser) -> None:
    here, there = browser(), browser()
    await here.register("lin")
    await there.begin()
    await there.post("/sessions", {"login": "lin", "password": PASSWORD})
    token = (await here.post("/tokens", {"name": "Robot"})).json
    assert token["token"].startswith("vouch_")
    listed = (await here.get("/sessions")).json["sessions"]
    assert (listed[0]["kind"], listed[0]["current"]) == ("browser", True)
    assert {s["name"] for s in listed if s["kind"] == "token"} == {"Robot"}
    other = next(s for s in listed if s["kind"] == "browser" and not s["current"])
    assert (await here.call("DELETE", f"/sessions/{other['id']}")).status == 204
    assert (await there.get("/me")).code == Code.UNAUTHENTICATED
    assert (await here.call("DELETE", "/sessions")).json == {"ended": 1}
    assert len((await here.get("/sessions")).json["sessions"]) == 1


async def test_from_strangers_to_friends_to_strangers(browser: Browser) -> None:
    lin, chen = browser(), browser()
    a, b = await lin.register("lin"), await chen.register("chen")
    found = await lin.post("/people/search", {"handle": "chen"})
    assert (found.json["id"], found.json["relation"]) == (b["id"], "none")
    answer = await lin.post("/friends/requests", {"person": b["id"], "note": "From class 6B"})
    assert (answer.status, answer.json["relation"]) == (201, "outgoing")
    incoming = (await chen.get("/friends")).json["incoming"]
    assert [(r["person"]["handle"], r["note"]) for r in incoming] == [("lin", "From class 6B")]
    assert (await chen.call("POST", f"/friends/requests/{a['id']}/accept")).json["relation"] == "friend"
    assert (await lin.get(f"/people/{b['id']}")).json["relation"] == "friend"
    assert (await lin.post("/people/cards", {"ids": [b["id"], NOBODY]})).json["people"] == [
        {"id": b["id"], "handle": "chen", "name": "chen", "avatar": None, "introduction": ""}
    ]
    assert (await chen.call("DELETE", f"/friends/{a['id']}")).status == 204
    assert (await lin.get("/friends")).json["friends"] == []
    await lin.post("/friends/requests", {"person": b["id"]})
    assert (await chen.call("POST", f"/friends/requests/{a['id']}/decline")).status == 204
    assert (await lin.call("DELETE", f"/friends/requests/{b['id']}")).status == 204
    assert (await chen.call("PUT", f"/blocks/{a['id']}")).json["relation"] == "blocked"
    assert [p["id"] for p in (await chen.get("/friends")).json["blocked"]] == [a["id"]]
    assert (await chen.call("DELETE", f"/blocks/{a['id']}")).json["relation"] == "none"


@pytest.mark.parametrize(
    ("accept", "language"), [("zh", "zh-CN"), ("en-GB,zh;q=0.5", "en"), ("fr", "en"), ("", "en"), ("*", "en")]
)
def test_the_browsers_language_is_the_first_guess(accept: str, language: str) -> None:
    assert accounts.preferred_language(accept) == language


# ── Every declared refusal ──────────────────────────────────────────────────────────────────────────────────────────


class Stage:
    """Two people who have just registered, and ways to make things fail."""

    def __init__(self, server: RunningServer, patch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.lin, self.chen = Client(server.url), Client(server.url)
        self._patch = patch

    async def enter(self) -> Stage:
        self.a = (await self.lin.register("lin"))["id"]
        self.b = (await self.chen.register("chen", phone="13800138000"))["id"]
        return self

    def exhaust(self, limit: str) -> None:
        real = Limits.take

        async def take(limits: Limits, name: str, key: str, n: int) -> bool:
            return name != limit and await real(limits, name, key, n)

        self._patch.setattr(Limits, "take", take)

    def busy(self) -> None:
        self._patch.setattr(self.server.services.people._passwords, "_room", 0)

    def somebody_faster(self) -> None:
        async def replace(repo: PeopleRepo, person: Any, tx: Tx | None = None) -> bool:
            return False

        self._patch.setattr(PeopleRepo, "replace", replace)

    async def suspend_lin(self) -> None:
        """As it is for a moment, before the sign-ins have ended."""
        until = self.server.services.clock.now() + timedelta(hours=1)
        people = self.server.services.store.collection("people")
        await people.update_one({"_id": self.a}, {"$set": {"suspended_until": until}})

    async def register(self, **more: Any) -> Answer:
        stranger = await Client(self.server.url).begin()
        return await stranger.post("/registrations", {"handle": "eve", "password": PASSWORD, "name": "Eve", **more})

    async def sign_in(self, password: str = PASSWORD) -> Answer:
        return await (await Client(self.server.url).begin()).post("/sessions", {"login": "lin", "password": password})

    async def rename(self, **more: Any) -> Answer:
        return await self.lin.call("PATCH", "/me", {"name": "Lin Two", **more})

    async def paint(self) -> Answer:
        return await self.lin.call("PUT", "/me/avatar", data=png(), headers={"Content-Type": "image/png"})

    async def repass(self, current: str = PASSWORD) -> Answer:
        return await self.lin.call("PUT", "/me/password", {"current": current, "new": "a seal on paper"})

    async def leave(self, password: str = PASSWORD) -> Answer:
        return await self.lin.call("DELETE", "/me", {"password": password})

    async def find(self, **by: Any) -> Answer:
        return await self.lin.post("/people/search", by or {"handle": "chen"})

    async def ask(self, person: str = "") -> Answer:
        return await self.lin.post("/friends/requests", {"person": person or self.b})


Scene = Callable[[Stage], Awaitable[Answer]]
SCENES: dict[tuple[str, Code], Scene] = {}


def scene(operation: str, code: Code) -> Callable[[Scene], Scene]:
    def add(play: Scene) -> Scene:
        SCENES[operation, code] = play
        return play

    return add


def limited(operation: str, limit: str, act: Scene) -> None:
    async def play(stage: Stage) -> Answer:
        stage.exhaust(limit)
        return await act(stage)

    SCENES[operation, Code.TOO_OFTEN] = play


def crowded(operation: str, act: Scene) -> None:
    async def play(stage: Stage) -> Answer:
        stage.busy()
        return await act(stage)

    SCENES[operation, Code.TRY_LATER] = play


def overtaken(operation: str, act: Scene) -> None:
    async def play(stage: Stage) -> Answer:
        stage.somebody_faster()
        return await act(stage)

    SCENES[operation, Code.STALE] = play


limited("register", "register_ip", lambda stage: stage.register())
limited("sign_in", "sign_in", lambda stage: stage.sign_in())
limited("change_me", "change_profile", lambda stage: stage.rename())
limited("put_avatar", "change_profile", lambda stage: stage.paint())
limited("change_password", "confirm_password", lambda stage: stage.repass())
limited("delete_me", "confirm_password", lambda stage: stage.leave())
limited("find_person", "find_person_ip", lambda stage: stage.find())
limited("request_friend", "friend_request", lambda stage: stage.ask())
crowded("register", lambda stage: stage.register())
crowded("sign_in", lambda stage: stage.sign_in())
crowded("change_password", lambda stage: stage.repass())
crowded("delete_me", lambda stage: stage.leave())
overtaken("change_me", lambda stage: stage.rename())
overtaken("put_avatar", lambda stage: stage.paint())
overtaken("change_password", lambda stage: stage.repass())
overtaken("delete_me", lambda stage: stage.leave())
SCENES["register", Code.HANDLE_TAKEN] = lambda stage: stage.register(handle="LIN")
SCENES["register", Code.PHONE_TAKEN] = lambda stage: stage.register(phone="+8613800138000")
SCENES["change_me", Code.HANDLE_TAKEN] = lambda stage: stage.rename(handle="chen")
SCENES["change_me", Code.PHONE_TAKEN] = lambda stage: stage.rename(phone="13800138000")
SCENES["sign_in", Code.WRONG_CREDENTIALS] = lambda stage: stage.sign_in("not this one")
SCENES["change_password", Code.WRONG_CREDENTIALS] = lambda stage: stage.repass("not this one")
SCENES["delete_me", Code.WRONG_CREDENTIALS] = lambda stage: stage.leave("not this one")
SCENES["find_person", Code.NOT_FOUND] = lambda stage: stage.find(handle="nobody")
SCENES["get_person", Code.NOT_FOUND] = lambda stage: stage.lin.get(f"/people/{stage.b}")
SCENES["get_avatar", Code.NOT_FOUND] = lambda stage: stage.lin.get(f"/people/{stage.b}/avatar/{'0' * 24}")
SCENES["revoke_session", Code.NOT_FOUND] = lambda stage: stage.lin.call("DELETE", "/sessions/s_" + "0" * 20)
SCENES["request_friend", Code.NOT_FOUND] = lambda stage: stage.ask(NOBODY)

for _operation, _method, _path in (
    ("withdraw_request", "DELETE", "/friends/requests/{}"),
    ("accept_friend", "POST", "/friends/requests/{}/accept"),
    ("decline_friend", "POST", "/friends/requests/{}/decline"),
    ("remove_friend", "DELETE", "/friends/{}"),
    ("block", "PUT", "/blocks/{}"),
    ("unblock", "DELETE", "/blocks/{}"),
):

    def _on(method: str, path: str, who: Callable[[Stage], str]) -> Scene:
        return lambda stage: stage.lin.call(method, path.format(who(stage)))

    SCENES[_operation, Code.NOT_FOUND] = _on(_method, _path, lambda stage: NOBODY)
    SCENES[_operation, Code.BAD_REQUEST] = _on(_method, _path, lambda stage: stage.a)


@scene("change_me", Code.GUARDIAN_NEEDED)
async def _(stage: Stage) -> Answer:
    await stage.rename(birth_date="2015-06-01")
    return await stage.rename(birth_date="1990-06-01")


@scene("delete_avatar", Code.STALE)
async def _(stage: Stage) -> Answer:
    await stage.paint()
    stage.somebody_faster()
    return await stage.lin.call("DELETE", "/me/avatar")


@scene("create_token", Code.LIMIT_REACHED)
async def _(stage: Stage) -> Answer:
    for _ in range(MOST_TOKENS):
        await stage.lin.post("/tokens", {"name": "Robot"})
    return await stage.lin.post("/tokens", {"name": "One more"})


@scene("sign_in", Code.SUSPENDED)
async def _(stage: Stage) -> Answer:
    await stage.suspend_lin()
    return await stage.sign_in()


@scene("create_token", Code.SUSPENDED)
async def _(stage: Stage) -> Answer:
    await stage.suspend_lin()
    return await stage.lin.post("/tokens", {"name": "Robot"})


@scene("delete_me", Code.MONEY_LEFT)
async def _(stage: Stage) -> Answer:
    money = stage.server.services.money
    legs = (Leg(Account(AccountKind.EXTERNAL, "test"), -1), Leg(available(stage.a), 1))
    draft = Draft(key="opening", kind=TransferKind.ADJUSTMENT, currency=Currency.CNY, legs=legs)
    await money.transact([available(stage.a)], lambda tx: money.post(tx, draft))
    return await stage.leave()


@scene("request_friend", Code.BLOCKED)
async def _(stage: Stage) -> Answer:
    await stage.chen.call("PUT", f"/blocks/{stage.a}")
    return await stage.ask()


@scene("request_friend", Code.ALREADY)
async def _(stage: Stage) -> Answer:
    await stage.ask()
    await stage.chen.call("POST", f"/friends/requests/{stage.a}/accept")
    return await stage.ask()


@scene("request_friend", Code.LIMIT_REACHED)
async def _(stage: Stage) -> Answer:
    pairs = stage.server.services.store.collection("pairs")
    await pairs.insert_many([{"_id": f"x|{n}", "asker": stage.a} for n in range(100)])
    return await stage.ask()


DECLARED = {
    (operation.id, code)
    for operation in (*accounts.OPERATIONS, *sessions.OPERATIONS, *people.OPERATIONS)
    for code in operation.errors
}


def test_every_declared_refusal_has_its_scene() -> None:
    assert set(SCENES) == DECLARED


@pytest.mark.parametrize(("operation", "code"), sorted(SCENES))
async def test_refusals(server: RunningServer, monkeypatch: pytest.MonkeyPatch, operation: str, code: Code) -> None:
    stage = await Stage(server, monkeypatch).enter()
    answer = await SCENES[operation, code](stage)
    assert answer.code == code, answer.data
    if code is Code.TOO_OFTEN:
        assert int(answer.headers["Retry-After"]) >= 1


async def test_a_refusal_is_a_vouch_error_with_a_field(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await Stage(server, monkeypatch).enter()
    assert (await stage.register(handle="lin")).field == "handle"
    assert (await stage.register(phone="13800138000")).field == "phone"
    assert (await stage.register(password="12345678")).field == "password"
    with pytest.raises(VouchError):
        await server.services.people.create_admin("lin", PASSWORD)
