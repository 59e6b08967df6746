"""Vouch as it is measured: `python -m server` on the first core, with authentication, numbering and metrics, the
embedded database and Redis on the second core, where the load runs, too.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from scripts.benchmarks import processes
from scripts.benchmarks.crowd import Crowd, Line, Listener, Opening
from scripts.benchmarks.frames import client_frame, json_frame
from scripts.benchmarks.people import Person, friends
from scripts.hub_process import HubProcess
from server.realtime.roster import MAX_CONNECTIONS_EACH

#: people who send this much are refused otherwise
_NO_LIMITS = {"VOUCH_LIMITS_FACTOR": "100000", "VOUCH_LOG_LEVEL": "warning"}
#: How an entry begins on the wire.
ENTRY = b'{"t":"entry"'
_SUBSCRIBED = b'{"t":"subscribed"'


class Vouch:
    """One running server."""

    def __init__(self, hub: HubProcess) -> None:
        self._hub = hub

    @property
    def url(self) -> str:
        return self._hub.url

    @property
    def port(self) -> int:
        return urlsplit(self._hub.url).port or 0

    @property
    def pid(self) -> int:
        return self._hub.process.pid

    def counter(self, name: str) -> float:
        """What /metrics shows under this name."""
        with urlopen(self.url + "/metrics") as answer:
            text = answer.read().decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0


@contextmanager
def running(data_dir: Path | None = None) -> Iterator[Vouch]:
    """A fresh server, with an empty database unless the data of an earlier one is named."""
    with (
        tempfile.TemporaryDirectory(prefix="vouch-bench-") as directory,
        HubProcess(data_dir or Path(directory) / "data", environ=_NO_LIMITS) as hub,
        processes.beside(hub.process.pid, hub.child_pids().values()),
    ):
        yield Vouch(hub)


def opening(person: Person, channels: Sequence[str], after: Sequence[int] = (), epoch: str | None = None) -> Opening:
    """How a person's client begins: `hello` and `subscribe` at once; with `after` it resumes each channel there."""
    hello: dict[str, object] = {"t": "hello", "v": 1}
    if epoch is not None:
        hello["epoch"] = epoch
    frames = json_frame(hello)
    if channels:
        wanted: list[dict[str, object]] = [{"ch": ch} for ch in channels]
        for want, seq in zip(wanted, after, strict=False):
            want["after"] = seq
        frames += json_frame({"t": "subscribe", "rid": 1, "channels": wanted})
    return Opening(
        "/api/v1/socket",
        headers=f"Cookie: {person.cookie}\r\n",
        frames=frames,
        answer=_SUBSCRIBED if channels else b'{"t":"welcome"',
        answers=max(1, len(channels)),
    )


class Group:
    """A group conversation, whose members have up to MAX_CONNECTIONS_EACH sockets each: a Room."""

    begins = ENTRY

    def __init__(self, vouch: Vouch, most: int) -> None:
        self.pid = vouch.pid
        self.crowd = Crowd(vouch.port)
        self._people = friends(vouch.url, -(-most // MAX_CONNECTIONS_EACH))
        self._ch = self._people[0].group(self._people[1:])
        self._joined = 0

    def join(self, count: int, listener: Listener, *, receive_buffer: int = 0, segment: int = 0) -> list[Line]:
        # In turn, so that the first few sockets, which write, belong to different people.
        first = self._joined
        self._joined += count
        people = [self._people[number % len(self._people)] for number in range(first, first + count)]
        openings = [opening(person, [self._ch]) for person in people]
        return self.crowd.open(openings, listener, receive_buffer=receive_buffer, segment=segment)

    def message(self, number: int, text: str) -> bytes:
        return append_frame(self._ch, number, text)


@contextmanager
def group(vouch: Vouch, most: int) -> Iterator[Group]:
    """An empty group of this server, for up to `most` sockets."""
    made = Group(vouch, most)
    with made.crowd:
        yield made


def append_frame(ch: str, number: int, text: str) -> bytes:
    """A message of a client; the same number from the same person is the same message."""
    return client_frame(
        b'{"t":"append","id":"%022d","ch":"%s","kind":"message","body":{"text":"%s"}}'
        % (number, ch.encode(), text.encode())
    )
