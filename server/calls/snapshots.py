"""Snapshots: one keyframe of somebody's camera becomes a proof, where the call's media are."""

from __future__ import annotations

import msgspec

from server.calls.changes import Changes
from server.calls.connections import Connections
from server.calls.media import MediaHere
from server.calls.neighbours import Neighbours
from server.calls.repo import CallsRepo
from server.calls.rules import permits
from server.calls.viewing import Listing
from server.calls.views import SnapshotView, TakeSnapshot
from server.clock import to_ms
from server.errors import Code, VouchError
from server.principals import Principal
from server.store import Duplicate


class Picturing(msgspec.Struct, array_like=True):
    call: str
    by: str
    session: str
    person: str
    key: str


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

    async def take(self, principal: Principal, id: str, wanted: TakeSnapshot) -> SnapshotView:
        call, _ = await self._listing.readable(principal, id)
        key = f"{principal.id}:{wanted.key}"
        if (known := await self._repo.snapshot(key)) is not None:
            if (known["call"], known["view"]["person"]) != (id, wanted.person):
                raise VouchError(Code.IDEMPOTENCY_CONFLICT)
            return msgspec.convert(known["view"], SnapshotView)
        await self._near.limits.hit("snapshot", principal.id)
        question = Picturing(id, principal.id, principal.session, wanted.person, wanted.key)
        answer = await self._connections.ask(call, "calls.picture", _encode(question))
        return msgspec.msgpack.decode(answer, type=SnapshotView)

    async def _picture(self, _: str, body: bytes) -> bytes:
        q = msgspec.msgpack.decode(body, type=Picturing)
        call = await self._changes.get(q.call)
        parties = await self._near.parties(call.pledge) if call.pledge else None
        watched, supervisors = parties or ("", frozenset())
        permits.check_picture(call, q.by, q.session, q.person, supervisors, watched)
        picture = await self._media.picture(q.call, q.person)
        proof = await self._near.pictures(picture, person=q.person, by=q.by, pledge=call.pledge, call=q.call, key=q.key)
        view = SnapshotView(proof=proof, person=q.person, by=q.by, at=to_ms(self._near.clock.now()))
        try:
            await self._repo.keep_snapshot(f"{q.by}:{q.key}", {"call": q.call, "view": msgspec.to_builtins(view)})
        except Duplicate:
            pass  # asked twice at once: it is the same proof
        else:
            self._near.signal(call.ch, "snapshot", {"person": q.person, "by": q.by, "proof": proof})
        return _encode(view)
