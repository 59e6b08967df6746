"""A listening socket that lets people in a few at a time, and turns them away before the process runs out of files.

Handshakes cost more than anything that people do once they are in. When thousands come at once, letting all in that
wait would keep the event loop from everybody else for seconds; a few with each turn of the loop take no longer in all.

Where a process may open no more files, `accept` fails, the event loop is woken for the same connection again and again,
and even the database cannot be reached any more. So some files are kept for the server itself: whoever comes when only
those are left is let in and out again at once. Their client knows immediately, and comes back with back-off.
"""

from __future__ import annotations

import resource
import socket
import time
from typing import Any

import structlog

from server import metrics

#: Files kept for the server itself: connections to the database and Redis, its own files.
KEPT = 100
#: Connections let in with one turn of the event loop.
AT_ONCE = 16
#: Seconds between two lines in the log about it.
_QUIET = 10.0

log = structlog.get_logger("vouch.door")


class Door(socket.socket):
    """Takes over a listening socket."""

    def __init__(self, listening: socket.socket) -> None:
        family, kind, protocol = listening.family, listening.type, listening.proto
        super().__init__(family, kind, protocol, fileno=listening.detach())
        self.setblocking(False)
        self._said = -_QUIET
        self._let_in = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises BlockingIOError when nobody waits, or enough have been let in with this turn; ConnectionAbortedError,
        which servers pass over, when somebody was turned away."""
        if self._let_in == AT_ONCE:
            self._let_in = 0
            raise BlockingIOError
        self._let_in += 1
        try:
            connection, address = super().accept()
        except BlockingIOError:
            self._let_in = 0
            raise
        # The kernel gives out the lowest number that is free: the number tells how many are taken.
        if connection.fileno() < _most():
            return connection, address
        connection.close()
        metrics.TURNED_AWAY.inc()
        if time.monotonic() - self._said > _QUIET:
            self._said = time.monotonic()
            log.warning("connections are turned away: too few files are left", limit=_most() + KEPT)
        raise ConnectionAbortedError


def _most() -> float:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft - KEPT
