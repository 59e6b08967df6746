"""One timing wheel for all connections: pings, stale backlogs, and whether sign-ins still hold."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

import structlog

from server.principals import Principal
from server.realtime.background import Background
from server.realtime.protocol import Close
from server.store import StoreError

SLOTS = 25
TICK = 1.0  # seconds

log = structlog.get_logger(__name__)


class Beating(Protocol):
    """A connection, as the wheel sees it."""

    @property
    def principal(self) -> Principal: ...

    def beat(self) -> None: ...

    def close(self, code: Close) -> None: ...


class SessionCheck(Protocol):
    async def live_sessions(self, sessions: Collection[str]) -> set[str]: ...


class Heartbeat:
    """Every connection sits in one of 25 slots; each second one slot has its turn.

    Every second turn (50 s) the slot's sign-ins are checked in one query: the safety net below revocation by entry.
    """

    def __init__(self, sign_ins: SessionCheck, background: Background, tick: float = TICK) -> None:
        self._sign_ins = sign_ins
        self._background = background
        self._tick = tick
        self._slots: list[set[Beating]] = [set() for _ in range(SLOTS)]
        self._where: dict[Beating, int] = {}
        self._next = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def every(self) -> float:
        """Seconds between two heartbeats of a connection."""
        return SLOTS * self._tick

    def add(self, connection: Beating) -> None:
        if connection not in self._where:
            self._next = (self._next + 1) % SLOTS
            self._where[connection] = self._next
            self._slots[self._next].add(connection)

    def remove(self, connection: Beating) -> None:
        slot = self._where.pop(connection, None)
        if slot is not None:
            self._slots[slot].discard(connection)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="heartbeat")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(self._tick)
            self._turn(turn)
            turn += 1

    def _turn(self, turn: int) -> None:
        slot = list(self._slots[turn % SLOTS])
        for connection in slot:
            try:
                connection.beat()
            except Exception:
                log.exception("heartbeat failed for one connection; the wheel turns on")
        if (turn // SLOTS) % 2:
            self._background.spawn(self._check(slot), "check of sign-ins")

    async def _check(self, slot: list[Beating]) -> None:
        sessions = {c.principal.session for c in slot if c.principal.session}
        if not sessions:
            return
        try:
            live = await self._sign_ins.live_sessions(sessions)
        except StoreError as fault:
            log.warning("sign-ins not checked", fault=type(fault).__name__)
            return
        except Exception:
            log.exception("sign-ins not checked")
            return
        for connection in slot:
            if connection.principal.session in sessions - live:
                connection.close(Close.SIGNED_OUT)
