"""What a change of a call tells its channel, people's inboxes, its conversation: from before and after. Pure."""

from __future__ import annotations

import msgspec

from server.calls.model import Call, SeatState
from server.calls.words import CallChanged
from server.chat.words import Called
from server.people.inbox import CallMissed, CallNews, RingNews, RingOver

_WHY = {
    SeatState.JOINED: "joined",
    SeatState.AWAY: "joined",
    SeatState.DECLINED: "declined",
    SeatState.BUSY: "busy",
    SeatState.MISSED: "missed",
    SeatState.LEFT: "joined",
    SeatState.REMOVED: "removed",
}
_MISSED = frozenset({SeatState.MISSED, SeatState.BUSY})

Body = RingNews | RingOver | CallMissed | CallNews


class News(msgspec.Struct, frozen=True):
    """One entry for somebody's inbox."""

    person: str
    kind: str
    body: Body


def changed(after: Call) -> CallChanged:
    """For the call's own channel."""
    return CallChanged(after.version, after.epoch, after.state)


def news(before: Call | None, after: Call) -> list[News]:
    """For inboxes: whose phone rings or rings no more, who has missed it, whose lists have changed."""
    told = []
    everybody = before is None or before.state is not after.state
    for seat in after.seats:
        old = before.seat(seat.person) if before else None
        was = old.state if old else None
        if seat.state is SeatState.RINGING and was is not SeatState.RINGING:
            told.append(News(seat.person, "ring", RingNews(after.id, after.conversation, after.by, after.video)))
        if was is SeatState.RINGING and seat.state is not SeatState.RINGING:
            why = "over" if after.over and seat.state is SeatState.MISSED else _WHY[seat.state]
            told.append(News(seat.person, "ring_over", RingOver(after.id, why)))
        if seat.state in _MISSED and was not in _MISSED:
            told.append(News(seat.person, "call_missed", CallMissed(after.id, after.conversation, after.by)))
        if everybody or was is not seat.state:
            told.append(News(seat.person, "call_changed", CallNews(after.id)))
    return told


def called(before: Call | None, after: Call) -> list[Called]:
    """For the conversation: that it has begun, and how it has ended."""
    lines = []
    if before is None:
        lines.append(Called(after.id, after.by, after.video, "started"))
    if after.over and after.ended and after.ending and (before is None or not before.over):
        seconds = int((after.ended - after.answered).total_seconds()) if after.answered else 0
        missed = [seat.person for seat in after.seats if seat.state in _MISSED and seat.person != after.by]
        lines.append(Called(after.id, after.by, after.video, after.ending.value, max(0, seconds), missed))
    return lines
