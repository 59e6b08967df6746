"""python -m scripts.benchmarks.anatomy: where the processor time of the media worker goes, with so many viewers.

The load is a stock publisher, who sends no numbers for congestion control as browsers do, and stock viewers. Told are
the time itself, per packet and by user and system, how often the worker wakes up, and, as far as they are installed,
what strace counts (system calls) and py-spy samples (functions; `--spy` names the program). Each looks at a time of its
own, since strace and py-spy cost time that is not the worker's.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from scripts.benchmarks import processes
from scripts.benchmarks.film import Publisher, Viewer, at, pictures, voice
from scripts.benchmarks.venues import outward, vouch

_SETTLING = 2.0


async def told(viewers: int, seconds: float, spy: str | None) -> None:
    publisher = Publisher()
    made = [Viewer() for _ in range(viewers)]
    with at(outward()):
        async with vouch() as venue:
            with processes.beside(venue.pid):
                await venue.publish(publisher)
                for viewer in made:
                    await venue.watch(viewer)
                await asyncio.sleep(_SETTLING)
                before, began = _state(venue.pid), time.perf_counter()
                packets = sum(viewer.packets for viewer in made)
                await asyncio.sleep(seconds)
                took = time.perf_counter() - began
                after = _state(venue.pid)
                packets = sum(viewer.packets for viewer in made) - packets
                used = {key: (after[key] - before[key]) / took for key in before}
                cpu = used["user"] + used["system"]
                print(f"processor      {100 * cpu:6.2f} % of a core, {100 * used['system']:.2f} of it system")
                print(f"a packet out   {1e6 * cpu * took / max(1, packets):6.0f} us, {packets / took:.0f} a second")
                woken, pushed = used["woken"], used["pushed"]
                print(f"wake-ups       {woken:6.0f} a second, {pushed:.0f} taken off the core", flush=True)
                if strace := shutil.which("strace"):
                    await _run(strace, "-c", "-f", "-p", str(venue.pid), seconds=seconds)
                if spy:
                    await _sampled(spy, venue.pid, seconds)
                await asyncio.gather(*(end.close() for end in (publisher, *made)))


def _state(pid: int) -> dict[str, float]:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    user, system = processes.user_and_system_seconds(pid)
    return {
        "user": user,
        "system": system,
        "woken": int(status["voluntary_ctxt_switches"]),
        "pushed": int(status["nonvoluntary_ctxt_switches"]),
    }


async def _run(*command: str, seconds: float | None = None) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    if seconds is not None:
        await asyncio.sleep(seconds)
        process.send_signal(2)
    await process.wait()


async def _sampled(spy: str, pid: int, seconds: float) -> None:
    """Share of the samples in which a function worked itself, and in which it was on the stack."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        duration = str(max(1, round(seconds)))
        await _run(
            *(spy, "record", "--pid", str(pid), "--native", "--format", "raw", "--rate", "997"),
            *("--duration", duration, "--output", str(raw)),
        )
        own: Counter[str] = Counter()
        whole: Counter[str] = Counter()
        total = 0
        for line in raw.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            frames = stack.split(";")
            total += int(count)
            own[frames[-1]] += int(count)
            for frame in set(frames):
                whole[frame] += int(count)
    for title, counted in (("itself", own), ("with what it calls", whole)):
        print(f"\n{title}")
        for frame, samples in counted.most_common(45):
            print(f"{100 * samples / total:5.1f} %  {frame}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmarks.anatomy")
    parser.add_argument("--viewers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--spy", default=shutil.which("py-spy"))
    chosen = parser.parse_args(sys.argv[1:])
    pictures(), voice()
    asyncio.run(told(chosen.viewers, chosen.seconds, chosen.spy))


if __name__ == "__main__":
    main()
