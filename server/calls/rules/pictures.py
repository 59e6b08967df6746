"""Questions for a picture: whoever is to be shown is asked, and it is taken when they say yes (R-14). Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from server.calls.model import ASK, ASKS_MOST, AskState, Call, PictureAsk
from server.calls.rules.course import settled, turned
from server.calls.rules.seats import seated
from server.errors import Code, VouchError


def ask(call: Call, id: str, key: str, me: str, session: str, person: str, now: datetime) -> Call:
    """Whom one may ask was looked at before (`permits.check_ask`). The same key again is the same question. Raises
    `idempotency_conflict`, and `conflict` without a seat, while they were asked already, or have said no just now."""
    seated(call, me, session)
    call = settled(call, now)
    for one in call.asks:
        if (one.by, one.key) == (me, key):
            if one.person != person:
                raise VouchError(Code.IDEMPOTENCY_CONFLICT)
            return call
    if any((one.by, one.person) == (me, person) and one.state is not AskState.TAKEN for one in call.asks):
        raise VouchError(Code.CONFLICT, "They have been asked. Wait a minute.")
    if len(call.asks) >= ASKS_MOST:
        raise VouchError(Code.CONFLICT, "Too many pictures are asked for at once.")
    asked = PictureAsk(id=id, key=key, by=me, person=person, at=now, until=now + ASK)
    return settled(turned(call, asks=(*call.asks, asked)), now)


def answering(call: Call, id: str, me: str, session: str, now: datetime) -> PictureAsk:
    """A question for a picture of oneself that one may say yes to, or has said yes to. Raises `conflict` (no seat of
    this sign-in, one has said no), `not_found`, and `forbidden` to whoever asks."""
    seated(call, me, session)
    found = _question(call, id, me, now)
    if found.by == me:
        raise VouchError(Code.FORBIDDEN, "Whoever is shown says yes.")
    if found.state is AskState.REFUSED:
        raise VouchError(Code.CONFLICT, "You have said no.")
    return found


def refuse(call: Call, id: str, me: str, session: str, now: datetime) -> Call:
    """No; or the asker takes the question back. Too late when it is taken: `conflict`. Raises `not_found`."""
    seated(call, me, session)
    found = _question(call, id, me, now)
    if found.state is AskState.TAKEN:
        raise VouchError(Code.CONFLICT, "The picture has been taken.")
    if found.by != me:
        return _with(call, msgspec.structs.replace(found, state=AskState.REFUSED), now)
    if found.state is AskState.REFUSED:  # a no stands, so that it is not asked again at once
        return call
    return settled(turned(call, asks=tuple(one for one in call.asks if one.id != id)), now)


def taken(call: Call, id: str, proof: str, now: datetime) -> Call:
    """The picture was taken. Nothing, when the question has passed meanwhile."""
    for one in call.asks:
        if one.id == id:
            return _with(call, msgspec.structs.replace(one, state=AskState.TAKEN, proof=proof), now)
    return call


def _question(call: Call, id: str, me: str, now: datetime) -> PictureAsk:
    for one in call.asks:
        if one.id == id and me in (one.by, one.person) and now < one.until:
            return one
    raise VouchError(Code.NOT_FOUND)


def _with(call: Call, ask: PictureAsk, now: datetime) -> Call:
    return settled(turned(call, asks=tuple(ask if one.id == ask.id else one for one in call.asks)), now)
