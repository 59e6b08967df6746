"""The processes that read and seal: warm when somebody is about to need them, and never longer than they should be."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from server.errors import Code, VouchError
from server.media.workshop import end, spawn
from server.proofs import workers
from server.proofs.orders import Pixels, Read
from server.proofs.studio import Studio, _carry_out
from server.proofs.workers import Trade
from tests.proofs.conftest import Booth
from tests.proofs.scenes import scene, shot

MODULE = "server.proofs.worker"


async def waiting(studio: Studio) -> dict[Trade, int]:
    """Who waits, once those that are being started do."""
    for lock in studio.workers._spawning.values():
        async with lock:
            pass
    return studio.workers.waiting


def sealing(booth: Booth) -> Callable[[], Any]:
    picture = scene(1, width=320, height=240)
    lines = ("now", "Emma", "code")
    return lambda: booth.proofs.studio.seal(*picture.size, picture.tobytes(), lines, booth.clock.at, {"proof": "x"})


async def test_a_code_gets_both_ready_and_the_one_that_seals_stays(booth: Booth) -> None:
    nonce = await booth.ask()
    before = await waiting(booth.proofs.studio)
    assert set(before) == {Trade.LOOK, Trade.SEAL}
    await booth.take(shot(1), nonce=nonce)
    assert booth.proofs.studio.workers.waiting == {Trade.SEAL: before[Trade.SEAL]}, "what saw the file is gone"
    nonce = await booth.ask()
    after = await waiting(booth.proofs.studio)
    assert after[Trade.SEAL] == before[Trade.SEAL]
    assert after[Trade.LOOK] != before[Trade.LOOK]
    await booth.take(shot(2), nonce=nonce)


async def test_one_that_died_while_it_waited_costs_nobody_a_picture(booth: Booth) -> None:
    nonce = await booth.ask()
    for pid in (await waiting(booth.proofs.studio)).values():
        os.kill(pid, signal.SIGKILL)
    assert (await booth.take(shot(3), nonce=nonce)).media is not None


async def test_one_seals_so_many_pictures_and_no_more(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MOST_ORDERS", 2)
    seal = sealing(booth)
    await seal()
    (first,) = booth.proofs.studio.workers.waiting.values()
    await seal()
    assert not booth.proofs.studio.workers.waiting
    assert not alive(first)
    await seal()
    assert first not in booth.proofs.studio.workers.waiting.values()


async def test_nobody_needs_it_for_a_while(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.0)
    await sealing(booth)()
    kept = next(iter(booth.proofs.studio.workers._waiting.values()))
    await kept.process.wait()
    assert not booth.proofs.studio.workers.waiting


async def test_one_that_hangs_is_killed(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    await booth.ask()
    pid = (await waiting(booth.proofs.studio))[Trade.SEAL]
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr("server.proofs.studio.SECONDS", 0.5)
    with pytest.raises(VouchError) as fault:
        await sealing(booth)()
    assert fault.value.code is Code.UNAVAILABLE
    assert not alive(pid)


async def test_the_server_stops(booth: Booth) -> None:
    await booth.ask()
    there = await waiting(booth.proofs.studio)
    await booth.proofs.stop()
    assert not any(map(alive, there.values()))


@pytest.mark.parametrize("trade", list(Trade))
async def test_they_end_with_the_server(trade: Trade) -> None:
    """Whatever ends it closes its end of the line: waiting, or in the middle of an order."""
    for begun in (b"", msgspec.json.encode(Read(1_000_000)) + b"\n" + bytes(1_000)):
        process = await spawn(MODULE, trade.value)
        assert process.stdin is not None
        process.stdin.write(begun)
        await process.stdin.drain()
        process.stdin.close()
        assert await process.wait() in (0, 1)


async def test_what_has_seen_a_file_sees_no_other() -> None:
    """Even when it were asked: it has ended."""
    process = await spawn(MODULE, Trade.LOOK.value)
    try:
        answer, _ = await _carry_out(process, Read(len(shot())), shot())
        assert isinstance(answer, Pixels)
        assert await process.wait() == 0
    finally:
        await end(process)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
