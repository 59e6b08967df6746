"""The media that are at this node: which connections there are, whose they are, and what closes when a right is lost.

A connection belongs to a person's sign-in and to a call's epoch. Nothing of it is kept: a node or a worker that dies
takes its connections with it, and the call's epoch is raised so that everybody sets them up anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import structlog

from server.calls import metrics, wire
from server.calls.changes import Changes
from server.calls.model import Call
from server.calls.neighbours import Neighbours
from server.calls.process import PlaneError
from server.calls.recordings import Recordings
from server.calls.repo import CallsRepo
from server.calls.rules import seats
from server.calls.wire import Direction, Slot, Track
from server.errors import Code, VouchError
from server.ids import new_id
from server.realtime.background import Background
from server.store import StoreError

#: what the plane refuses → how people are told
_CODES = {
    "bad_offer": Code.BAD_OFFER,
    "too_large": Code.TOO_LARGE,
    "unknown_connection": Code.NOT_FOUND,
    "no_picture": Code.CONFLICT,
}

log = structlog.get_logger("vouch.calls")


class Link(NamedTuple):
    person: str
    session: str
    direction: Direction


class MediaHere:
    """One per node. Raises VouchError."""

    def __init__(self, near: Neighbours, repo: CallsRepo, changes: Changes, recordings: Recordings) -> None:
        self._near = near
        self._plane = near.plane
        self._repo = repo
        self._changes = changes
        self._recordings = recordings
        self._links: dict[str, dict[str, Link]] = {}
        #: there as long as somebody holds or awaits them
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._background = Background()
        near.plane.on_news = self._news
        near.plane.on_lost = self._lost

    async def stop(self) -> None:
        await self._background.stop()

    @property
    def calls(self) -> list[str]:
        """Those whose media are open here."""
        return list(self._links)

    def links(self, call: str) -> dict[str, Link]:
        return dict(self._links.get(call, {}))

    # ── Connections ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def connect(
        self, id: str, person: str, session: str, direction: Direction, offer: str, epoch: int | None
    ) -> tuple[str, str]:
        """The connection's id, and the answer. Rights are looked at here, before and after: between the two somebody
        may have been put out."""
        call = await self._held(id, person, session, epoch)
        connection = new_id("cx")
        async with self._turn(f"{id}|{person}|{direction}"):
            try:
                await self._plane.open(id)
                links = self._links.setdefault(id, {})
                answer = await self._plane.connect(id, connection, person, direction, offer)
            except PlaneError as fault:
                raise refusal(fault) from None
            for old in [name for name, link in links.items() if (link.person, link.direction) == (person, direction)]:
                del links[old]
            links[connection] = Link(person, session, direction)
            self._count()
        try:
            await self._held(id, person, session, call.epoch)
        except VouchError:
            await self.reconcile(id)
            raise
        return connection, answer

    def _turn(self, of: str) -> asyncio.Lock:
        return self._turns.setdefault(of, asyncio.Lock())

    async def _held(self, id: str, person: str, session: str, epoch: int | None) -> Call:
        """The call, in which this sign-in has a seat and whose media are here. Raises `conflict`, `stale`."""
        call = await self._changes.get(id)
        seats.seated(call, person, session)
        if call.place != self._near.node or (epoch is not None and epoch != call.epoch):
            raise VouchError(Code.STALE, "The call is at another place now.")
        return call

    async def disconnect(self, id: str, person: str, session: str, connection: str) -> None:
        self._own(id, person, session, connection)
        await self._close(id, connection)

    async def view(self, id: str, person: str, session: str, connection: str, slots: Sequence[Slot]) -> None:
        async with self._turn(f"{id}|{person}|{Direction.WATCH}"):
            link = self._own(id, person, session, connection)
            if link.direction is not Direction.WATCH:
                raise VouchError(Code.CONFLICT, "This connection does not watch.")
            call = await self._changes.get(id)
            before = seats.seated(call, person, session).viewing
            there = {seat.person for seat in call.inside}
            shown = [slot for slot in slots if slot.person in there and slot.person != person]
            seen = {slot.person for slot in shown if slot.track is not Track.VOICE}
            # Whoever is seen is told before they are, and hears the opposite after it.
            await self._viewing(id, person, session, seen.union(before))
            try:
                await self._plane.view(id, connection, shown)
            except PlaneError as fault:
                raise refusal(fault) from None
            await self._viewing(id, person, session, seen)

    async def _viewing(self, id: str, person: str, session: str, seen: Collection[str]) -> None:
        await self._changes.apply(id, lambda call, now: seats.view(call, person, session, seen, now))

    async def picture(self, id: str, person: str) -> wire.Picture:
        try:
            return await self._plane.snapshot(id, person)
        except PlaneError as fault:
            if fault.code == "unknown_call":
                raise VouchError(Code.CONFLICT, "No picture comes from this camera.") from None
            raise refusal(fault) from None

    def _own(self, id: str, person: str, session: str, connection: str) -> Link:
        link = self._links.get(id, {}).get(connection)
        if link is None or (link.person, link.session) != (person, session):
            raise VouchError(Code.NOT_FOUND)
        return link

    async def _close(self, id: str, connection: str) -> None:
        self._unlink(id, connection)
        try:
            await self._plane.disconnect(id, connection)
        except PlaneError as fault:  # it has ended by itself, or its worker has
            log.debug("connection not closed", call=id, code=fault.code)

    def _unlink(self, id: str, connection: str) -> None:
        """The connection has ended. Who watched by it sees nobody any more."""
        link = self._links.get(id, {}).pop(connection, None)
        self._count()
        if link is not None and link.direction is Direction.WATCH:
            self._spawn(self._unseeing(id, link), "end of watching")

    async def _unseeing(self, id: str, link: Link) -> None:
        person, session, direction = link
        async with self._turn(f"{id}|{person}|{direction}"):
            if link not in self._links.get(id, {}).values():  # nor watches by a newer one
                await self._viewing(id, person, session, ())

    # ── What follows from the call ──────────────────────────────────────────────────────────────────────────────────

    async def reconcile(self, id: str) -> None:
        """Closes what nobody has a right to any more, and begins or ends the recording.

        One after the other: whoever acts on the call as it was before must not undo what was done on its present state,
        such as the end of a recording.
        """
        async with self._turn(id):
            await self._reconcile(id, await self._repo.get(id))

    async def _reconcile(self, id: str, call: Call | None) -> None:
        if call is None or call.over or call.place != self._near.node:
            await self._recordings.follow(id, None)
            if self._links.pop(id, None) is not None:
                await self._plane.close(id)
            self._count()
            return
        holders = {(seat.person, seat.session) for seat in call.inside}
        for connection, link in list(self._links.get(id, {}).items()):
            if (link.person, link.session) not in holders:
                await self._close(id, connection)
        if id in self._links:
            await self._recordings.follow(id, call)

    def _count(self) -> None:
        metrics.HERE.set(len(self._links))
        metrics.CONNECTIONS.set(sum(len(links) for links in self._links.values()))

    # ── What the plane tells ────────────────────────────────────────────────────────────────────────────────────────

    def _news(self, news: wire.News) -> None:
        match news:
            case wire.Down(call=call, connection=connection):
                self._unlink(call, connection)
            case wire.Line(call=call, person=person, loss=loss, bitrate=bitrate):
                body = {"person": person, "loss": loss, "bitrate": bitrate}
                self._near.signal(f"call:{call}", "line", body)
            case wire.RecordingEnded(call=call, recording=recording, reason=reason):
                self._spawn(self._recordings.ended(call, recording, reason), "end of a recording")

    def _lost(self, calls: tuple[str, ...]) -> None:
        for call in calls:
            self._links.pop(call, None)
            self._spawn(self._anew(call), "call of a worker that has died")
        self._count()

    async def _anew(self, id: str) -> None:
        """Everybody is told to set their media up once more."""
        metrics.MOVED.inc()
        node = self._near.node
        await self._changes.apply(id, lambda call, now: seats.placed(call, node) if call.place == node else call)
        await self._recordings.lost(id)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        async def quietly() -> None:
            try:
                await work
            except (StoreError, VouchError) as fault:
                log.warning("left to the next round", work=name, fault=type(fault).__name__)

        self._background.spawn(quietly(), name)


def refusal(fault: PlaneError) -> VouchError:
    """What the plane refuses, as people are told. A worker that has died is back at once: `unavailable`, try again."""
    return VouchError(_CODES.get(fault.code, Code.UNAVAILABLE), fault.text or None)
