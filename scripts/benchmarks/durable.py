"""Durable messages: how many a second are acknowledged when as many as possible are sent, and how long an
acknowledgement takes at 500 messages a second.

The server runs on the first core, the database and the senders share the second; a message has 200 bytes of text.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from scripts.benchmarks import processes
from scripts.benchmarks.load import Sender, senders
from scripts.benchmarks.readings import Plan, Reading, percentile
from scripts.hub_process import HubProcess

SUBJECTS = ("vouch",)

SENDERS = 8
#: unacknowledged messages of one sender while as many as possible are sent
WINDOW = 64
#: messages per second while the acknowledgement is timed
PACE = 500
_SERVER_CORE, _LOAD_CORE = 0, 1
#: people who send this much are refused otherwise
_NO_LIMITS = {"VOUCH_LIMITS_FACTOR": "100000", "VOUCH_LOG_LEVEL": "warning"}


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on a fresh server with an empty database."""
    with (
        tempfile.TemporaryDirectory(prefix="vouch-bench-") as directory,
        HubProcess(Path(directory) / "data", environ=_NO_LIMITS) as hub,
        processes.pinned(os.getpid(), _LOAD_CORE),
    ):
        processes.pin(hub.process.pid, _SERVER_CORE)
        for pid in hub.child_pids().values():
            processes.pin(pid, _LOAD_CORE)
        return asyncio.run(_measure(hub, plan.seconds))


async def _measure(hub: HubProcess, seconds: float) -> list[Reading]:
    async with senders(hub.url, SENDERS) as people:
        await _flood(people, min(1.0, seconds))  # first of everything: indexes, heads, code paths
        cpu = processes.cpu_seconds(hub.process.pid)
        rate, count = await _flood(people, seconds)
        cpu = processes.cpu_seconds(hub.process.pid) - cpu
        latencies = await _pace(people, seconds)
    refused = {code: n for person in people for code, n in person.refused.items()}
    if refused:
        raise RuntimeError(f"messages were refused: {refused}")
    return [
        Reading("sustained_per_s", rate, "msg/s"),
        Reading("per_cpu_s", count / cpu if cpu else 0.0, "msg/cpu-s"),
        Reading("ack_p50_ms", percentile(latencies, 0.50) * 1000, "ms"),
        Reading("ack_p99_ms", percentile(latencies, 0.99) * 1000, "ms"),
    ]


async def _flood(people: list[Sender], seconds: float) -> tuple[float, int]:
    """Acknowledged messages per second, and how many there were."""
    before = sum(len(person.latencies) for person in people)
    began = time.perf_counter()
    await asyncio.gather(*(person.send_keeping(WINDOW, began + seconds) for person in people))
    await _acknowledged(people)
    count = sum(len(person.latencies) for person in people) - before
    return count / (time.perf_counter() - began), count


async def _pace(people: list[Sender], seconds: float) -> list[float]:
    """Latencies in seconds at PACE messages a second; a late message does not delay the next (open loop)."""
    for person in people:
        person.latencies.clear()
    began = time.perf_counter()
    for number in range(round(PACE * seconds)):
        pause = began + number / PACE - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        await people[number % len(people)].send()
    await _acknowledged(people)
    return [latency for person in people for latency in person.latencies]


async def _acknowledged(people: list[Sender], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        await asyncio.gather(*(person.all_acknowledged() for person in people))
