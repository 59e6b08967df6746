"""Hot channels on two real nodes: nobody starves, and no fault of bus, lease or owner costs a message or its place."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import redis
from tornado.httpclient import AsyncHTTPClient

from server.settings import Settings
from tests.faults.conftest import Play, Serve, shared
from tests.faults.load import Crowd
from tests.faults.server_process import ServerProcess
from tests.nodes.hot import measure, prepare


@pytest.fixture
def pair(serve: Serve, settings: Settings) -> tuple[ServerProcess, ServerProcess]:
    return serve("a", shared(settings)), serve("b", shared(settings))


@pytest.fixture
def bus(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client
        inflict("hearing", client)


def inflict(fault: str, bus: Any) -> None:
    match fault:
        case "listeners":
            bus.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        case "publishers":
            bus.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        case "emptied":  # and with it every lease
            bus.flushall()
        case "deaf":
            bus.execute_command("ACL", "SETUSER", "default", "-publish")
        case "hearing":
            bus.execute_command("ACL", "SETUSER", "default", "+publish")


async def forwarded(*nodes: ServerProcess) -> int:
    """Drafts that the nodes have sent to owners."""
    total = 0
    for node in nodes:
        text = (await AsyncHTTPClient().fetch(node.url + "/metrics")).body.decode()
        found = re.search(r"^vouch_drafts_forwarded_total (\d+)", text, re.MULTILINE)
        assert found is not None
        total += int(found[1])
    return total


@pytest.mark.slow
def test_writers_on_both_nodes_are_answered_all_the_time(
    pair: tuple[ServerProcess, ServerProcess], play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    """Regression: without owners one of the nodes lost every race, and its people waited until the others stopped."""

    async def scene() -> None:
        await asyncio.gather(*(node.start() for node in pair))
        people, channels = await prepare(pair[0].url, 8, 3)
        figures = await measure(pair, people, channels, window=4, seconds=1.5)
        with capsys.disabled():
            print(f"\nhot channels: {figures}")  # noqa: T201 - what the run has shown
        assert await forwarded(*pair) > 0
        assert figures.worst < 5_000

    play(scene())


@pytest.mark.slow
def test_faults_of_owners_cost_no_message_and_no_place(
    pair: tuple[ServerProcess, ServerProcess], bus: Any, play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene() -> None:
        random = Random(7)
        await asyncio.gather(*(node.start() for node in pair))
        crowd = await Crowd.gather(pair[0].url, people=6, groups=1, seed=7, rate=25.0)
        await crowd.begin(*(node.socket_url for node in pair))
        sent = 0
        for victim in (None, pair[0], pair[1]):
            for fault in ("deaf", "hearing", "emptied", "listeners", "publishers"):
                await asyncio.sleep(random.uniform(0.2, 0.5))
                inflict(fault, bus)
            sent += await forwarded(*pair)
            if victim is not None:
                await victim.kill()
                await crowd.connected()
                await victim.start()
        verdict = await crowd.settle(pair[0].url)
        with capsys.disabled():
            print(f"\nhot channels under faults: {verdict}; {sent} forwarded")  # noqa: T201
        assert not verdict.counts, verdict
        assert not crowd.surprises
        assert verdict.acknowledged == verdict.sent > 100
        assert sent > 0

    play(scene())
