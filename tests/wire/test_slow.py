"""Whoever does not read is closed, resumably, and slows nobody else (DESIGN section 2: slow consumers)."""

from __future__ import annotations

import asyncio

from server.realtime.channels import Draft
from server.realtime.protocol import Close
from tests.conftest import RunningServer
from tests.wire.client import Crowd, Raw, client_id

#: 48 kB of JSON as UTF-8
LONG = "文" * 16_000


async def test_a_reader_that_does_not_read(crowd: Crowd, server: RunningServer) -> None:
    lin, mei, ada = await crowd.friends("lin", "mei", "ada")
    ch = await crowd.group(lin, mei, ada)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    await from_mei.subscribe(ch)
    raw = await Raw.open(ada, buffer=4_096)
    await raw.say("hello", v=1)
    await raw.say("subscribe", rid=1, channels=[{"ch": ch}])
    await from_mei.until("presence", where=lambda frame: ada.id in frame.get("joined", []))

    # In bursts, so that more than the allowed backlog comes within one turn of the event loop: the slow one leaves
    # in the middle of a delivery (regression: the set of subscribers changed while it was walked).
    head, burst = 2, 0
    while not from_mei.heard("presence", ch=ch, left=[ada.id]):
        burst += 1
        assert burst < 15
        drafts = [Draft(ch, lin.id, client_id(), "message", {"text": LONG}) for _ in range(30)]
        accepted = await asyncio.gather(*(server.services.hub.append(draft) for draft in drafts))
        assert [one.entry.seq for one in accepted] == list(range(head + 1, head + 31))
        head += 30
        await from_mei.entry(ch, seq=head)
    assert from_mei.numbers(ch) == list(range(3, head + 1))
    seq = await from_lin.write(ch, "life goes on")
    await from_mei.entry(ch, seq=seq)

    # When it reads at last, it finds the frames up to some point and, if they fit, the code that says "resume".
    assert await raw.close_code() in (Close.SLOW_CONSUMER, None)
    raw.close()
    back = await ada.socket()
    assert (await back.subscribe(ch, after=seq - 5))["gap"] is None
    await back.entry(ch, seq=seq)
    assert back.numbers(ch) == list(range(seq - 4, seq + 1))


async def test_a_slow_reader_of_a_long_replay_is_waited_for(crowd: Crowd, server: RunningServer) -> None:
    """A replay goes as fast as its reader: it neither fills memory nor counts as being slow."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    count = 300
    drafts = [Draft(ch, lin.id, client_id(), "message", {"text": LONG}) for _ in range(count)]
    await asyncio.gather(*(server.services.hub.append(draft) for draft in drafts))
    raw = await Raw.open(mei, buffer=16_384)
    await raw.say("hello", v=1)
    await raw.say("subscribe", rid=1, channels=[{"ch": ch, "after": 1}])
    await raw.say("ping", rid=2)
    data = b""
    async with asyncio.timeout(15):
        while b'"t":"pong"' not in data[-2_000:]:
            data += await raw.some()
    assert data.count(b'"t":"entry"') == count
    raw.close()
