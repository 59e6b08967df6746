"""Calls as the edge sees them: starting and answering; one object per further noun, each in its own module."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from server.calls.changes import Changes
from server.calls.connections import Connections
from server.calls.ice import Ice
from server.calls.keeper import Keeper
from server.calls.media import MediaHere
from server.calls.model import Call
from server.calls.neighbours import Neighbours
from server.calls.recordings import Recordings
from server.calls.repo import CallsRepo, RecordingsRepo
from server.calls.rules import seats
from server.calls.snapshots import Snapshots
from server.calls.viewing import Listing, outranked
from server.calls.views import CallView, ChangeSeat, StartCall
from server.chat.model import Room
from server.errors import Code, VouchError
from server.ids import new_id
from server.principals import Principal
from server.store import Duplicate, Tx

_TRIES = 4


class Calls:
    """Every method raises VouchError."""

    def __init__(self, near: Neighbours, ice: Ice) -> None:
        self._near = near
        self.ice = ice
        self.repo = CallsRepo(near.store)
        self.changes = Changes(near.store, self.repo, near.outbox, near.clock)
        self.listing = Listing(self.repo, near.conversations, near.people, near.parties, near.clock)
        self.recordings = Recordings(near, self.changes, RecordingsRepo(near.store), self.listing)
        self.media = MediaHere(near, self.repo, self.changes, self.recordings)
        self.connections = Connections(near, self.changes, self.media, self.listing)
        self.snapshots = Snapshots(near, self.repo, self.changes, self.connections, self.media, self.listing)
        self.keeper = Keeper(near, self.repo, self.changes, self.media, self.recordings)

    async def start(self) -> None:
        await self.repo.ensure_indexes()
        await self.recordings.start()
        await self._near.plane.start()
        self.keeper.start()

    async def stop(self) -> None:
        await self.keeper.stop()
        await self.media.stop()
        await self.recordings.stop()
        await self._near.plane.stop()

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def readable(self, principal: Principal, id: str) -> Call:
        return (await self.listing.readable(principal, id))[0]

    async def view(self, call: Call, principal: Principal) -> CallView:
        return await self.listing.of(call, principal)

    # ── Starting ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start_call(self, principal: Principal, wanted: StartCall) -> tuple[Call, bool]:
        """The call, and whether it is new: the same key, or one that goes on there, finds the old one."""
        me = principal.id
        room = await self._near.conversations.room(wanted.conversation)
        if room is None or me not in room.members:
            raise VouchError(Code.NOT_FOUND)
        key = f"{me}:{wanted.key}"
        for attempt in range(_TRIES):
            if (known := await self.repo.by_key(key)) is not None:
                if known.conversation != wanted.conversation:
                    raise VouchError(Code.IDEMPOTENCY_CONFLICT)
                return known, False
            if room.closed:
                raise VouchError(Code.CLOSED)
            claims = await self.repo.claimed([room.id, *room.members])
            if room.id in claims:
                there = await self.repo.get(claims[room.id])
                if there is None or there.over:  # meanwhile
                    continue
                return there, False
            if me in claims:
                raise VouchError(Code.BUSY)
            if not attempt:
                await self._near.limits.hit("start_call", me)
            call = await self._new(principal, wanted, room, key, set(claims))
            try:
                return await self.changes.begin(call), True
            except Duplicate:  # somebody was faster, with this key, here, or in taking this person's seat
                continue
        raise VouchError(Code.TRY_LATER)

    async def _new(self, principal: Principal, wanted: StartCall, room: Room, key: str, busy: set[str]) -> Call:
        me, now = principal.id, self._near.clock.now()
        mine = room.members[me]
        if mine.silenced_until is not None and mine.silenced_until > now:
            raise VouchError(Code.SILENCED)
        if wanted.pledge is not None:
            parties = await self._near.parties(wanted.pledge)
            if parties is None or me not in {parties.owner, *parties.supervisors}:
                raise VouchError(Code.NOT_FOUND)
        others = [person for person in room.members if person != me]
        # Nobody's phone rings for somebody whom they block; in a group they may still join by themselves.
        blocked = await self._near.people.blocked_with(me, others)
        return seats.start(
            id=new_id("cl"),
            key=key,
            conversation=room.id,
            by=me,
            session=principal.session,
            others=[person for person in others if person not in blocked],
            busy=busy,
            direct=len(room.members) == 2,
            video=wanted.video,
            pledge=wanted.pledge or "",
            place=self._near.node,
            now=now,
        )

    # ── Seats ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def accept(self, principal: Principal, id: str) -> Call:
        await self._near.limits.hit("join_call", principal.id)
        await self.readable(principal, id)
        return await self.changes.apply(id, lambda call, now: seats.accept(call, principal.id, principal.session, now))

    async def decline(self, principal: Principal, id: str) -> Call:
        await self.readable(principal, id)
        return await self.changes.apply(id, lambda call, now: seats.decline(call, principal.id, now))

    async def cancel(self, principal: Principal, id: str) -> Call:
        await self.readable(principal, id)
        return await self.changes.apply(id, lambda call, now: seats.cancel(call, principal.id, now))

    async def leave(self, principal: Principal, id: str) -> Call:
        await self.readable(principal, id)
        return await self.changes.apply(id, lambda call, now: seats.leave(call, principal.id, principal.session, now))

    async def end(self, principal: Principal, id: str) -> Call:
        _, room = await self.listing.readable(principal, id)
        owner = room.owner() == principal.id
        return await self.changes.apply(id, lambda call, now: seats.end(call, principal.id, now, owner=owner))

    async def remove(self, principal: Principal, id: str, person: str) -> Call:
        _, room = await self.listing.readable(principal, id)
        outranks = person in outranked(room, principal.id)
        return await self.changes.apply(
            id, lambda call, now: seats.remove(call, principal.id, person, now, outranks=outranks)
        )

    async def change_seat(self, principal: Principal, id: str, wanted: ChangeSeat) -> Call:
        await self._near.limits.hit("call_seat", principal.id)
        await self.readable(principal, id)
        me, session = principal.id, principal.session

        def changed(call: Call, now: datetime) -> Call:
            call = seats.change(
                call,
                me,
                session,
                now,
                voice=wanted.voice,
                camera=wanted.camera,
                screen=wanted.screen,
                watching=wanted.watching,
            )
            return seats.away(call, me, session, now, closing=True) if wanted.closing else call

        return await self.changes.apply(id, changed)

    # ── What other domains tell us (registered at wiring) ───────────────────────────────────────────────────────────

    def on_rights(self, conversation: str) -> None:
        """After a conversation was closed, or somebody has left it."""
        self.keeper.spawn(self.keeper.review_conversation(conversation), "rights in a call")

    async def on_sessions_end(self, tx: Tx, sessions: Sequence[str]) -> None:
        """Their seats end with them, as soon as that is committed."""
        ended = list(sessions)
        tx.on_commit(lambda: self.keeper.spawn(self.keeper.signed_out(ended), "sign-ins of a call"))

    async def on_delete(self, tx: Tx, person: str) -> None:
        """An account is deleted: what was recorded of it goes, too, and its list. (Its seats end with its sign-ins.)"""
        await self.recordings.doom(tx, person)
        tx.on_commit(lambda: self.keeper.spawn(self.repo.forget(person), "list of calls"))
