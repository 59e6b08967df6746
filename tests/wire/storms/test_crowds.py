"""Many who come, or go, at the same moment."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from contextlib import suppress
from random import Random

import pytest

from server.realtime.presence import GATHER
from server.realtime.protocol import PRESENCE_NAMED
from tests.conftest import eventually
from tests.faults.accounts import Account
from tests.wire.storms.line import Line, greeting
from tests.wire.storms.place import Place

#: Close codes of the protocol from which a client comes back (docs/protocol.md).
RESUMABLE = range(4000, 4500)
_PATIENCE = 120.0


class Comeback:
    """One client that reconnects as docs/protocol.md says until it is subscribed."""

    def __init__(self, place: Place, account: Account, ch: str, after: int, random: Random) -> None:
        self._place = place
        self._first = greeting(account.token, ch, after)
        self._random = random
        self.tries = 0
        self.line: Line | None = None

    async def run(self) -> None:
        while True:
            self.tries += 1
            with suppress(OSError):  # the queue for new connections was full
                if await self._arrives(await self._place.open(self._first)):
                    return
            await asyncio.sleep(self._random.uniform(0, 0.3 * 2**self.tries))

    async def _arrives(self, line: Line) -> bool:
        await eventually(lambda: line.live or line.over, _PATIENCE)
        if line.live:
            self.line = line
        else:
            assert line.code is None or line.code in RESUMABLE, f"refused for good with {line.code}"
        return line.live


@pytest.mark.slow
@pytest.mark.gen_test(timeout=600)
async def test_everybody_comes_back_at_once(place: Place) -> None:
    """5,000 connections break in one moment and come back in one moment: they get what they missed, and live on."""
    count, missed = place.size(5_000), 20
    people = await place.people(place.size(400))
    ch = await place.group(people)
    accounts = [people[number % len(people)] for number in range(count)]
    lines = await place.open_all([greeting(account.token, ch) for account in accounts])
    (sender,) = await place.open_all([greeting(people[0].token, ch)])
    head = int(sender.last["subscribed"]["head"])
    async with place.others(f"{count} reconnects"):
        for line in lines:
            line.close()
        for number in range(missed):
            sender.say("append", id=secrets.token_urlsafe(16), ch=ch, kind="message", body={"text": f"missed {number}"})
        await eventually(lambda: sender.heard["ack"] == missed, 60.0)
        random = Random(count)
        comebacks = [Comeback(place, account, ch, head, random) for account in accounts]
        began = time.monotonic()
        await asyncio.gather(*(comeback.run() for comeback in comebacks))
        back = [comeback.line for comeback in comebacks if comeback.line is not None]
        await eventually(lambda: all(len(line.numbers) >= missed for line in back), _PATIENCE)
        took = time.monotonic() - began
        sender.say("append", id=secrets.token_urlsafe(16), ch=ch, kind="message", body={"text": "welcome back"})
        await eventually(lambda: all(len(line.numbers) == missed + 1 for line in back), 60.0)
    assert len(back) == count
    assert all(line.in_order_from(head + 1) for line in back)
    assert all("gap" not in line.last["subscribed"] for line in back)
    tries = max(comeback.tries for comeback in comebacks)
    print(f"{count} back in {took:.1f} s, after at most {tries} tries")  # noqa: T201 - what the run has shown


class Watcher:
    """One who is there all the while and keeps the picture: names, or where they are many their number."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.here = set[str](line.last["presence"]["online"])
        self.count = len(self.here)
        self.frames = 0
        line.listener = self._watch

    def _watch(self, t: str, payload: bytes) -> None:
        if t != "presence":
            return
        change = json.loads(payload)
        self.frames += 1
        if "count" in change:
            self.here, self.count = set(), change["count"]
            return
        self.here = set(change["online"]) if "online" in change else self.here
        self.here = (self.here | set(change.get("joined", ()))) - set(change.get("left", ()))
        self.count = len(self.here)

    async def sees(self, people: set[str]) -> None:
        named = len(people) <= PRESENCE_NAMED
        await eventually(lambda: self.count == len(people) and self.here == (people if named else set()), _PATIENCE)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=900)
async def test_a_storm_of_presence(place: Place) -> None:
    """3,000 people appear at once in two groups, and leave at once: changes are gathered, and the picture is right."""
    each = place.size(1_500)
    owner, *others = await place.people(2 * each + 1)
    groups = [others[:each], others[each:]]
    channels = [await place.group([owner, *members]) for members in groups]
    seats = await place.open_all([greeting(owner.token, ch) for ch in channels])
    await eventually(lambda: all("presence" in seat.last for seat in seats))  # it follows the subscription
    watchers = [Watcher(seat) for seat in seats]
    began = time.monotonic()
    async with place.others(f"{len(others)} people appear and leave"):
        firsts = [greeting(one.token, ch) for ch, members in zip(channels, groups, strict=True) for one in members]
        lines = await place.open_all(firsts, at_once=len(firsts), seconds=_PATIENCE)
        for watcher, members in zip(watchers, groups, strict=True):
            await watcher.sees({owner.id, *(one.id for one in members)})
        appeared = time.monotonic() - began
        for line in lines:
            line.close()
        for watcher in watchers:
            await watcher.sees({owner.id})
    took = time.monotonic() - began
    told = max(watcher.frames for watcher in watchers)
    print(  # noqa: T201 - what the run has shown
        f"{len(lines)} appeared in {appeared:.1f} s, left in {took - appeared:.1f} s; at most {told} frames for each"
    )
    assert told <= took / GATHER + 2  # however many come and go
