"""Who of staff may act on a pledge: looked up in families and friendships, and judged by `rules/impartial.py`."""

from __future__ import annotations

from collections.abc import Iterable

from server.errors import Code, VouchError
from server.principals import Role, Scope
from server.store import Tx
from server.supervision.model import Case, Pledge
from server.supervision.neighbours import Guardians, People
from server.supervision.rules import impartial


class Impartiality:
    def __init__(self, people: People, guardians: Guardians) -> None:
        self._people = people
        self._guardians = guardians

    async def of(self, person: str, pledges: Iterable[Pledge]) -> Near:
        """How somebody stands to everybody concerned by these pledges, asked once for all of them."""
        others = set().union(*(impartial.parties(pledge) for pledge in pledges)) - {person}
        if not others:
            return Near(person, set(), set())
        return Near(person, await self._guardians.met(person, others), await self._people.are_friends(person, others))

    async def check(self, person: str, pledge: Pledge, case: Case | None = None) -> None:
        """Raises `forbidden` to whoever may not rule on the case, or (None) not supervise."""
        if (await self.of(person, [pledge])).why_not(pledge, case):
            raise VouchError(Code.FORBIDDEN, "Somebody impartial does this.")

    async def still_staff(self, tx: Tx, person: str) -> None:
        """Raises `forbidden` to somebody who has lost the role in the meantime."""
        held = {grant.role for grant in await self._people.grants_of(person, tx) if grant.scope is Scope.SYSTEM}
        if not held & {Role.STAFF, Role.ADMIN}:
            raise VouchError(Code.FORBIDDEN)

    async def staff(self) -> set[str]:
        """Those who look after the desk; the admins, where nobody else does."""
        return await self._people.holders(Role.STAFF) or await self._people.holders(Role.ADMIN)


class Near:
    """Somebody's family and friends among those concerned."""

    def __init__(self, person: str, family: set[str], friends: set[str]) -> None:
        self._person = person
        self._family = family
        self._friends = friends

    def why_not(self, pledge: Pledge, case: Case | None = None) -> str:
        return impartial.why_not(pledge, case, self._person, self._family, self._friends)
