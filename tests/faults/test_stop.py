"""SIGTERM while the database does not answer: the server ends in good time, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest

from tests.faults.backing import DATABASE
from tests.faults.conftest import Play
from tests.faults.load import Crowd
from tests.faults.stage import Stage


@pytest.mark.slow
def test_a_server_stops_though_its_database_hangs(tmp_path: Path, play: Play, seed: int) -> None:
    async def scene() -> None:
        async with Stage(tmp_path, seed, nodes=1) as stage:
            server = stage.nodes[0].server
            crowd = await Crowd.gather(server.url, people=4, groups=1, seed=seed, rate=20.0)
            await crowd.begin(server.socket_url)
            await asyncio.sleep(1.0)  # so that there is something to be written
            stage.backing.send(DATABASE, signal.SIGSTOP)
            await asyncio.sleep(1.0)
            began = time.monotonic()
            assert await server.stop() == 0
            assert time.monotonic() - began < 18.0  # with nothing in its way it takes one; it must never be for ever
            stage.backing.wake(DATABASE)
            await server.start()
            await crowd.connected()
            verdict = await crowd.settle(server.url)
            assert not verdict.counts, verdict
            assert verdict.acknowledged == verdict.sent > 20

    play(scene())
