"""5,000 clients come back at once: seconds until each of them is signed in, subscribed to its inbox and to a group,
and has received the twenty messages that it missed, and how often the server had to read the log for that.

The first time all connections were cut; the second time (`restart_`) the server was restarted besides, so that it
remembers nothing. Up to 1,000 handshakes are under way, about as many as the server's queue for new connections holds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from scripts.benchmarks import vouch
from scripts.benchmarks.crowd import Crowd, Line, Opening, Tally
from scripts.benchmarks.frames import NONE_OF_THEM, scan
from scripts.benchmarks.people import Person, friends
from scripts.benchmarks.readings import Plan, Reading
from server import preflight
from server.realtime.roster import MAX_CONNECTIONS_EACH

SUBJECTS = ("vouch",)

CLIENTS = 5_000
MISSED = 20
AT_ONCE = 1_000
TEXT = "x" * 200
_SUBSCRIBED, _ACK = b'{"t":"subscribed"', b'{"t":"ack"'
_HISTORY_READS = "vouch_history_reads_total"


class _Said(msgspec.Struct):
    """Of `welcome` and `subscribed`, what a client keeps."""

    t: str
    epoch: str = ""
    ch: str = ""
    head: int = 0


class Club:
    """People with clients that come and go, in one group."""

    def __init__(self, url: str) -> None:
        self._people = friends(url, CLIENTS // MAX_CONNECTIONS_EACH)
        self._ch = self._people[0].group(self._people[1:])
        self._epoch = ""
        self._heads: dict[str, int] = {}
        self._said = 0

    def arrive(self, crowd: Crowd) -> None:
        """Everybody connects for the first time, and keeps what their channels' heads are."""
        for person in self._people:
            for said in _answers(crowd, person, self._channels(person)):
                self._epoch = said.epoch or self._epoch
                self._heads[said.ch] = said.head
        crowd.open([vouch.opening(person, self._channels(person)) for person in self._clients()], Tally(vouch.ENTRY))

    def leave(self, server: vouch.Vouch, crowd: Crowd) -> None:
        """All connections are cut, and the server has noticed."""
        crowd.check()
        for line in list(crowd.lines):
            line.drop()
        crowd.until(lambda: server.counter("vouch_connections") == 0, "the end of all connections")

    def talk(self, crowd: Crowd) -> None:
        """Somebody says what the others will have missed."""
        acks = Tally(_ACK)
        line = crowd.open([vouch.opening(self._people[0], [])], acks)[0]
        for _ in range(MISSED):
            self._said += 1
            line.send(vouch.append_frame(self._ch, self._said, TEXT))
        crowd.until(lambda: acks.count == MISSED, "acknowledgements")
        line.drop()

    def come_back(self, crowd: Crowd) -> float:
        """Everybody resumes; the seconds until all have everything. The heads move on."""
        openings = [self._resuming(person) for person in self._clients()]
        began = time.perf_counter()
        crowd.open(openings, Tally(vouch.ENTRY), AT_ONCE)
        seconds = time.perf_counter() - began
        self._heads[self._ch] += MISSED
        return seconds

    def _clients(self) -> Iterator[Person]:
        """A person for each client, in turn."""
        return (person for _ in range(MAX_CONNECTIONS_EACH) for person in self._people)

    def _channels(self, person: Person) -> list[str]:
        return [f"inbox:{person.id}", self._ch]

    def _resuming(self, person: Person) -> Opening:
        channels = self._channels(person)
        after = [self._heads[ch] for ch in channels]
        opening = vouch.opening(person, channels, after, self._epoch)
        opening.answer, opening.answers = (_SUBSCRIBED, vouch.ENTRY), len(channels) + MISSED
        return opening


def _answers(crowd: Crowd, person: Person, channels: list[str]) -> list[_Said]:
    """What the server says to a client that connects, up to the last `subscribed`."""
    opening = vouch.opening(person, channels)
    hello, opening.frames, opening.answers = opening.frames, b"", 0
    said: list[_Said] = []

    def listen(line: Line, data: bytes) -> None:
        found = scan(line.rest + data, NONE_OF_THEM)
        line.rest = (line.rest + data)[found.end :]
        line.control(found.others)
        said.extend(msgspec.json.decode(frame.payload, type=_Said) for frame in found.others)

    line = crowd.open([opening], listen)[0]
    line.send(hello)
    crowd.until(lambda: sum(answer.t == "subscribed" for answer in said) == len(channels), "subscriptions")
    line.drop()
    return [answer for answer in said if answer.t in ("welcome", "subscribed")]


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on a fresh server."""
    preflight.raise_open_files()
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as directory:
        data = Path(directory) / "data"
        with vouch.running(data) as server, Crowd(server.port) as crowd:
            club = Club(server.url)
            club.arrive(crowd)
            club.leave(server, crowd)
            club.talk(crowd)
            readings = _come_back(club, server, crowd, "")
            club.leave(server, crowd)
            club.talk(crowd)
        with vouch.running(data) as server, Crowd(server.port) as crowd:
            return readings + _come_back(club, server, crowd, "restart_")


def _come_back(club: Club, server: vouch.Vouch, crowd: Crowd, prefix: str) -> list[Reading]:
    before = server.counter(_HISTORY_READS)
    seconds = club.come_back(crowd)
    reads = server.counter(_HISTORY_READS) - before
    crowd.check()
    return [Reading(prefix + "seconds", seconds, "s"), Reading(prefix + "history_reads", reads, "reads")]
