"""Memory of a connection that only listens: what the server's resident memory has grown by, per connection, after
10,000 have come (2,000 in a quick run).

Vouch's connections are authenticated and hold five channels: the person's inbox and four of their conversations. An
account has fifty connections, as many as it may, so that its channels are there once for fifty; `bare` is the same
before anything is subscribed. The peers' connections hold nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from scripts.benchmarks import processes, vouch
from scripts.benchmarks.crowd import OPENING_AT_ONCE, Crowd, Line, Tally
from scripts.benchmarks.frames import json_frame
from scripts.benchmarks.peers.running import peer_room
from scripts.benchmarks.people import Person, each, strangers
from scripts.benchmarks.readings import Plan, Reading
from server import preflight
from server.realtime.roster import MAX_CONNECTIONS_EACH

SUBJECTS = ("vouch", "websockets", "socket.io")

CONNECTIONS = 10_000
CONVERSATIONS = 4
#: These come first and stay: what the server needs once is there when the others come.
_FIRST = 500
_SUBSCRIBED = b'{"t":"subscribed"'


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on a fresh server."""
    preflight.raise_open_files()
    count = round(CONNECTIONS * plan.size)
    return _vouch(count) if subject == "vouch" else _peer(subject, count)


def _peer(name: str, count: int) -> list[Reading]:
    with peer_room(name) as room:
        room.join(_FIRST, Tally(room.begins))
        before = processes.settled_memory(room.pid, room.crowd.pump)
        room.join(count, Tally(room.begins))
        return [_per_connection("kib_per_connection", room.crowd, room.pid, before, count)]


def _vouch(count: int) -> list[Reading]:
    with vouch.running() as server, Crowd(server.port) as crowd:
        people = strangers(server.url, -(-(_FIRST + count) // MAX_CONNECTIONS_EACH))
        channels = dict(each(people, _channels))
        owners = [people[number % len(people)] for number in range(_FIRST + count)]
        _subscribe(crowd, _open(crowd, owners[:_FIRST]), owners, channels)
        before = processes.settled_memory(server.pid, crowd.pump)
        lines = _open(crowd, owners[_FIRST:])
        bare = _per_connection("kib_per_connection_bare", crowd, server.pid, before, count)
        _subscribe(crowd, lines, owners[_FIRST:], channels)
        return [_per_connection("kib_per_connection", crowd, server.pid, before, count), bare]


def _channels(person: Person) -> tuple[str, list[str]]:
    return person.id, [f"inbox:{person.id}", *(person.group([]) for _ in range(CONVERSATIONS))]


def _open(crowd: Crowd, owners: Sequence[Person]) -> list[Line]:
    return crowd.open([vouch.opening(owner, []) for owner in owners], Tally(_SUBSCRIBED))


def _subscribe(crowd: Crowd, lines: list[Line], owners: Sequence[Person], channels: dict[str, list[str]]) -> None:
    """A few at a time: a storm would be measured by its crest."""
    answers = Tally(_SUBSCRIBED)

    def answered(connections: int) -> None:
        crowd.until(lambda: answers.count >= connections * (1 + CONVERSATIONS), "subscriptions")

    for number, line in enumerate(lines):
        line.listener = answers
        wanted = [{"ch": ch} for ch in channels[owners[number].id]]
        line.send(json_frame({"t": "subscribe", "rid": 1, "channels": wanted}))
        answered(number + 1 - OPENING_AT_ONCE)
    answered(len(lines))


def _per_connection(metric: str, crowd: Crowd, pid: int, before: int, connections: int) -> Reading:
    grown = processes.settled_memory(pid, crowd.pump) - before
    crowd.check()
    return Reading(metric, grown / 1024 / connections, "KiB")
