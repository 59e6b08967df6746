"""A room: what every subject offers in which everybody hears what one says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from scripts.benchmarks import vouch
from scripts.benchmarks.crowd import Crowd, Line, Listener
from scripts.benchmarks.peers.running import peer_room


class Room(Protocol):
    @property
    def pid(self) -> int:
        """The server's process."""

    @property
    def crowd(self) -> Crowd: ...

    @property
    def begins(self) -> bytes:
        """How the payload of a delivery begins."""

    def join(self, count: int, listener: Listener) -> list[Line]:
        """So many more members, who hear everything from now on."""

    def message(self, number: int, text: str) -> bytes:
        """The frame by which a member says `text`; `number` is a new one for every message."""


@contextmanager
def room(subject: str, most: int) -> Iterator[Room]:
    """An empty room for `most` members, on a fresh server of Vouch or a peer."""
    if subject != "vouch":
        with peer_room(subject) as place:
            yield place
        return
    with vouch.running() as server, vouch.group(server, most) as group:
        yield group
