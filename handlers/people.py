"""Operations between people: finding, seeing, befriending, blocking."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.accounts import Handle, Phone
from handlers.operations import Call, operation
from server.errors import Code
from server.people.model import Friends, PersonCard, PersonId, PersonView
from server.principals import PEOPLE

TAG = "people"
MOST_CARDS = 200
#: `bad_request`: nobody can do this with themselves.
NOT_ONESELF = (Code.BAD_REQUEST, Code.NOT_FOUND)


class FindPersonRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly one of the two."""

    handle: Handle | None = None
    phone: Phone | None = None


class GetCardsRequest(msgspec.Struct, forbid_unknown_fields=True):
    ids: Annotated[list[PersonId], Meta(max_length=MOST_CARDS)]


class Cards(msgspec.Struct, frozen=True):
    """In the order asked for; people whom one may not see are left out."""

    people: list[PersonCard]


class RequestFriendRequest(msgspec.Struct, forbid_unknown_fields=True):
    person: PersonId
    note: Annotated[str, Meta(max_length=400, description="at most 200 characters")] = ""


@operation("POST", "/people/search", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND, Code.TOO_OFTEN))
async def find_person(call: Call, body: FindPersonRequest) -> PersonView:
    """Find somebody by exact handle or phone number.

    At most 20 searches an hour, so that nobody can list who is here. Whoever blocks the one who searches is not found.
    """
    directory = call.services.people.directory
    return await directory.find(call.principal.id, call.ip, handle=body.handle, phone=body.phone)


@operation("GET", "/people/{person}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_person(call: Call, person: PersonId) -> PersonView:
    """Somebody one is connected with.

    A friend, a request either way, or a conversation that both are in; everybody else is not found.
    """
    return await call.services.people.directory.person(call.principal.id, person)


@operation("POST", "/people/cards", allow=PEOPLE, tag=TAG)
async def get_cards(call: Call, body: GetCardsRequest) -> Cards:
    """The names and pictures of many people at once.

    Deleted people come with an empty name.
    """
    return Cards(await call.services.people.directory.cards_for(call.principal.id, body.ids))


@operation("GET", "/friends", allow=PEOPLE, tag=TAG)
async def list_friends(call: Call) -> Friends:
    """Friends, open requests both ways, and whom one blocks."""
    return await call.services.people.friends.all_of(call.principal.id)


@operation(
    "POST",
    "/friends/requests",
    allow=PEOPLE,
    tag=TAG,
    status=201,
    errors=(Code.NOT_FOUND, Code.BLOCKED, Code.ALREADY, Code.LIMIT_REACHED, Code.TOO_OFTEN),
)
async def request_friend(call: Call, body: RequestFriendRequest) -> PersonView:
    """Ask somebody to be a friend.

    Whoever has asked oneself becomes a friend at once. Asking twice is asking once. At most 100 requests may wait for
    an answer, and 50 be made a day.
    """
    return await call.services.people.friends.request(call.principal.id, body.person, body.note)


@operation("DELETE", "/friends/requests/{person}", allow=PEOPLE, tag=TAG, errors=NOT_ONESELF)
async def withdraw_request(call: Call, person: PersonId) -> None:
    """Take one's own request back."""
    await call.services.people.friends.withdraw(call.principal.id, person)


@operation("POST", "/friends/requests/{person}/accept", allow=PEOPLE, tag=TAG, errors=NOT_ONESELF)
async def accept_friend(call: Call, person: PersonId) -> PersonView:
    """Accept somebody's request."""
    return await call.services.people.friends.accept(call.principal.id, person)


@operation("POST", "/friends/requests/{person}/decline", allow=PEOPLE, tag=TAG, errors=NOT_ONESELF)
async def decline_friend(call: Call, person: PersonId) -> None:
    """Decline somebody's request.

    They are not told and go on seeing it as unanswered.
    """
    await call.services.people.friends.decline(call.principal.id, person)


@operation("DELETE", "/friends/{person}", allow=PEOPLE, tag=TAG, errors=NOT_ONESELF)
async def remove_friend(call: Call, person: PersonId) -> None:
    """End a friendship."""
    await call.services.people.friends.remove(call.principal.id, person)


@operation("PUT", "/blocks/{person}", allow=PEOPLE, tag=TAG, errors=NOT_ONESELF)
async def block(call: Call, person: PersonId) -> PersonView:
    """Block somebody.

    Ends the friendship and requests both ways and closes the direct conversation, for both. They are not told why.
    """
    return await call.services.people.friends.block(call.principal.id, person)


@operation("DELETE", "/blocks/{person}", allow=PEOPLE, tag=TAG, errors=NOT_ONESELF)
async def unblock(call: Call, person: PersonId) -> PersonView:
    """End a block.

    What it ended does not come back by itself.
    """
    return await call.services.people.friends.unblock(call.principal.id, person)


OPERATIONS = [
    find_person,
    get_person,
    get_cards,
    list_friends,
    request_friend,
    withdraw_request,
    accept_friend,
    decline_friend,
    remove_friend,
    block,
    unblock,
]
