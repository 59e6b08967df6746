"""Operations on who supervises whom: applications, invitations, consent, leaving, cohorts (R-03 to R-07)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.operations import Call, operation
from server.errors import Code
from server.people.model import PersonId
from server.principals import IN_PERSON, PEOPLE
from server.supervision.model import CohortId, Pledge, PledgeId
from server.supervision.views import Application, CohortView, Invitation, NewCohort, PledgeView

TAG = "supervision"
ON_CHANGING = (Code.NOT_FOUND, Code.CONFLICT, Code.TRY_LATER)


class ApplicationQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`link`: what the address that was handed on carries."""

    link: Annotated[str, Meta(max_length=64)] = ""


@operation(
    "POST",
    "/pledges/{id}/application",
    allow=IN_PERSON,
    tag=TAG,
    errors=(*ON_CHANGING, Code.ALREADY, Code.LIMIT_REACHED, Code.TOO_OFTEN),
)
async def apply_for_pledge(call: Call, id: PledgeId, query: ApplicationQuery, body: Application) -> PledgeView:
    """Offer to supervise somebody's pledge.

    The owner accepts or declines. Whoever the owner has declined before does not apply again. At most 60 an hour.
    """
    me = call.principal.id
    return await _seen(call, await call.services.supervision.seats.apply(me, id, body.words, query.link), query.link)


@operation("DELETE", "/pledges/{id}/application", allow=IN_PERSON, tag=TAG, errors=ON_CHANGING)
async def withdraw_application(call: Call, id: PledgeId) -> PledgeView:
    """Take one's application back."""
    return await _seen(call, await call.services.supervision.seats.withdraw(call.principal.id, id))


@operation(
    "POST",
    "/pledges/{id}/applicants/{person}/accept",
    allow=IN_PERSON,
    tag=TAG,
    errors=(*ON_CHANGING, Code.LIMIT_REACHED),
)
async def accept_applicant(call: Call, id: PledgeId, person: PersonId) -> PledgeView:
    """Let an applicant supervise one's pledge.

    With the last seat taken all others are told that they are declined; of two accepted at once for one seat, one is.
    """
    decided = await call.services.supervision.seats.decide(call.principal.id, id, person, True)
    return await _seen(call, decided)


@operation("POST", "/pledges/{id}/applicants/{person}/decline", allow=IN_PERSON, tag=TAG, errors=ON_CHANGING)
async def decline_applicant(call: Call, id: PledgeId, person: PersonId) -> PledgeView:
    """Decline an applicant, or take an invitation back."""
    decided = await call.services.supervision.seats.decide(call.principal.id, id, person, False)
    return await _seen(call, decided)


@operation(
    "POST",
    "/pledges/{id}/invitations",
    allow=IN_PERSON,
    tag=TAG,
    errors=(*ON_CHANGING, Code.LIMIT_REACHED, Code.TOO_OFTEN),
)
async def invite_supervisors(call: Call, id: PledgeId, body: Invitation) -> PledgeView:
    """Ask people to supervise a pledge.

    They must be known to whoever invites: friends, or people met in a conversation. More may be asked than there are
    seats; the first to accept have them. An invitation that nobody answers lapses. At most 60 times an hour.
    """
    invited = await call.services.supervision.seats.invite(call.principal.id, id, body.people, body.hours)
    return await _seen(call, invited)


@operation("POST", "/pledges/{id}/invitation/accept", allow=IN_PERSON, tag=TAG, errors=ON_CHANGING)
async def accept_invitation(call: Call, id: PledgeId) -> PledgeView:
    """Supervise a pledge to which one was invited."""
    return await _seen(call, await call.services.supervision.seats.answer(call.principal.id, id, True))


@operation("POST", "/pledges/{id}/invitation/decline", allow=IN_PERSON, tag=TAG, errors=ON_CHANGING)
async def decline_invitation(call: Call, id: PledgeId) -> PledgeView:
    """Do not supervise a pledge to which one was invited."""
    return await _seen(call, await call.services.supervision.seats.answer(call.principal.id, id, False))


@operation("POST", "/pledges/{id}/consent", allow=IN_PERSON, tag=TAG, errors=ON_CHANGING)
async def consent_to_pledge(call: Call, id: PledgeId) -> PledgeView:
    """Agree, as the owner, to what a supervisor has drafted."""
    return await _seen(call, await call.services.supervision.seats.consent(call.principal.id, id))


@operation("DELETE", "/pledges/{id}/consent", allow=IN_PERSON, tag=TAG, errors=ON_CHANGING)
async def refuse_pledge(call: Call, id: PledgeId) -> PledgeView:
    """Do not agree to what a supervisor has drafted.

    It is cancelled, and whatever was paid goes back.
    """
    return await _seen(call, await call.services.supervision.seats.refuse(call.principal.id, id))


@operation("POST", "/pledges/{id}/leave", allow=IN_PERSON, tag=TAG, errors=ON_CHANGING)
async def leave_pledge(call: Call, id: PledgeId) -> PledgeView:
    """Stop supervising a pledge.

    The others go on. When fewer are left than its rule needs, staff decide what is open; nobody loses by it.
    """
    return await _seen(call, await call.services.supervision.seats.leave(call.principal.id, id))


async def _seen(call: Call, pledge: Pledge, link: str = "") -> PledgeView:
    return await call.services.supervision.views.of(pledge, call.principal.id, link)


@operation(
    "POST",
    "/cohorts",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    also={200: "It was begun before."},
    errors=(Code.GUARDIAN_NEEDED, Code.LIMIT_REACHED, Code.TOO_OFTEN),
)
async def begin_cohort(call: Call, body: NewCohort) -> CohortView:
    """Ask several people to promise the same, supervised by oneself.

    Each of them has a pledge of their own, which begins when they consent and its stake is paid.
    """
    supervision = call.services.supervision
    cohort, new = await supervision.cohorts.begin(call.principal.id, body)
    call.status = 201 if new else 200
    return await supervision.cohorts.view(call.principal.id, cohort.id)


@operation("GET", "/cohorts/{id}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_cohort(call: Call, id: CohortId) -> CohortView:
    """The pledges of a cohort: all of them for its supervisor, for the others those that they may see."""
    return await call.services.supervision.cohorts.view(call.principal.id, id)


OPERATIONS = [
    apply_for_pledge,
    withdraw_application,
    accept_applicant,
    decline_applicant,
    invite_supervisors,
    accept_invitation,
    decline_invitation,
    consent_to_pledge,
    refuse_pledge,
    leave_pledge,
    begin_cohort,
    get_cohort,
]
