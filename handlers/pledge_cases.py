"""Operations on disputes, on staff who supervise and review, and on records."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from handlers.operations import Call, operation
from server.errors import Code
from server.people.model import PersonId
from server.principals import IN_PERSON, PEOPLE, STAFF
from server.supervision.desk_views import Desk, Duty, DutyView, Record, Rule, ShowRecord, Templates
from server.supervision.model import Pledge, PledgeId
from server.supervision.views import Objection, PledgeView

TAG = "cases"

CaseId = Annotated[str, Meta(pattern=r"^c[1-9][0-9]{0,3}$", max_length=5)]

ON_CASE = (Code.NOT_FOUND, Code.ALREADY, Code.CONFLICT, Code.TRY_LATER)


@operation(
    "POST",
    "/pledges/{id}/disputes",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    errors=(Code.NOT_FOUND, Code.CLOSED, Code.ALREADY, Code.TRY_LATER),
)
async def dispute_pledge(call: Call, id: PledgeId, body: Objection) -> PledgeView:
    """Object to the outcome of a pledge.

    In its challenge window, for the owner, the supervisors, and whose money it is. The stake stays where it is; both
    sides add evidence for 48 hours, then somebody of staff decides who has no part in it, with written reasons.
    """
    return await _seen(call, await call.services.supervision.cases.dispute(call.principal.id, id, body.words))


@operation(
    "POST",
    "/pledges/{id}/appeals",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    errors=(Code.NOT_FOUND, Code.CLOSED, Code.CONFLICT, Code.TRY_LATER),
)
async def appeal_pledge(call: Call, id: PledgeId, body: Objection) -> PledgeView:
    """Appeal the ruling on a dispute, once.

    In the challenge window after it. Another reviewer decides, and that is settled at once.
    """
    return await _seen(call, await call.services.supervision.cases.appeal(call.principal.id, id, body.words))


@operation("GET", "/pledge-templates", allow=PEOPLE, tag=TAG)
async def list_pledge_templates(call: Call) -> Templates:
    """What staff knows how to supervise, with a proposal for the words in each language."""
    return call.services.supervision.staff.templates()


# ── The desk ────────────────────────────────────────────────────────────────────────────────────────────────────────


@operation("GET", "/staff/pledges", allow=STAFF, tag=TAG)
async def get_pledge_desk(call: Call) -> Desk:
    """What waits for staff: cases, and pledges without a supervisor, the oldest first; and what one supervises.

    `why_not` says of each why oneself may not: nobody decides about themselves, family, friends, or twice.
    """
    return await call.services.supervision.desk.of(call.principal.id)


@operation("GET", "/staff/duty", allow=STAFF, tag=TAG)
async def get_duty(call: Call) -> DutyView:
    """The templates that one supervises, and how many pledges one does at present."""
    return await call.services.supervision.staff.duty(call.principal.id)


@operation("PUT", "/staff/duty", allow=STAFF, tag=TAG)
async def set_duty(call: Call, body: Duty) -> DutyView:
    """Go on duty for templates, or (none) off duty.

    What waits for them is given to those on duty, to who has the fewest. What one supervises already stays one's own.
    """
    return await call.services.supervision.staff.set_duty(call.principal.id, body)


@operation(
    "POST",
    "/staff/pledges/{id}/seat",
    allow=STAFF,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.TRY_LATER),
)
async def take_staff_seat(call: Call, id: PledgeId) -> PledgeView:
    """Supervise a pledge that waits for staff."""
    return await _seen(call, await call.services.supervision.staff.seat(call.principal.id, id))


@operation("DELETE", "/staff/pledges/{id}/seat", allow=STAFF, tag=TAG, errors=(Code.NOT_FOUND, Code.TRY_LATER))
async def release_staff_seat(call: Call, id: PledgeId) -> None:
    """Stop supervising a pledge as staff.

    It goes to somebody else on duty, and does not come back.
    """
    await call.services.supervision.staff.release(call.principal.id, id)


@operation("POST", "/staff/pledges/{id}/cases/{case}/take", allow=STAFF, tag=TAG, errors=ON_CASE)
async def take_case(call: Call, id: PledgeId, case: CaseId) -> PledgeView:
    """Work on a case.

    From now on one sees the pledge with its thread and evidence, and nobody else decides it. After a day without a
    ruling somebody else may take it.
    """
    return await _seen(call, await call.services.supervision.cases.take(call.principal.id, id, case))


@operation("POST", "/staff/pledges/{id}/cases/{case}/ruling", allow=STAFF, tag=TAG, errors=ON_CASE)
async def rule_case(call: Call, id: PledgeId, case: CaseId, body: Rule) -> PledgeView:
    """Rule on a case that one has taken, with written reasons that both sides read.

    Of a dispute or an appeal when both sides have added evidence, or after 48 hours. `void`: nobody can say; the tasks
    in question do not count, or who paid has all of it back.
    """
    return await _seen(call, await call.services.supervision.cases.rule(call.principal.id, id, case, body))


# ── Records ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@operation("GET", "/people/{person}/record", allow=PEOPLE, tag=TAG)
async def get_record(call: Call, person: PersonId) -> Record:
    """Facts about somebody's pledges.

    One's own, or those of somebody who has agreed that others see them; a minor's only for family and friends. Without
    consent it is empty.
    """
    return await call.services.supervision.records.of(call.principal.id, person)


@operation("PUT", "/me/record", allow=IN_PERSON, tag=TAG)
async def show_record(call: Call, body: ShowRecord) -> Record:
    """Say whether others see the facts about one's pledges."""
    return await call.services.supervision.records.show(call.principal.id, body.shown)


async def _seen(call: Call, pledge: Pledge) -> PledgeView:
    return await call.services.supervision.views.of(pledge, call.principal.id)


OPERATIONS = [
    dispute_pledge,
    appeal_pledge,
    list_pledge_templates,
    get_pledge_desk,
    get_duty,
    set_duty,
    take_staff_seat,
    release_staff_seat,
    take_case,
    rule_case,
    get_record,
    show_record,
]
