"""How long a message takes from one member to all of 1,000, at 25 messages a second from eight of them in turn.

Every delivery is timed, from before the frame is sent until its bytes have been read; the readers take their turns in
one thread. Vouch has made the message durable by then, the peer only passes it on.
"""

from __future__ import annotations

import time
from array import array

from scripts.benchmarks.crowd import Crowd, Line, LoadError
from scripts.benchmarks.frames import NONE_OF_THEM, Scan, scan
from scripts.benchmarks.readings import Plan, Reading, percentile
from scripts.benchmarks.rooms import Room, room

SUBJECTS = ("vouch", "tornado")

MEMBERS = 1_000
PER_SECOND = 25
WRITERS = 8
TEXT_BYTES = 200
_WARM_UP = 1.0  # seconds
#: Stands before the time (ns, 20 digits) in a text, and nowhere else behind it.
_MARK = "@"
_DIGITS = 20


class Stopwatch:
    """A listener that times every delivery; `seconds` are in the order of arrival."""

    def __init__(self, begins: bytes) -> None:
        self.seconds = array("d")
        self._begins = begins
        self._known = b""
        self._known_sent: list[int] = []

    def __call__(self, line: Line, data: bytes) -> None:
        now = time.perf_counter_ns()
        # Nearly always the same bytes as the member before has received, so they are looked at once.
        if data != self._known or line.rest:
            data = line.rest + data
            found = scan(data, NONE_OF_THEM)
            line.rest = data[found.end :]
            self._known_sent = self._sent(line, found)
            self._known = b"" if line.rest else data
        for sent in self._known_sent:
            self.seconds.append((now - sent) / 1e9)

    def _sent(self, line: Line, found: Scan) -> list[int]:
        """When the deliveries among these frames were sent; the other frames are done with."""
        sent = []
        for frame in found.others:
            if frame.payload.startswith(self._begins) and (at := frame.payload.rfind(_MARK.encode())) > 0:
                sent.append(int(frame.payload[at + 1 : at + 1 + _DIGITS]))
            else:
                line.control([frame])
        return sent


def timed_text() -> str:
    """A text that tells when it was made."""
    return f"0{_MARK}{time.perf_counter_ns():0{_DIGITS}d}".ljust(TEXT_BYTES, "x")


def speak(place: Room, writers: list[Line], seconds: float, first: int) -> int:
    """The writers say something in turn, PER_SECOND in all; a late message does not delay the next (open loop).

    `first` is the first message's number; how many there were is returned.
    """
    count = round(PER_SECOND * seconds)
    began = time.perf_counter()
    for number in range(count):
        while (pause := began + number / PER_SECOND - time.perf_counter()) > 0:
            place.crowd.pump(pause)
        writers[number % len(writers)].send(place.message(first + number, timed_text()))
    return count


def heard(crowd: Crowd, stopwatch: Stopwatch, wanted: int) -> list[float]:
    """The seconds of all deliveries once `wanted` have come; the stopwatch begins anew."""
    crowd.until(lambda: len(stopwatch.seconds) >= wanted, f"{wanted} deliveries")
    crowd.check()
    if len(stopwatch.seconds) != wanted:
        raise LoadError(f"{len(stopwatch.seconds)} deliveries of {wanted}: somebody heard something twice")
    seconds = stopwatch.seconds.tolist()
    stopwatch.seconds = array("d")
    return seconds


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on a fresh server."""
    with room(subject, MEMBERS) as place:
        stopwatch = Stopwatch(place.begins)
        lines = place.join(MEMBERS, stopwatch)
        said = speak(place, lines[:WRITERS], _WARM_UP, 1)
        heard(place.crowd, stopwatch, said * MEMBERS)
        count = speak(place, lines[:WRITERS], plan.seconds, said + 1)
        seconds = heard(place.crowd, stopwatch, count * MEMBERS)
    return [
        Reading("p50_ms", percentile(seconds, 0.50) * 1000, "ms"),
        Reading("p99_ms", percentile(seconds, 0.99) * 1000, "ms"),
    ]
