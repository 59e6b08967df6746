"""Seats: starting a call, answering, leaving, being put out of it; what one shows, and whether one is there. Pure.

Each rule answers the call afterwards; asked again for what is done it changes nothing. They raise VouchError. Whoever
is no member of the conversation is refused before, by the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from server.calls.model import SEATS_MOST, Call, Ending, Recording, RecordingState, Seat, SeatState
from server.calls.rules.course import emptied, over, settled, turned, with_seat
from server.errors import Code, VouchError

_WAITS = "The call is over."


def start(
    *,
    id: str,
    key: str,
    conversation: str,
    by: str,
    session: str,
    others: Collection[str],
    busy: Collection[str],
    direct: bool,
    video: bool,
    pledge: str,
    place: str,
    now: datetime,
) -> Call:
    """Rings the others, but not those who are in another call. Raises `conflict` (nobody to call), `limit_reached`."""
    people = [person for person in dict.fromkeys(others) if person != by]
    if not people:
        raise VouchError(Code.CONFLICT, "Nobody else is here to be called.")
    if len(people) >= SEATS_MOST:
        raise VouchError(Code.LIMIT_REACHED, f"A call has at most {SEATS_MOST} people.")
    seats = [Seat(person=by, state=SeatState.JOINED, since=now, session=session, joined=True)]
    seats += [
        Seat(person=person, state=SeatState.BUSY if person in busy else SeatState.RINGING, since=now)
        for person in people
    ]
    call = Call(
        id=id,
        key=key,
        conversation=conversation,
        by=by,
        at=now,
        video=video,
        direct=direct,
        pledge=pledge,
        place=place,
        seats=tuple(seats),
    )
    return settled(call, now)


def accept(call: Call, me: str, session: str, now: datetime) -> Call:
    """Takes the seat for this sign-in, from another one too. Raises `conflict` (over, put out), `limit_reached`."""
    _check_open(call)
    seat = call.seat(me)
    if seat is not None and seat.state is SeatState.REMOVED:
        raise VouchError(Code.CONFLICT, "You were put out of this call.")
    if seat is None and len(call.seats) >= SEATS_MOST:
        raise VouchError(Code.LIMIT_REACHED, f"A call has at most {SEATS_MOST} people.")
    if seat is not None and seat.state is SeatState.JOINED and seat.session == session:
        return call
    # Who comes back with the same sign-in has agreed to what they had agreed to; another device is asked again.
    agrees = seat is not None and seat.inside and seat.session == session and seat.agrees
    taken = Seat(person=me, state=SeatState.JOINED, since=now, session=session, joined=True, agrees=agrees)
    return settled(with_seat(call, taken), now)


def decline(call: Call, me: str, now: datetime) -> Call:
    """Raises `conflict` unless one's phone rings."""
    seat = call.seat(me)
    if seat is not None and seat.state is SeatState.DECLINED:
        return call
    _check_open(call)
    if seat is None or seat.state is not SeatState.RINGING:
        raise VouchError(Code.CONFLICT, "It does not ring here.")
    return settled(with_seat(call, emptied(seat, SeatState.DECLINED, now)), now)


def cancel(call: Call, me: str, now: datetime) -> Call:
    """Raises `forbidden` to others than who started it, `conflict` when somebody has joined."""
    if me != call.by:
        raise VouchError(Code.FORBIDDEN, "Who started a call takes it back.")
    if call.ending is Ending.CANCELLED:
        return call
    _check_open(call)
    if call.answered is not None:
        raise VouchError(Code.CONFLICT, "Somebody has joined already.")
    return over(call, Ending.CANCELLED, now)


def leave(call: Call, me: str, session: str, now: datetime) -> Call:
    """Raises `conflict` when another sign-in has the seat. Who is not in it has left it already."""
    seat = call.seat(me)
    if call.over or seat is None or not seat.inside:
        return call
    _check_mine(seat, session)
    return settled(with_seat(call, emptied(seat, SeatState.LEFT, now)), now)


def end(call: Call, me: str, now: datetime, *, owner: bool) -> Call:
    """`owner`: of the conversation. Raises `forbidden` to others than them and who started it."""
    if me != call.by and not owner:
        raise VouchError(Code.FORBIDDEN, "Who started the call ends it.")
    if call.over:
        return call
    return over(call, Ending.DONE if call.answered else Ending.CANCELLED, now)


def remove(call: Call, me: str, person: str, now: datetime, *, outranks: bool) -> Call:
    """`outranks`: as one of the conversation's administrators. Raises `forbidden`, `not_found`, `conflict`."""
    if me != call.by and not outranks:
        raise VouchError(Code.FORBIDDEN)
    seat = call.seat(person)
    if seat is None:
        raise VouchError(Code.NOT_FOUND)
    if seat.state is SeatState.REMOVED:
        return call
    _check_open(call)
    if person in (me, call.by):
        raise VouchError(Code.CONFLICT, "Leave the call, or end it.")
    return settled(with_seat(call, emptied(seat, SeatState.REMOVED, now)), now)


def change(
    call: Call,
    me: str,
    session: str,
    now: datetime,
    *,
    voice: bool | None = None,
    camera: bool | None = None,
    screen: bool | None = None,
    watching: Sequence[str] | None = None,
) -> Call:
    """What one shows and whom one looks at. Raises `conflict` without a seat of this sign-in; somebody who is not in
    the call is looked at by nobody."""
    seat = seated(call, me, session)
    fields: dict[str, object] = {"state": SeatState.JOINED, "closing": False}
    if seat.state is not SeatState.JOINED:
        fields["since"] = now
    shown = {"voice": voice, "camera": camera, "screen": screen}
    fields |= {name: value for name, value in shown.items() if value is not None}
    if watching is not None:
        there = {one.person for one in call.inside}
        fields["watching"] = tuple(one for one in dict.fromkeys(watching) if one in there and one != me)
    return settled(with_seat(call, msgspec.structs.replace(seat, **fields)), now)


def view(call: Call, me: str, session: str, persons: Collection[str], now: datetime) -> Call:
    """Pictures of these people flow to this sign-in: they are told so, whatever it says that it looks at (R-14).
    Nothing without its seat."""
    seat = call.seat(me)
    if call.over or seat is None or not seat.inside or seat.session != session:
        return call
    there = {one.person for one in call.inside} - {me}
    return settled(with_seat(call, msgspec.structs.replace(seat, viewing=tuple(sorted(there & set(persons))))), now)


def away(call: Call, person: str, session: str, now: datetime, *, closing: bool = False) -> Call:
    """No socket of the sign-in is there; `closing`: its page says that it goes, which is known at once."""
    seat = call.seat(person)
    if call.over or seat is None or seat.state is not SeatState.JOINED or seat.session != session:
        return call
    gone = msgspec.structs.replace(seat, state=SeatState.AWAY, since=now, closing=closing)
    return settled(with_seat(call, gone), now)


def back(call: Call, person: str, session: str, now: datetime) -> Call:
    """A socket of the sign-in is there again."""
    seat = call.seat(person)
    if call.over or seat is None or seat.state is not SeatState.AWAY or seat.session != session:
        return call
    here = msgspec.structs.replace(seat, state=SeatState.JOINED, since=now, closing=False)
    return settled(with_seat(call, here), now)


def unseat(call: Call, persons: Collection[str], now: datetime) -> Call:
    """They have no right to be here any more: out of the conversation, their account is gone."""
    for person in persons:
        seat = call.seat(person)
        if not call.over and seat is not None and seat.state is not SeatState.REMOVED:
            call = with_seat(call, emptied(seat, SeatState.REMOVED, now))
    return settled(call, now)


def close(call: Call, now: datetime) -> Call:
    """Nobody may speak in the conversation any more."""
    return call if call.over else over(call, Ending.DONE if call.answered else Ending.CANCELLED, now)


def sign_out(call: Call, sessions: Collection[str], now: datetime) -> Call:
    """These sign-ins have ended: their people may come back with another one."""
    for seat in call.inside:
        if seat.session in sessions:
            call = with_seat(call, emptied(seat, SeatState.LEFT, now))
    return settled(call, now)


def seated(call: Call, me: str, session: str) -> Seat:
    """One's seat, taken by this sign-in. Raises `conflict`."""
    _check_open(call)
    seat = call.seat(me)
    if seat is None or not seat.inside:
        raise VouchError(Code.CONFLICT, "Join the call first.")
    _check_mine(seat, session)
    return seat


def placed(call: Call, node: str) -> Call:
    """The media are set up anew, at this node. What was being recorded has ended with the old ones."""
    if call.over:
        return call
    nothing_flows = tuple(msgspec.structs.replace(seat, viewing=()) for seat in call.seats)
    call = turned(call, place=node, epoch=call.epoch + 1, seats=nothing_flows)
    if call.recording.state is not RecordingState.ON:
        return call
    undecided = tuple(msgspec.structs.replace(seat, agrees=False) for seat in call.seats)
    return turned(call, recording=Recording(), seats=undecided)


def _check_open(call: Call) -> None:
    if call.over:
        raise VouchError(Code.CONFLICT, _WAITS)


def _check_mine(seat: Seat, session: str) -> None:
    if seat.session != session:
        raise VouchError(Code.CONFLICT, "You are in this call on another device.")
