"""Connections as people ask for them: at whichever node they ask, carried out where the call's media are."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from server.calls.changes import Changes
from server.calls.media import MediaHere
from server.calls.model import Call
from server.calls.neighbours import Neighbours
from server.calls.rules import seats
from server.calls.viewing import Listing
from server.calls.views import ConnectionView, NewConnection, SetView
from server.calls.wire import MAX_SDP, Direction, Slot
from server.errors import Code, VouchError
from server.principals import Principal
from server.realtime.asking import Unanswered

T = TypeVar("T")

#: Seconds that another node may take: a worker may have to be started there.
_WITHIN = 15.0


class Connecting(msgspec.Struct, array_like=True):
    """What the node with the media is asked; who asks has looked at the sign-in."""

    call: str
    person: str
    session: str
    direction: Direction
    offer: str
    epoch: int | None


class Connected(msgspec.Struct, array_like=True):
    id: str
    answer: str


class Closing(msgspec.Struct, array_like=True):
    call: str
    person: str
    session: str
    connection: str


class Looking(msgspec.Struct, array_like=True):
    call: str
    person: str
    session: str
    connection: str
    slots: list[Slot]


_encode = msgspec.msgpack.Encoder().encode


class Connections:
    def __init__(self, near: Neighbours, changes: Changes, media: MediaHere, listing: Listing) -> None:
        self._near = near
        self._changes = changes
        self._media = media
        self._listing = listing
        near.asking.on("calls.connect", self._connect)
        near.asking.on("calls.disconnect", self._disconnect)
        near.asking.on("calls.view", self._view)
        near.asking.on("calls.changed", self._changed)

    # ── At the node that people ask ─────────────────────────────────────────────────────────────────────────────────

    async def connect(self, principal: Principal, id: str, wanted: NewConnection) -> ConnectionView:
        if len(wanted.offer) > MAX_SDP:
            raise VouchError(Code.TOO_LARGE, field="offer")
        await self._near.limits.hit("call_connection", principal.id)
        call, _ = await self._listing.readable(principal, id)
        seats.seated(call, principal.id, principal.session)
        if wanted.epoch is not None and wanted.epoch != call.epoch:
            raise VouchError(Code.STALE)
        call = await self.placed(call)
        if wanted.epoch is not None and wanted.epoch != call.epoch:
            raise VouchError(Code.STALE)
        question = Connecting(id, principal.id, principal.session, wanted.direction, wanted.offer, call.epoch)
        done = msgspec.msgpack.decode(await self.ask(call, "calls.connect", _encode(question)), type=Connected)
        return ConnectionView(done.id, done.answer, await self._listing.of(call, principal))

    async def disconnect(self, principal: Principal, id: str, connection: str) -> None:
        call, _ = await self._listing.readable(principal, id)
        if call.over:
            raise VouchError(Code.NOT_FOUND)
        await self.ask(call, "calls.disconnect", _encode(Closing(id, principal.id, principal.session, connection)))

    async def view(self, principal: Principal, id: str, connection: str, wanted: SetView) -> None:
        await self._near.limits.hit("call_view", principal.id)
        call, _ = await self._listing.readable(principal, id)
        seats.seated(call, principal.id, principal.session)
        slots = [Slot(slot.index, slot.person, slot.track, slot.layer) for slot in wanted.slots]
        question = Looking(id, principal.id, principal.session, connection, slots)
        await self.ask(call, "calls.view", _encode(question))

    async def placed(self, call: Call) -> Call:
        """The call where its media can be: here, when the node that had them is gone."""
        near = self._near
        gone = call.place

        def here(call: Call, _: object) -> Call:
            return seats.placed(call, near.node) if call.place == gone else call

        if gone == near.node or gone in near.live():
            return call
        return await self._changes.apply(call.id, here)

    async def ask(self, call: Call, name: str, body: bytes) -> bytes:
        """Raises what the other node raises, and `unavailable` when it does not answer, at once when it is gone."""
        try:
            if call.place != self._near.node and call.place not in self._near.live():
                raise Unanswered(name)
            return await self._near.asking.ask(call.place, name, body, within=_WITHIN)
        except Unanswered:
            raise VouchError(Code.UNAVAILABLE, "The media of this call do not answer. Try again.") from None

    # ── At the node that has the media ──────────────────────────────────────────────────────────────────────────────

    async def _connect(self, _: str, body: bytes) -> bytes:
        q = msgspec.msgpack.decode(body, type=Connecting)
        connection, answer = await self._media.connect(q.call, q.person, q.session, q.direction, q.offer, q.epoch)
        return _encode(Connected(connection, answer))

    async def _disconnect(self, _: str, body: bytes) -> bytes:
        q = msgspec.msgpack.decode(body, type=Closing)
        await self._media.disconnect(q.call, q.person, q.session, q.connection)
        return b""

    async def _view(self, _: str, body: bytes) -> bytes:
        q = msgspec.msgpack.decode(body, type=Looking)
        await self._media.view(q.call, q.person, q.session, q.connection, q.slots)
        return b""

    async def _changed(self, _: str, body: bytes) -> bytes:
        await self._media.reconcile(body.decode())
        return b""
