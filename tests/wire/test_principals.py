"""The wrong principal for every command and every kind of channel: nothing is told, nothing is done (DESIGN section 2).

The registries are walked: a new command or kind of channel without a case here makes this module fail.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.calls.views import StartCall
from server.people.service import People
from server.principals import Grant, Kind, Principal, Role
from server.realtime import protocol as p
from server.realtime.connection import COMMANDS
from server.services import channel_kinds
from server.supervision.model import SeatState
from server.supervision.rules.change import Change, turned
from tests.conftest import RunningServer
from tests.supervision.examples import pledge as example
from tests.supervision.examples import seat
from tests.wire.client import Crowd, Frame, Person, Socket, client_id, conversation_of

#: A well-formed frame per command, about a channel and one of its entries.
FRAMES: dict[type, Callable[[str, int], Frame]] = {
    p.Hello: lambda ch, seq: {"t": "hello", "v": p.VERSION},
    p.Subscribe: lambda ch, seq: {"t": "subscribe", "rid": 1, "channels": [{"ch": ch, "after": 0}]},
    p.Unsubscribe: lambda ch, seq: {"t": "unsubscribe", "rid": 2, "channels": [ch]},
    p.Append: lambda ch, seq: {
        "t": "append",
        "id": client_id(),
        "ch": ch,
        "kind": "message",
        "body": {"text": "let me in"},
    },
    p.Signal: lambda ch, seq: {"t": "signal", "ch": ch, "kind": "typing", "body": {"on": True}},
    p.Position: lambda ch, seq: {"t": "position", "ch": ch, "read": seq},
    p.History: lambda ch, seq: {"t": "history", "rid": 3, "ch": ch},
    p.Ping: lambda ch, seq: {"t": "ping", "rid": 4},
}
#: What answers it when the channel is not for whoever asks; None: it is not about a channel's contents.
REFUSALS: dict[type, Frame | None] = {
    p.Hello: None,
    p.Subscribe: {"t": "refused", "code": "not_found"},
    p.Unsubscribe: None,
    p.Append: {"t": "error", "code": "not_found"},
    p.Signal: {"t": "error", "code": "not_found"},
    p.Position: {"t": "error", "code": "not_found"},
    p.History: {"t": "error", "code": "not_found"},
    p.Ping: None,
}


class Stage:
    """A group of Lin and Mei with something in it, and everybody who has no business there."""

    def __init__(self, crowd: Crowd, server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.crowd = crowd
        self.hub = server.services.hub
        self.supervision = server.services.supervision
        self.calls = server.services.calls
        self.outbox = server.services.outbox
        self.lin: Person
        self.mei: Person
        self.outside: Person
        self.group = ""
        self._known: dict[str, Principal] = {}
        known = self._known

        async def authenticate(self: People, token: str, ip: str = "") -> Principal | None:
            return known.get(token)

        # Not every kind of principal has a way to sign in yet.
        monkeypatch.setattr(People, "authenticate_token", authenticate)

    async def enter(self) -> Stage:
        self.lin, self.mei, self.outside = await self.crowd.friends("lin", "mei", "ada")
        self.group = await self.crowd.group(self.lin, self.mei)
        await (await self.mei.socket()).write(self.group, "between us")
        return self

    async def signed_in(self, principal: Principal) -> Socket:
        token = client_id()
        self._known[token] = principal
        socket = await self.outside.socket(hello=False, headers={})
        await socket.hello(token=token)
        return socket


@pytest.fixture
def stage(crowd: Crowd, server: RunningServer, monkeypatch: pytest.MonkeyPatch, run: Any) -> Stage:
    entered: Stage = run(Stage(crowd, server, monkeypatch).enter())
    return entered


async def of_a_conversation(stage: Stage) -> tuple[str, list[Principal]]:
    stranger, member = stage.outside.id, stage.mei.id
    return stage.group, [
        Principal(Kind.PERSON, stranger),
        Principal(Kind.PROGRAM, stranger),
        Principal(Kind.PERSON, stranger, grants=(Grant(Role.ADMIN),)),  # admins do not read along
        *(Principal(kind, member) for kind in (Kind.PLATE, Kind.HANDHELD, Kind.PROVIDER)),
    ]


async def of_an_inbox(stage: Stage) -> tuple[str, list[Principal]]:
    principals = (await of_a_conversation(stage))[1]
    return stage.mei.inbox, [*principals, Principal(Kind.PERSON, stage.lin.id)]  # not even friends


async def of_a_pledge(stage: Stage) -> tuple[str, list[Principal]]:
    """Lin promises, Mei supervises; somebody was asked and said no."""
    seats = (seat(stage.mei.id), seat(stage.outside.id, SeatState.DECLINED))
    made = turned(example(seats=seats), owner=stage.lin.id, drafted_by=stage.lin.id)
    await stage.supervision.changes.begin(Change(made))
    return f"pledge:{made.id}", (await of_a_conversation(stage))[1]


async def of_a_call(stage: Stage) -> tuple[str, list[Principal]]:
    """Lin calls Mei; only members of their conversation learn of it (R-15)."""
    wanted = StartCall(conversation=stage.group.partition(":")[2], key=client_id())
    call, _ = await stage.calls.start_call(Principal(Kind.PERSON, stage.lin.id, session="s_1"), wanted)
    await stage.outbox.drained()
    return f"call:{call.id}", (await of_a_conversation(stage))[1]


#: kind of channel → a channel of it and who may do nothing at all there
WRONG: dict[str, Callable[[Stage], Awaitable[tuple[str, list[Principal]]]]] = {
    "conv": of_a_conversation,
    "inbox": of_an_inbox,
    "pledge": of_a_pledge,
    "call": of_a_call,
}


def test_there_is_a_case_for_everything() -> None:
    assert set(FRAMES) == set(REFUSALS) == set(COMMANDS)
    assert set(WRONG) == {kind.name for kind in channel_kinds()}


async def test_nobody_says_anything_before_signing_in(stage: Stage) -> None:
    """The first frame of somebody unknown ends the connection; nothing but the reason is told."""
    for command, frame in FRAMES.items():
        for cookie in ({}, {"Cookie": stage.lin.cookie}):  # known by a cookie, but no `hello` yet
            if command is p.Hello and cookie:
                continue
            socket = await stage.outside.socket(hello=False, headers=cookie)
            fields = frame(stage.group, 1)
            await socket.say(fields.pop("t"), **fields)
            code = await socket.end()
            assert code == (p.Close.UNAUTHENTICATED if command is p.Hello else p.Close.OUT_OF_ORDER)
            assert [heard["t"] for heard in socket.frames] == ["bye"]


async def test_only_principals_that_sign_in_get_in(stage: Stage) -> None:
    for kind in (Kind.ANONYMOUS, Kind.SYSTEM):
        with pytest.raises(AssertionError, match=str(int(p.Close.UNAUTHENTICATED))):
            await stage.signed_in(Principal(kind, stage.lin.id))


@pytest.mark.parametrize("kind", sorted(WRONG))
async def test_every_command_on_a_channel_of_others(stage: Stage, kind: str) -> None:
    """Refused with `not_found`, as a channel that does not exist; the channel stays as it was."""
    ch, principals = await WRONG[kind](stage)
    before = await stage.hub.pages.page(ch, 1, None, None, 200)
    for principal in principals:
        access = await stage.hub.access(principal, ch)
        assert (access.read, access.write, access.signal) == (False, False, False)
        for open_to_others in (False, True):  # with and without a gate that remembers who may
            if open_to_others:
                await stage.hub.gates.open(ch)
            socket = await stage.signed_in(principal)
            for command, expected in REFUSALS.items():
                if expected is None:
                    continue
                for asked in (ch, ch[:-1] + "_"):  # the second does not exist
                    fields = FRAMES[command](asked, before.head)
                    await socket.say(fields.pop("t"), **fields)
                    answer = await socket.until("refused", "error")
                    assert {name: answer[name] for name in expected} == expected, (principal, command)
            await socket.fence()
            told = {frame["t"] for frame in socket.frames}
            assert told <= {"welcome", "refused", "error", "pong"}, principal
            socket.close()
    assert await stage.hub.pages.page(ch, 1, None, None, 200) == before


@pytest.mark.parametrize("kind", [Kind.PERSON, Kind.PROGRAM])
async def test_ones_own_inbox_is_for_reading(stage: Stage, kind: Kind) -> None:
    socket = await stage.signed_in(Principal(kind, stage.mei.id))
    answer = await socket.subscribe(stage.mei.inbox, after=0)
    assert (answer["t"], answer["write"], answer["signal"]) == ("subscribed", False, False)
    for entry in ("conversation_added", "session_ended", "message"):
        refused = await socket.append(stage.mei.inbox, entry, {"conversation": "c_1"})
        assert refused["code"] == "bad_request"
    await socket.say("signal", ch=stage.mei.inbox, kind="typing", body={"on": True})
    assert (await socket.until("error"))["code"] == "not_found"
    await socket.say("position", ch=stage.mei.inbox, read=answer["head"])
    assert (await socket.until("position", ch=stage.mei.inbox))["read"] == answer["head"] > 0
    await socket.say("position", ch=stage.mei.inbox, read=answer["head"] + 1_000)
    assert (await socket.until("error"))["code"] == "bad_request"


@pytest.mark.parametrize("how", ["removed", "left"])
async def test_losing_membership_ends_the_subscription(stage: Stage, how: str) -> None:
    """It is an entry, and each node drops the subscription as it passes (DESIGN section 2)."""
    ch, lin, mei = stage.group, stage.lin, stage.mei
    from_lin, phone, desk = await lin.socket(), await mei.socket(), await (await stage.crowd.browser(mei)).socket()
    for socket in (from_lin, phone, desk):
        await socket.subscribe(ch)
    await from_lin.until("presence", where=lambda frame: mei.id in frame.get("joined", []))
    path = f"{conversation_of(ch)}/members/{mei.id}"
    await (lin if how == "removed" else mei).delete(path)
    for socket in (phone, desk):
        assert (await socket.until("dropped", ch=ch))["code"] == "not_found"
        assert (await socket.entry(ch))["kind"] == how  # one learns why
    assert (await from_lin.entry(ch))["kind"] == how
    await from_lin.until("presence", left=[mei.id])

    last = await from_lin.write(ch, "now that we are alone")
    for command, expected in REFUSALS.items():
        if expected is not None:
            fields = FRAMES[command](ch, last)
            await phone.say(fields.pop("t"), **fields)
            answer = await phone.until("refused", "error")
            assert {name: answer[name] for name in expected} == expected
    await desk.fence()
    for socket in (phone, desk):
        assert last not in socket.numbers(ch)
    for operation, body in (("", None), ("/entries", None), ("/position", {"read": last})):
        answer_of = await mei.call("PUT" if body else "GET", conversation_of(ch) + operation, body)
        assert answer_of.code == "not_found"


async def test_whoever_comes_back_is_let_in_again(stage: Stage) -> None:
    """What was remembered about rights goes with each change of them."""
    ch, lin, mei = stage.group, stage.lin, stage.mei
    from_lin, from_mei = await lin.socket(), await mei.socket()
    await from_lin.subscribe(ch)
    await from_mei.subscribe(ch)
    await mei.delete(f"{conversation_of(ch)}/members/{mei.id}")
    await from_mei.until("dropped")
    missed = await from_lin.write(ch, "she is not here")
    await lin.post(conversation_of(ch) + "/members", {"persons": [mei.id]})
    answer = await from_mei.subscribe(ch)
    assert (answer["t"], answer["first"]) == ("subscribed", missed + 1)
    seq = await from_mei.write(ch, "back again")
    assert (await from_lin.entry(ch, "message", seq))["by"] == mei.id


async def test_a_closed_conversation_is_read_only(stage: Stage) -> None:
    """A block closes the direct conversation for both; both still read it; unblocking opens it (R-01)."""
    lin, mei = stage.lin, stage.mei
    ch = await stage.crowd.direct(lin, mei)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    for socket in (from_lin, from_mei):
        await socket.subscribe(ch)
    id = client_id()
    said = await from_mei.write(ch, "before", id=id)
    await lin.put(f"/blocks/{mei.id}")
    for socket in (from_lin, from_mei):
        await socket.entry(ch, "closed")
        assert (await socket.append(ch, "message", {"text": "but"}))["code"] == "closed"
        assert (await socket.append(ch, "reaction", {"emoji": "👍", "on": True}, ref=said))["code"] == "closed"
        await socket.say("signal", ch=ch, kind="typing", body={"on": True})
        assert (await socket.until("error"))["code"] == "not_found"
        assert [entry["seq"] for entry in (await socket.page(ch))["entries"]] == [1, 2, 3]
        answer = await socket.subscribe(ch)
        assert (answer["write"], answer["signal"]) == (False, False)
    # What was acknowledged stays so: a repeat gets the first answer, although nobody may write any more.
    again = await from_mei.append(ch, "message", {"text": "before"}, id=id)
    assert (again["t"], again["seq"]) == ("ack", said)

    await lin.delete(f"/blocks/{mei.id}")
    await from_mei.entry(ch, "reopened")
    assert await from_mei.write(ch, "after") == 5
