"""Flushes what was written to connections and gates: one write for many frames.

Connections are flushed once per tick of the event loop. Gates are flushed once per tick too while that is cheap; a
flush that took long (many subscribers) is followed by a pause twice as long. What arrives in the pause leaves as one
write per subscriber: fan-out never takes more than about a third of the loop, and costs less the more there is of it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

#: Flushes of gates that took longer than this, in seconds, are followed by a pause PACE times as long, but no longer
#: than LONGEST_PAUSE.
CHEAP = 0.001
PACE = 2.0
LONGEST_PAUSE = 0.03

log = structlog.get_logger(__name__)


class Flushable(Protocol):
    def flush(self) -> None: ...

    def abort(self) -> None: ...


class FlushableGate(Protocol):
    def flush(self, *, at_once: bool = False) -> None: ...


class Flusher:
    def __init__(self) -> None:
        self._connections: list[Flushable] = []
        self._gates: list[FlushableGate] = []
        self._not_before = 0.0

    def add(self, connection: Flushable) -> None:
        if not self._connections:
            asyncio.get_running_loop().call_soon(self._flush_connections)
        self._connections.append(connection)

    def add_gate(self, gate: FlushableGate) -> None:
        if not self._gates:
            loop = asyncio.get_running_loop()
            if self._not_before <= loop.time():
                loop.call_soon(self._flush_gates)
            else:
                loop.call_at(self._not_before, self._flush_gates)
        self._gates.append(gate)

    def _flush_gates(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        gates, self._gates = self._gates, []
        if len(gates) == 1:
            self._flush_gate(gates[0], at_once=True)
        else:  # somebody may subscribe to several of them: their frames are joined first
            for gate in gates:
                self._flush_gate(gate, at_once=False)
            self._flush_connections()
        ended = loop.time()
        took = ended - began
        if took > CHEAP:
            self._not_before = ended + min(took * PACE, LONGEST_PAUSE)

    def _flush_gate(self, gate: FlushableGate, *, at_once: bool) -> None:
        try:
            gate.flush(at_once=at_once)
        except Exception:  # the other gates of this tick still have their turn
            log.exception("flush of a gate failed")

    def _flush_connections(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            try:
                connection.flush()
            except Exception:  # one connection's fault must not leave the others of this tick unflushed
                log.exception("flush failed")
                connection.abort()
