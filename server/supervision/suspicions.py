"""Whether the two sides of a pledge may be one: a second account in the same browser, or one family.

Nothing is forbidden by it. Where money moves, staff look at the outcome first (`cases.must_be_looked_at`).
"""

from __future__ import annotations

from collections.abc import Collection

from server.supervision.model import Flag, Pledge, Suspicion
from server.supervision.neighbours import Guardians, People


class Suspicions:
    def __init__(self, people: People, guardians: Guardians) -> None:
        self._people = people
        self._guardians = guardians

    async def about(self, pledge: Pledge, people: Collection[str]) -> tuple[Suspicion, ...]:
        """Where money moves, what speaks for it that one of these is the other side."""
        return await self.between(pledge.owner, people) if pledge.money else ()

    async def between(self, owner: str, supervisors: Collection[str]) -> tuple[Suspicion, ...]:
        """What speaks for it that one of these is the owner, or whoever pays for the owner."""
        if not supervisors:
            return ()
        payee = await self._guardians.payee_of(owner)
        found = set()
        for side in {owner, payee or owner}:
            shared = await self._people.share_browser(side, supervisors)
            family = await self._guardians.met(side, set(supervisors))
            found |= {Suspicion(person, Flag.SAME_BROWSER) for person in shared}
            found |= {Suspicion(person, Flag.FAMILY) for person in family}
        if payee not in (None, owner):
            # Children of one house, and the guardian too.
            payees = {person: await self._guardians.payee_of(person) for person in supervisors}
            found |= {Suspicion(person, Flag.FAMILY) for person, theirs in payees.items() if theirs == payee}
        return tuple(sorted(found, key=lambda one: (one.person, one.flag)))
