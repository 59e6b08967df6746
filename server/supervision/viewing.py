"""A pledge as one person may see it. Votes are secret until one's own is cast, and told to all when the vote has closed
(R-12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec.structs import replace

from server.clock import to_ms
from server.money.model import Amount
from server.people.model import PersonCard
from server.supervision.model import (
    FINAL,
    Case,
    Pledge,
    Seat,
    SeatState,
    SpotCheck,
    Task,
    TaskState,
    Vote,
)
from server.supervision.neighbours import Neighbours
from server.supervision.rules import coming, permits, seats, tally, thread
from server.supervision.sight import Sight, Sights
from server.supervision.stake_view import StakeViews
from server.supervision.terms import Terms
from server.supervision.views import (
    CaseView,
    CheckView,
    PassedView,
    PledgeCard,
    PledgeView,
    SeatView,
    StakeView,
    SuspicionView,
    TallyView,
    TaskView,
    VoteView,
)
from server.wallet.model import Standing

Cards = Mapping[str, PersonCard]

#: seats that only those see who decide on them
_OPEN = frozenset({SeatState.APPLIED, SeatState.INVITED})
_WATCHING = frozenset({SeatState.SEATED, SeatState.LEFT})


class PledgeViews:
    def __init__(self, near: Neighbours, stakes: StakeViews, sights: Sights) -> None:
        self._near = near
        self._stakes = stakes
        self._sights = sights

    async def of(self, pledge: Pledge, me: str, link: str = "") -> PledgeView:
        """Raises `not_found` to whom it does not concern; `link` is what the address that was handed on carries."""
        sight = await self._sights.of(pledge, me, link)
        guards = await self._sights.guards(pledge, me)
        cards = await self._near.people.cards(_people(pledge))
        viewer = Viewer(
            pledge,
            me,
            self._near.clock.now(),
            cards,
            whole=sight is Sight.WHOLE,
            guards=guards,
            minor=await self._is_minor(me),
        )
        return viewer.view(await self._stakes.of(pledge, me))

    async def cards(self, pledges: Iterable[Pledge], me: str) -> list[PledgeCard]:
        """As they stand in a list, in this order; that they may be seen is the caller's to know."""
        found = list(pledges)
        cards = await self._near.people.cards({one for pledge in found for one in (pledge.owner, *pledge.seated)})
        wards = {one for one in await self._near.guardians.wards_of(me) if await self._sights.pays_for(me, one)}
        now, minor = self._near.clock.now(), await self._is_minor(me)
        return [Viewer(one, me, now, cards, whole=True, guards=one.owner in wards, minor=minor).card() for one in found]

    async def _is_minor(self, me: str) -> bool:
        return await self._near.guardians.standing(me) is Standing.MINOR


class Viewer:
    """One person before one pledge. `whole`: they take part, and see more than everybody; `guards`: they are the
    guardian who pays for the owner; `minor`: somebody else pays for them."""

    def __init__(
        self,
        pledge: Pledge,
        me: str,
        now: datetime,
        cards: Cards,
        *,
        whole: bool,
        guards: bool = False,
        minor: bool = False,
    ) -> None:
        self._pledge = pledge
        self._me = me
        self._now = now
        self._cards = cards
        self._whole = whole
        self._guards = guards
        self._minor = minor

    def view(self, stake: StakeView) -> PledgeView:
        pledge, me = self._pledge, self._me
        role = permits.role_of(pledge, me, guards=self._guards)
        sides = self._whole and role != "invited"
        moment = coming.next_for(pledge, me, self._now)
        return PledgeView(
            id=pledge.id,
            version=pledge.version,
            side=pledge.side,
            drafted_by=self._card(pledge.drafted_by),
            owner=self._card(pledge.owner),
            terms=self._terms(),
            state=pledge.state,
            outcome=pledge.outcome,
            consented=pledge.consented,
            consent_until=_ms(pledge.consent_until),
            role=role,
            seats=[self._seat(seat) for seat in pledge.seats if self._sees_seat(seat)],
            tasks=[self._task(task, sides) for task in pledge.tasks],
            stake=stake if self._knows_words() else _without_words(stake),
            cases=[case_view(case, self._cards, me) for case in pledge.cases] if sides else [],
            suspicions=[SuspicionView(self._card(each.person), each.flag) for each in pledge.suspicions]
            if sides
            else [],
            cohort=pledge.cohort if sides else None,
            agreed=list(pledge.agreed) if sides else [],
            giving_up=list(pledge.giving_up) if sides else [],
            history=[PassedView(passed.state, to_ms(passed.at)) for passed in pledge.history],
            created=to_ms(pledge.created_at),
            published=_ms(pledge.published_at),
            expires=_ms(pledge.expires_at),
            until=_ms(pledge.until),
            next=to_ms(moment[0]) if moment else None,
            next_is=moment[1] if moment else "",
            can=sorted(permits.can(pledge, me, self._now, payee=self._payee())),
            thread=thread.reads(pledge, me),
            link=pledge.link if seats.may_invite(pledge, me) else "",
        )

    def card(self) -> PledgeCard:
        pledge, me = self._pledge, self._me
        moment = coming.next_for(pledge, me, self._now)
        stake = pledge.terms.stake
        states = [task.state for task in pledge.tasks]
        applicants = sum(seat.state is SeatState.APPLIED for seat in pledge.seats)
        return PledgeCard(
            id=pledge.id,
            title=pledge.terms.title,
            owner=self._card(pledge.owner),
            supervisors=[self._card(person) for person in pledge.seated],
            state=pledge.state,
            outcome=pledge.outcome,
            kind=stake.kind,
            stake=Amount(stake.amount, stake.currency) if stake.currency is not None else None,
            points=stake.points,
            done=states.count(TaskState.KEPT),
            missed=states.count(TaskState.MISSED),
            count=len(states),
            next=to_ms(moment[0]) if moment else None,
            ends=to_ms(max((task.due_at for task in pledge.tasks), default=pledge.created_at)),
            role=permits.role_of(pledge, me, guards=self._guards),
            waits_for_me=coming.waits_for(pledge, me, self._now, payee=self._payee()),
            seats_open=coming.seats_left(pledge),
            applicants=applicants if me == pledge.owner else 0,
            version=pledge.version,
        )

    def _payee(self) -> str | None:
        """Who is to pay, as far as it is oneself; None: whoever is asked."""
        if self._guards and permits.pays_for_owner(self._pledge):
            return self._me
        return "" if self._minor else None

    def _card(self, person: str) -> PersonCard:
        return self._cards.get(person) or _gone(person)

    # ── Terms and seats ─────────────────────────────────────────────────────────────────────────────────────────────

    def _knows_words(self) -> bool:
        """What a message says, and to whom, is nobody else's business before it is sent."""
        return self._whole or permits.is_owed(self._pledge, self._me)

    def _terms(self) -> Terms:
        terms = self._pledge.terms
        if self._knows_words():
            return terms
        return replace(terms, stake=replace(terms.stake, words="", to=None))

    def _sees_seat(self, seat: Seat) -> bool:
        """Who watches is known; who has applied or was asked is for the owner, who drafted it, and themselves."""
        if seat.state in _WATCHING or seat.person == self._me:
            return True
        decides = self._me in (self._pledge.owner, self._pledge.drafted_by)
        return decides and (seat.state in _OPEN or self._pledge.state not in FINAL)

    def _seat(self, seat: Seat) -> SeatView:
        own = self._me in (seat.person, self._pledge.owner, self._pledge.drafted_by)
        return SeatView(
            person=self._card(seat.person),
            state=seat.state,
            via=seat.via,
            at=to_ms(seat.at),
            until=_ms(seat.expires_at),
            words=seat.words if own else "",
        )

    # ── Tasks ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _task(self, task: Task, sides: bool) -> TaskView:
        closed = task.state is not TaskState.OPEN
        votes = [vote for vote in task.votes if sides and (closed or vote.person == self._me)]
        voted = any(vote.person == self._me for vote in task.votes)
        return TaskView(
            n=task.n,
            title=task.title,
            opens=to_ms(task.opens_at),
            due=to_ms(task.due_at),
            late=to_ms(task.late_until),
            judged_by=to_ms(task.judge_until),
            state=task.state,
            early=task.early,
            reported=_ms(task.reported_at) if sides else None,
            decided=_ms(task.decided_at),
            decided_by=task.decided_by,
            voted=len(task.votes) if sides else 0,
            voters=len(self._pledge.seated),
            votes=[self._vote(vote) for vote in votes],
            tally=_tally(self._pledge, task) if sides and (voted or closed) else None,
            checks=[self._check(check) for check in task.checks] if sides else [],
            can=sorted(permits.task_can(self._pledge, task, self._me, self._now)),
        )

    def _vote(self, vote: Vote) -> VoteView:
        return VoteView(
            person=self._card(vote.person),
            verdict=vote.verdict,
            at=to_ms(vote.at),
            done_at=_ms(vote.done_at),
            counts=vote.counts,
            words=vote.words,
            evidence=list(vote.evidence),
            in_person=vote.in_person,
        )

    def _check(self, check: SpotCheck) -> CheckView:
        return CheckView(
            id=check.id,
            by=None if check.by == "system" else self._card(check.by),
            at=to_ms(check.at),
            until=to_ms(check.until),
            state=check.state,
            answered=_ms(check.answered_at),
            words=check.words,
            evidence=list(check.evidence),
        )


def case_view(case: Case, cards: Cards, me: str, *, by_name: bool = False) -> CaseView:
    """Who reviews it is known by name to themselves, and (`by_name`) among staff."""
    mine = case.reviewer == me
    opener = None if case.opened_by == "system" else case.opened_by
    reviewer = case.reviewer if mine or by_name else None
    return CaseView(
        id=case.id,
        kind=case.kind,
        opened_by=(cards.get(opener) or _gone(opener)) if opener else None,
        opened=to_ms(case.opened_at),
        cause=case.cause,
        words=case.words,
        tasks=list(case.tasks),
        evidence_until=to_ms(case.evidence_until),
        decide_until=to_ms(case.decide_until),
        reviewer=(cards.get(reviewer) or _gone(reviewer)) if reviewer else None,
        ruling=case.ruling,
        reasons=case.reasons,
        decided=_ms(case.decided_at),
        mine=mine,
    )


def _tally(pledge: Pledge, task: Task) -> TallyView:
    counted = tally.count(task, pledge.seated)
    return TallyView(counted.done, counted.not_done, counted.abstained, counted.of)


def _people(pledge: Pledge) -> set[str]:
    """Everybody who may be named in a view."""
    people = {pledge.owner, pledge.drafted_by, *(seat.person for seat in pledge.seats)}
    people |= {vote.person for task in pledge.tasks for vote in task.votes}
    people |= {check.by for task in pledge.tasks for check in task.checks}
    people |= {person for case in pledge.cases for person in (case.opened_by, case.reviewer) if person}
    return people - {"system"}


def _without_words(stake: StakeView) -> StakeView:
    return replace(stake, words="", to=None)


def _gone(person: str) -> PersonCard:
    """Somebody whose account is not there any more."""
    return PersonCard(person, "", "", None, "")


def _ms(at: datetime | None) -> int | None:
    return to_ms(at) if at is not None else None
