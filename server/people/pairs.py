"""How two people come to be friends, and stop: a state machine over one `Pair` (R-01). Pure.

Every function takes the pair and who acts, and returns the pair as it is afterwards (the same object when nothing
changes) and the news for either side's inbox. The caller stores the pair by compare-and-set and sends the news in
the same transaction.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from server.errors import Code, VouchError
from server.people.model import Pair, PairState, Relation


class News(StrEnum):
    """Kinds of inbox entries that tell of a change of a pair."""

    REQUESTED = "friend_requested"
    ACCEPTED = "friend_accepted"
    REMOVED = "friend_removed"
    WITHDRAWN = "request_withdrawn"


class Change(msgspec.Struct, frozen=True):
    """`news` lists (whose inbox, what); it is empty when `pair` is unchanged or nobody else must know."""

    pair: Pair
    news: tuple[tuple[str, News], ...] = ()


def new_pair(one: str, other: str) -> Pair:
    """Two people who have never had to do with each other. Raises `bad_request` for one person alone."""
    if one == other:
        raise VouchError(Code.BAD_REQUEST, "This is yourself.", field="person")
    a, b = sorted((one, other))
    return Pair(a=a, b=b)


def relation(pair: Pair, me: str) -> Relation:
    """How `me` sees the other. Being blocked and being declined look like nothing has happened."""
    if me in pair.blocked_by:
        return Relation.BLOCKED
    match pair.state:
        case PairState.FRIENDS:
            return Relation.FRIEND
        case PairState.REQUESTED:
            return Relation.OUTGOING if pair.asker == me else Relation.INCOMING
        case PairState.DECLINED:
            return Relation.OUTGOING if pair.asker == me else Relation.NONE
        case PairState.NONE:
            return Relation.NONE


def request(pair: Pair, me: str, note: str, at: datetime) -> Change:
    """Asks. Whoever was asked already (even when they had declined) becomes a friend by asking back."""
    if pair.blocked_by:
        raise VouchError(Code.BLOCKED)
    if pair.state is PairState.FRIENDS:
        raise VouchError(Code.ALREADY, "You are friends already.")
    if pair.state is PairState.NONE:
        return _change(pair, _state(pair, PairState.REQUESTED, at, asker=me, note=note), News.REQUESTED)
    if pair.asker == me:
        return Change(pair)
    return _befriend(pair, at)


def accept(pair: Pair, me: str, at: datetime) -> Change:
    """Raises `not_found` without an open request to `me`. Accepting twice is accepting once."""
    if pair.state is PairState.FRIENDS:
        return Change(pair)
    if relation(pair, me) is not Relation.INCOMING:
        raise VouchError(Code.NOT_FOUND)
    return _befriend(pair, at)


def decline(pair: Pair, me: str) -> Change:
    """The asker is not told and goes on seeing the same open request: its note and time stay."""
    if relation(pair, me) is not Relation.INCOMING:
        raise VouchError(Code.NOT_FOUND)
    declined = msgspec.structs.replace(pair, state=PairState.DECLINED, version=pair.version + 1)
    return _change(pair, declined, News.WITHDRAWN)


def withdraw(pair: Pair, me: str, at: datetime) -> Change:
    """Takes one's own request back."""
    if relation(pair, me) is not Relation.OUTGOING:
        raise VouchError(Code.NOT_FOUND)
    return _change(pair, _state(pair, PairState.NONE, at), News.WITHDRAWN)


def remove(pair: Pair, me: str, at: datetime) -> Change:
    """Ends a friendship, for both."""
    if pair.state is not PairState.FRIENDS:
        raise VouchError(Code.NOT_FOUND)
    return _change(pair, _state(pair, PairState.NONE, at), News.REMOVED)


def block(pair: Pair, me: str, at: datetime) -> Change:
    """Ends whatever there was and keeps the other away. The other learns of the ending, not of the block."""
    if me in pair.blocked_by:
        return Change(pair)
    blocked = msgspec.structs.replace(_state(pair, PairState.NONE, at), blocked_by=pair.blocked_by | {me})
    return _change(pair, blocked, _ending(pair))


def unblock(pair: Pair, me: str) -> Change:
    """Lets the other come again; the friendship that was ended does not come back."""
    if me not in pair.blocked_by:
        return Change(pair)
    freed = msgspec.structs.replace(pair, blocked_by=pair.blocked_by - {me}, version=pair.version + 1)
    return _change(pair, freed, News.REMOVED)


def forget(pair: Pair, at: datetime) -> Change:
    """One of the two has deleted the account: nothing is left between them."""
    if pair.state is PairState.NONE and not pair.blocked_by:
        return Change(pair)
    forgotten = msgspec.structs.replace(_state(pair, PairState.NONE, at), blocked_by=frozenset())
    return _change(pair, forgotten, _ending(pair))


def _befriend(pair: Pair, at: datetime) -> Change:
    return _change(pair, _state(pair, PairState.FRIENDS, at), News.ACCEPTED)


def _ending(pair: Pair) -> News:
    return News.WITHDRAWN if pair.state in (PairState.REQUESTED, PairState.DECLINED) else News.REMOVED


def _change(before: Pair, after: Pair, news: News) -> Change:
    """Told are those of the two who see something else than before: a decline, a block stay silent by themselves."""
    told = (person for person in (after.a, after.b) if relation(before, person) is not relation(after, person))
    return Change(after, tuple((person, news) for person in told))


def _state(pair: Pair, state: PairState, at: datetime, *, asker: str | None = None, note: str = "") -> Pair:
    return msgspec.structs.replace(pair, state=state, asker=asker, note=note, at=at, version=pair.version + 1)
