"""One who sends without end, in every way that the protocol knows."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import secrets
from collections.abc import Callable

import pytest

from server.door import KEPT
from server.realtime.connection import FRAMES_BURST
from server.realtime.protocol import Close
from tests.conftest import eventually
from tests.wire.client import frame_bytes
from tests.wire.raw import PING
from tests.wire.storms.line import greeting, said
from tests.wire.storms.place import Place

#: frames written between two looks at what has come back
_CHUNK = 500


def _append(ch: str) -> bytes:
    body = {"text": "and another thing"}
    return said("append", id=secrets.token_urlsafe(16), ch=ch, kind="message", body=body)


FLOODS: dict[str, Callable[[str], bytes]] = {
    "messages": _append,
    "signals": lambda ch: said("signal", ch=ch, kind="typing", body={"on": True}),
    "pings of the protocol": lambda ch: said("ping", rid=1),
    "pings of WebSocket": lambda ch: frame_bytes(b"", first=0x80 | PING),
}


@pytest.mark.slow
@pytest.mark.gen_test(timeout=300)
@pytest.mark.parametrize("make", FLOODS.values(), ids=FLOODS)
async def test_one_who_sends_without_end(place: Place, make: Callable[[str], bytes]) -> None:
    """Refused as `too_often` at first (what can be answered), then closed with FLOOD and the time to stay away."""
    people = await place.people(8)
    ch = await place.group(people)
    (loud,) = await place.open_all([greeting(people[1].token, ch)])
    peaceful = await place.open_all([greeting(account.token, ch) for account in people[2:]])
    refused: list[dict[str, object]] = []
    loud.listener = lambda t, payload: refused.append(json.loads(payload)) if t == "error" else None
    written = 0
    async with place.others("a flood"), asyncio.timeout(60):
        while not loud.over:
            if not loud.waiting:
                loud.write(b"".join(make(ch) for _ in range(_CHUNK)))
                written += _CHUNK
            await asyncio.sleep(0.005)
    assert loud.code in (Close.FLOOD, None)  # None: it was still writing when the connection ended
    assert written > FRAMES_BURST * place.factor
    if loud.code == Close.FLOOD:
        assert loud.last["bye"]["close"] == Close.FLOOD
        assert float(loud.last["bye"]["retry_after"]) > 0
    assert {error["code"] for error in refused} <= {"too_often", "try_later"}
    assert all(float(str(error["retry_after"])) > 0 for error in refused)

    # It may come back, and the channel is as alive as before.
    (back,) = await place.open_all([greeting(people[3].token, ch)])
    back.write(_append(ch))
    await eventually(lambda: back.heard["ack"] == 1, 30.0)
    newest = int(back.last["ack"]["seq"])
    await eventually(lambda: all(newest in line.numbers[-1:] for line in peaceful), 30.0)
    assert all(line.in_order_from(line.numbers[0]) and not line.over for line in peaceful)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=120)
async def test_more_sockets_than_files(place: Place) -> None:
    """Whoever finds no room is turned away at once, not left waiting; who is in stays, and the database is reached."""
    people = await place.people(4)
    ch = await place.group(people)
    (inside,) = await place.open_all([greeting(people[2].token, ch)])
    pid = place.hub.process.pid
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    free = [number for number in range(len(taken) + 21) if number not in taken]
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[20] + KEPT, limits[1]))
    try:
        async with place.others("more sockets than files"):
            crowd = [await place.open(b"") for _ in range(300)]
            await eventually(lambda: sum(line.over for line in crowd) >= 200, 10.0)
            assert any(line.status == 101 for line in crowd)
            assert all(line.status in (0, 101) for line in crowd)
            inside.write(_append(ch))
            await eventually(lambda: inside.heard["ack"] == 1, 30.0)
            for line in crowd:
                line.close()
        (late,) = await place.open_all([greeting(people[2].token, ch)])
        assert late.live
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    assert (await place.metrics())["vouch_connections_turned_away_total"] >= 200
