"""Suspending an account for a time: all sign-ins end, and no new one begins before it is over or lifted."""

from __future__ import annotations

from datetime import datetime

import msgspec

from server.clock import Clock
from server.errors import Code, VouchError
from server.people.model import Person
from server.people.repo import PeopleRepo
from server.people.sessions import Sessions
from server.store import Tx


class Suspensions:
    """Carries out what staff and admins decide, in their transaction. Who may decide is their rule."""

    def __init__(self, people: PeopleRepo, sessions: Sessions, clock: Clock) -> None:
        self._people = people
        self._sessions = sessions
        self._clock = clock

    async def suspend(self, tx: Tx, person: str, until: datetime) -> None:
        """Sockets close as the entry about the ended sign-ins passes each node. Raises `not_found`, `stale`."""
        await self._write(tx, await self._found(tx, person), until)
        await self._sessions.end_all(tx, person)

    async def lift(self, tx: Tx, person: str) -> bool:
        """False when the account is not suspended any more. Raises `not_found`, `stale`."""
        found = await self._found(tx, person)
        if not found.suspended(self._clock.now()):
            return False
        await self._write(tx, found, None)
        return True

    async def until(self, person: str) -> datetime | None:
        """When the suspension under way ends; None without one."""
        found = await self._people.get(person)
        return found.suspended_until if found is not None and found.suspended(self._clock.now()) else None

    async def _found(self, tx: Tx, person: str) -> Person:
        found = await self._people.get(person, tx)
        if found is None or found.deleted_at is not None:
            raise VouchError(Code.NOT_FOUND)
        return found

    async def _write(self, tx: Tx, before: Person, until: datetime | None) -> None:
        after = msgspec.structs.replace(before, suspended_until=until, version=before.version + 1)
        if not await self._people.replace(after, tx):
            raise VouchError(Code.STALE)
