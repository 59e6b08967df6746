"""Operations on sign-ins: browsers and programs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.accounts import Name, Password
from handlers.operations import Call, operation
from server.errors import Code
from server.people.model import Me, SessionId, SessionView
from server.principals import ANYBODY, IN_PERSON

TAG = "sessions"

Login = Annotated[str, Meta(min_length=1, max_length=256, description="a handle or a phone number")]


class SignInRequest(msgspec.Struct, forbid_unknown_fields=True):
    login: Login
    password: Password


class SignedIn(msgspec.Struct, frozen=True):
    me: Me
    session: SessionView


class SessionList(msgspec.Struct, frozen=True):
    """The current one first, then by last use."""

    sessions: list[SessionView]


class Ended(msgspec.Struct, frozen=True):
    ended: int


class CreateTokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`name` tells the token apart in the list of sign-ins."""

    name: Name


class CreatedToken(msgspec.Struct, frozen=True):
    """`token` is shown this once: only its hash is kept."""

    token: str
    session: SessionView


@operation(
    "POST",
    "/sessions",
    allow=ANYBODY,
    tag=TAG,
    status=201,
    errors=(Code.WRONG_CREDENTIALS, Code.SUSPENDED, Code.TOO_OFTEN, Code.TRY_LATER),
)
async def sign_in(call: Call, body: SignInRequest) -> SignedIn:
    """Sign in with handle or phone number.

    Sets the session cookie. A wrong password and an unknown login are answered alike, and as slowly. At most 10 tries
    per login and 60 per address in 15 minutes. For a suspended account `retry_after` tells for how many seconds more.
    """
    people = call.services.people
    person, session, token = await people.sessions.sign_in(
        body.login, body.password, call.ip, call.user_agent, call.browser
    )
    call.start_session(token)
    return SignedIn(await people.accounts.me_of(person), session)


@operation("DELETE", "/sessions/current", allow=IN_PERSON, tag=TAG)
async def sign_out(call: Call) -> None:
    """Sign this browser out.

    Closes its sockets and takes the cookie away.
    """
    call.end_session()
    await call.services.people.sessions.sign_out(call.principal.id, call.principal.session)


@operation("GET", "/sessions", allow=IN_PERSON, tag=TAG)
async def list_sessions(call: Call) -> SessionList:
    """Where one is signed in."""
    return SessionList(await call.services.people.sessions.all_of(call.principal.id, call.principal.session))


@operation("DELETE", "/sessions/{session}", allow=IN_PERSON, tag=TAG, errors=(Code.NOT_FOUND,))
async def revoke_session(call: Call, session: SessionId) -> None:
    """End one of one's sign-ins.

    Its sockets close at once.
    """
    await call.services.people.sessions.revoke(call.principal.id, session)


@operation("DELETE", "/sessions", allow=IN_PERSON, tag=TAG)
async def revoke_other_sessions(call: Call) -> Ended:
    """End all sign-ins but this one."""
    return Ended(await call.services.people.sessions.end_others(call.principal.id, call.principal.session))


@operation("POST", "/tokens", allow=IN_PERSON, tag=TAG, status=201, errors=(Code.LIMIT_REACHED, Code.SUSPENDED))
async def create_token(call: Call, body: CreateTokenRequest) -> CreatedToken:
    """Make a token for a program that acts for oneself.

    It is sent as `Authorization: Bearer …` and ends after a year without use.
    """
    token, session = await call.services.people.sessions.create_token(call.principal.id, body.name, call.ip)
    return CreatedToken(token, session)


OPERATIONS = [sign_in, sign_out, list_sessions, revoke_session, revoke_other_sessions, create_token]
