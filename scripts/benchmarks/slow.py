"""What 1,500 readers notice when 500 others stop reading: the 99th percentile of delivery times with the 500 stalled,
divided by the same with all 2,000 reading. 25 messages a second.

The stalled are clients on a network with packets of 1,500 bytes and a small receive buffer, who read nothing any more
but stay connected. A few long messages fill what the kernels hold for them, so that from then on the server itself has
to keep what they do not take, until it ends their connections after ten seconds.
"""

from __future__ import annotations

from itertools import count

from scripts.benchmarks import processes, vouch
from scripts.benchmarks.crowd import Line, Tally
from scripts.benchmarks.latency import WRITERS, Stopwatch, heard, speak, timed_text
from scripts.benchmarks.readings import Plan, Reading, percentile

SUBJECTS = ("vouch",)

READERS = 1_500
STALLED = 500
_RECEIVE_BUFFER, _SEGMENT = 4_096, 1_400  # bytes
#: 45 kB each in UTF-8; the server may keep twenty of them for a client
_LONG_TEXT, _LONG_ONES = "字" * 15_000, 4
_WARM_UP = 1.0  # seconds


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on a fresh server."""
    with vouch.running() as server, vouch.group(server, READERS + STALLED) as place:
        stopwatch = Stopwatch(place.begins)
        readers = place.join(READERS, stopwatch)
        others = place.join(STALLED, Tally(place.begins), receive_buffer=_RECEIVE_BUFFER, segment=_SEGMENT)
        writers = readers[:WRITERS]
        said = speak(place, writers, _WARM_UP, 1)
        heard(place.crowd, stopwatch, said * READERS)
        all_read = _p99(place, stopwatch, writers, plan.seconds, said + 1)
        for line in others:
            place.crowd.stall(line)
        _fill(place, server.port, stopwatch, writers[0])
        some_stalled = _p99(place, stopwatch, writers, plan.seconds, 10**6)
        ended = server.counter('vouch_connections_closed_total{code="slow_consumer"}')
    return [
        Reading("others_p99_ratio", some_stalled / all_read, "×"),
        Reading("others_p99_ms", some_stalled * 1000, "ms"),
        Reading("all_reading_p99_ms", all_read * 1000, "ms"),
        Reading("stalled_ended", ended, "connections"),
    ]


def _p99(place: vouch.Group, stopwatch: Stopwatch, writers: list[Line], seconds: float, first: int) -> float:
    said = speak(place, writers, seconds, first)
    return percentile(heard(place.crowd, stopwatch, said * READERS), 0.99)


def _fill(place: vouch.Group, port: int, stopwatch: Stopwatch, writer: Line) -> None:
    """Long messages until the kernel takes none of the last few for the stalled: the server has these to itself."""
    numbers = count(2 * 10**6)
    held, before = 1.0, 0.0
    while held > before * 1.1:
        before = held
        for _ in range(_LONG_ONES):
            writer.send(place.message(next(numbers), timed_text() + _LONG_TEXT))
            heard(place.crowd, stopwatch, READERS)
        held = processes.unsent_bytes(port)
