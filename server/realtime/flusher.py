"""Flushes the connections that were written to, once per tick of the event loop: one write for many frames."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class Flushable(Protocol):
    def flush(self) -> None: ...

    def abort(self) -> None: ...


class Flusher:
    def __init__(self) -> None:
        self._dirty: list[Flushable] = []

    def add(self, connection: Flushable) -> None:
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.append(connection)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            try:
                connection.flush()
            except Exception:  # one connection's fault must not leave the others of this tick unflushed
                log.exception("flush failed")
                connection.abort()
