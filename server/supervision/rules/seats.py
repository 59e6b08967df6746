"""Seats (R-03 to R-07): who comes to supervise, how both sides agree, and how somebody leaves again. Pure.

Each rule takes the pledge, who acts and the time, and answers a `Change`; asked again for what is done it changes
nothing. Whoever may not even know of the pledge is refused before, by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from server.errors import Code, VouchError
from server.supervision.model import (
    FINAL,
    WAITING,
    Pledge,
    PledgeState,
    Seat,
    SeatState,
    SeatVia,
    Suspicion,
)
from server.supervision.rules import lifecycle
from server.supervision.rules.change import Change, Line, What, concerned, tell, turned
from server.supervision.terms import SUPERVISORS_MOST, StakeKind

#: invitations and applications that one pledge has ever had, the ended ones too
SEATS_MOST = 200
#: what waits for an answer at the same time
OPEN_MOST = 50
#: a supervisor may leave while there is something to supervise
_UNDER_WAY = WAITING | {PledgeState.ACTIVE, PledgeState.UNDER_REVIEW}


# ── Applying ─────────────────────────────────────────────────────────────────────────────────────────────────


def apply(pledge: Pledge, me: str, words: str, now: datetime) -> Change:
    """Raises `conflict` (not looking for anybody, one's own, declined by the owner before), `already`,
    `limit_reached`."""
    if me == pledge.owner or not seats_open(pledge):
        raise VouchError(Code.CONFLICT)
    seat = pledge.seat(me)
    if seat is not None and seat.state in (SeatState.APPLIED, SeatState.INVITED, SeatState.SEATED):
        raise VouchError(Code.ALREADY)
    if seat is not None and seat.state is SeatState.DECLINED and seat.by == pledge.owner:
        raise VouchError(Code.CONFLICT, "The owner has declined this before.")
    applied = Seat(person=me, state=SeatState.APPLIED, via=SeatVia.APPLIED, by=me, at=now, words=words)
    return Change(_placed(pledge, [applied]), news=tell([pledge.owner], What.APPLIED, me))


def withdraw(pledge: Pledge, me: str, now: datetime) -> Change:
    """Takes one's application back. Raises `not_found` without one."""
    seat = _open_seat(pledge, me, SeatState.APPLIED)
    return Change(_ended(pledge, seat, SeatState.WITHDRAWN, me, now), news=tell([pledge.owner], What.WITHDRAWN, me))


def decide(
    pledge: Pledge, me: str, person: str, accept: bool, now: datetime, found: Iterable[Suspicion] = ()
) -> Change:
    """The owner accepts or declines an applicant; declining takes an invitation back, too. Accepted twice at once, one
    is told that all seats are taken. Raises `forbidden`, `not_found`, `limit_reached`, `conflict`."""
    _check_known(pledge, me)
    if me != pledge.owner:
        raise VouchError(Code.FORBIDDEN, "The owner decides who supervises.")
    seat = pledge.seat(person)
    if accept and seat is not None and seat.state is SeatState.SEATED:
        return Change(pledge)
    if not accept and seat is not None and seat.state is SeatState.INVITED:
        taken_back = _ended(pledge, seat, SeatState.WITHDRAWN, me, now)
        return Change(taken_back, news=tell([person], What.WITHDRAWN, me))
    if accept and seat is not None and seat.state is SeatState.DECLINED and seat.by == "system":
        raise VouchError(Code.LIMIT_REACHED, "All seats are taken.")
    seat = _open_seat(pledge, person, SeatState.APPLIED)
    if not accept:
        return Change(_ended(pledge, seat, SeatState.DECLINED, me, now), news=tell([person], What.DECLINED, me))
    if _full(pledge):
        raise VouchError(Code.LIMIT_REACHED, "All seats are taken.")
    return _seat(pledge, seat, me, now, found).told(news=tell([person], What.ACCEPTED, me))


# ── Designated, and groups ─────────────────────────────────────────────────────────────────────────────


def may_invite(pledge: Pledge, me: str) -> bool:
    """The owner; before the owner has consented, whoever drafted it: nobody comes in whom the owner has not seen."""
    return me == (pledge.owner if pledge.consented else pledge.drafted_by)


def invite(pledge: Pledge, me: str, people: Sequence[str], hours: int, now: datetime) -> Change:
    """Asks these people to supervise; who is asked or supervises already is left as they are. Who has applied is
    accepted by `decide`. Raises `forbidden`, `conflict`, `limit_reached`, `bad_request`."""
    _check_known(pledge, me)
    if not may_invite(pledge, me):
        raise VouchError(Code.FORBIDDEN, "The owner decides who supervises.")
    if pledge.owner in people:
        raise VouchError(Code.BAD_REQUEST, "Nobody supervises themselves.", field="people")
    if not _looking(pledge):
        raise VouchError(Code.CONFLICT)
    there = {seat.person for seat in pledge.seats if seat.state in _STANDING}
    fresh = [person for person in dict.fromkeys(people) if person not in there]
    until = now + timedelta(hours=hours)
    if pledge.expires_at is not None:
        until = min(until, pledge.expires_at)
    via = SeatVia.GROUP if pledge.terms.most > 1 else SeatVia.DESIGNATED
    asked = [Seat(person=person, state=SeatState.INVITED, via=via, by=me, at=now, expires_at=until) for person in fresh]
    return Change(_placed(pledge, asked), news=tell(fresh, What.INVITED, me)) if asked else Change(pledge)


def answer(pledge: Pledge, me: str, accept: bool, now: datetime, found: Iterable[Suspicion] = ()) -> Change:
    """An invited person's word. Raises `not_found` without an invitation, `conflict` when it has lapsed or all seats
    are taken."""
    _check_known(pledge, me)
    seat = pledge.seat(me)
    if accept and seat is not None and seat.state is SeatState.SEATED:
        return Change(pledge)
    if seat is not None and seat.state is SeatState.EXPIRED:
        raise VouchError(Code.CONFLICT, "This invitation has lapsed.")
    seat = _open_seat(pledge, me, SeatState.INVITED)
    told = [pledge.owner, pledge.drafted_by]
    if not accept:
        declined = _ended(pledge, seat, SeatState.DECLINED, me, now)
        return Change(declined, news=tell(dict.fromkeys(told), What.DECLINED, me))
    if (seat.expires_at is not None and seat.expires_at <= now) or _full(pledge):
        raise VouchError(Code.CONFLICT, "This invitation has lapsed.")
    return _seat(pledge, seat, me, now, found).told(news=tell(dict.fromkeys(told), What.ACCEPTED, me))


def founded(person: str, now: datetime) -> Seat:
    """The seat of whoever drafts it as its supervisor."""
    return Seat(person=person, state=SeatState.SEATED, via=SeatVia.FOUNDER, by=person, at=now)


def consent(pledge: Pledge, me: str, now: datetime, found: Iterable[Suspicion] = ()) -> Change:
    """The owner agrees to what a supervisor has drafted. Raises `not_found` to others, `conflict` when it is over."""
    _check_known(pledge, me)
    if me != pledge.owner:
        raise VouchError(Code.NOT_FOUND)
    if pledge.consented and pledge.state not in FINAL:
        return Change(pledge)
    if pledge.state is not PledgeState.AWAITING_OWNER or _too_late(pledge, now):
        raise VouchError(Code.CONFLICT)
    agreed = suspect(turned(pledge, consented=True, consent_until=None), found)
    told = tell(dict.fromkeys([pledge.drafted_by, *pledge.seated]), What.ACCEPTED, me)
    return Change(agreed, (_line(me, SeatState.SEATED, None, me, owner=True),), told)


def refuse(pledge: Pledge, me: str, now: datetime) -> Change:
    """The owner does not agree: it is cancelled, all back. Raises `not_found`, `conflict` when it is too late."""
    _check_known(pledge, me)
    if me != pledge.owner:
        raise VouchError(Code.NOT_FOUND)
    if pledge.state is not PledgeState.AWAITING_OWNER:
        raise VouchError(Code.CONFLICT)
    line = _line(me, SeatState.DECLINED, None, me, owner=True)
    return Change(pledge, (line,)).then(lifecycle.end(pledge, PledgeState.CANCELLED, me, now))


# ── Leaving ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def leave(pledge: Pledge, me: str, now: datetime) -> Change:
    """A supervisor goes; the others go on, and what they cannot decide is staff's. Raises `not_found` to others,
    `conflict` when the outcome is known, to staff (the desk hands on what is its own), and before it begins to whoever
    founded it (who cancels it)."""
    seat = pledge.seat(me)
    if seat is None or seat.state is not SeatState.SEATED:
        raise VouchError(Code.NOT_FOUND)
    founder = seat.via is SeatVia.FOUNDER and pledge.state in WAITING
    if pledge.state not in _UNDER_WAY or seat.via is SeatVia.STAFF or founder:
        raise VouchError(Code.CONFLICT)
    return _left(pledge, seat, me, now)


def gone(pledge: Pledge, person: str, now: datetime) -> Change:
    """This account is deleted: whatever it was to do with the pledge, it does no more. Without its owner, or before it
    has begun without whoever drafted it, a pledge is given up (`abandoned`; money goes back when its turn comes)."""
    change = Change(pledge)
    seat = pledge.seat(person)
    if seat is not None and seat.state is SeatState.SEATED and pledge.state not in FINAL:
        change = _left(pledge, seat, person, now)
    elif seat is not None and seat.state in (SeatState.APPLIED, SeatState.INVITED):
        change = Change(_ended(pledge, seat, SeatState.WITHDRAWN, person, now))
    needed = person == pledge.owner or (person == pledge.drafted_by and pledge.state in WAITING)
    if needed and pledge.outcome is None and pledge.state not in FINAL:
        change = change.then(Change(turned(change.pledge, abandoned=True)))
    return change


def parted(pledge: Pledge, one: str, other: str, now: datetime) -> Change:
    """There is a block between these two: what waits between the owner and a supervisor ends. Who supervises already
    stays, until they leave. Nobody is told why."""
    if pledge.owner not in (one, other) or pledge.state not in WAITING:
        return Change(pledge)
    person = other if pledge.owner == one else one
    if pledge.state is PledgeState.AWAITING_OWNER and person == pledge.drafted_by:
        return Change(turned(pledge, abandoned=True))
    seat = pledge.seat(person)
    if seat is None or seat.state not in (SeatState.APPLIED, SeatState.INVITED):
        return Change(pledge)
    return Change(_ended(pledge, seat, SeatState.WITHDRAWN, "system", now))


# ── Time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def moments(pledge: Pledge) -> list[datetime]:
    """When an invitation lapses, the owner's time to consent is over, or the pledge's own; at once when it is
    abandoned."""
    if pledge.abandoned:
        return [pledge.created_at]
    if pledge.state not in WAITING:
        return []
    ends = [pledge.expires_at, None if pledge.consented else pledge.consent_until]
    ends += [seat.expires_at for seat in pledge.seats if seat.state is SeatState.INVITED]
    return [end for end in ends if end is not None]


def tick(pledge: Pledge, now: datetime) -> Change:
    if pledge.abandoned and pledge.outcome is None and pledge.state not in FINAL:
        return lifecycle.end(turned(pledge, abandoned=False), PledgeState.CANCELLED, "system", now)
    if pledge.abandoned:
        return Change(turned(pledge, abandoned=False))
    if pledge.state not in WAITING:
        return Change(pledge)
    if _too_late(pledge, now):
        return lifecycle.end(pledge, PledgeState.EXPIRED, "system", now)
    change = Change(pledge)
    for seat in pledge.seats:
        if seat.state is SeatState.INVITED and seat.expires_at is not None and seat.expires_at <= now:
            ended = _ended(change.pledge, seat, SeatState.EXPIRED, "system", now)
            change = change.then(Change(ended, news=tell([seat.by], What.UNANSWERED, seat.person)))
    return change


def _too_late(pledge: Pledge, now: datetime) -> bool:
    ends = [pledge.expires_at, None if pledge.consented else pledge.consent_until]
    return any(end is not None and end <= now for end in ends)


# ── Within ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_STANDING = (SeatState.APPLIED, SeatState.INVITED, SeatState.SEATED)


def _check_known(pledge: Pledge, me: str) -> None:
    """Raises `not_found` to whom it does not concern, and to all but its author while it is a draft."""
    draft = pledge.state is PledgeState.DRAFT and me != pledge.drafted_by
    if draft or (me not in (pledge.drafted_by, *concerned(pledge)) and pledge.seat(me) is None):
        raise VouchError(Code.NOT_FOUND)


def seats_open(pledge: Pledge) -> bool:
    """Whether somebody new may apply."""
    return pledge.consented and _looking(pledge) and not pledge.abandoned


def _looking(pledge: Pledge) -> bool:
    staffed = pledge.terms.stake.kind is StakeKind.STAFF
    return pledge.state in WAITING and not staffed and not _full(pledge)


def _full(pledge: Pledge) -> bool:
    return len(pledge.seated) >= pledge.terms.most


def _open_seat(pledge: Pledge, person: str, state: SeatState) -> Seat:
    """Raises `not_found` when nothing waits there, `conflict` when the pledge does not look for anybody any more."""
    seat = pledge.seat(person)
    if seat is None or seat.state is not state:
        raise VouchError(Code.NOT_FOUND)
    if pledge.state not in WAITING:
        raise VouchError(Code.CONFLICT)
    return seat


def _seat(pledge: Pledge, seat: Seat, by: str, now: datetime, found: Iterable[Suspicion]) -> Change:
    """With the last seat taken, nobody waits in vain."""
    taken = msgspec.structs.replace(seat, state=SeatState.SEATED, by=by, at=now, expires_at=None)
    seated = suspect(_placed(pledge, [taken]), found)
    change = Change(seated, (_line(seat.person, SeatState.SEATED, seat.via, by),))
    return change.then(lifecycle.close_seats(seated, now)) if _full(seated) else change


def _left(pledge: Pledge, seat: Seat, me: str, now: datetime) -> Change:
    left = _ended(pledge, seat, SeatState.LEFT, me, now)
    line = _line(me, SeatState.LEFT, seat.via, me)
    return Change(left, (line,), tell(concerned(left, me), What.LEFT, me))


def _ended(pledge: Pledge, seat: Seat, state: SeatState, by: str, now: datetime) -> Pledge:
    return _placed(pledge, [msgspec.structs.replace(seat, state=state, by=by, at=now, expires_at=None)])


def _placed(pledge: Pledge, seats: Sequence[Seat]) -> Pledge:
    """These seats instead of what the same people had; in the order in which they were taken or asked for. Raises
    `limit_reached`."""
    people = {seat.person for seat in seats}
    placed = (*(seat for seat in pledge.seats if seat.person not in people), *seats)
    waiting = [seat for seat in placed if seat.state in (SeatState.APPLIED, SeatState.INVITED)]
    invited = [seat for seat in waiting if seat.state is SeatState.INVITED]
    grown = len(placed) > len(pledge.seats)
    if grown and (len(placed) > SEATS_MOST or len(waiting) > OPEN_MOST or len(invited) > SUPERVISORS_MOST):
        raise VouchError(Code.LIMIT_REACHED, "Too many wait for an answer here.")
    return turned(pledge, seats=placed)


def suspect(pledge: Pledge, found: Iterable[Suspicion]) -> Pledge:
    """Remembers why two sides may be one, where money moves between them. Who gives a reward of their own is not
    suspected: they could as well have given it away."""
    giver = lifecycle.payer(pledge) if pledge.terms.stake.kind is StakeKind.REWARD else None
    fresh = [one for one in found if one not in pledge.suspicions and one.person != giver]
    return turned(pledge, suspicions=(*pledge.suspicions, *fresh)) if fresh and pledge.money else pledge


def _line(person: str, state: SeatState, via: SeatVia | None, by: str, *, owner: bool = False) -> Line:
    body: dict[str, object] = {"person": person, "state": state.value}
    if via is not None:
        body["via"] = via.value
    if owner:
        body["owner"] = True
    return Line("seat", body, by)
