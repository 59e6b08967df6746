"""Resuming: exactly what was missed, once, in order, or a named reason to load the channel anew (DESIGN section 2)."""

from __future__ import annotations

import asyncio
import json

from server.realtime.channels import Draft
from server.realtime.gate import RING_ENTRIES
from server.realtime.protocol import MAX_REPLAY
from server.services import Services
from tests.conftest import RunningServer
from tests.wire.client import Crowd, Person, Socket, client_id, conversation_of


async def fill(services: Services, ch: str, by: str, count: int) -> int:
    """Appends many messages at once; the channel's head afterwards."""
    drafts = [Draft(ch, by, client_id(), "message", {"text": f"number {number}"}) for number in range(count)]
    accepted = await asyncio.gather(*(services.hub.append(draft) for draft in drafts))
    return max(one.entry.seq for one in accepted)


async def resumed(person: Person, ch: str, after: int, head: int) -> Socket:
    socket = await person.socket()
    answer = await socket.subscribe(ch, after=after)
    assert (answer["t"], answer["gap"]) == ("subscribed", None)
    if head > after:
        await socket.entry(ch, seq=head)
    await socket.fence()
    return socket


async def test_what_was_missed_comes_once_and_in_order(crowd: Crowd, server: RunningServer) -> None:
    """From the ring while it reaches back far enough, else from the log."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin = await lin.socket()
    for missed in (0, 1, RING_ENTRIES - 1, RING_ENTRIES + 150, MAX_REPLAY):
        gone = await mei.socket()
        await gone.subscribe(ch)
        seq = await from_lin.write(ch, "before the tunnel")
        await gone.entry(ch, seq=seq)
        gone.close()

        head = await fill(server.services, ch, lin.id, missed) if missed else seq
        back = await resumed(mei, ch, seq, head)
        assert back.numbers(ch) == list(range(seq + 1, seq + missed + 1))


async def test_a_channel_that_nobody_follows_is_read_from_the_log(crowd: Crowd) -> None:
    """No gate, no ring: the first subscriber after a restart finds everything all the same."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    for number in range(5):
        body = {"id": client_id(), "kind": "message", "body": {"text": f"number {number}"}}
        assert (await lin.post(conversation_of(ch) + "/entries", body))["seq"] == number + 2
    back = await resumed(mei, ch, 0, 6)
    assert back.numbers(ch) == list(range(1, 7))
    assert [entry["kind"] for entry in back.entries(ch)] == ["created"] + ["message"] * 5


async def test_nothing_is_doubled_or_lost_while_others_write(crowd: Crowd, server: RunningServer) -> None:
    """Replay meets live entries: each socket sees 1 … head without holes, wherever the seam was."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    await fill(server.services, ch, lin.id, RING_ENTRIES + 50)
    writing = True

    async def write() -> None:
        while writing:
            await fill(server.services, ch, lin.id, 3)

    writer = asyncio.create_task(write())
    sockets = [await mei.socket() for _ in range(12)]
    for socket in sockets:
        assert (await socket.subscribe(ch, after=0))["t"] == "subscribed"
    writing = False
    await writer
    head = await fill(server.services, ch, lin.id, 1)
    for socket in sockets:
        await socket.entry(ch, seq=head)
        assert socket.numbers(ch) == list(range(1, head + 1))


async def test_hello_and_subscribe_may_come_in_one_breath(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    head = await (await lin.socket()).write(ch, "waiting for you")
    socket = await mei.socket(hello=False)
    wanted = [{"ch": ch, "after": 0}, {"ch": mei.inbox}]
    for frame in ({"t": "hello", "v": 1}, {"t": "subscribe", "rid": 1, "channels": wanted}):
        await socket.send(json.dumps(frame))
    await socket.entry(ch, seq=head)
    await socket.until("subscribed", ch=mei.inbox)
    assert socket.frames[0]["t"] == "welcome"
    assert {frame["ch"] for frame in socket.heard("subscribed")} == {ch, mei.inbox}
    assert socket.numbers(ch) == list(range(1, head + 1))


async def test_each_reason_for_a_gap(crowd: Crowd, server: RunningServer) -> None:
    """A gap is said, never papered over: the client then loads the channel anew."""
    lin, mei, ada = await crowd.friends("lin", "mei", "ada")
    ch = await crowd.group(lin, mei)
    head = await fill(server.services, ch, lin.id, MAX_REPLAY + 1)

    first = await mei.socket(hello=False)
    epoch = (await first.hello())["epoch"]
    assert (await first.subscribe(ch, after=head + 1))["gap"] == "ahead"
    assert (await first.subscribe(ch, after=head - MAX_REPLAY - 1))["gap"] == "behind"

    await lin.post(conversation_of(ch) + "/members", {"persons": [ada.id]})
    new = await ada.socket()
    start = (await new.subscribe(ch))["first"]
    assert start == head + 1
    assert (await new.subscribe(ch, after=head - 1))["gap"] == "rights"
    assert (await new.subscribe(ch, after=start - 1))["gap"] is None

    restored = await mei.socket(hello=False)
    await restored.hello(epoch="a database that is no more")
    assert (await restored.subscribe(ch, after=head))["gap"] == "epoch"
    same = await mei.socket(hello=False)
    await same.hello(epoch=epoch)
    assert (await same.subscribe(ch, after=head))["gap"] is None

    # After a gap nothing is replayed, and what comes next is live.
    for socket in (first, restored):
        await socket.subscribe(ch, after=head + 1_000)
        before = len(socket.entries(ch))
        seq = await socket.write(ch, "here again")
        await socket.entry(ch, seq=seq)
        assert socket.numbers(ch)[before:] == [seq]


async def test_a_newcomer_sees_nothing_from_before(crowd: Crowd) -> None:
    """Without shared history the log begins with one's own joining, in replays, pages and counts (R-02)."""
    lin, mei, ada = await crowd.friends("lin", "mei", "ada")
    ch = await crowd.group(lin, mei)
    from_lin = await lin.socket()
    early = [await from_lin.write(ch, text) for text in ("among us", "still among us")]
    await lin.post(conversation_of(ch) + "/members", {"persons": [ada.id]})
    late = await from_lin.write(ch, "welcome, Ada")

    from_ada = await ada.socket()
    answer = await from_ada.subscribe(ch)
    assert answer["first"] == early[-1] + 1
    assert answer["n"] - answer["read_n"] == 1  # one unread, not three
    await from_ada.subscribe(ch, after=answer["first"] - 1)
    await from_ada.entry(ch, seq=late)
    page = await from_ada.page(ch, limit=200)
    assert [entry["seq"] for entry in page["entries"]] == from_ada.numbers(ch) == [early[-1] + 1, late]
    assert (await from_ada.page(ch, before=early[-1] + 1))["entries"] == []
    assert (await from_ada.page(ch, after=0, limit=1))["entries"][0]["kind"] == "joined"
    # Nor can it be reached sideways, by an entry that refers to it.
    assert (await from_ada.append(ch, "reaction", {"emoji": "👀", "on": True}, ref=early[0]))["code"] == "bad_request"
    # A position in the time before is one at its end.
    await from_ada.say("position", ch=ch, read=1)
    assert (await from_ada.until("position", by=ada.id))["read_n"] == 2
