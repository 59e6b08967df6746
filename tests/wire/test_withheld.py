"""Whoever joins without shared history does not read by an edit what was said before: not live, not by resuming, not in
pages, not in previews. Numbers have no holes all the same (R-02)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.realtime.gate import RING_ENTRIES
from tests.conftest import RunningServer
from tests.wire.client import Crowd, Frame, Person, Socket, conversation_of
from tests.wire.test_resume import fill

SECRET = "the cake is in the cellar"


def without_words(entry: Frame, ref: int) -> None:
    assert (entry["kind"], entry["ref"], entry["gone"], entry["body"]) == ("edit", ref, True, {})


async def newcomer(crowd: Crowd, lin: Person, mei: Person, ada: Person) -> tuple[str, int, Socket]:
    """A group in which Lin has said something before Ada came."""
    ch = await crowd.group(lin, mei)
    from_lin = await lin.socket()
    await from_lin.subscribe(ch)
    before = await from_lin.write(ch, "the cake is here")
    await lin.post(f"{conversation_of(ch)}/members", {"persons": [ada.id]})
    return ch, before, from_lin


async def edit(socket: Socket, ch: str, ref: int, text: str) -> int:
    answer = await socket.append(ch, "edit", {"text": text}, ref=ref)
    assert answer["t"] == "ack", answer
    return int(answer["seq"])


async def test_live(crowd: Crowd) -> None:
    lin, mei, ada = await crowd.friends("lin", "mei", "ada")
    ch, before, from_lin = await newcomer(crowd, lin, mei, ada)
    old, new = await mei.socket(), await ada.socket()
    await old.subscribe(ch)
    first = (await new.subscribe(ch))["first"]
    assert before < first
    later = await from_lin.write(ch, "where were we")
    withheld = await edit(from_lin, ch, before, SECRET)
    told = await edit(from_lin, ch, later, "where are we")
    last = await from_lin.write(ch, "here")
    for socket in (old, new, from_lin):
        await socket.entry(ch, seq=last)
    assert new.numbers(ch) == list(range(first + 1, last + 1))
    assert SECRET not in json.dumps(new.frames)
    entries = {entry["seq"]: entry for entry in new.entries(ch)}
    without_words(entries[withheld], before)
    assert entries[told]["body"] == {"text": "where are we"}
    for socket in (old, from_lin):  # for those who were there nothing is different
        assert {entry["seq"]: entry for entry in socket.entries(ch)}[withheld]["body"] == {"text": SECRET}


@pytest.mark.parametrize("missed", [0, RING_ENTRIES + 20])
async def test_resuming(crowd: Crowd, server: RunningServer, missed: int) -> None:
    """From the ring, and from the log."""
    lin, mei, ada = await crowd.friends("lin", "mei", "ada")
    ch, before, from_lin = await newcomer(crowd, lin, mei, ada)
    withheld = await edit(from_lin, ch, before, SECRET)
    head = await fill(server.services, ch, lin.id, missed) if missed else withheld
    back = await ada.socket()
    first = (await back.subscribe(ch))["first"]
    again = await ada.socket()
    assert (await again.subscribe(ch, after=first - 1))["gap"] is None
    await again.entry(ch, seq=head)
    assert again.numbers(ch) == list(range(first, head + 1))
    without_words({entry["seq"]: entry for entry in again.entries(ch)}[withheld], before)
    member = await mei.socket()  # reads the same from the same ring
    await member.subscribe(ch, after=0)
    await member.entry(ch, seq=head)
    assert {entry["seq"]: entry for entry in member.entries(ch)}[withheld]["body"] == {"text": SECRET}


async def test_pages_and_previews(crowd: Crowd) -> None:
    lin, mei, ada = await crowd.friends("lin", "mei", "ada")
    ch, before, from_lin = await newcomer(crowd, lin, mei, ada)
    withheld = await edit(from_lin, ch, before, SECRET)
    path = conversation_of(ch)
    socket = await ada.socket()
    pages: list[Any] = [await socket.page(ch), await ada.get(f"{path}/entries"), await socket.page(ch, after=before)]
    for page in pages:
        without_words(page["entries"][-1], before)
        assert page["entries"][-1]["seq"] == withheld
    for address in (path, "/conversations"):  # the newest entry of all, where nothing was said since
        assert SECRET not in json.dumps(await ada.get(address))
    for seq in (before, withheld):
        answer = await ada.call("GET", f"{path}/entries/{seq}/versions")
        assert (answer.status, answer.code) == (404, "not_found")
    versions = (await mei.get(f"{path}/entries/{before}/versions"))["entries"]
    assert [entry["body"]["text"] for entry in versions] == ["the cake is here", SECRET]
    assert SECRET in json.dumps(await socket_of(mei, ch))


async def socket_of(person: Person, ch: str) -> Frame:
    return await (await person.socket()).page(ch)
