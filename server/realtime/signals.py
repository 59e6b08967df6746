"""Signals: true only now, never stored. Of several of one kind by one sender within 100 ms the last one goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from server.realtime.protocol import SignalEvent

GATHER = 0.1  # seconds


class Signals:
    def __init__(self, send: Callable[[SignalEvent], None]) -> None:
        self._send = send
        self._waiting: dict[tuple[str, str, str], SignalEvent] = {}
        self._timer: asyncio.TimerHandle | None = None

    def put(self, event: SignalEvent) -> None:
        self._waiting[event.ch, event.by, event.kind] = event
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._flush)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _flush(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        for event in waiting.values():
            self._send(event)
