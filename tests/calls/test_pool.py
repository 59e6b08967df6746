"""Workers as processes: started when needed, found out when they die or hang, gone with their parent."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from server.calls import wire
from server.calls.plane import Plane
from server.calls.pool import Pool, Seat
from server.calls.process import PlaneError, Process
from server.settings import ROOT, Settings
from tests.conftest import Run, eventually


class Yard:
    """A pool and what it has said. Its spare does not wait before it is started."""

    def __init__(
        self, logs: Path, most: int = 2, *, port: int = 0, look: float = 0.1, hung: float = 15.0, spare: bool = False
    ) -> None:
        self.news: list[wire.News] = []
        self.lost: list[frozenset[str]] = []
        self.pool = Pool(
            most,
            base_port=port,
            addresses=("127.0.0.1",),
            logs=logs,
            on_news=self.news.append,
            on_death=self.lost.append,
            look_seconds=look,
            hung_seconds=hung,
            spare=spare,
            spare_after=0.0,
            breath=0.0,
        )

    async def begin(self) -> None:
        self.pool.start()


@pytest.fixture
def yard(tmp_path: Path, run: Run[Any]) -> Iterator[Yard]:
    made = Yard(tmp_path / "logs")
    yield made
    run(made.pool.stop())


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_no_process_runs_before_it_is_needed_and_none_after_the_end(yard: Yard) -> None:
    assert not yard.pool.pids
    seat = await yard.pool.take()
    (pid,) = yard.pool.pids
    assert seat.port > 0
    assert await yard.pool.take() is seat, "it has no calls"
    await yard.pool.stop()
    assert gone(pid)
    assert yard.lost == []
    with pytest.raises(PlaneError, match="unavailable"):
        await yard.pool.take()


async def test_the_least_loaded_is_taken(yard: Yard) -> None:
    first = await yard.pool.take()
    first.calls.add("cl_1")
    second = await yard.pool.take()
    assert second is not first
    second.calls.update(("cl_2", "cl_3"))
    assert await yard.pool.take() is first
    assert len(yard.pool.pids) == 2


async def test_many_at_once_wait_for_one_start(tmp_path: Path) -> None:
    yard = Yard(tmp_path, 1)
    seats = await asyncio.gather(*(yard.pool.take() for _ in range(5)))
    assert len(set(map(id, seats))) == 1
    assert len(yard.pool.pids) == 1
    await yard.pool.stop()


async def test_who_gives_up_waiting_ends_no_start(yard: Yard) -> None:
    impatient = asyncio.ensure_future(yard.pool.take())
    patient = asyncio.ensure_future(yard.pool.take())
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).port > 0


async def test_a_start_that_is_given_up_is_no_fault(tmp_path: Path) -> None:
    """A server that is stopped while its spare starts complains of nothing."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def given_up() -> None:
        process = Process(
            "call worker",
            ["--port", "0", "--address", "127.0.0.1"],
            log_path=tmp_path / "worker.log",
            on_news=lambda _: None,
            on_end=lambda: None,
        )
        starting = asyncio.ensure_future(process.start())
        await eventually(lambda: process.alive)  # it runs, and is waited for
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting

    await given_up()
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_one_that_dies_is_told_and_restarted(yard: Yard) -> None:
    seat = await yard.pool.take()
    seat.calls.add("cl_1")
    (pid,) = yard.pool.pids
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: yard.lost == [frozenset({"cl_1"})])
    await eventually(lambda: yard.pool.pids not in ((), (pid,)))
    assert seat.calls == set()
    measured = await yard.pool.measure()
    assert [worker.calls for worker in measured] == [0]


async def test_who_waits_for_an_answer_learns_of_the_death(yard: Yard) -> None:
    seat = await yard.pool.take()
    (pid,) = yard.pool.pids
    os.kill(pid, signal.SIGSTOP)
    asking = asyncio.ensure_future(seat.ask(lambda number: wire.Measure(id=number), wire.Measured, 10))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(PlaneError) as caught:
        await asking
    assert caught.value.code == "lost"


async def test_one_that_hangs_is_killed(tmp_path: Path) -> None:
    yard = Yard(tmp_path, look=0.05, hung=0.5)
    yard.pool.start()
    try:
        seat = await yard.pool.take()
        seat.calls.add("cl_1")
        (pid,) = yard.pool.pids
        os.kill(pid, signal.SIGSTOP)
        await eventually(lambda: yard.lost == [frozenset({"cl_1"})])
        assert gone(pid)
    finally:
        await yard.pool.stop()


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken, socket.socket(type=socket.SOCK_DGRAM) as other:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(("::", 0))
        port = taken.getsockname()[1]
        other.bind(("0.0.0.0", port))
        yard = Yard(tmp_path, port=port)
        with pytest.raises(PlaneError) as caught:
            await yard.pool.take()
        assert caught.value.code == "unavailable"
        assert "calls-0.log" in caught.value.text
    assert (await yard.pool.take()).port == port, "it is tried again"
    await yard.pool.stop()


# ── The spare ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def spared(tmp_path: Path, run: Run[Any]) -> Iterator[Yard]:
    """One worker may have calls, and there is a spare one."""
    made = Yard(tmp_path / "logs", 1, spare=True)
    run(made.begin())
    yield made
    run(made.pool.stop())


async def test_the_spare_is_ready_before_it_is_needed_and_start_waits_for_nothing(spared: Yard) -> None:
    assert not spared.pool.pids
    await eventually(lambda: len(spared.pool.pids) == 1)
    (pid,) = spared.pool.pids
    seat = await at_once(spared.pool.take())
    assert seat.pid == pid
    seat.calls.add("cl_1")
    await eventually(lambda: len(spared.pool.pids) == 2)
    assert await at_once(spared.pool.take()) is seat, "the spare is nobody's before it is needed"


async def test_the_spare_takes_over_at_once_and_another_one_is_started(spared: Yard) -> None:
    seat = await spared.pool.take()
    seat.calls.add("cl_1")
    await eventually(lambda: len(spared.pool.pids) == 2)
    (spare,) = {pid for pid in spared.pool.pids if pid != seat.pid}
    assert seat.pid is not None
    os.kill(seat.pid, signal.SIGKILL)
    await eventually(lambda: spared.lost == [frozenset({"cl_1"})])
    other = await at_once(spared.pool.take())
    assert other.pid == spare
    other.calls.add("cl_1")
    await eventually(lambda: len(spared.pool.pids) == 2)


async def test_without_any_free_one_those_with_calls_take_more_at_once(tmp_path: Path) -> None:
    yard = Yard(tmp_path, 2, spare=True)
    seats = []
    for call in ("cl_1", "cl_2"):
        seats.append(await yard.pool.take())
        seats[-1].calls.add(call)
    assert seats[0] is seats[1], "nothing keeps a spare yet: it is quicker to share"
    await yard.pool.stop()


@pytest.mark.parametrize(("spare", "processes"), [(True, 4), (False, 3)])
def test_the_spare_is_a_setting(tmp_path: Path, spare: bool, processes: int) -> None:
    assert len(Plane(Settings(data_dir=tmp_path, calls_workers=3, calls_spare=spare))._pool.seats) == processes


async def test_what_comes_together_is_spread(tmp_path: Path) -> None:
    """As after a start of the server, when all its calls come back."""
    yard = Yard(tmp_path, 2)
    seats = await asyncio.gather(*(yard.pool.take() for _ in range(4)))
    assert [seat.index for seat in seats] == [0, 1, 0, 1]
    await yard.pool.stop()


async def test_one_that_dies_again_and_again_is_started_ever_later(spared: Yard) -> None:
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await real(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.calls.pool.asyncio.sleep", sleep)
        for _ in range(4):
            await eventually(lambda: len(spared.pool.pids) == 1)
            (pid,) = spared.pool.pids
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda pid=pid: pid not in spared.pool.pids)  # type: ignore[misc]
        await eventually(lambda: len(spared.pool.pids) == 1)
    waited = [pause for pause in pauses if pause >= 0.25]
    assert waited[:4] == [0.25, 0.5, 1.0, 2.0]


@pytest.mark.parametrize("turns", range(6))
async def test_the_end_does_not_wait_for_a_start_and_leaves_nothing(tmp_path: Path, turns: int) -> None:
    """Wherever it finds the start, so many turns of the loop after there is a process."""
    yard = Yard(tmp_path)
    spawned: list[asyncio.subprocess.Process] = []
    ends: list[asyncio.Future[None]] = []
    real = Process._spawn

    def end(turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(end, turns - 1)
        else:
            ends.append(asyncio.ensure_future(yard.pool.stop()))

    async def spawn(process: Process, descriptor: int) -> asyncio.subprocess.Process:
        spawned.append(await real(process, descriptor))
        end(turns)
        return spawned[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Process, "_spawn", spawn)
        with pytest.raises(PlaneError, match="stopping"):
            await yard.pool.take()
    await asyncio.gather(*ends)
    assert [process.returncode for process in spawned] == [-signal.SIGKILL]


async def at_once(taking: Coroutine[Any, Any, Seat]) -> Seat:
    """What a coroutine answers without ever waiting."""
    with pytest.raises(StopIteration) as answered:
        taking.send(None)
    seat: Seat = answered.value.value
    return seat


def two_free_ports() -> int:
    """The first of two UDP ports of the loopback address that follow each other and are nobody's."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            with suppress(OSError, OverflowError):
                other.bind(("127.0.0.1", port + 1))
                return port


async def test_ports_follow_each_other(tmp_path: Path) -> None:
    first = two_free_ports()
    yard = Yard(tmp_path, port=first)
    (await yard.pool.take()).calls.add("cl_1")
    await yard.pool.take()
    assert [seat.port for seat in yard.pool.seats] == [first, first + 1]
    await yard.pool.stop()


async def test_what_no_worker_says_ends_it(tmp_path: Path) -> None:
    ended: list[int] = []
    process = Process(
        "worker",
        ["--port", "0", "--address", "127.0.0.1"],
        log_path=tmp_path / "log",
        on_news=lambda _: None,
        on_end=lambda: ended.append(1),
    )
    await process.start()
    with pytest.raises(PlaneError) as caught:
        await process.ask(lambda number: wire.Close(id=number, call="cl_1"), wire.Measured, 5)
    assert caught.value.code == "failed", "an answer of another kind"
    assert process._writer is not None
    process._writer.write(wire.LENGTH.pack(3) + b"???")
    await eventually(lambda: ended == [1])
    assert not process.alive
    await process.stop()


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    program = f"""
import asyncio, os, signal
from pathlib import Path
from server.calls.process import Process
async def main():
    process = Process("w", ["--address", "127.0.0.1"], log_path=Path({str(tmp_path / "log")!r}),
                      on_news=lambda _: None, on_end=lambda: None)
    await process.start()
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    parent = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    assert parent.returncode == -signal.SIGKILL
    pid = int(parent.stdout)

    async def watch() -> None:
        await eventually(lambda: gone(pid))

    asyncio.run(watch())
