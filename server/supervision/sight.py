"""Who may see a pledge, and how much of it (R-02)."""

from __future__ import annotations

import hmac
from enum import Enum, auto

from server.errors import Code, VouchError
from server.principals import Role
from server.supervision.model import WAITING, Pledge, PledgeState
from server.supervision.neighbours import Neighbours
from server.supervision.rules import permits, thread
from server.supervision.terms import StakeKind, Visibility


class Sight(Enum):
    """`WHOLE`: with votes, evidence and cases. `OUTSIDE`: what it promises, who watches, how far it is."""

    WHOLE = auto()
    OUTSIDE = auto()


class Sights:
    def __init__(self, near: Neighbours) -> None:
        self._near = near

    async def of(self, pledge: Pledge, me: str, link: str = "") -> Sight:
        """Raises `not_found` to whom it does not concern, like for a pledge that is not there."""
        if pledge.state is PledgeState.DRAFT:
            if me != pledge.drafted_by:
                raise VouchError(Code.NOT_FOUND)
            return Sight.WHOLE
        if permits.role_of(pledge, me) not in ("", "applied") or thread.reads(pledge, me):
            return Sight.WHOLE
        if await self.guards(pledge, me):
            return Sight.WHOLE
        own = pledge.seat(me) is not None or permits.is_owed(pledge, me)
        if own or await self._finds(pledge, me, link) or await self._serves(pledge, me):
            return Sight.OUTSIDE
        raise VouchError(Code.NOT_FOUND)

    async def guards(self, pledge: Pledge, me: str) -> bool:
        """Whether somebody pays and is paid for the owner."""
        return await self.pays_for(me, pledge.owner)

    async def pays_for(self, me: str, person: str) -> bool:
        return me != person and await self._near.guardians.payee_of(person) == me

    async def _finds(self, pledge: Pledge, me: str, link: str) -> bool:
        if await self._near.people.blocked_between(me, pledge.owner):
            return False
        if pledge.seat(me) is not None:  # who has declined, or was: what they have seen before
            return True
        if link and pledge.link and hmac.compare_digest(link.encode(), pledge.link.encode()):
            return True
        return await self.lists(pledge, me)

    async def lists(self, pledge: Pledge, me: str) -> bool:
        """Whether somebody finds it in a list, by its visibility."""
        match pledge.terms.visibility:
            case Visibility.PUBLIC:
                return True
            case Visibility.FRIENDS:
                return bool(await self._near.people.are_friends(me, [pledge.owner]))
            case Visibility.GROUP if pledge.terms.group:
                room = await self._near.conversations.room(pledge.terms.group)
                return room is not None and me in room.members
        return False

    async def _serves(self, pledge: Pledge, me: str) -> bool:
        """Staff looks at what waits for staff."""
        wanted = pledge.terms.stake.kind is StakeKind.STAFF and pledge.state in WAITING
        if not wanted and pledge.case is None:
            return False
        return any(grant.role in (Role.STAFF, Role.ADMIN) for grant in await self._near.people.grants_of(me))
