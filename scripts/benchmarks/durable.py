"""Durable messages: how many a second are acknowledged when as many as possible are sent, and how long an
acknowledgement takes at 500 messages a second.

Eight people write in groups of their own, up to 64 unacknowledged messages each; a message has 200 bytes of text. An
acknowledgement is sent once the message has been flushed to the disk.
"""

from __future__ import annotations

import time
from itertools import cycle, islice

from scripts.benchmarks import processes, vouch
from scripts.benchmarks.crowd import Crowd, Line
from scripts.benchmarks.frames import NONE_OF_THEM, scan
from scripts.benchmarks.people import Person, strangers
from scripts.benchmarks.readings import Plan, Reading, percentile

SUBJECTS = ("vouch",)

SENDERS = 8
#: unacknowledged messages of one sender while as many as possible are sent
WINDOW = 64
#: messages per second while the acknowledgement is timed
PACE = 500
TEXT = "x" * 200
_WARM_UP = 1.0  # seconds
_ACK = b'{"t":"ack","id":"'
_NUMBER = slice(len(_ACK), len(_ACK) + 22)


class Sender:
    """One person on one socket. `latencies` are seconds from sending to acknowledgement, in order of the latter."""

    def __init__(self, crowd: Crowd, person: Person) -> None:
        self._ch = person.group([])
        self._line = crowd.open([vouch.opening(person, [])], self._hear)[0]
        self._number = 0
        self._sent: dict[int, float] = {}
        self.latencies: list[float] = []

    @property
    def waiting(self) -> int:
        return len(self._sent)

    def say(self) -> None:
        self._number += 1
        frame = vouch.append_frame(self._ch, self._number, TEXT)
        self._sent[self._number] = time.perf_counter()
        self._line.send(frame)

    def _hear(self, line: Line, data: bytes) -> None:
        now = time.perf_counter()
        found = scan(line.rest + data, NONE_OF_THEM)
        line.rest = (line.rest + data)[found.end :]
        for frame in found.others:
            if frame.payload.startswith(_ACK):
                self.latencies.append(now - self._sent.pop(int(frame.payload[_NUMBER])))
            else:
                line.control([frame])


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on a fresh server with an empty database."""
    with vouch.running() as server, Crowd(server.port) as crowd:
        senders = [Sender(crowd, person) for person in strangers(server.url, SENDERS)]
        _flood(crowd, senders, min(_WARM_UP, plan.seconds))  # first of everything: indexes, heads, code paths
        cpu = processes.cpu_seconds(server.pid)
        rate, count = _flood(crowd, senders, plan.seconds)
        cpu = processes.cpu_seconds(server.pid) - cpu
        latencies = _pace(crowd, senders, plan.seconds)
    return [
        Reading("sustained_per_s", rate, "msg/s"),
        Reading("per_cpu_s", count / cpu if cpu else 0.0, "msg/cpu-s"),
        Reading("ack_p50_ms", percentile(latencies, 0.50) * 1000, "ms"),
        Reading("ack_p99_ms", percentile(latencies, 0.99) * 1000, "ms"),
    ]


def _flood(crowd: Crowd, senders: list[Sender], seconds: float) -> tuple[float, int]:
    """Acknowledged messages per second, and how many there were."""
    for sender in senders:
        sender.latencies.clear()
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        for sender in senders:
            while sender.waiting < WINDOW:
                sender.say()
        crowd.pump(0.1)
    _acknowledged(crowd, senders)
    count = sum(len(sender.latencies) for sender in senders)
    return count / (time.perf_counter() - began), count


def _pace(crowd: Crowd, senders: list[Sender], seconds: float) -> list[float]:
    """Latencies in seconds at PACE messages a second; a late message does not delay the next (open loop)."""
    for sender in senders:
        sender.latencies.clear()
    began = time.perf_counter()
    for number, sender in enumerate(islice(cycle(senders), round(PACE * seconds))):
        while (pause := began + number / PACE - time.perf_counter()) > 0:
            crowd.pump(pause)
        sender.say()
    _acknowledged(crowd, senders)
    return [latency for sender in senders for latency in sender.latencies]


def _acknowledged(crowd: Crowd, senders: list[Sender]) -> None:
    crowd.until(lambda: not any(sender.waiting for sender in senders), "acknowledgements")
    crowd.check()
