"""Work that comes round, whatever happens to it."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from server.realtime.rounds import Rounds
from server.store import StoreError
from tests.conftest import eventually


class Work:
    def __init__(self) -> None:
        self.times = 0
        self.faults: list[Exception] = []

    async def __call__(self) -> None:
        self.times += 1
        if self.faults:
            raise self.faults.pop(0)


async def test_it_begins_at_once_and_again_when_somebody_hurries() -> None:
    work = Work()
    rounds = Rounds("work", work, every=3600.0)
    rounds.start()
    await rounds.done.wait()
    assert work.times == 1
    rounds.hurry()
    assert not rounds.done.is_set()
    await rounds.done.wait()
    assert work.times == 2
    await rounds.stop()


async def test_it_comes_round_by_itself() -> None:
    work = Work()
    rounds = Rounds("work", work, every=0.001)
    rounds.start()
    await eventually(lambda: work.times > 3)
    await rounds.stop()
    times = work.times
    await asyncio.sleep(0.01)
    assert work.times == times


@pytest.mark.parametrize(("fault", "level"), [(StoreError("away"), "warning"), (RuntimeError("broken"), "error")])
async def test_no_fault_ends_it(fault: Exception, level: str) -> None:
    work = Work()
    work.faults = [fault]
    rounds = Rounds("work", work, every=0.001)
    with structlog.testing.capture_logs() as events:
        rounds.start()
        await rounds.done.wait()
    assert work.times >= 2
    assert [event["log_level"] for event in events] == [level]
    await rounds.stop()


async def test_done_waits_for_who_hurries_meanwhile() -> None:
    """What was asked for during a round is done by the next."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    times = 0

    async def work() -> None:
        nonlocal times
        times += 1
        begun.set()
        await go_on.wait()

    rounds = Rounds("work", work, every=3600.0)
    rounds.start()
    await begun.wait()
    rounds.hurry()
    go_on.set()
    await rounds.done.wait()
    assert times == 2
    await rounds.stop()


async def test_what_never_began_can_be_stopped() -> None:
    await Rounds("work", Work(), every=1.0).stop()
