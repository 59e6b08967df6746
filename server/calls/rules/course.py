"""What follows from the seats by itself: that a call runs, that it is over and why, that it is recorded. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from server.calls.model import (
    ALONE,
    EMPTY,
    LONGEST,
    RING,
    AskState,
    Call,
    CallState,
    Ending,
    PictureAsk,
    Recording,
    RecordingState,
    Seat,
    SeatState,
)


def turned(call: Call, **fields: Any) -> Call:
    """The call with other fields; `version` is raised when it is kept, not here."""
    return msgspec.structs.replace(call, **fields)


def with_seat(call: Call, seat: Seat) -> Call:
    """The call with this seat in the place of the person's old one, or besides the others."""
    if call.seat(seat.person) is None:
        return turned(call, seats=(*call.seats, seat))
    return turned(call, seats=tuple(seat if one.person == seat.person else one for one in call.seats))


def emptied(seat: Seat, state: SeatState, now: datetime) -> Seat:
    """The seat as nobody is on it any more."""
    return Seat(person=seat.person, state=state, since=now, joined=seat.joined)


def over(call: Call, ending: Ending, now: datetime) -> Call:
    """The call as it is after its end: nobody is in it, no phone rings."""
    seats = []
    for seat in call.seats:
        if seat.inside:
            seat = emptied(seat, SeatState.LEFT, now)
        elif seat.state is SeatState.RINGING:
            seat = emptied(seat, SeatState.MISSED, now)
        seats.append(seat)
    return turned(
        call,
        seats=tuple(seats),
        state=CallState.ENDED,
        ending=ending,
        ended=now,
        recording=Recording(),
        asks=(),
        quiet=None,
        alone=None,
        due=None,
    )


def settled(call: Call, now: datetime) -> Call:
    """The call after everything that follows from its seats; once more is the same."""
    if call.over:
        return call
    inside = call.inside
    ringing = any(seat.state is SeatState.RINGING for seat in call.seats)
    if call.answered is None and len(inside) > 1:
        call = turned(call, answered=now, state=CallState.RUNNING)
    if not inside:
        return over(call, Ending.DONE if call.answered else _unanswered(call), now)
    if call.answered is None and not ringing:
        return over(call, _unanswered(call), now)
    if call.answered is not None and call.direct and len(inside) < 2:
        return over(call, Ending.DONE, now)
    awake = any(seat.state is SeatState.JOINED for seat in inside)
    alone = len(inside) == 1 and not ringing
    call = turned(call, quiet=None if awake else call.quiet or now, alone=(call.alone or now) if alone else None)
    call = turned(call, seats=tuple(_looking(seat, inside) for seat in call.seats), asks=_asks(call, now))
    return turned(call, recording=_recording(call, now), due=next_due(call))


def _unanswered(call: Call) -> Ending:
    """Why a call in which never two were is over. Who started it has gone: taken back."""
    starter = call.seat(call.by)
    if starter is None or not starter.inside:
        return Ending.CANCELLED
    states = {seat.state for seat in call.seats if seat.person != call.by}
    missed = states & {SeatState.MISSED, SeatState.BUSY, SeatState.RINGING}
    return Ending.DECLINED if SeatState.DECLINED in states and not missed else Ending.MISSED


def _looking(seat: Seat, inside: tuple[Seat, ...]) -> Seat:
    """Nobody looks at somebody who has gone."""
    if not seat.watching:
        return seat
    there = {one.person for one in inside}
    return msgspec.structs.replace(seat, watching=tuple(person for person in seat.watching if person in there))


def _asks(call: Call, now: datetime) -> tuple[PictureAsk, ...]:
    """Questions pass with their time, and those without an answer with whoever goes."""
    there = {seat.person for seat in call.inside}
    return tuple(
        ask
        for ask in call.asks
        if now < ask.until and (ask.state is not AskState.ASKED or {ask.by, ask.person} <= there)
    )


def _recording(call: Call, now: datetime) -> Recording:
    """It is on while everybody in the call agrees, and waits for those who have not."""
    recording = call.recording
    if recording.state is RecordingState.OFF:
        return recording
    agreed = all(seat.agrees for seat in call.inside)
    if agreed and recording.state is RecordingState.ASKED:
        return Recording(RecordingState.ON, recording.by, now)
    if not agreed and recording.state is RecordingState.ON:
        return Recording(RecordingState.ASKED, recording.by, now)
    return recording


# ── Time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def tick(call: Call, now: datetime) -> Call:
    """What time has done."""
    if call.over:
        return call
    if (
        now >= call.at + LONGEST
        or (call.quiet and now >= call.quiet + EMPTY)
        or (call.alone and call.answered and now >= call.alone + ALONE)
    ):
        return over(call, Ending.DONE if call.answered else Ending.MISSED, now)
    for seat in call.seats:
        if seat.state is SeatState.RINGING and now >= seat.since + RING:
            call = with_seat(call, emptied(seat, SeatState.MISSED, now))
        elif seat.state is SeatState.AWAY and now >= seat.gone_at:
            call = with_seat(call, emptied(seat, SeatState.LEFT, now))
    return settled(call, now)


def next_due(call: Call) -> datetime | None:
    """When time changes something next; None for a call that is over."""
    if call.over:
        return None
    moments = [call.at + LONGEST]
    moments += [seat.since + RING for seat in call.seats if seat.state is SeatState.RINGING]
    moments += [seat.gone_at for seat in call.seats if seat.state is SeatState.AWAY]
    moments += [ask.until for ask in call.asks]
    if call.quiet is not None:
        moments.append(call.quiet + EMPTY)
    if call.alone is not None and call.answered is not None:
        moments.append(call.alone + ALONE)
    return min(moments)
