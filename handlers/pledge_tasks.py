"""Operations on tasks: reports, stamps, spot checks, meetings, admitting (R-11 to R-13, R-17)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from handlers.operations import Call, operation
from server.errors import Code
from server.principals import IN_PERSON, PEOPLE
from server.supervision.model import Pledge, PledgeId
from server.supervision.terms import OCCURRENCES_MOST
from server.supervision.views import Admit, CheckAnswer, ConfirmMeeting, MeetingView, PledgeView, Report, Stamp

TAG = "judging"
ON_CHANGING = (Code.NOT_FOUND, Code.CLOSED, Code.TRY_LATER)
ON_JUDGING = (*ON_CHANGING, Code.ALREADY, Code.CONFLICT)

TaskNumber = Annotated[int, Meta(ge=1, le=OCCURRENCES_MOST, description="counted by when they are due")]
CheckId = Annotated[str, Meta(pattern=r"^s\d{1,4}$", max_length=5)]
MeetingId = Annotated[str, Meta(pattern=r"^h_[0-9a-z]{20}$", max_length=22)]
MeetingCode = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}$", max_length=22)]


@operation("POST", "/pledges/{id}/tasks/{n}/report", allow=IN_PERSON, tag=TAG, errors=ON_JUDGING)
async def report_task(call: Call, id: PledgeId, n: TaskNumber, body: Report) -> PledgeView:
    """Say, as the owner, that a task is done.

    Supervisors judge it. A task can be reported from when its window opens, once.
    """
    return await _seen(call, await call.services.supervision.judging.report(call.principal.id, id, n, body))


@operation(
    "POST",
    "/pledges/{id}/tasks/{n}/stamps",
    allow=IN_PERSON,
    tag=TAG,
    errors=(*ON_JUDGING, Code.LOCATION_ALONE),
)
async def stamp_task(call: Call, id: PledgeId, n: TaskNumber, body: Stamp) -> PledgeView:
    """Judge a task, as a supervisor: done, not done, or no opinion.

    Given once and never changed. Done counts by when it was done, not by when it is stamped; not done can be said when
    it cannot be done in time any more. What the others have said is told when the vote has closed. `location_alone`
    where the owner has shown nothing but where they were: say, or show, what else you know.
    """
    return await _seen(call, await call.services.supervision.judging.stamp(call.principal.id, id, n, body))


@operation("POST", "/pledges/{id}/tasks/{n}/checks", allow=IN_PERSON, tag=TAG, errors=(*ON_JUDGING, Code.LIMIT_REACHED))
async def ask_check(call: Call, id: PledgeId, n: TaskNumber) -> PledgeView:
    """Ask the owner, as a supervisor, how it goes: a spot check.

    In the task's window before it is due, not in quiet hours, and so many times a day as was agreed.
    """
    return await _seen(call, await call.services.supervision.judging.ask(call.principal.id, id, n))


@operation(
    "POST",
    "/pledges/{id}/tasks/{n}/checks/{check}",
    allow=IN_PERSON,
    tag=TAG,
    errors=(*ON_CHANGING, Code.ALREADY),
)
async def answer_check(call: Call, id: PledgeId, n: TaskNumber, check: CheckId, body: CheckAnswer) -> PledgeView:
    """Answer a spot check, as the owner: done already, or not yet.

    Done reports the task. Not yet is no failure.
    """
    judging = call.services.supervision.judging
    return await _seen(call, await judging.answer(call.principal.id, id, n, check, body))


@operation("POST", "/pledges/{id}/admission", allow=IN_PERSON, tag=TAG, errors=ON_CHANGING)
async def admit_failure(call: Call, id: PledgeId, body: Admit) -> PledgeView:
    """Admit, as the owner, that a task or the whole was not kept.

    It needs no vote, and is never taken back.
    """
    return await _seen(call, await call.services.supervision.judging.admit(call.principal.id, id, body))


@operation("POST", "/pledges/{id}/agreement", allow=IN_PERSON, tag=TAG, errors=ON_CHANGING)
async def accept_outcome(call: Call, id: PledgeId) -> PledgeView:
    """Accept the outcome.

    When everybody whom it concerns has, it settles without waiting for the end of the challenge window.
    """
    return await _seen(call, await call.services.supervision.judging.agree(call.principal.id, id))


# ── In person ───────────────────────────────────────────────────────────────────────────────────────────────────────


@operation(
    "POST",
    "/pledges/{id}/tasks/{n}/meetings",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    errors=(Code.NOT_FOUND, Code.CLOSED, Code.CONFLICT, Code.TOO_OFTEN),
)
async def begin_meeting(call: Call, id: PledgeId, n: TaskNumber) -> MeetingView:
    """Show a supervisor who stands beside one a code, as the owner.

    It lives for 90 seconds; a new one takes its place. `url` and `svg` are told here only. At most 120 an hour.
    """
    return await call.services.supervision.meetings.begin(call.principal.id, id, n, call.origin)


@operation("GET", "/pledges/meetings/{meeting}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_meeting(call: Call, meeting: MeetingId) -> MeetingView:
    """How a meeting stands, for the two of it."""
    return await call.services.supervision.meetings.get(call.principal.id, meeting)


@operation(
    "POST",
    "/meetings/{code}",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CLOSED, Code.ALREADY, Code.CONFLICT, Code.TOO_OFTEN),
)
async def scan_meeting(call: Call, code: MeetingCode) -> MeetingView:
    """Say, as a supervisor, that one's phone has read the owner's code.

    The answer has the number to show; the owner picks it among three. At most 120 an hour.
    """
    return await call.services.supervision.meetings.scan(call.principal.id, code)


@operation("POST", "/pledges/meetings/{meeting}/confirm", allow=IN_PERSON, tag=TAG, errors=ON_JUDGING)
async def confirm_meeting(call: Call, meeting: MeetingId, body: ConfirmMeeting) -> MeetingView:
    """Pick, as the owner, the number that the supervisor's phone shows.

    The right one stamps the task as done, with the meeting as evidence; a wrong one ends the meeting.
    """
    return await call.services.supervision.meetings.confirm(call.principal.id, meeting, body.number)


async def _seen(call: Call, pledge: Pledge) -> PledgeView:
    return await call.services.supervision.views.of(pledge, call.principal.id)


OPERATIONS = [
    report_task,
    stamp_task,
    ask_check,
    answer_check,
    admit_failure,
    accept_outcome,
    begin_meeting,
    get_meeting,
    scan_meeting,
    confirm_meeting,
]
