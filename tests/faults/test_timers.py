"""kill -9 while 40 pledges that are due at once are worked off: each comes to its end once, and all money goes back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

from server.clock import SystemClock
from server.services import Services
from server.settings import Settings
from server.supervision.model import Pledge, PledgeState
from tests.faults.conftest import Serve, shared
from tests.payments.strict import StrictProvider
from tests.supervision.conftest import PROVIDER, Stage, StageClock
from tests.supervision.examples import REWARD

PLEDGES = 40
KILLS = 2


async def ended(services: Services) -> int:
    return len(await services.store.collection("pledges").find({"state": "expired"}, {"_id": 1}).to_list(None))


async def until(services: Services, wanted: int) -> None:
    """Waits for what has no event of its own, and leaves the database to the server meanwhile."""
    while await ended(services) < wanted:
        await asyncio.sleep(0.02)


async def lapse(services: Services) -> None:
    """As if time had passed: the leases of whoever was killed lapse, and the database gives up what they had begun (a
    transaction whose client is dead keeps its rows for 60 s)."""
    await services.store._client.admin.command("killAllSessions", [])
    now = SystemClock().now()
    rows = services.store.collection("pledges")
    await rows.update_many({"state": {"$ne": "expired"}}, {"$set": {"due": now}})


async def test_each_is_done_once_though_the_server_is_killed(
    services: Services, settings: Settings, serve: Serve, seed: int
) -> None:
    await services.supervision.timers.stop()
    clock = StageClock()
    stage = Stage(services, clock, StrictProvider(PROVIDER, clock))
    emma, tom = await stage.people("emma", "tom")
    over = SystemClock().now() - timedelta(seconds=1)
    fields: dict[str, Any] = {"state": PledgeState.AWAITING_SUPERVISOR, "seats": (), "expires_at": over}
    made: list[Pledge] = [await stage.put(emma, tom, stake=REWARD, **fields) for _ in range(PLEDGES)]
    available, held = await stage.has(tom)
    assert held == PLEDGES * REWARD.amount

    server = serve("node", shared(settings))
    random = Random(seed)
    for _ in range(KILLS):
        before = await ended(services)
        await server.start()
        await until(services, before + random.randint(1, PLEDGES // (KILLS + 2)))
        await server.kill()
        await lapse(services)
    assert await ended(services) < PLEDGES, "there was something left to kill it for"
    await server.start()
    await until(services, PLEDGES)
    assert await server.stop() == 0

    for one in made:
        after = await stage.load(one.id)
        assert [passed.state for passed in after.history].count(PledgeState.EXPIRED) == 1
        lines = [entry for entry in await stage.thread(one.id) if entry.kind == "state"]
        assert [line.body["state"] for line in lines].count("expired") == 1
        assert (await stage.whats(tom, one.id)).count("expired") == 1
    assert await stage.has(tom) == (available + held, 0)
    assert await stage.ledger_holds()
    assert "Traceback" not in server.printed()
