"""./scripts/test soak [--minutes N]: four people in a call, who come and go a little; nothing may grow.

Every half a minute one of them closes the page and comes back, watches anew, or loses their socket. Memory, open files
and threads of the hub and the media worker, and the tasks of the hub's loop, are looked at all the time, and so is
whether everybody still gets everything. It says what it sees each minute and ends with 0 when all is well.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.benchmarks import film, processes
from scripts.hub_process import HubProcess
from server.settings import ROOT
from tests.soak.call import Caller, begun
from tests.soak.judging import Sample, growth, silent

#: Seconds between two samples, looks at all streams, and somebody who comes or goes; for short soaks they are shorter.
_SAMPLE, _LOOK, _CHANGE, _TELL = 5.0, 10.0, 30.0, 60.0
_HANDLES = ("ann", "tom", "max", "lin")


class Soaked:
    """The server, its samples, and the call."""

    def __init__(self, hub: HubProcess, tasks: Path, callers: list[Caller]) -> None:
        self._hub = hub.process.pid
        self._workers = media_workers(self._hub)
        self._tasks = tasks
        self._callers = callers
        self.samples: dict[str, list[Sample]] = {name: [] for name in ("hub", *map(worker, self._workers))}
        self.complaints: list[str] = []
        #: Sockets that the server has given up, as it does when a machine is too busy; clients make new ones.
        self.lost = 0
        self._changes = 0
        self.before = [caller.counts for caller in callers]

    async def sample(self) -> None:
        self.samples["hub"].append(taken(self._hub, await self._count()))
        for pid in self._workers:
            self.samples[worker(pid)].append(taken(pid))

    async def _count(self) -> int:
        """The tasks of the hub's loop."""
        self._tasks.unlink(missing_ok=True)
        for _ in range(50):
            os.kill(self._hub, signal.SIGUSR2)
            await asyncio.sleep(0.02)
            if self._tasks.exists():
                return int(self._tasks.read_text())
        raise RuntimeError("the server does not tell its tasks")

    async def look(self) -> None:
        """Complains of whoever gets nothing of somebody. Sockets say that they are there, as clients do."""
        for caller in self._callers:
            if not await caller.there():
                self.lost += 1
                await caller.listen()
        now = [caller.counts for caller in self._callers]
        for caller, one, other in zip(self._callers, self.before, now, strict=True):
            if missing := silent(one, other):
                self.complaints.append(f"{caller.handle} gets nothing in the lines {missing}")
        self.before = now

    async def change(self) -> None:
        """The next of them does the next thing."""
        caller = self._callers[self._changes % len(self._callers)]
        await (caller.leave_and_join, caller.watch, caller.listen)[self._changes % 3]()
        self._changes += 1
        # who watches anew counts from nothing
        self.before = [[-1] * len(each.counts) for each in self._callers]

    def told(self) -> str:
        parts = []
        for name, samples in self.samples.items():
            last = samples[-1]
            tasks = "" if last.tasks < 0 else f", {last.tasks} tasks"
            files = f"{last.descriptors} files, {last.threads} threads{tasks}"
            parts.append(f"{name} {last.memory / 2**20:6.1f} MiB, {files}")
        return " | ".join([*parts, f"{self.lost} sockets lost"])


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def worker(pid: int) -> str:
    return f"worker {pid}"


def media_workers(hub: int) -> list[int]:
    """Those that carry calls and those that are ready to."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in listed.splitlines())
    found = [int(pid) for pid, parent, args in rows if int(parent) == hub and "server.calls.worker" in args]
    assert found, "no media worker"
    return found


def taken(pid: int, tasks: int = -1) -> Sample:
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(processes.memory_bytes(pid), descriptors, threads, tasks)


async def soak(seconds: float) -> list[str]:
    """What is wrong; nothing when all is well."""
    with tempfile.TemporaryDirectory(prefix="vouch-soak-") as folder:
        tasks = Path(folder) / "tasks"
        environ = {
            "VOUCH_LIMITS_FACTOR": "100000",
            "VOUCH_LOG_LEVEL": "error",
            "VOUCH_CALLS_WORKERS": "1",
            "VOUCH_CALLS_ADDRESSES": "127.0.0.1",
            "VOUCH_SOAK_TASKS": str(tasks),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'soak' / 'hooks'}",
        }
        with HubProcess(Path(folder) / "data", "--log-level", "error", environ=environ) as hub, film.at("127.0.0.1"):
            callers = await begun(hub.url, _HANDLES)
            try:
                return await _soaked(Soaked(hub, tasks, callers), seconds)
            finally:
                await asyncio.gather(*(caller.go() for caller in callers))


async def _soaked(soaked: Soaked, seconds: float) -> list[str]:
    pace = min(1.0, seconds / 120)
    began = time.monotonic()
    due = {"sample": _SAMPLE * pace, "look": _LOOK * pace, "change": _CHANGE * pace, "tell": _TELL * pace}
    steps = dict(due)
    while (passed := time.monotonic() - began) < seconds:
        for what in [what for what, at in due.items() if at <= passed]:
            due[what] = max(due[what] + steps[what], passed)
            match what:
                case "sample":
                    await soaked.sample()
                case "look":
                    await soaked.look()
                case "change":
                    await soaked.change()
                case _:
                    say(f"{passed / 60:5.1f} min  {soaked.told()}")
        await asyncio.sleep(max(0.0, min(min(due.values()), seconds) - (time.monotonic() - began)))
    grown = [complaint for name, samples in soaked.samples.items() for complaint in growth(name, samples)]
    return soaked.complaints + grown


def main() -> int:
    parser = argparse.ArgumentParser(prog="./scripts/test soak", description="A call of four for a long time.")
    parser.add_argument("--minutes", type=float, default=30.0)
    wrong = asyncio.run(soak(60 * parser.parse_args().minutes))
    say("\n".join(wrong) or "nothing has grown")
    return 1 if wrong else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended, too
    sys.exit(main())
