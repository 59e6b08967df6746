"""Supervision as the edge sees it: one object per noun, each in its own module."""

from __future__ import annotations

from server.supervision.cases import Cases
from server.supervision.changes import Changes
from server.supervision.cohorts import Cohorts
from server.supervision.desk import DeskView
from server.supervision.drafting import Drafting
from server.supervision.evidence import EvidenceLog
from server.supervision.exhibits import Exhibits
from server.supervision.funding import FundingDesk
from server.supervision.impartiality import Impartiality
from server.supervision.judging import Judging
from server.supervision.listing import Listing
from server.supervision.listing_repo import ListsRepo
from server.supervision.meetings import Meetings
from server.supervision.neighbours import Neighbours
from server.supervision.records import Records
from server.supervision.repo import PledgesRepo
from server.supervision.seats import Seats
from server.supervision.sight import Sights
from server.supervision.staff import Staff
from server.supervision.stake_view import StakeViews
from server.supervision.stakes import Stakes
from server.supervision.suspicions import Suspicions
from server.supervision.templates import TEMPLATES
from server.supervision.threads import Threads
from server.supervision.timers import Timers
from server.supervision.viewing import PledgeViews


class Supervision:
    """Each part is for the HTTP edge; all of them change pledges through `changes`."""

    def __init__(self, near: Neighbours) -> None:
        self.repo = PledgesRepo(near.store)
        self.evidence = EvidenceLog(near.store, near.media, near.clock, near.secret)
        stakes = Stakes(near.money, near.guardians, near.conversations, near.outbox, near.clock)
        self.changes = Changes(self.repo, near.outbox, near.money, stakes, self.evidence, near.clock)
        self.exhibits = Exhibits(self.changes, self.evidence, near.people, near.media, near.limits)
        self.funding = FundingDesk(
            changes=self.changes,
            repo=self.repo,
            guardians=near.guardians,
            wallet=near.wallet,
            check_outs=near.check_outs,
            payments=near.payments,
            outbox=near.outbox,
        )
        suspicions = Suspicions(near.people, near.guardians)
        self.judging = Judging(self.changes, self.evidence, suspicions, near.clock)
        self.meetings = Meetings(
            store=near.store,
            changes=self.changes,
            log=self.evidence,
            people=near.people,
            limits=near.limits,
            clock=near.clock,
        )
        self.threads = Threads(self.repo, near.outbox)
        self.stake_views = StakeViews(near.people, near.guardians)
        self.sights = Sights(near)
        self.views = PledgeViews(near, self.stake_views, self.sights)
        lists = self._lists = ListsRepo(near.store)
        self.listing = Listing(near, lists, self.views)
        templates = [template.id for template in TEMPLATES]
        self.drafting = Drafting(near, self.repo, lists, self.changes, self.stake_views, templates)
        self.timers = Timers(near.store, self.changes, near.clock)
        self.seats = Seats(near, self.repo, self.changes, self.sights, suspicions, self.timers.hurry)
        self.cohorts = Cohorts(near, lists, self.changes, self.drafting, self.sights, self.views)
        impartiality = Impartiality(near.people, near.guardians)
        self.cases = Cases(self.changes, self.evidence, impartiality, near.trail)
        self.staff = Staff(
            store=near.store,
            outbox=near.outbox,
            changes=self.changes,
            impartiality=impartiality,
            trail=near.trail,
            clock=near.clock,
        )
        self.desk = DeskView(self.staff.repo, self.views, near.people, impartiality)
        self.records = Records(
            store=near.store,
            changes=self.changes,
            people=near.people,
            guardians=near.guardians,
            clock=near.clock,
        )

    async def start(self) -> None:
        """Makes the indexes, and from now on does what is due."""
        await self.repo.ensure_indexes()
        await self.evidence.repo.ensure_indexes()
        await self.meetings.repo.ensure_indexes()
        await self.staff.start()
        self.timers.start()

    async def stop(self) -> None:
        """What is under way is gone on with by the next start, or by another node."""
        await self.timers.stop()
        await self.staff.stop()

    async def met(self, person: str, ids: set[str]) -> set[str]:
        """Those of `ids` with whom somebody has a pledge in common: they may see each other's cards."""
        return ids & await self._lists.met(person)
