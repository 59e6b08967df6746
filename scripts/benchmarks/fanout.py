"""Fan-out: deliveries per second of the server's processor time, in a room of 500 and of 2,000 members.

Eight members (people of different accounts) write; each says the next thing as soon as the last one has come back to
them, which is as fast as a conversation can go. `burst10` is one member who says ten things at once and waits for the
last. A message has 200 bytes of text, and every delivery is counted at the receiving end. The peers pass the bare text
on; Vouch checks who writes, makes every message durable, numbers it and sends it with its envelope.
"""

from __future__ import annotations

import time

from scripts.benchmarks import processes
from scripts.benchmarks.crowd import Line, LoadError, Tally
from scripts.benchmarks.readings import Plan, Reading
from scripts.benchmarks.rooms import Room, room

SUBJECTS = ("vouch", "tornado", "websockets", "picows", "socket.io")

MEMBERS = (500, 2_000)
WRITERS = 8
BURST = 10
TEXT_BYTES = 200
#: what a metric has of the seconds of a turn, and the seconds before it that are not measured
_SHARE, _WARM_UP = 0.25, 0.2


class Writer:
    """A member that says `burst` things at once, and the next as soon as the last has come back."""

    def __init__(self, room: Room, line: Line, tally: Tally, name: int, burst: int = 1) -> None:
        self._room = room
        self._line = line
        self._tally = tally
        self._burst = burst
        self._number = name * 10**12
        self._token = b""
        self.said = 0
        self.waiting = False
        self.stopped = True
        line.listener = self.hear

    def start(self) -> None:
        self.stopped = False
        self.say()

    def say(self) -> None:
        numbers = range(self._number + 1, self._number + 1 + self._burst)
        self._number += self._burst
        self._token = f"{self._number:020d}x".encode()  # with the x of the text: an acknowledgement has the number, too
        frames = [self._room.message(number, f"{number:020d}".ljust(TEXT_BYTES, "x")) for number in numbers]
        self.said += self._burst
        self.waiting = True
        self._line.send(b"".join(frames))

    def hear(self, line: Line, data: bytes) -> None:
        echoed = self.waiting and self._token in line.rest + data
        self._tally(line, data)
        if echoed:
            self.waiting = False
            if not self.stopped:
                self.say()


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on a fresh server."""
    readings = []
    seconds = plan.seconds * _SHARE
    with room(subject, max(MEMBERS)) as place:
        tally = Tally(place.begins)
        lines: list[Line] = []
        for members in MEMBERS:
            lines += place.join(members - len(lines), tally)
            writers = [Writer(place, line, tally, name) for name, line in enumerate(lines[:WRITERS], len(lines))]
            readings.append(_rate(f"fanout_n{members}", place, lines, writers, tally, seconds))
        writer = Writer(place, lines[WRITERS], tally, 9 * len(lines), BURST)
        readings.append(_rate(f"burst{BURST}_n{len(lines)}", place, lines, [writer], tally, seconds))
    return readings


def _rate(metric: str, place: Room, lines: list[Line], writers: list[Writer], tally: Tally, seconds: float) -> Reading:
    """Everything that was said must have reached everybody, or the figure is worth nothing."""
    _talk(place, writers, _WARM_UP)
    _settle(place, lines, writers, tally)
    cpu = processes.cpu_seconds(place.pid)
    _talk(place, writers, seconds)
    count = _settle(place, lines, writers, tally)
    return Reading(metric, count / (processes.cpu_seconds(place.pid) - cpu), "msg/cpu-s")


def _talk(place: Room, writers: list[Writer], seconds: float) -> None:
    until = time.perf_counter() + seconds
    for writer in writers:
        writer.start()
    while time.perf_counter() < until:
        place.crowd.pump(0.1)
    for writer in writers:
        writer.stopped = True


def _settle(place: Room, lines: list[Line], writers: list[Writer], tally: Tally) -> int:
    """Waits until all have heard everything; how many deliveries there were since the last time."""
    said = sum(writer.said for writer in writers)
    for writer in writers:
        writer.said = 0
    wanted = said * len(lines)
    place.crowd.until(lambda: tally.count >= wanted, f"{wanted} deliveries")
    place.crowd.check()
    if tally.count != wanted:
        raise LoadError(f"{tally.count} deliveries of {wanted}: somebody heard something twice")
    tally.count = 0
    return wanted
