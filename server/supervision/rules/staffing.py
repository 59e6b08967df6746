"""Staff mode: the server's own staff supervises, for a department that nobody of them gains by (R-06, R-09)."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from server.errors import Code, VouchError
from server.supervision.model import FINAL, WAITING, Pledge, PledgeState, Seat, SeatState, SeatVia
from server.supervision.rules import cases
from server.supervision.rules.change import Change, Line, News, What, tell, turned
from server.supervision.terms import StakeKind

_SEEKING = WAITING | {PledgeState.ACTIVE}


def waits(pledge: Pledge) -> bool:
    """It seeks somebody of staff to supervise it, or to go on where somebody has left."""
    staffed = pledge.terms.stake.kind is StakeKind.STAFF and pledge.consented
    return staffed and pledge.state in _SEEKING and len(pledge.seated) < pledge.terms.least


def at_desk(pledge: Pledge) -> bool:
    """Somebody of staff has to do something about it."""
    return waits(pledge) or bool(cases.open_cases(pledge))


def supervising(pledge: Pledge) -> list[str]:
    """Those of staff who supervise it at present."""
    if pledge.state in FINAL:
        return []
    return [seat.person for seat in pledge.seats if seat.via is SeatVia.STAFF and seat.state is SeatState.SEATED]


def seat(pledge: Pledge, person: str, by: str, now: datetime) -> Change:
    """Somebody of staff supervises; that they are impartial is asked before (`impartial.why_not`).

    Raises `conflict` where nobody is sought any more."""
    if not waits(pledge):
        raise VouchError(Code.CONFLICT, "Somebody else supervises this.")
    seated = Seat(person=person, state=SeatState.SEATED, via=SeatVia.STAFF, by=by, at=now)
    others = tuple(each for each in pledge.seats if each.person != person)
    news = (*tell([pledge.owner], What.ACCEPTED, person), *tell([person], What.ASSIGNED, by))
    return Change(turned(pledge, seats=(*others, seated)), (_line(seated),), news)


def release(pledge: Pledge, person: str, now: datetime) -> Change:
    """Gives the seat back: somebody else of staff goes on. Raises `conflict` to whoever has none."""
    held = pledge.seat(person)
    if person not in supervising(pledge) or held is None:
        raise VouchError(Code.CONFLICT, "You do not supervise this.")
    left = replace(held, state=SeatState.LEFT, by=person, at=now)
    seats = tuple(left if each.person == person else each for each in pledge.seats)
    return Change(turned(pledge, seats=seats), (_line(left),), (News(pledge.owner, What.LEFT, person),))


def _line(seat: Seat) -> Line:
    return Line("seat", {"person": seat.person, "state": seat.state.value, "via": SeatVia.STAFF.value}, seat.by)
