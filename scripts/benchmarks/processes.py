"""Processes under measurement: on which core they run and how much of it they use, as Linux tells it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: The server under measurement has one core; the load, and what else the server needs, share the other.
SERVER_CORE, LOAD_CORE = 0, 1
_SETTLING, _PAUSE = 20, 1.0  # how often at most memory is looked at until it has settled, and seconds in between
_TICKS = os.sysconf("SC_CLK_TCK")
_WHOLE_PROCESS = 2  # of the clock of another process: CPUCLOCK_SCHED in Linux' posix-timers.h


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads so far, however short. Raises OSError when it is gone."""
    return time.clock_gettime(~pid << 3 | _WHOLE_PROCESS)


def user_and_system_seconds(pid: int) -> tuple[float, float]:
    """The two parts of it, to the hundredth of a second."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[11]) / _TICKS, int(after_name[12]) / _TICKS


def memory_bytes(pid: int) -> int:
    """Resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def settled_memory(pid: int, wait: Callable[[float], object]) -> int:
    """Resident memory once it has not changed by a thousandth for a second; `wait(seconds)` passes the time."""
    before = memory_bytes(pid)
    for _ in range(_SETTLING):
        wait(_PAUSE)
        now = memory_bytes(pid)
        if abs(now - before) < before / 1000:
            return now
        before = now
    return before


def pin(pid: int, core: int) -> None:
    """Keeps a process and its threads on one core; on a machine with a single core it changes nothing."""
    if (os.cpu_count() or 1) < 2:
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            os.sched_setaffinity(int(thread.name), {core})
        except ProcessLookupError:
            continue  # a thread that has just ended


@contextmanager
def pinned(pid: int, core: int) -> Iterator[None]:
    """As `pin`, undone at the end."""
    before = os.sched_getaffinity(pid)
    pin(pid, core)
    try:
        yield
    finally:
        os.sched_setaffinity(pid, before)


def unsent_bytes(port: int) -> int:
    """What the kernel holds for the clients of a server on this port of 127.0.0.1, and has not been able to send."""
    server, established = f"0100007F:{port:04X}", "01"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(int(row[4].partition(":")[0], 16) for row in rows if row[1] == server and row[3] == established)


@contextmanager
def beside(server: int, others: Iterable[int] = ()) -> Iterator[None]:
    """The server's process on its core; this process and `others` on the load's."""
    pin(server, SERVER_CORE)
    for pid in others:
        pin(pid, LOAD_CORE)
    with pinned(os.getpid(), LOAD_CORE):
        yield


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine
