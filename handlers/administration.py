"""Operations for those who run the whole system."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.operations import Call, operation
from server.administration.model import (
    Audit,
    Charts,
    Configuration,
    NodeVersions,
    Queues,
    Storage,
    Suspend,
    SystemRole,
    User,
    Users,
)
from server.clock import from_ms
from server.errors import Code
from server.people.model import Millis, PersonId, SessionId
from server.principals import ADMINS

TAG = "administration"


class UsersQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    query: Annotated[str, Meta(max_length=100)] = ""
    before: Millis | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class AuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`by`, `action` and `target` are exact."""

    by: Annotated[str, Meta(max_length=64)] | None = None
    action: Annotated[str, Meta(max_length=64)] | None = None
    target: Annotated[str, Meta(max_length=64)] | None = None
    before: Annotated[int, Meta(ge=1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class ChartsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Without `to` until now, without `from` the hour before."""

    from_: Millis | None = None
    to: Millis | None = None


class SignInsEnded(msgspec.Struct, frozen=True):
    ended: int


@operation("GET", "/admin/users", allow=ADMINS, tag=TAG)
async def list_users(call: Call, query: UsersQuery) -> Users:
    """Find accounts.

    By the beginnings of names and handles, or by a whole phone number; without a `query` the newest come first, and
    `before` is the `next` of the page before.
    """
    return await call.services.administration.users.all(query.query, query.before, query.limit)


@operation("GET", "/admin/users/{person}", allow=ADMINS, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_user(call: Call, person: PersonId) -> User:
    """Look at an account."""
    return await call.services.administration.users.one(person)


@operation("PUT", "/admin/users/{person}/grants/{role}", allow=ADMINS, tag=TAG, errors=(Code.NOT_FOUND, Code.ALREADY))
async def give_role(call: Call, person: PersonId, role: SystemRole) -> User:
    """Make somebody admin or staff of the whole system."""
    return await call.services.administration.users.give(call.principal.id, person, role)


@operation(
    "DELETE", "/admin/users/{person}/grants/{role}", allow=ADMINS, tag=TAG, errors=(Code.NOT_FOUND, Code.ALREADY)
)
async def take_role(call: Call, person: PersonId, role: SystemRole) -> User:
    """Take such a role back.

    Nobody stops being an admin by themselves: another admin does it.
    """
    return await call.services.administration.users.take(call.principal.id, person, role)


@operation("DELETE", "/admin/users/{person}/sessions", allow=ADMINS, tag=TAG, errors=(Code.NOT_FOUND,))
async def end_sign_ins(call: Call, person: PersonId) -> SignInsEnded:
    """End all sign-ins of somebody, programs' tokens too. Their sockets close at once."""
    return SignInsEnded(await call.services.administration.users.end_sessions(call.principal.id, person))


@operation("DELETE", "/admin/users/{person}/sessions/{session}", allow=ADMINS, tag=TAG, errors=(Code.NOT_FOUND,))
async def end_sign_in(call: Call, person: PersonId, session: SessionId) -> None:
    """End one sign-in of somebody."""
    await call.services.administration.users.end_session(call.principal.id, person, session)


@operation("PUT", "/admin/users/{person}/suspension", allow=ADMINS, tag=TAG, errors=(Code.NOT_FOUND, Code.STALE))
async def suspend_user(call: Call, person: PersonId, body: Suspend) -> User:
    """Suspend an account for a time.

    All sign-ins end and none begins before it is over. `DELETE /staff/suspensions/{person}` lifts it.
    """
    return await call.services.administration.users.suspend(call.principal.id, person, body)


@operation("GET", "/admin/storage", allow=ADMINS, tag=TAG)
async def get_storage(call: Call) -> Storage:
    """What is kept, and how much of it.

    Counted in the background at most every 15 minutes; the embedded engine counts up to 10,000 of each collection.
    """
    return await call.services.administration.census.storage()


@operation("GET", "/admin/queues", allow=ADMINS, tag=TAG)
async def get_queues(call: Call) -> Queues:
    """What waits, and how pushing goes."""
    return await call.services.administration.condition.queues()


@operation("GET", "/admin/versions", allow=ADMINS, tag=TAG)
async def get_versions(call: Call) -> NodeVersions:
    """Which nodes live, and what runs on them."""
    return await call.services.administration.condition.versions()


@operation("GET", "/admin/configuration", allow=ADMINS, tag=TAG)
async def get_configuration(call: Call) -> Configuration:
    """What is not configured, and what follows from it. Problems come first."""
    return await call.services.administration.condition.configuration()


@operation("GET", "/admin/charts", allow=ADMINS, tag=TAG)
async def get_charts(call: Call, query: ChartsQuery) -> Charts:
    """How the server was: minute by minute for a week, all nodes together, at most 240 moments."""
    figures = call.services.administration.figures
    end = from_ms(query.to) if query.to is not None else call.services.clock.now()
    first = from_ms(query.from_) if query.from_ is not None else end - timedelta(hours=1)
    return await figures.between(first, end)


@operation("GET", "/admin/audit", allow=ADMINS, tag=TAG)
async def list_audit(call: Call, query: AuditQuery) -> Audit:
    """Who did what to whom.

    Everything that staff and admins change, the newest first. A page may be short or empty though `next` is set: so far
    back nothing was found.
    """
    wanted = {"by": query.by, "action": query.action, "target": query.target}
    match = {name: value for name, value in wanted.items() if value is not None}
    return await call.services.administration.audit(match, query.before, query.limit)


OPERATIONS = [
    list_users,
    get_user,
    give_role,
    take_role,
    end_sign_ins,
    end_sign_in,
    suspend_user,
    get_storage,
    get_queues,
    get_versions,
    get_configuration,
    get_charts,
    list_audit,
]
