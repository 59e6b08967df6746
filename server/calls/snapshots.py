"""Snapshots: one keyframe of somebody's camera becomes a proof, where the call's media are.

Who supervises a pledge takes them of its owner, who has agreed to that with the pledge. Everybody else asks: the
picture is taken when the person shown says yes, and by that yes alone.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from server.calls.changes import Changes
from server.calls.connections import Connections
from server.calls.media import MediaHere
from server.calls.model import AskState, Call
from server.calls.neighbours import Neighbours, Parties
from server.calls.repo import CallsRepo
from server.calls.rules import permits, pictures
from server.calls.viewing import Listing
from server.calls.views import AnswerSnapshot, SnapshotView, TakeSnapshot
from server.clock import to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.principals import Principal
from server.store import Duplicate


class Picturing(msgspec.Struct, array_like=True):
    """`session` is that of `by`; with an `ask` it is that of `person`, who has said yes to it."""

    call: str
    by: str
    session: str
    person: str
    key: str
    ask: str = ""


_encode = msgspec.msgpack.Encoder().encode


class Snapshots:
    """Raises VouchError."""

    def __init__(
        self,
        near: Neighbours,
        repo: CallsRepo,
        changes: Changes,
        connections: Connections,
        media: MediaHere,
        listing: Listing,
    ) -> None:
        self._near = near
        self._repo = repo
        self._changes = changes
        self._connections = connections
        self._media = media
        self._listing = listing
        near.asking.on("calls.picture", self._picture)

    # ── By the right of a pledge ────────────────────────────────────────────────────────────────────────────────────

    async def take(self, principal: Principal, id: str, wanted: TakeSnapshot) -> SnapshotView:
        call, _ = await self._listing.readable(principal, id)
        if (known := await self._repo.snapshot(f"{principal.id}:{wanted.key}")) is not None:
            if (known["call"], known["view"]["person"]) != (id, wanted.person):
                raise VouchError(Code.IDEMPOTENCY_CONFLICT)
            return msgspec.convert(known["view"], SnapshotView)
        await self._near.limits.hit("snapshot", principal.id)
        return await self._taken(call, Picturing(id, principal.id, principal.session, wanted.person, wanted.key))

    # ── By a yes ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, principal: Principal, id: str, wanted: TakeSnapshot) -> Call:
        call, _ = await self._listing.readable(principal, id)
        await self._near.limits.hit("snapshot", principal.id)
        parties = await self._parties(call)
        ask, me, session = new_id("pq"), principal.id, principal.session

        def rule(call: Call, now: datetime) -> Call:
            permits.check_ask(call, me, session, wanted.person, parties.supervisors, parties.watched)
            return pictures.ask(call, ask, wanted.key, me, session, wanted.person, now)

        return await self._changes.apply(id, rule)

    async def answer(self, principal: Principal, id: str, wanted: AnswerSnapshot) -> Call:
        call, _ = await self._listing.readable(principal, id)
        me, session = principal.id, principal.session
        if not wanted.yes:
            return await self._changes.apply(id, lambda call, now: pictures.refuse(call, wanted.ask, me, session, now))
        asked = pictures.answering(call, wanted.ask, me, session, self._near.clock.now())
        if asked.state is AskState.TAKEN:
            return call
        await self._near.limits.hit("snapshot", me)
        taken = await self._taken(call, Picturing(id, asked.by, session, me, asked.id, asked.id))
        return await self._changes.apply(id, lambda call, now: pictures.taken(call, asked.id, taken.proof, now))

    # ── Where the media are ─────────────────────────────────────────────────────────────────────────────────────────

    async def _taken(self, call: Call, question: Picturing) -> SnapshotView:
        answer = await self._connections.ask(call, "calls.picture", _encode(question))
        return msgspec.msgpack.decode(answer, type=SnapshotView)

    async def _parties(self, call: Call) -> Parties:
        return (await self._near.parties(call.pledge) if call.pledge else None) or Parties()

    async def _picture(self, _: str, body: bytes) -> bytes:
        q = msgspec.msgpack.decode(body, type=Picturing)
        call = await self._changes.get(q.call)
        if q.ask:
            pictures.answering(call, q.ask, q.person, q.session, self._near.clock.now())
            permits.shows(call, q.person)
        else:
            parties = await self._parties(call)
            permits.check_take(call, q.by, q.session, q.person, parties.supervisors, parties.watched)
        picture = await self._media.picture(q.call, q.person)
        # What somebody gives of their own accord is theirs and the asker's; evidence is what a pledge asks for.
        pledge = "" if q.ask else call.pledge
        proof = await self._near.pictures(picture, person=q.person, by=q.by, pledge=pledge, call=q.call, key=q.key)
        view = SnapshotView(proof=proof, person=q.person, by=q.by, at=to_ms(self._near.clock.now()))
        try:
            await self._repo.keep_snapshot(f"{q.by}:{q.key}", {"call": q.call, "view": msgspec.to_builtins(view)})
        except Duplicate:
            pass  # asked twice at once: it is the same proof
        else:
            self._near.signal(call.ch, "snapshot", {"person": q.person, "by": q.by, "proof": proof})
        return _encode(view)
