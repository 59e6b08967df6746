"""Several owners under one supervisor (R-05, R-07): a pledge for each, on the same terms.

Who consents begins; nobody waits for the others.
"""

from __future__ import annotations

import secrets
from functools import partial

from server.errors import Code, VouchError
from server.money.rules import id_of
from server.store import Duplicate, Tx
from server.supervision.changes import Changes
from server.supervision.cohorts_repo import CohortsRepo
from server.supervision.drafting import Drafting
from server.supervision.listing_repo import ListsRepo
from server.supervision.model import Cohort, Pledge, Side
from server.supervision.neighbours import Neighbours
from server.supervision.rules import drafting
from server.supervision.rules.change import Change, turned
from server.supervision.sight import Sights
from server.supervision.viewing import PledgeViews
from server.supervision.views import CohortView, NewCohort, NewPledge


class Cohorts:
    def __init__(
        self,
        near: Neighbours,
        lists: ListsRepo,
        changes: Changes,
        drafts: Drafting,
        sights: Sights,
        views: PledgeViews,
    ) -> None:
        self._near = near
        self._repo = CohortsRepo(near.store)
        self._lists = lists
        self._changes = changes
        self._drafts = drafts
        self._sights = sights
        self._views = views

    async def begin(self, me: str, wanted: NewCohort) -> tuple[Cohort, bool]:
        """Asks every owner, all at once or, when one of them cannot be asked, nobody; made once per `wanted.id`.
        Answers whether it is new. Raises what a draft of the kind raises, with the field."""
        id = id_of("k", f"{me}:{wanted.id}")
        if known := await self._repo.get(id):
            return known, False
        await self._near.limits.hit("draft_pledge", me)
        owners = list(dict.fromkeys(wanted.owners))
        if me in owners:
            raise VouchError(Code.BAD_REQUEST, "Nobody supervises themselves.", field="owners")
        await self._drafts.check_room(me, len(owners))
        now = self._near.clock.now()
        pledges = []
        for number, owner in enumerate(owners):
            terms = NewPledge(
                id=f"{number:016}", side=Side.SUPERVISOR, terms=wanted.terms, owner=owner, days=wanted.days
            )
            minor = await self._checked(me, terms)
            made = drafting.draft(
                id_of("g", f"{id}:{owner}"), me, terms, now, link=secrets.token_urlsafe(16), minor=minor
            )
            pledges.append(drafting.publish(turned(made, cohort=id), me, now, minor=minor))
        cohort = Cohort(
            id=id,
            supervisor=me,
            title=wanted.terms.title,
            pledges=tuple(change.pledge.id for change in pledges),
            at=now,
        )
        try:
            await self._near.store.transact(partial(self._keep, cohort=cohort, pledges=pledges))
        except Duplicate:  # asked twice at the same moment
            return await self._repo.get(id) or cohort, False
        return cohort, True

    async def _checked(self, me: str, wanted: NewPledge) -> bool:
        """Whether the owner is a minor. What is wrong with who is named is told of `owners`."""
        try:
            return await self._drafts.check(me, wanted)
        except VouchError as fault:
            if fault.field == "owner":
                raise VouchError(fault.code, fault.message, field="owners") from None
            raise

    async def _keep(self, tx: Tx, cohort: Cohort, pledges: list[Change]) -> None:
        await self._repo.insert(tx, cohort)
        for change in pledges:
            await self._changes.begin_in(tx, change)

    async def view(self, me: str, id: str) -> CohortView:
        """Raises `not_found` to whom none of it concerns."""
        cohort = await self._repo.get(id)
        if cohort is None:
            raise VouchError(Code.NOT_FOUND)
        found = await self._lists.many(cohort.pledges)
        seen = [pledge for pledge in found if me == cohort.supervisor or await self._sees(pledge, me)]
        if not seen:
            raise VouchError(Code.NOT_FOUND)
        cards = await self._near.people.cards([cohort.supervisor])
        return CohortView(
            id=cohort.id,
            title=cohort.title,
            supervisor=cards[cohort.supervisor],
            pledges=await self._views.cards(seen, me),
        )

    async def _sees(self, pledge: Pledge, me: str) -> bool:
        try:
            await self._sights.of(pledge, me)
        except VouchError:
            return False
        return True
