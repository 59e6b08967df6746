"""What time and lost rights do to calls: every node looks after those whose media are at it.

Every two seconds: who still has a socket, what is due, which recording goes on. Calls of a node that is gone are taken
over. Every half a minute what a crash may have left: people without a right to be there, calls without a place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog

from server.calls.changes import Changes, Rule
from server.calls.media import MediaHere
from server.calls.model import AWAY_AFTER, Call, SeatState
from server.calls.neighbours import Neighbours
from server.calls.recordings import Recordings
from server.calls.repo import CallsRepo
from server.calls.rules import course, seats
from server.errors import VouchError
from server.realtime.asking import Unanswered
from server.realtime.background import Background
from server.realtime.rounds import Rounds
from server.store import StoreError

EVERY = 2.0  # seconds
#: Rounds between two pings of the sockets in calls (a dead one is known after three), and between two reviews.
_BEAT, _REVIEW = 2, 15
#: Rounds for which a call is seen at an unknown node before it is taken over: that node may just have come.
_STRANGE = 3
_ASK_WITHIN = 1.5

#: (call, person, sign-in)
Holder = tuple[str, str, str]

log = structlog.get_logger("vouch.calls")
_encode = msgspec.msgpack.Encoder().encode
_holders = msgspec.msgpack.Decoder(list[Holder])


class Keeper:
    def __init__(
        self, near: Neighbours, repo: CallsRepo, changes: Changes, media: MediaHere, recordings: Recordings
    ) -> None:
        self._near = near
        self._repo = repo
        self._changes = changes
        self._media = media
        self._recordings = recordings
        self._background = Background()
        self._round = 0
        #: when somebody was last seen to have a socket
        self._seen: dict[Holder, datetime] = {}
        self._strange: dict[str, int] = {}
        self.rounds = Rounds("calls", self.look, every=EVERY)
        near.asking.on("calls.here", self._here)
        changes.on_change(self._changed)

    def start(self) -> None:
        self.rounds.start()

    async def stop(self) -> None:
        await self.rounds.stop()
        await self._background.stop()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """In the background; what fails is found by the next review."""

        async def quietly() -> None:
            try:
                await work
            except (StoreError, VouchError, Unanswered) as fault:
                log.warning("left to the next review", work=name, fault=type(fault).__name__)

        self._background.spawn(quietly(), name)

    # ── Every round ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def look(self) -> None:
        self._round += 1
        mine = await self._repo.at([self._near.node])
        await self._look_for_sockets(mine)
        now = self._near.clock.now()
        for call in mine:
            if call.due is not None and call.due <= now:
                await self._apply(call.id, course.tick)
        for id in {call.id for call in mine} | set(self._media.calls):
            await self._media.reconcile(id)
        await self._take_over()
        if self._round % _REVIEW == 1:
            for call in mine:
                await self.review(call)
            await self._recordings.tidy()

    async def _apply(self, id: str, rule: Rule) -> None:
        try:
            await self._changes.apply(id, rule)
        except VouchError as fault:
            log.warning("a call is looked at again later", call=id, code=fault.code)

    async def _look_for_sockets(self, calls: Sequence[Call]) -> None:
        """Says who is away, and who is back. While another node does not answer, everybody counts as here."""
        holders = [(call.id, seat.person, seat.session) for call in calls for seat in call.inside]
        here = set(self.here(holders, beat=self._round % _BEAT == 0))
        missing = [holder for holder in holders if holder not in here]
        if missing and (nodes := self._near.live()):
            answers = await asyncio.gather(*(self._ask(node, missing) for node in nodes))
            here.update(holder for answer in answers for holder in answer)
        now = self._near.clock.now()
        self._seen = {holder: now if holder in here else self._seen.get(holder, now) for holder in holders}
        states = {(call.id, seat.person): seat.state for call in calls for seat in call.inside}
        for id, person, session in holders:
            state, gone = states[id, person], now - self._seen[id, person, session]
            if state is SeatState.JOINED and gone >= AWAY_AFTER:
                await self._apply(id, _away(person, session))
            elif state is SeatState.AWAY and (id, person, session) in here:
                await self._apply(id, _back(person, session))

    def here(self, holders: Iterable[Holder], *, beat: bool = False) -> list[Holder]:
        """Those of them who have a socket at this node that is subscribed to the call."""
        found = []
        for id, person, session in holders:
            sockets = [
                peer
                for peer in self._near.sockets(person)
                if peer.principal.session == session and f"call:{id}" in peer.channels
            ]
            if sockets:
                found.append((id, person, session))
            if beat:
                for peer in sockets:
                    peer.beat()
        return found

    async def _ask(self, node: str, holders: list[Holder]) -> list[Holder]:
        try:
            answer = await self._near.asking.ask(node, "calls.here", _encode(holders), within=_ASK_WITHIN)
        except (Unanswered, VouchError):
            return holders
        return _holders.decode(answer)

    async def _here(self, _: str, body: bytes) -> bytes:
        return _encode(self.here(_holders.decode(body), beat=True))

    # ── Calls of nodes that are gone ────────────────────────────────────────────────────────────────────────────────

    def node_gone(self, node: str) -> None:
        self.spawn(self.take_over(node), "calls of a node that is gone")

    async def take_over(self, node: str) -> None:
        """Their media are here from now on; of several nodes that try it one does."""
        for call in await self._repo.at([node]):
            await self._apply(call.id, _moved(node, self._near.node))

    async def _take_over(self) -> None:
        known = {self._near.node, *self._near.live()}
        strange = {id: place for id, place in await self._repo.going_on() if place not in known}
        self._strange = {id: self._strange.get(id, 0) + 1 for id in strange}
        for id, rounds in self._strange.items():
            if rounds > _STRANGE:
                await self._apply(id, _moved(strange[id], self._near.node))

    # ── Rights ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def review_conversation(self, conversation: str) -> None:
        """Somebody may have no right to be in the call there any more."""
        claims = await self._repo.claimed([conversation])
        call = await self._repo.get(claims[conversation]) if conversation in claims else None
        if call is not None:
            await self.review(call)

    async def review(self, call: Call) -> None:
        """Who is in it without a right is put out; their sign-ins may have ended."""
        room = await self._near.conversations.room(call.conversation)
        if room is None or room.closed:
            await self._apply(call.id, seats.close)
            return
        strangers = [
            seat.person
            for seat in call.seats
            if seat.person not in room.members and (seat.inside or seat.state is SeatState.RINGING)
        ]
        if strangers:
            await self._apply(call.id, lambda call, now: seats.unseat(call, strangers, now))
        sessions = {seat.session for seat in call.inside}
        ended = sessions - await self._near.people.live_sessions(sessions)
        if ended:
            await self._apply(call.id, lambda call, now: seats.sign_out(call, ended, now))

    async def signed_out(self, sessions: Sequence[str]) -> None:
        for call in await self._repo.of_sessions(sessions):
            await self._apply(call.id, lambda call, now: seats.sign_out(call, sessions, now))

    # ── After a change ──────────────────────────────────────────────────────────────────────────────────────────────

    def _changed(self, before: Call | None, after: Call) -> None:
        """The node that has the media hears of it at once, and the one that had them."""
        if before is None:
            return
        same = (
            [(seat.person, seat.session) for seat in before.inside]
            == [(seat.person, seat.session) for seat in after.inside]
            and before.recording == after.recording
            and before.place == after.place
            and before.over == after.over
        )
        if not same:
            for node in {before.place, after.place}:
                if node == self._near.node or node in self._near.live():
                    self.spawn(self._tell(node, after.id), "what follows for the media")

    async def _tell(self, node: str, id: str) -> None:
        await self._near.asking.ask(node, "calls.changed", id.encode())


def _away(person: str, session: str) -> Rule:
    return lambda call, now: seats.away(call, person, session, now)


def _back(person: str, session: str) -> Rule:
    return lambda call, now: seats.back(call, person, session, now)


def _moved(gone: str, node: str) -> Rule:
    def rule(call: Call, _: datetime) -> Call:
        return seats.placed(call, node) if call.place == gone else call

    return rule
