"""Nothing that was acknowledged is lost, whatever is killed of one node and the programs that it started (DESIGN 2).

`./scripts/test faults --seed N` kills in another order; test_storm.py goes on for as long as one likes.
"""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.faults.conftest import Play, Serve
from tests.faults.load import Crowd
from tests.faults.server_process import ServerProcess

GOING_AWAY = 4000


async def inflict(fault: str, server: ServerProcess) -> None:
    match fault:
        case "server":
            await server.kill()
            await server.start()
        case "stop":
            assert await server.stop() == 0
            await server.start()
        case child:
            await server.kill_child(child)


def plan(seed: int) -> list[str]:
    """Each fault at least once, in an order that the seed tells."""
    faults = ["server", "secantusd", "redis", "server", "secantusd", "stop"]
    Random(seed).shuffle(faults)
    return faults


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_reordered_whatever_is_killed(
    serve: Serve, play: Play, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """kill -9 of the server, of its database, of its Redis, and SIGTERM, at random moments of a conversation among
    eight people; the clients come back by themselves."""

    async def scene() -> None:
        random = Random(seed)
        server = serve()
        await server.start()
        crowd = await Crowd.gather(server.url, people=8, groups=3, seed=seed, rate=12.0)
        await crowd.begin(server.socket_url)
        for fault in plan(seed):
            await asyncio.sleep(random.uniform(0.2, 1.2))
            await inflict(fault, server)
            await crowd.connected()
        verdict = await crowd.settle(server.url)
        with capsys.disabled():
            print(f"\nseed {seed}, {len(plan(seed))} faults: {verdict}")  # noqa: T201 - what the run has shown
        assert not verdict.counts, f"seed {seed}: {verdict}"
        assert not crowd.surprises
        assert crowd.unanswered == 0
        assert verdict.acknowledged == verdict.sent > 200
        assert "Traceback" not in server.printed()
        assert await server.stop() == 0

    play(scene())


def test_sigterm_under_load_tells_clients_to_come_back_and_leaves_nothing_behind(
    serve: Serve, play: Play, seed: int
) -> None:
    async def scene() -> None:
        server = serve()
        await server.start()
        crowd = await Crowd.gather(server.url, people=4, groups=1, seed=seed, rate=30.0)
        await crowd.begin(server.socket_url)
        await asyncio.sleep(1.0)
        assert await server.stop() == 0
        for member in crowd.members:
            async with asyncio.timeout(5):
                while member.connected.is_set():
                    await asyncio.sleep(0.01)
        assert [member.closes[GOING_AWAY] for member in crowd.members] == [1] * len(crowd.members)
        await server.start()
        await crowd.connected()
        verdict = await crowd.settle(server.url)
        assert not verdict.counts, verdict
        assert not crowd.surprises
        assert verdict.acknowledged == verdict.sent > 50
        assert "Traceback" not in server.printed()

    play(scene())
