"""Who reads a pledge's thread, and who writes in it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from server.supervision.model import FINAL, Pledge, PledgeState, SeatState

#: for so long people can still talk after everything has ended
AFTERWARDS = timedelta(days=30)
_SEATED = frozenset({SeatState.SEATED, SeatState.LEFT})


def takes_part(pledge: Pledge, person: str) -> bool:
    """Whether this is the pledge's owner, who drafted it, who supervises it, or whose money it is."""
    return person in (pledge.owner, pledge.drafted_by, pledge.stake.payer, *pledge.seated)


def reads(pledge: Pledge, person: str) -> bool:
    """Who takes part, who has supervised it, and until it has ended whoever reviews a case of it. A draft has no
    thread."""
    if pledge.state is PledgeState.DRAFT:
        return False
    seat = pledge.seat(person)
    if takes_part(pledge, person) or (seat is not None and seat.state in _SEATED):
        return True
    return reviews(pledge, person)


def reviews(pledge: Pledge, person: str) -> bool:
    """Nobody sees that a reviewer is there, and a reviewer says nothing but the ruling."""
    return pledge.state not in FINAL and any(case.reviewer == person for case in pledge.cases)


def writes(pledge: Pledge, person: str, now: datetime) -> bool:
    """Who takes part, until some time after the end."""
    return reads(pledge, person) and takes_part(pledge, person) and is_open(pledge, now)


def is_open(pledge: Pledge, now: datetime) -> bool:
    if pledge.state not in FINAL:
        return True
    return bool(pledge.history) and now < pledge.history[-1].at + AFTERWARDS
