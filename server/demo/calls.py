"""Two calls that were: one that was held, and one that nobody answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.calls.model import RING, Call
from server.calls.rules import course, seats
from server.chat.rules import pair
from server.demo.cast import ids
from server.demo.telling import skipping
from server.ids import new_id
from server.services import Services
from server.store import Duplicate


async def tell(services: Services) -> Sequence[str]:
    people = await ids(services)
    now = services.clock.now()
    async with skipping():
        emma, lin = people["emma"], people["lin"]
        held = now - timedelta(minutes=25)
        call = await _rung(services, emma, lin, "held", held)
        if call is not None:
            call = seats.accept(call, lin, "demo", held + timedelta(seconds=9))
            await _keep(services, seats.leave(call, lin, "demo", held + timedelta(minutes=12, seconds=40)))
        call = await _rung(services, lin, emma, "missed", now - timedelta(minutes=8))
        if call is not None:
            await _keep(services, course.tick(call, call.at + RING))
    return []


async def _rung(services: Services, by: str, other: str, name: str, at: datetime) -> Call | None:
    """A call as it began; None where it was told before, or where the two do not speak."""
    room = await services.conversations.repo.by_pair(pair(by, other))
    key = f"{by}:demo-{name}"
    if room is None or await services.calls.repo.by_key(key) is not None:
        return None
    return seats.start(
        id=new_id("cl"),
        key=key,
        conversation=room,
        by=by,
        session="demo",
        others=[other],
        busy=(),
        direct=True,
        video=True,
        pledge="",
        place=services.node,
        now=at,
    )


async def _keep(services: Services, call: Call) -> None:
    try:
        await services.calls.changes.begin(call)
        await services.outbox.settled(f"conv:{call.conversation}")
    except Duplicate:
        pass  # another node has told it meanwhile
