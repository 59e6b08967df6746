"""The desk as staff sees it: cases, pledges that seek a supervisor, and what one supervises oneself."""

from __future__ import annotations

from server.supervision.desk_repo import DeskRepo
from server.supervision.desk_views import Desk, DeskCase, DeskSeat
from server.supervision.impartiality import Impartiality
from server.supervision.neighbours import People
from server.supervision.rules import cases, staffing
from server.supervision.viewing import PledgeViews, case_view


class DeskView:
    def __init__(self, repo: DeskRepo, views: PledgeViews, people: People, impartiality: Impartiality) -> None:
        self._repo = repo
        self._views = views
        self._people = people
        self._impartiality = impartiality

    async def of(self, actor: str) -> Desk:
        """What waits, the oldest first, with why oneself may not."""
        queue, mine = await self._repo.queue(), await self._repo.supervised_by(actor)
        near = await self._impartiality.of(actor, queue)
        shown = {card.id: card for card in await self._views.cards([*queue, *mine], actor)}
        waiting = [(pledge, case) for pledge in queue for case in cases.open_cases(pledge)]
        named = {person for _, case in waiting for person in (case.opened_by, case.reviewer) if person}
        cards = await self._people.cards(named - {"system"})
        return Desk(
            cases=[
                DeskCase(
                    shown[pledge.id],
                    case_view(case, cards, actor, by_name=True),
                    near.why_not(pledge, case),
                )
                for pledge, case in waiting
            ],
            seats=[
                DeskSeat(shown[pledge.id], pledge.terms.template or "", near.why_not(pledge))
                for pledge in queue
                if staffing.waits(pledge)
            ],
            mine=[shown[pledge.id] for pledge in mine],
        )
