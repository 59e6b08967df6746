"""The front door of the domain: what the edge calls, and how its parts fit together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from server.administration.audit import AuditTrail
from server.administration.condition import Condition
from server.administration.figures import Figures
from server.administration.model import Audit
from server.administration.storage import Census
from server.administration.users import UserService
from server.people.model import PersonCard


class Cards(Protocol):
    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]: ...


class Administration:
    """`users`, `condition`, `census` and `figures` are for the HTTP edge."""

    def __init__(
        self,
        *,
        trail: AuditTrail,
        users: UserService,
        condition: Condition,
        census: Census,
        figures: Figures,
        people: Cards,
    ) -> None:
        self._trail = trail
        self._people = people
        self.users = users
        self.condition = condition
        self.census = census
        self.figures = figures

    async def start(self) -> None:
        """Makes the indexes and begins to gather figures."""
        await self._trail.ensure_indexes()
        await self._trail.ensure_counter()
        await self.figures.ensure_indexes()
        self.figures.start()

    async def stop(self) -> None:
        await self.figures.stop()
        await self.census.stop()

    async def audit(self, match: Mapping[str, str], before: int | None, limit: int) -> Audit:
        """The trail, with the cards of all people whom it names."""
        page = await self._trail.page(match, before, limit)
        named = {act.by for act in page.acts} | {act.target for act in page.acts}
        named |= {str(act.facts["person"]) for act in page.acts if "person" in act.facts}
        cards = await self._people.cards(id for id in named if id.startswith("p_"))
        return msgspec.structs.replace(page, people=list(cards.values()))
