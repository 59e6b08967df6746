"""A meeting (R-17): two phones at one place. Pure.

The owner's phone shows a code that lives for 90 seconds; a supervisor's phone reads it and shows a number; the owner
picks that number among three. The code proves that the one camera was at the other screen, the number that the owner
is there and means this supervisor. One try: a number that is guessed wrong ends the meeting.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from server.errors import Code, VouchError
from server.supervision.model import Pledge, Verdict
from server.supervision.rules import tasks
from server.supervision.rules.change import Attached, Change, Draw

LIVES = timedelta(seconds=90)
CHOICES = 3
_NUMBERS = 100


class MeetingState(StrEnum):
    SHOWN = "shown"
    SCANNED = "scanned"
    ATTESTED = "attested"
    OVER = "over"


class Meeting(msgspec.Struct, frozen=True, kw_only=True):
    """`code` is the SHA-256 of what the owner's phone shows. `version` counts changes."""

    id: str
    pledge: str
    task: int
    owner: str
    code: str
    until: datetime
    state: MeetingState = MeetingState.SHOWN
    supervisor: str | None = None
    number: int | None = None
    choices: tuple[int, ...] = ()
    version: int = 1


def check_begin(pledge: Pledge, me: str, n: int, now: datetime) -> None:
    """Raises `not_found`, `forbidden`, `closed`, `conflict` (too early, or nobody is left who could stamp it)."""
    tasks.of_owner(pledge, me)
    task = tasks.open_task(pledge, n, now)
    if set(pledge.seated) <= {vote.person for vote in task.votes}:
        raise VouchError(Code.CONFLICT, "Everybody has stamped this.")


def state_of(meeting: Meeting, now: datetime) -> MeetingState:
    lives = meeting.state in (MeetingState.SHOWN, MeetingState.SCANNED)
    return MeetingState.OVER if lives and meeting.until <= now else meeting.state


def scan(meeting: Meeting, pledge: Pledge, me: str, now: datetime, draw: Draw) -> Meeting:
    """A supervisor has read the code; doing it again changes nothing. From now on there is time to pick the number.

    Raises what a stamp raises (whoever may not stamp cannot meet), `closed` when it is over, `conflict` after another
    supervisor."""
    if meeting.supervisor == me and state_of(meeting, now) in (MeetingState.SCANNED, MeetingState.ATTESTED):
        return meeting
    attest(pledge, me, meeting.task, now)
    if state_of(meeting, now) in (MeetingState.OVER, MeetingState.ATTESTED):
        raise VouchError(Code.CLOSED, "This code is over. Ask for a new one.")
    if meeting.supervisor is not None:
        raise VouchError(Code.CONFLICT, "Somebody else has scanned this.")
    numbers = list(range(_NUMBERS))
    choices = tuple(numbers.pop(draw(len(numbers))) for _ in range(CHOICES))
    return replace(
        meeting,
        state=MeetingState.SCANNED,
        until=now + LIVES,
        supervisor=me,
        number=choices[draw(CHOICES)],
        choices=choices,
        version=meeting.version + 1,
    )


def confirm(meeting: Meeting, me: str, number: int, now: datetime) -> Meeting:
    """The owner picks. Raises `not_found` to others, `closed` when it is over, `conflict` before it was scanned."""
    if me != meeting.owner:
        raise VouchError(Code.NOT_FOUND)
    state = state_of(meeting, now)
    if state is MeetingState.ATTESTED and number == meeting.number:
        return meeting
    if state is MeetingState.SHOWN:
        raise VouchError(Code.CONFLICT, "No phone has scanned this yet.")
    if state is not MeetingState.SCANNED:
        raise VouchError(Code.CLOSED, "This meeting is over.")
    right = number == meeting.number
    return replace(meeting, state=MeetingState.ATTESTED if right else MeetingState.OVER, version=meeting.version + 1)


def attest(pledge: Pledge, supervisor: str, n: int, now: datetime, attached: Attached | None = None) -> Change:
    """The stamp that follows from it."""
    return tasks.stamp(pledge, supervisor, n, Verdict.DONE, now, attached=attached or Attached(), in_person=True)
