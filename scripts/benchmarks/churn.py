"""Memory after many connects and disconnects: by how much the server's resident memory has grown after 100,000 of them
(a fifth in a quick run), compared with what it was after a warm-up of a tenth as many.

A client signs in, subscribes to its inbox and a conversation, is answered, and goes; 500 are there at a time.
"""

from __future__ import annotations

import time

from scripts.benchmarks import processes, vouch
from scripts.benchmarks.crowd import Crowd, Opening, Tally
from scripts.benchmarks.people import strangers
from scripts.benchmarks.readings import Plan, Reading
from server.realtime.roster import MAX_CONNECTIONS_EACH

SUBJECTS = ("vouch",)

CONNECTS = 100_000
WARM_UP_SHARE = 0.1
AT_A_TIME = 500


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on a fresh server."""
    count = round(CONNECTS * plan.size)
    with vouch.running() as server, Crowd(server.port) as crowd:
        people = strangers(server.url, AT_A_TIME // MAX_CONNECTIONS_EACH)
        openings = [
            opening
            for person in people
            for opening in [vouch.opening(person, [f"inbox:{person.id}", person.group([])])] * MAX_CONNECTIONS_EACH
        ]
        _come_and_go(server, crowd, openings, round(count * WARM_UP_SHARE))
        before = processes.settled_memory(server.pid, crowd.pump)
        cpu, began = processes.cpu_seconds(server.pid), time.perf_counter()
        _come_and_go(server, crowd, openings, count)
        seconds, cpu = time.perf_counter() - began, processes.cpu_seconds(server.pid) - cpu
        after = processes.settled_memory(server.pid, crowd.pump)
    return [
        Reading("rss_growth_pct", (after / before - 1) * 100, "%"),
        Reading("connects_per_s", count / seconds, "1/s"),
        Reading("connect_cpu_ms", cpu / count * 1000, "ms"),
    ]


def _come_and_go(server: vouch.Vouch, crowd: Crowd, openings: list[Opening], count: int) -> None:
    for _ in range(count // len(openings)):
        lines = crowd.open(openings, Tally(vouch.ENTRY))
        crowd.check()
        for line in lines:
            line.drop()
    crowd.until(lambda: server.counter("vouch_connections") == 0, "the last disconnects")
