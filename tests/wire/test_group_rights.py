"""Every operation on a conversation by everybody who has something, nothing, or not any more to do with it; and every
kind of entry. The registries are walked: an operation or a kind without its row here makes this module fail (R-32)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from handlers import chat
from server.people.service import People
from server.principals import Grant, Kind, Principal, Role
from tests.chat.replay import KIND
from tests.conftest import RunningServer
from tests.handlers.conftest import Client
from tests.wire.client import Crowd, Person, Socket, client_id, conversation_of


class Stage:
    """A group with one of each: `victim` is a plain member whom things are done to; the newcomer came after `said`."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.persons: dict[str, Person] = {}
        self.path = self.ch = ""
        self.said = self.until = 0

    async def enter(self) -> Stage:
        names = ("owner", "admin", "member", "silenced", "victim", "newcomer", "former", "stranger")
        people = await self.crowd.friends(*names)
        self.persons = dict(zip(names, people, strict=True))
        owner = self.persons["owner"]
        others = [p for name, p in self.persons.items() if name not in ("owner", "newcomer", "stranger")]
        self.ch = await self.crowd.group(owner, *others)
        self.path = conversation_of(self.ch)
        hub = self.crowd.server.services.hub
        self.until = int(hub.clock.now().timestamp() * 1000) + 3_600_000
        socket = await self.persons["victim"].socket()
        self.said = await socket.write(self.ch, "before the newcomer came")
        await owner.post(f"{self.path}/members", {"persons": [self.persons["newcomer"].id]})
        await owner.patch(f"{self.path}/members/{self.persons['admin'].id}", {"role": "admin"})
        await owner.put(f"{self.path}/members/{self.persons['silenced'].id}/silence", {"until": self.until})
        await owner.delete(f"{self.path}/members/{self.persons['former'].id}")
        return self

    def id(self, name: str) -> str:
        return self.persons[name].id

    async def as_owner(self, method: str, path: str, body: Any = None) -> None:
        answer = await self.persons["owner"].call(method, self.path + path, body)
        assert answer.status < 400, answer


Request = Callable[[Stage], tuple[str, str, Any]]
Undo = Callable[[Stage], Awaitable[None]]

MEMBERS = ("owner", "admin", "member", "silenced", "newcomer")
#: role → code of the refusal; who is not named may. Who is not in it finds nothing.
OUTSIDE = {"former": "not_found", "stranger": "not_found"}
OWNER_ONLY = OUTSIDE | dict.fromkeys(("admin", "member", "silenced", "newcomer"), "forbidden")
ADMINS_ONLY = OUTSIDE | dict.fromkeys(("member", "silenced", "newcomer"), "forbidden")


async def nothing(stage: Stage) -> None:
    pass


class Row(NamedTuple):
    request: Request
    refusals: dict[str, str]
    undo: Undo = nothing


async def give_back(stage: Stage) -> None:
    await stage.persons["victim"].put(f"{stage.path}/owner", {"person": stage.id("owner")})


ROWS: dict[str, Row] = {
    "list_conversations": Row(lambda s: ("GET", "/conversations", None), {}),
    "create_conversation": Row(
        lambda s: ("POST", "/conversations", {"kind": "group", "title": "x", "members": [], "key": client_id()}), {}
    ),
    "get_conversation": Row(lambda s: ("GET", s.path, None), OUTSIDE),
    "change_conversation": Row(
        lambda s: ("PATCH", s.path, {"title": "Coffee", "everybody_by": "admins"}),
        OWNER_ONLY,
        lambda s: s.as_owner("PATCH", "", {"title": "Tea", "everybody_by": "members"}),
    ),
    "add_members": Row(lambda s: ("POST", f"{s.path}/members", {"persons": [s.id("victim")]}), OUTSIDE),
    "remove_member": Row(
        lambda s: ("DELETE", f"{s.path}/members/{s.id('victim')}", None),
        ADMINS_ONLY,
        lambda s: s.as_owner("POST", "/members", {"persons": [s.id("victim")]}),
    ),
    "change_member": Row(
        lambda s: ("PATCH", f"{s.path}/members/{s.id('victim')}", {"role": "admin"}),
        OWNER_ONLY,
        lambda s: s.as_owner("PATCH", f"/members/{s.id('victim')}", {"role": "member"}),
    ),
    "silence_member": Row(
        lambda s: ("PUT", f"{s.path}/members/{s.id('victim')}/silence", {"until": s.until}),
        ADMINS_ONLY,
        lambda s: s.as_owner("PUT", f"/members/{s.id('victim')}/silence", {"until": None}),
    ),
    "hand_over": Row(lambda s: ("PUT", f"{s.path}/owner", {"person": s.id("victim")}), OWNER_ONLY, give_back),
    "list_entries": Row(lambda s: ("GET", f"{s.path}/entries", None), OUTSIDE),
    "append_entry": Row(
        lambda s: ("POST", f"{s.path}/entries", {"id": client_id(), "kind": "message", "body": {"text": "x"}}),
        OUTSIDE | {"silenced": "silenced"},
    ),
    "set_position": Row(lambda s: ("PUT", f"{s.path}/position", {"read": 1}), OUTSIDE),
    "list_positions": Row(lambda s: ("GET", f"{s.path}/positions", None), OUTSIDE),
    "list_pins": Row(lambda s: ("GET", f"{s.path}/pins", None), OUTSIDE),
    "pin_message": Row(
        lambda s: ("PUT", f"{s.path}/pins/{s.said}", None),
        ADMINS_ONLY | {"newcomer": "not_found"},
        lambda s: s.as_owner("DELETE", f"/pins/{s.said}"),
    ),
    "unpin_message": Row(lambda s: ("DELETE", f"{s.path}/pins/{s.said}", None), ADMINS_ONLY),
    "list_threads": Row(lambda s: ("GET", f"{s.path}/threads?first=1&last=9", None), OUTSIDE),
    "get_thread": Row(lambda s: ("GET", f"{s.path}/threads/{s.said}", None), OUTSIDE | {"newcomer": "not_found"}),
    "list_versions": Row(
        lambda s: ("GET", f"{s.path}/entries/{s.said}/versions", None), OUTSIDE | {"newcomer": "not_found"}
    ),
}


def test_every_operation_has_a_row() -> None:
    assert set(ROWS) == {operation.id for operation in chat.OPERATIONS}
    assert all(operation.allow.kinds == {Kind.PERSON, Kind.PROGRAM} for operation in chat.OPERATIONS)


@pytest.mark.gen_test(timeout=120)
async def test_every_operation_by_everybody_in_and_around_a_group(crowd: Crowd) -> None:
    stage = await Stage(crowd).enter()
    for name, row in ROWS.items():
        for role, person in stage.persons.items():
            if role == "victim":
                continue
            answer = await person.call(*row.request(stage))
            code = answer.data["error"]["code"] if answer.status >= 400 else None
            assert code == row.refusals.get(role), (name, role, answer)
            if code is None:
                await row.undo(stage)
            elif code == "silenced":
                assert 3_000 < answer.data["error"]["retry_after"] <= 3_600


@pytest.mark.gen_test(timeout=120)
async def test_programs_may_what_their_people_may_and_nobody_else_anything(
    crowd: Crowd, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of the administrator; plates, handhelds, providers; an administrator of the whole system."""
    stage = await Stage(crowd).enter()
    tokens = {
        "plate": (Principal(Kind.PLATE, stage.id("owner")), "forbidden"),
        "handheld": (Principal(Kind.HANDHELD, stage.id("owner")), "forbidden"),
        "provider": (Principal(Kind.PROVIDER, stage.id("owner")), "forbidden"),
        "admin of all": (Principal(Kind.PERSON, stage.id("stranger"), grants=(Grant(Role.ADMIN),)), "stranger"),
        "program": (Principal(Kind.PROGRAM, stage.id("admin")), "admin"),
        "program of nobody here": (Principal(Kind.PROGRAM, stage.id("stranger")), "stranger"),
    }

    async def authenticate(self: People, token: str, ip: str = "") -> Principal | None:
        return tokens[token][0] if token in tokens else None

    known = People.authenticate_token

    async def either(self: People, token: str, ip: str = "") -> Principal | None:
        return await authenticate(self, token, ip) or await known(self, token, ip)

    monkeypatch.setattr(People, "authenticate_token", either)
    for token, (_, role) in tokens.items():
        client = Client(server.url, token)
        for name, row in ROWS.items():
            method, path, body = row.request(stage)
            answer = await client.call(method, path, msgspec.UNSET if body is None else body)
            expected = "forbidden" if role == "forbidden" else row.refusals.get(role, "")
            assert answer.code == expected, (name, token, answer)
            if not expected:
                await row.undo(stage)


@pytest.mark.gen_test(timeout=60)
async def test_nobody_acts_on_an_equal_or_higher_one(crowd: Crowd) -> None:
    stage = await Stage(crowd).enter()
    owner, admin, path = stage.persons["owner"], stage.persons["admin"], stage.path
    await owner.patch(f"{path}/members/{stage.id('member')}", {"role": "admin"})
    for other in ("owner", "member", "admin"):
        for method, rest, body in (
            ("PUT", "/silence", {"until": stage.until}),
            ("DELETE", "", None),
            ("PATCH", "", {"role": "member"}),
        ):
            if (method, other) == ("DELETE", "admin"):
                continue  # everybody may leave
            answer = await admin.call(method, f"{path}/members/{stage.id(other)}{rest}", body)
            assert answer.code == "forbidden", (other, method, answer)
    for body, code in (
        ({"role": "owner"}, "bad_request"),
        ({"role": "king"}, "bad_request"),
        ({}, "bad_request"),
    ):
        assert (await owner.call("PATCH", f"{path}/members/{stage.id('victim')}", body)).code == code
    assert (await owner.call("PATCH", f"{path}/members/{stage.id('owner')}", {"role": "member"})).code == "conflict"
    for person in ("former", "stranger"):
        assert (await owner.call("PATCH", f"{path}/members/{stage.id(person)}", {"role": "admin"})).code == "not_found"
    for until in (1, stage.until * 2, -1, "soon", 2**53):
        answer = await owner.call("PUT", f"{path}/members/{stage.id('victim')}/silence", {"until": until})
        assert answer.code == "bad_request", until


# ── Entries ─────────────────────────────────────────────────────────────────────────────────────────────────────────

BODIES: dict[str, dict[str, Any]] = {
    "message": {"text": "x"},
    "edit": {"text": "y"},
    "delete": {},
    "reaction": {"emoji": "🍵", "on": True},
}
#: kind → what happens when it is about what the victim said: code of the refusal, or None
ABOUT_OTHERS: dict[str, dict[str, str | None]] = {
    "message": {**OUTSIDE, "owner": None, "admin": None, "member": None, "newcomer": "bad_request"},
    "edit": {**OUTSIDE, "owner": "forbidden", "admin": "forbidden", "member": "forbidden", "newcomer": "bad_request"},
    "delete": {**OUTSIDE, "owner": None, "admin": None, "member": "forbidden", "newcomer": "bad_request"},
    "reaction": {**OUTSIDE, "owner": None, "admin": None, "member": None, "newcomer": "bad_request"},
}


@pytest.mark.gen_test(timeout=60)
async def test_every_entry_by_everybody_about_the_words_of_others(crowd: Crowd) -> None:
    stage = await Stage(crowd).enter()
    assert set(BODIES) == set(ABOUT_OTHERS) == {kind.name for kind in KIND.entries if kind.by_clients}
    from_victim = await stage.persons["victim"].socket()
    sockets: dict[str, Socket] = {name: await person.socket() for name, person in stage.persons.items()}
    for kind, outcomes in ABOUT_OTHERS.items():
        for role, expected in {**outcomes, "silenced": "silenced"}.items():
            seq = stage.said if role == "newcomer" else await from_victim.write(stage.ch, f"{kind} {role}")
            body = BODIES[kind] | ({"thread": seq} if kind == "message" else {})
            answer = await sockets[role].append(stage.ch, kind, body, ref=seq)
            assert answer.get("code") == expected, (kind, role, answer)
            if expected == "silenced":
                assert 3_000 < answer["retry_after"] <= 3_600
        for kind_of_server in (entry.name for entry in KIND.entries if not entry.by_clients):
            answer = await sockets["owner"].append(stage.ch, kind_of_server, {})
            assert answer["code"] == "bad_request"


@pytest.mark.gen_test(timeout=60)
async def test_a_blocked_pair_reads_and_changes_nothing(crowd: Crowd) -> None:
    stage = await Stage(crowd).enter()
    lin, mei = stage.persons["owner"], stage.persons["member"]
    ch = await crowd.direct(lin, mei)
    said = await (await lin.socket()).write(ch, "before")
    direct = conversation_of(ch)
    await mei.put(f"{direct}/pins/{said}")
    await lin.put(f"/blocks/{mei.id}")
    stage.path, stage.ch, stage.said = direct, ch, said
    refusals = {
        "change_conversation": "conflict",
        "add_members": "conflict",
        "remove_member": "conflict",
        "change_member": "conflict",
        "silence_member": "conflict",
        "hand_over": "conflict",
        "append_entry": "closed",
        "pin_message": "closed",
        "unpin_message": "closed",
    }
    for person in (lin, mei):
        for name, row in ROWS.items():
            answer = await person.call(*row.request(stage))
            assert answer.code == refusals.get(name, ""), (name, answer)
        said_by_lin = (await person.get(f"{direct}/pins"))["entries"]
        assert [entry["body"]["text"] for entry in said_by_lin] == ["before"]
