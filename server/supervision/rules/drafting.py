"""How a pledge comes to be, and how people end it again: draft, publish, cancel (R-02). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from server.errors import Code, VouchError
from server.supervision.model import WAITING, Passed, Pledge, PledgeState, Seat, SeatState, SeatVia, Side
from server.supervision.rules import lifecycle, seats, terms
from server.supervision.rules.change import Change, Line, What, come_into, concerned, tell, turned
from server.supervision.views import NewPledge

#: how long a named owner may take to agree, and those who are named to supervise
CONSENT = timedelta(days=7)
#: it can still be given up by both sides
_UNDER_WAY = frozenset({PledgeState.ACTIVE, PledgeState.UNDER_REVIEW})


def draft(id: str, me: str, wanted: NewPledge, now: datetime, *, link: str, minor: bool = False) -> Pledge:
    """A fresh draft; `minor` says whether the owner is one. Raises `bad_request` with the field that does not fit."""
    empty = Pledge(
        id=id,
        owner=me,
        drafted_by=me,
        side=wanted.side,
        terms=wanted.terms,
        link=link,
        created_at=now,
        history=(Passed(PledgeState.DRAFT, now),),
    )
    return _filled(empty, wanted, now, minor)


def edit(pledge: Pledge, me: str, wanted: NewPledge, now: datetime, *, minor: bool = False) -> Change:
    """Other words for a draft. Raises `not_found` to others, `conflict` once it is published, `bad_request`."""
    check_mine(pledge, me)
    return Change(_filled(pledge, wanted, now, minor))


def check_mine(pledge: Pledge, me: str) -> None:
    """Raises unless it is one's own draft."""
    if pledge.drafted_by != me:
        raise VouchError(Code.NOT_FOUND)
    if pledge.state is not PledgeState.DRAFT:
        raise VouchError(Code.CONFLICT, "What is published does not change any more.")


def owner_of(me: str, wanted: NewPledge) -> str:
    """Whose promise it is. Raises `bad_request` unless one names the owner exactly where one is not the owner."""
    if wanted.side is Side.OWNER and wanted.owner not in (None, me):
        raise VouchError(Code.BAD_REQUEST, "One's own promise names no other owner.", field="owner")
    if wanted.side is Side.SUPERVISOR and wanted.owner in (None, me):
        raise VouchError(Code.BAD_REQUEST, "Name who is to promise it.", field="owner")
    return wanted.owner or me


def _filled(pledge: Pledge, wanted: NewPledge, now: datetime, minor: bool) -> Pledge:
    """Its tasks and moments come with publication. Those who are named know nothing of a draft."""
    me, owner = pledge.drafted_by, owner_of(pledge.drafted_by, wanted)
    terms.check(wanted.terms, wanted.side, minor=minor)
    founder = [seats.founded(me, now)] if wanted.side is Side.SUPERVISOR else []
    terms.check_people(owner, [*(seat.person for seat in founder), *wanted.supervisors], wanted.terms)
    return turned(
        pledge,
        owner=owner,
        side=wanted.side,
        terms=wanted.terms,
        days=wanted.days,
        seats=(*founder, *_named(wanted.supervisors, wanted.terms.most, me, now)),
    )


def _named(people: Sequence[str], most: int, by: str, now: datetime) -> list[Seat]:
    via = SeatVia.GROUP if most > 1 else SeatVia.DESIGNATED
    return [Seat(person=person, state=SeatState.INVITED, via=via, by=by, at=now) for person in people]


# ── Publishing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def publish(pledge: Pledge, me: str, now: datetime, *, minor: bool = False) -> Change:
    """From now on it can be found, answered and funded; its terms are frozen. Done twice it changes nothing.

    Raises `not_found` to others, `conflict` after its end, `bad_request` where the first task is due in the past."""
    if pledge.drafted_by != me:
        raise VouchError(Code.NOT_FOUND)
    if pledge.published_at is not None:
        return Change(pledge)
    tasks = terms.check(pledge.terms, pledge.side, minor=minor)
    expires = terms.expiry(tasks, now, pledge.days)
    until = min(now + CONSENT, expires)
    own = pledge.side is Side.OWNER
    asked = [seat.person for seat in pledge.seats if seat.state is SeatState.INVITED]
    placed = tuple(
        replace(seat, at=now, expires_at=until if seat.state is SeatState.INVITED else None) for seat in pledge.seats
    )
    published = turned(
        pledge,
        tasks=tasks,
        seats=placed,
        consented=own,
        consent_until=None if own else until,
        published_at=now,
        expires_at=expires,
    )
    state = lifecycle.waiting_for(published)
    news = (*tell(asked, What.INVITED, me), *tell([] if own else [pledge.owner], What.CONSENT_ASKED, me))
    return Change(come_into(published, state, now), (Line("state", {"state": state.value}, me),), news)


# ── Ending it ───────────────────────────────────────────────────────────────────────────────────────────────────────


def cancel(pledge: Pledge, me: str, now: datetime) -> Change:
    """Before it has begun the owner, or who drafted it, ends it alone; after that when the owner and everybody who
    supervises want it. All goes back to who paid. Asked twice by the same person it changes nothing.

    Raises `not_found` to whom it does not concern, `forbidden` to those who only wait or pay, `conflict` when nothing
    can be ended any more."""
    sides = (pledge.owner, *pledge.seated)
    if pledge.state in WAITING:
        _check_one_of((pledge.owner, pledge.drafted_by), pledge, me)
        return lifecycle.end(pledge, PledgeState.CANCELLED, me, now)
    _check_one_of(sides, pledge, me)
    if pledge.state is PledgeState.CANCELLED:
        return Change(pledge)
    if pledge.state not in _UNDER_WAY or not pledge.seated:
        raise VouchError(Code.CONFLICT, "This cannot be called off any more.")
    if me in pledge.giving_up:
        return Change(pledge)
    wanted = turned(pledge, giving_up=(*pledge.giving_up, me))
    if set(sides) <= set(wanted.giving_up):
        return lifecycle.end(wanted, PledgeState.CANCELLED, me, now)
    others = [person for person in concerned(pledge) if person not in wanted.giving_up]
    return Change(wanted, news=tell(others, What.CANCEL_ASKED, me))


def _check_one_of(people: Sequence[str], pledge: Pledge, me: str) -> None:
    if me not in people:
        known = me in concerned(pledge) or pledge.seat(me) is not None
        raise VouchError(Code.FORBIDDEN if known else Code.NOT_FOUND)
