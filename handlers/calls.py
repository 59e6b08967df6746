"""Operations on calls: starting and answering them, seats, connections of media, snapshots (R-14 to R-16)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.operations import Call, operation
from server.calls.model import CallId, ConnectionId
from server.calls.views import (
    AnswerSnapshot,
    CallList,
    CallView,
    ChangeSeat,
    ConnectionView,
    IceServers,
    NewConnection,
    RemoveFromCall,
    SetView,
    SnapshotView,
    StartCall,
    TakeSnapshot,
)
from server.errors import Code
from server.principals import IN_PERSON, PEOPLE

TAG = "calls"
#: What every change of a call may be refused with.
ON_CHANGE = (Code.NOT_FOUND, Code.CONFLICT, Code.TRY_LATER)


class CallsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    before: Annotated[CallId, Meta(description="the last call of the page before")] | None = None
    limit: Annotated[int, Meta(ge=1, le=50)] = 30


@operation("GET", "/calls", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def list_calls(call: Call, query: CallsQuery) -> CallList:
    """One's calls, the newest first."""
    return await call.services.calls.listing.mine(call.principal, query.before, query.limit)


@operation(
    "POST",
    "/calls",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    errors=(
        Code.NOT_FOUND,
        Code.CONFLICT,
        Code.BUSY,
        Code.CLOSED,
        Code.SILENCED,
        Code.IDEMPOTENCY_CONFLICT,
        Code.LIMIT_REACHED,
        Code.TOO_OFTEN,
        Code.TRY_LATER,
    ),
    also={200: "It was there."},
)
async def start_call(call: Call, body: StartCall) -> CallView:
    """Start a call: the other members' phones ring for 45 s.

    One is in it at once. Where a call goes on in the conversation, that one is the answer and one has not joined it
    yet. Whoever is in another call is `busy`. At most 50 people.
    """
    made, new = await call.services.calls.start_call(call.principal, body)
    call.status = 201 if new else 200
    return await call.services.calls.view(made, call.principal)


@operation("GET", "/calls/ice", allow=IN_PERSON, tag=TAG)
async def ice_servers(call: Call) -> IceServers:
    """Through which servers a browser finds its way where a direct one is closed.

    The TURN credentials are one's own and hold for some hours.
    """
    return call.services.calls.ice.servers(call.principal.id)


@operation("GET", "/calls/{id}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_call(call: Call, id: CallId) -> CallView:
    """One call, with what oneself may do now."""
    calls = call.services.calls
    return await calls.view(await calls.readable(call.principal, id), call.principal)


@operation(
    "POST",
    "/calls/{id}/accept",
    allow=IN_PERSON,
    tag=TAG,
    errors=(*ON_CHANGE, Code.BUSY, Code.LIMIT_REACHED, Code.TOO_OFTEN),
)
async def accept_call(call: Call, id: CallId) -> CallView:
    """Join the call with this sign-in: answer the phone, come later, or come back.

    Where one is in it on another device the seat moves here, and that one's connections close.
    """
    calls = call.services.calls
    return await calls.view(await calls.accept(call.principal, id), call.principal)


@operation("POST", "/calls/{id}/decline", allow=IN_PERSON, tag=TAG, errors=ON_CHANGE)
async def decline_call(call: Call, id: CallId) -> CallView:
    """Do not answer: one's phones stop ringing."""
    calls = call.services.calls
    return await calls.view(await calls.decline(call.principal, id), call.principal)


@operation("POST", "/calls/{id}/cancel", allow=IN_PERSON, tag=TAG, errors=(*ON_CHANGE, Code.FORBIDDEN))
async def cancel_call(call: Call, id: CallId) -> CallView:
    """Take one's call back while nobody else has joined it."""
    calls = call.services.calls
    return await calls.view(await calls.cancel(call.principal, id), call.principal)


@operation("POST", "/calls/{id}/leave", allow=IN_PERSON, tag=TAG, errors=ON_CHANGE)
async def leave_call(call: Call, id: CallId) -> CallView:
    """Leave the call with this sign-in.

    Its connections close at once. A call between two, and one that the last leaves, is over.
    """
    calls = call.services.calls
    return await calls.view(await calls.leave(call.principal, id), call.principal)


@operation(
    "POST",
    "/calls/{id}/end",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.FORBIDDEN, Code.TRY_LATER),
)
async def end_call(call: Call, id: CallId) -> CallView:
    """End the call for everybody: who started it, and the conversation's owner."""
    calls = call.services.calls
    return await calls.view(await calls.end(call.principal, id), call.principal)


@operation("POST", "/calls/{id}/remove", allow=IN_PERSON, tag=TAG, errors=(*ON_CHANGE, Code.FORBIDDEN))
async def remove_from_call(call: Call, id: CallId, body: RemoveFromCall) -> CallView:
    """Put somebody out of the call for good: who started it, and the conversation's administrators."""
    calls = call.services.calls
    return await calls.view(await calls.remove(call.principal, id, body.person), call.principal)


@operation("PATCH", "/calls/{id}/seat", allow=IN_PERSON, tag=TAG, errors=(*ON_CHANGE, Code.TOO_OFTEN))
async def change_seat(call: Call, id: CallId, body: ChangeSeat) -> CallView:
    """Say what one shows, and whom one looks at.

    Everybody in the call is told; it takes the seat of this sign-in. A page that is closed says so (`closing`), so that
    nobody waits for a line that will not come back.
    """
    calls = call.services.calls
    return await calls.view(await calls.change_seat(call.principal, id, body), call.principal)


@operation(
    "POST",
    "/calls/{id}/connections",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.STALE, Code.BAD_OFFER, Code.TOO_OFTEN, Code.TRY_LATER),
)
async def connect_to_call(call: Call, id: CallId, body: NewConnection) -> ConnectionView:
    """Set up media in one direction: an offer in, the answer out.

    It takes the seat of this sign-in. The server is the passive side and has all its candidates in the answer.
    """
    return await call.services.calls.connections.connect(call.principal, id, body)


@operation(
    "DELETE",
    "/calls/{id}/connections/{connection}",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND,),
)
async def disconnect_from_call(call: Call, id: CallId, connection: ConnectionId) -> None:
    """Close one of one's connections."""
    await call.services.calls.connections.disconnect(call.principal, id, connection)


@operation(
    "PUT",
    "/calls/{id}/connections/{connection}/view",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.TOO_OFTEN),
)
async def set_call_view(call: Call, id: CallId, connection: ConnectionId, body: SetView) -> None:
    """Say what is to flow in which m-line of a watching connection.

    Only people who are in the call are shown; somebody who comes later appears by another `view`.
    """
    await call.services.calls.connections.view(call.principal, id, connection, body)


@operation(
    "POST",
    "/calls/{id}/snapshots",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    errors=(
        Code.NOT_FOUND,
        Code.CONFLICT,
        Code.CLOSED,
        Code.IDEMPOTENCY_CONFLICT,
        Code.LIMIT_REACHED,
        Code.FORBIDDEN,
        Code.TOO_OFTEN,
    ),
)
async def take_snapshot(call: Call, id: CallId, body: TakeSnapshot) -> SnapshotView:
    """Take a picture of a pledge's owner as a proof, marked and signed: its supervisors, in a call about it.

    Whoever is shown is told at once. In all other cases they are asked first.
    """
    return await call.services.calls.snapshots.take(call.principal, id, body)


@operation(
    "POST",
    "/calls/{id}/snapshots/asks",
    allow=IN_PERSON,
    tag=TAG,
    errors=(*ON_CHANGE, Code.FORBIDDEN, Code.IDEMPOTENCY_CONFLICT, Code.TOO_OFTEN),
)
async def ask_for_snapshot(call: Call, id: CallId, body: TakeSnapshot) -> CallView:
    """Ask somebody who shows their camera for a picture of them.

    They have a minute to answer. Who has said no is asked again after that minute only.
    """
    calls = call.services.calls
    return await calls.view(await calls.snapshots.ask(call.principal, id, body), call.principal)


@operation(
    "POST",
    "/calls/{id}/snapshots/answers",
    allow=IN_PERSON,
    tag=TAG,
    errors=(*ON_CHANGE, Code.FORBIDDEN, Code.LIMIT_REACHED, Code.TOO_OFTEN),
)
async def answer_snapshot(call: Call, id: CallId, body: AnswerSnapshot) -> CallView:
    """Say yes or no to a picture of oneself, or take one's question back.

    With a yes it is taken now, and becomes a proof of both: whoever asked, and whoever is shown.
    """
    calls = call.services.calls
    return await calls.view(await calls.snapshots.answer(call.principal, id, body), call.principal)


OPERATIONS = [
    list_calls,
    start_call,
    ice_servers,
    get_call,
    accept_call,
    decline_call,
    cancel_call,
    leave_call,
    end_call,
    remove_from_call,
    change_seat,
    connect_to_call,
    disconnect_from_call,
    set_call_view,
    take_snapshot,
    ask_for_snapshot,
    answer_snapshot,
]
