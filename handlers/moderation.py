"""Operations on reports: everybody makes them, staff decide them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.operations import Call, operation
from server.errors import Code
from server.moderation.model import (
    Claim,
    Decision,
    MakeReport,
    OwnReport,
    ReportId,
    Reports,
    ReportState,
    ReportView,
)
from server.people.model import PersonId
from server.principals import PEOPLE, STAFF

TAG = "moderation"
#: what an operation on one report may answer
ON_REPORT = (Code.NOT_FOUND, Code.ALREADY, Code.STALE, Code.CONFLICT)


class ReportsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`claimed`: those that one works on oneself."""

    state: ReportState = ReportState.OPEN
    before: Annotated[int, Meta(ge=1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


@operation(
    "POST",
    "/reports",
    allow=PEOPLE,
    tag=TAG,
    status=201,
    also={200: "It was reported before."},
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.TOO_OFTEN, Code.TRY_LATER),
)
async def report(call: Call, body: MakeReport) -> OwnReport:
    """Report a message or a person.

    A message that one can see, or a person whom one has met. Staff get a copy of the message and of up to five before
    it, as they stand now. Reporting the same again finds the same report; at most 30 a day.
    """
    made = await call.services.moderation.report(call.principal, body)
    if made.again:
        call.status = 200
    return made


@operation("GET", "/staff/reports", allow=STAFF, tag=TAG)
async def list_reports(call: Call, query: ReportsQuery) -> Reports:
    """The queue.

    `open` are all that wait, the oldest first; `claimed` those of them that one works on; `decided` the newest first.
    `before` is the `next` of the page before. Reports about oneself are never shown.
    """
    return await call.services.moderation.queue(call.principal.id, query.state, query.before, query.limit)


@operation("GET", "/staff/reports/{id}", allow=STAFF, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_report(call: Call, id: ReportId) -> ReportView:
    """Look at a report, with its evidence and what was reported about the same person before."""
    return await call.services.moderation.one(call.principal.id, id)


@operation("PUT", "/staff/reports/{id}/claim", allow=STAFF, tag=TAG, errors=ON_REPORT)
async def claim_report(call: Call, id: ReportId, body: Claim) -> ReportView:
    """Work on a report.

    Nobody else decides it meanwhile. After an hour without a decision somebody else may claim it.
    """
    return await call.services.moderation.claim(call.principal.id, id, body)


@operation("DELETE", "/staff/reports/{id}/claim", allow=STAFF, tag=TAG, errors=ON_REPORT)
async def release_report(call: Call, id: ReportId, body: Claim) -> ReportView:
    """Put a report back into the queue."""
    return await call.services.moderation.release(call.principal.id, id, body)


@operation("POST", "/staff/reports/{id}/decision", allow=STAFF, tag=TAG, errors=ON_REPORT)
async def decide_report(call: Call, id: ReportId, body: Decision) -> ReportView:
    """Decide a report.

    No measures dismiss it. `remove` deletes the message, `warn` tells the person, `suspend` ends their sign-ins and
    refuses new ones for so many `hours`; they go together. Reporter and reported are told what was done. Who has
    reported something, or is reported, does not decide about it; only admins suspend staff.
    """
    return await call.services.moderation.decide(call.principal.id, id, body)


@operation(
    "DELETE", "/staff/suspensions/{person}", allow=STAFF, tag=TAG, errors=(Code.NOT_FOUND, Code.ALREADY, Code.STALE)
)
async def lift_suspension(call: Call, person: PersonId) -> None:
    """End a suspension before its time."""
    await call.services.moderation.lift(call.principal.id, person)


OPERATIONS = [
    report,
    list_reports,
    get_report,
    claim_report,
    release_report,
    decide_report,
    lift_suspension,
]
