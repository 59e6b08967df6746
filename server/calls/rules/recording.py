"""Recording: off by default, on only while everybody in the call has agreed. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from server.calls.model import Call, Recording, RecordingState, Seat
from server.calls.rules.course import settled, turned, with_seat
from server.calls.rules.seats import seated


def consent(call: Call, me: str, session: str, on: bool, now: datetime) -> Call:
    """Asks for a recording or agrees to it; or refuses, withdraws, and so ends it. Raises `conflict` without a seat of
    this sign-in."""
    seat = seated(call, me, session)
    if on:
        if call.recording.state is RecordingState.OFF:
            call = turned(call, recording=Recording(RecordingState.ASKED, me, now), seats=_undecided(call))
            seat = seated(call, me, session)
        return settled(with_seat(call, msgspec.structs.replace(seat, agrees=True)), now)
    if call.recording.state is RecordingState.OFF:
        return call
    return settled(turned(call, recording=Recording(), seats=_undecided(call)), now)


def ended(call: Call, recording: str, now: datetime) -> Call:
    """A recording ended by itself (its file is full, a disk fails): it is off, and everybody is told."""
    if call.over or call.recording.id != recording:
        return call
    return settled(turned(call, recording=Recording(), seats=_undecided(call)), now)


def _undecided(call: Call) -> tuple[Seat, ...]:
    return tuple(msgspec.structs.replace(seat, agrees=False) for seat in call.seats)
