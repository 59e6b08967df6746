"""Hidden read receipts on the real wire: others see nothing of the reading, one's own devices all of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import RunningServer
from tests.people.conftest import TurnedClock
from tests.wire.client import Crowd, Person, Socket, conversation_of


@pytest.fixture
def clock(server: RunningServer) -> TurnedClock:
    """The clock of whoever asks whether it is quiet."""
    clock = TurnedClock()
    server.services.choices._clock = clock
    return clock


async def choose(person: Person, **choices: Any) -> None:
    await person.put("/me/notifications", choices)


async def seen(person: Person, ch: str, other: Person) -> int:
    """How far `other` has read, as this person is told over HTTP; the same in both places that tell it."""
    (in_list,) = (await person.get(f"{conversation_of(ch)}/positions"))["positions"]
    (in_view,) = (await person.get(conversation_of(ch)))["positions"]
    assert in_list["person"] == in_view["person"] == other.id
    assert in_list["read"] == in_view["read"]
    return int(in_view["read"])


async def read(socket: Socket, ch: str, seq: int) -> None:
    await socket.say("position", ch=ch, read=seq, delivered=seq)


async def test_hidden_reading_is_for_ones_own_devices_only(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    at_mei, at_lin = await mei.socket(), await lin.socket()
    tablet = await (await crowd.browser(mei)).socket()
    for socket in (at_mei, at_lin, tablet):
        await socket.subscribe(ch)

    shown = await at_lin.write(ch, "one")
    await read(at_mei, ch, shown)
    await at_lin.until("position", by=mei.id, read=shown)
    assert await seen(lin, ch, mei) == shown

    await choose(mei, receipts="hidden")
    hidden = await at_lin.write(ch, "two")
    await at_mei.say("position", ch=ch, delivered=hidden)
    await at_lin.until("position", by=mei.id, delivered=hidden)
    at_lin.frames.clear()
    await read(at_mei, ch, hidden)
    await tablet.until("position", by=mei.id, read=hidden)
    assert (await mei.get(conversation_of(ch)))["read"] == hidden
    assert await seen(lin, ch, mei) == shown
    await at_lin.fence()
    assert at_lin.heard("position", by=mei.id) == []  # not even that something has moved

    await choose(mei, receipts="shown")
    assert await seen(lin, ch, mei) == shown  # what was hidden is shown by the next reading, not by the switch
    last = await at_lin.write(ch, "three")
    await read(at_mei, ch, last)
    await at_lin.until("position", by=mei.id, read=last)
    assert await seen(lin, ch, mei) == last


async def test_delivery_is_told_while_reading_is_hidden(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    at_mei, at_lin = await mei.socket(), await lin.socket()
    for socket in (at_mei, at_lin):
        await socket.subscribe(ch)
    await choose(mei, receipts="hidden")
    seq = await at_lin.write(ch, "one")
    await read(at_mei, ch, seq)
    told = await at_lin.until("position", by=mei.id)
    assert (told["read"], told["read_n"], told["delivered"]) == (0, 0, seq)
    own = await at_mei.until("position", by=mei.id)
    assert (own["read"], own["read_n"], own["delivered"]) == (seq, 1, seq)


async def test_reading_is_hidden_during_quiet_hours_only(crowd: Crowd, clock: TurnedClock) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    at_mei, at_lin = await mei.socket(), await lin.socket()
    for socket in (at_mei, at_lin):
        await socket.subscribe(ch)
    now = clock.now()
    quiet = {"on": True, "from": f"{now:%H:%M}", "to": f"{now + timedelta(hours=2):%H:%M}", "zone": "UTC"}
    await choose(mei, quiet=quiet, receipts="not_when_quiet")
    night = await at_lin.write(ch, "in the night")
    await read(at_mei, ch, night)
    await at_mei.until("position", by=mei.id, read=night)
    assert await seen(lin, ch, mei) == 0
    clock.ahead += timedelta(hours=3)
    morning = await at_lin.write(ch, "in the morning")
    await read(at_mei, ch, morning)
    await at_lin.until("position", by=mei.id, read=morning)
    assert await seen(lin, ch, mei) == morning


async def test_documents_from_before_show_what_was_read(crowd: Crowd, server: RunningServer) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    at_lin = await lin.socket()
    await at_lin.subscribe(ch)
    seq = await at_lin.write(ch, "one")
    await server.services.store.collection("positions").insert_one(
        {"_id": f"{mei.id}|{ch}", "read": seq, "read_n": 1, "delivered": seq}
    )
    assert await seen(lin, ch, mei) == seq
    await choose(mei, receipts="hidden")
    later = await at_lin.write(ch, "two")
    at_mei = await mei.socket()
    await at_mei.subscribe(ch)
    await read(at_mei, ch, later)
    await at_mei.until("position", by=mei.id, read=later)
    assert await seen(lin, ch, mei) == seq


async def test_choices_are_told_to_ones_other_devices(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    socket = await lin.socket()
    await socket.subscribe(lin.inbox)
    await lin.put(f"{conversation_of(ch)}/notify", {"level": "mentions"})
    told = await socket.entry(lin.inbox, "notify_changed")
    assert told["entry"]["body"] == {"conversation": ch.partition(":")[2]} if "entry" in told else told["body"]
    assert (await lin.get(conversation_of(ch)))["notify"] == {"level": "mentions", "until": None}
    assert (await mei.get(conversation_of(ch)))["notify"] == {"level": "all", "until": None}
    refused = await mei.call("PUT", "/conversations/c_00000000000000000000/notify", {"level": "none"})
    assert (refused.status, refused.code) == (404, "not_found")
    refused = await mei.call("PUT", f"{conversation_of(ch)}/notify", {"level": "none", "until": 1})
    assert (refused.status, refused.code) == (400, "bad_request")
    refused = await mei.call("PUT", "/me/notifications", {"quiet": {"zone": "Middle/Earth"}})
    assert (refused.status, refused.data["error"]["field"]) == (400, "time_zone")
