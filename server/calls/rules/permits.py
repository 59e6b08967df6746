"""What somebody may do in a call now, and what their media may be connected to. Pure.

Nothing is decided here a second time: one may do what the rule for it does not refuse, and what would change something.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Literal

from server.calls.model import Call, SeatState
from server.calls.rules import recording, seats
from server.errors import Code, VouchError

#: what `can` lists, in this order
_NAMES = (
    "accept", "decline", "join", "cancel", "leave", "end", "remove", "record", "agree", "withdraw", "snapshot",
    "ask_snapshot",
)  # fmt: skip


def can(
    call: Call,
    me: str,
    session: str,
    now: datetime,
    *,
    owner: bool = False,
    outranks: Collection[str] = (),
    supervisors: Collection[str] = (),
    watched: str = "",
) -> list[str]:
    """`outranks`: whom one may put out as an administrator of the conversation; `supervisors` and `watched`: of the
    pledge that the call is about."""
    seat = call.seat(me)
    rings = seat is not None and seat.state is SeatState.RINGING
    others = [one.person for one in call.seats if one.person != me]
    asked = "record" if call.recording.state == "off" else "agree"
    tries: dict[str, Callable[[], Call]] = {
        "accept" if rings else "join": lambda: seats.accept(call, me, session, now),
        "decline": lambda: seats.decline(call, me, now),
        "cancel": lambda: seats.cancel(call, me, now),
        "leave": lambda: seats.leave(call, me, session, now),
        "end": lambda: seats.end(call, me, now, owner=owner),
        asked: lambda: recording.consent(call, me, session, True, now),
        "withdraw": lambda: recording.consent(call, me, session, False, now),
    }
    allowed = {name for name, rule in tries.items() if _changes(call, rule)}
    if any(_changes(call, _removing(call, me, one, now, one in outranks)) for one in others):
        allowed.add("remove")
    pictures = {picture(call, me, session, one, supervisors, watched) for one in others}
    allowed |= {"snapshot"} if "take" in pictures else set()
    allowed |= {"ask_snapshot"} if "ask" in pictures else set()
    return [name for name in _NAMES if name in allowed]


def picture(
    call: Call, me: str, session: str, person: str, supervisors: Collection[str] = (), watched: str = ""
) -> Literal["take", "ask"] | None:
    """How one comes to a picture of somebody: who supervises a pledge takes it of its owner, who has agreed to that
    with the pledge, in a call about it; everybody else asks them (R-14). None: not both are in the call."""
    mine, theirs = call.seat(me), call.seat(person)
    if call.over or mine is None or not mine.inside or mine.session != session or person == me:
        return None
    if theirs is None or not theirs.inside:
        return None
    return "take" if call.pledge and person == watched and me in supervisors else "ask"


def check_take(
    call: Call, me: str, session: str, person: str, supervisors: Collection[str] = (), watched: str = ""
) -> None:
    """Raises `conflict` (over, one is not in it, they do not show their camera) and `forbidden`."""
    seats.seated(call, me, session)
    if picture(call, me, session, person, supervisors, watched) != "take":
        raise VouchError(Code.FORBIDDEN, "Ask them first: only supervisors take pictures, of their pledge's owner.")
    shows(call, person)


def check_ask(
    call: Call, me: str, session: str, person: str, supervisors: Collection[str] = (), watched: str = ""
) -> None:
    """Raises `conflict` as `check_take`, and `forbidden` where nobody need be asked, or they are not here."""
    seats.seated(call, me, session)
    if picture(call, me, session, person, supervisors, watched) != "ask":
        raise VouchError(Code.FORBIDDEN, "Who is in the call is asked, unless a pledge lets one take pictures of them.")
    shows(call, person)


def shows(call: Call, person: str) -> None:
    """Raises `conflict` unless their camera is on."""
    theirs = call.seat(person)
    if theirs is None or not theirs.camera:
        raise VouchError(Code.CONFLICT, "This camera is off.")


def _removing(call: Call, me: str, person: str, now: datetime, outranks: bool) -> Callable[[], Call]:
    return lambda: seats.remove(call, me, person, now, outranks=outranks)


def _changes(call: Call, rule: Callable[[], Call]) -> bool:
    try:
        return rule() != call
    except VouchError:
        return False
