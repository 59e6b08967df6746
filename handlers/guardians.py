"""Operations on guardians: one's own family, and custody in the hands of staff."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.operations import Call, operation
from server.errors import Code
from server.guardians.model import (
    AskGuardian,
    ChangeCustody,
    ChoosePayee,
    CorrectBirthDate,
    Custody,
    EndCustody,
    Family,
)
from server.people.model import PersonId
from server.principals import IN_PERSON, PEOPLE, STAFF

TAG = "family"
ON_ASKING = (
    Code.NOT_FOUND,
    Code.BLOCKED,
    Code.CONFLICT,
    Code.ALREADY,
    Code.STALE,
    Code.LIMIT_REACHED,
    Code.TOO_OFTEN,
)
ON_CONFIRMING = (Code.NOT_FOUND, Code.BLOCKED, Code.CONFLICT, Code.STALE)


class CustodyQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    handle: Annotated[str, Meta(max_length=64)]


@operation("GET", "/me/family", allow=PEOPLE, tag=TAG)
async def get_family(call: Call) -> Family:
    """One's guardians and wards, and requests both ways."""
    return await call.services.guardians.family(call.principal.id)


@operation("POST", "/me/guardians", allow=IN_PERSON, tag=TAG, status=201, errors=ON_ASKING)
async def ask_guardian(call: Call, body: AskGuardian) -> Family:
    """Ask a friend to be one's guardian, as a minor.

    They must be of age and friends. Where they have asked already, this confirms. At most 20 requests a day.
    """
    me = call.principal.id
    return await call.services.guardians.ask(me, ward=me, guardian=body.person)


@operation("POST", "/me/guardians/{person}/confirm", allow=IN_PERSON, tag=TAG, errors=ON_CONFIRMING)
async def confirm_guardian(call: Call, person: PersonId) -> Family:
    """Let somebody be one's guardian who has asked.

    The first guardian is the payee: the one who pays and is paid for the ward.
    """
    me = call.principal.id
    return await call.services.guardians.confirm(me, ward=me, guardian=person)


@operation("DELETE", "/me/guardians/{person}", allow=IN_PERSON, tag=TAG, errors=(Code.NOT_FOUND, Code.STALE))
async def end_guardian(call: Call, person: PersonId) -> None:
    """End what is between oneself and a guardian, withdraw one's request, or decline theirs.

    It takes effect at once, also on what is under way.
    """
    me = call.principal.id
    await call.services.guardians.end(me, ward=me, guardian=person)


@operation("POST", "/me/wards", allow=IN_PERSON, tag=TAG, status=201, errors=ON_ASKING)
async def ask_ward(call: Call, body: AskGuardian) -> Family:
    """Ask a minor, who is a friend, to be their guardian."""
    me = call.principal.id
    return await call.services.guardians.ask(me, ward=body.person, guardian=me)


@operation("POST", "/me/wards/{person}/confirm", allow=IN_PERSON, tag=TAG, errors=ON_CONFIRMING)
async def confirm_ward(call: Call, person: PersonId) -> Family:
    """Be the guardian of a minor who has asked."""
    me = call.principal.id
    return await call.services.guardians.confirm(me, ward=person, guardian=me)


@operation("DELETE", "/me/wards/{person}", allow=IN_PERSON, tag=TAG, errors=(Code.NOT_FOUND, Code.STALE))
async def end_ward(call: Call, person: PersonId) -> None:
    """Stop being somebody's guardian, withdraw one's request, or decline theirs."""
    me = call.principal.id
    await call.services.guardians.end(me, ward=person, guardian=me)


@operation(
    "PUT",
    "/me/wards/{person}/payee",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.STALE),
)
async def hand_over_ward(call: Call, person: PersonId, body: ChoosePayee) -> Family:
    """Hand the money of a ward over to another of their guardians.

    Only the payee may.
    """
    return await call.services.guardians.hand_over(call.principal.id, person, body.guardian)


@operation("GET", "/staff/custody", allow=STAFF, tag=TAG, errors=(Code.NOT_FOUND,))
async def find_custody(call: Call, query: CustodyQuery) -> Custody:
    """Look up who looks after the money of somebody, by exact handle."""
    return await call.services.guardians.find(query.handle)


@operation(
    "PUT",
    "/staff/custody/{person}",
    allow=STAFF,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.ALREADY, Code.STALE),
)
async def change_custody(call: Call, person: PersonId, body: ChangeCustody) -> Custody:
    """Change custody at once.

    The payee before is guardian no more, the new one pays and is paid from this moment; what the old one has under way
    is refused. Nobody decides about their own family. It is written into the audit trail with its reason.
    """
    return await call.services.guardians.appoint(call.principal.id, person, body)


@operation(
    "DELETE",
    "/staff/custody/{person}/guardians/{guardian}",
    allow=STAFF,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.STALE),
)
async def end_custody(call: Call, person: PersonId, guardian: PersonId, body: EndCustody) -> Custody:
    """End what is between a minor and a guardian, at once."""
    return await call.services.guardians.end_by_staff(call.principal.id, person, guardian, body.reason)


@operation("PUT", "/staff/custody/{person}/birth-date", allow=STAFF, tag=TAG, errors=(Code.NOT_FOUND, Code.STALE))
async def correct_birth_date(call: Call, person: PersonId, body: CorrectBirthDate) -> Custody:
    """Correct a birth date that was mistyped: minors cannot change theirs.

    Whoever is of age by it has no guardians any more; a minor is guardian of nobody.
    """
    return await call.services.guardians.correct_birth_date(call.principal.id, person, body)


OPERATIONS = [
    get_family,
    ask_guardian,
    confirm_guardian,
    end_guardian,
    ask_ward,
    confirm_ward,
    end_ward,
    hand_over_ward,
    find_custody,
    change_custody,
    end_custody,
    correct_birth_date,
]
