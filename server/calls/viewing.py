"""What somebody sees of calls: views, made for one viewer, and who may see them at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from server.calls.model import RING, Call, PictureAsk, Seat, SeatState
from server.calls.neighbours import Conversations, Parties, PartiesOf, People
from server.calls.repo import CallsRepo
from server.calls.rules import permits
from server.calls.views import CallList, CallView, RecordingNow, SeatView, SnapshotAsk
from server.chat.model import MemberRole, Room
from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.people.model import PersonCard
from server.principals import Principal


class Listing:
    """`of` is one call; `mine` a page of somebody's."""

    def __init__(
        self, repo: CallsRepo, conversations: Conversations, people: People, parties: PartiesOf, clock: Clock
    ) -> None:
        self._repo = repo
        self._conversations = conversations
        self._people = people
        self._parties = parties
        self._clock = clock

    async def readable(self, principal: Principal, id: str) -> tuple[Call, Room]:
        """A call that this one may see, with its conversation. Raises `not_found`."""
        call = await self._repo.get(id)
        room = await self._conversations.room(call.conversation) if call else None
        if call is None or room is None or principal.id not in room.members:
            raise VouchError(Code.NOT_FOUND)
        return call, room

    async def of(self, call: Call, principal: Principal) -> CallView:
        """Raises `not_found` to whoever has left the conversation meanwhile."""
        room = await self._conversations.room(call.conversation)
        if room is None or principal.id not in room.members:
            raise VouchError(Code.NOT_FOUND)
        cards = await self._people.cards({seat.person for seat in call.seats})
        return await self._view(call, room, principal, cards)

    async def mine(self, principal: Principal, before: str | None, limit: int) -> CallList:
        """Calls of conversations that one has left are left out. Raises `not_found` for a `before` of somebody else."""
        last = (await self.readable(principal, before))[0] if before else None
        calls, more = await self._repo.of_person(principal.id, last, limit, self._clock.now())
        rooms = {id: await self._conversations.room(id) for id in {call.conversation for call in calls}}
        cards = await self._people.cards({seat.person for call in calls for seat in call.seats})
        views = []
        for call in calls:
            room = rooms[call.conversation]
            if room is not None and principal.id in room.members:
                views.append(await self._view(call, room, principal, cards))
        return CallList(views, more)

    async def _view(self, call: Call, room: Room, principal: Principal, cards: dict[str, PersonCard]) -> CallView:
        me, now = principal.id, self._clock.now()
        parties = (await self._parties(call.pledge) if call.pledge else None) or Parties()
        watched, supervisors = parties.watched, parties.supervisors
        there = {seat.person for seat in call.inside}
        can = permits.can(
            call,
            me,
            principal.session,
            now,
            owner=room.owner() == me,
            outranks=outranked(room, me),
            supervisors=supervisors,
            watched=watched,
        )
        rings = [seat.since + RING for seat in call.seats if seat.state is SeatState.RINGING]
        recording = call.recording
        return CallView(
            id=call.id,
            conversation=call.conversation,
            title=room.title,
            by=call.by,
            at=to_ms(call.at),
            video=call.video,
            pledge=call.pledge or None,
            state=call.state,
            reason=call.ending,
            answered=to_ms(call.answered) if call.answered else None,
            ended=to_ms(call.ended) if call.ended else None,
            rings_until=to_ms(max(rings)) if rings else None,
            version=call.version,
            epoch=call.epoch,
            seats=[
                _seat(
                    seat,
                    me,
                    principal.session,
                    permits.picture(call, me, principal.session, seat.person, supervisors, watched),
                    [one for one in seat.looks_at if one in there],
                )
                for seat in call.seats
            ],
            people=[cards[seat.person] for seat in call.seats if seat.person in cards],
            recording=RecordingNow(
                recording.state, recording.by or None, to_ms(recording.since) if recording.since else None
            ),
            asks=[_ask(ask) for ask in call.asks if me in (ask.by, ask.person) and now < ask.until],
            watched_by=[seat.person for seat in call.inside if me in seat.looks_at and me in there],
            # nobody learns here who else supervises somebody
            supervisors=sorted(supervisors & {seat.person for seat in call.seats}),
            can=can,
        )


def outranked(room: Room, me: str) -> Sequence[str]:
    """Whom one may put out as the group's owner, or one of its administrators."""
    mine = room.members.get(me)
    if mine is None or mine.role is MemberRole.MEMBER:
        return ()
    return [member.person for member in room.members.values() if member.role.rank < mine.role.rank]


def _ask(ask: PictureAsk) -> SnapshotAsk:
    return SnapshotAsk(
        id=ask.id,
        by=ask.by,
        person=ask.person,
        state=ask.state,
        since=to_ms(ask.at),
        until=to_ms(ask.until),
        proof=ask.proof or None,
    )


def _seat(seat: Seat, me: str, session: str, picture: Literal["take", "ask"] | None, watching: list[str]) -> SeatView:
    here = seat.inside and seat.person == me and seat.session == session
    return SeatView(
        person=seat.person,
        state=seat.state,
        here=here,
        device="other" if seat.inside and seat.person == me and not here else None,
        voice=seat.voice,
        camera=seat.camera,
        screen=seat.screen,
        watching=watching,
        since=to_ms(seat.since),
        agrees=seat.agrees,
        picture=picture,
    )
