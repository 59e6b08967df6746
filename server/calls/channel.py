"""A call as a channel: `call:<id>` tells that it has changed, and how good people's lines are."""

from __future__ import annotations

from typing import Protocol

from server.calls.model import Call, SeatState
from server.calls.words import CallChanged, LineQuality, SnapshotTaken
from server.chat.model import Membership
from server.errors import Code, VouchError
from server.principals import PEOPLE, Principal
from server.realtime.channels import DENIED, Access, ChannelKind, ChannelPolicy, Draft, Effects, EntryKind
from server.realtime.protocol import Entry


class Calls(Protocol):
    async def get(self, id: str) -> Call | None: ...


class Members(Protocol):
    async def membership(self, id: str, person: str) -> Membership | None: ...


class CallPolicy:
    """Members of the conversation read; only the server writes. Whoever is put out of the call reads no more of it."""

    def __init__(self, calls: Calls, members: Members) -> None:
        self._calls = calls
        self._members = members

    async def access(self, principal: Principal, channel_id: str) -> Access:
        if not PEOPLE.permits(principal):
            return DENIED
        call = await self._calls.get(channel_id)
        if call is None or await self._members.membership(call.conversation, principal.id) is None:
            return DENIED
        seat = call.seat(principal.id)
        if seat is not None and seat.state is SeatState.REMOVED:
            return DENIED
        return Access(read=True, listens=True)

    async def admit(self, principal: Principal, channel_id: str, draft: Draft, target: Entry | None) -> None:
        raise VouchError(Code.FORBIDDEN)

    def effects(self, entry: Entry) -> Effects:
        """Any change may have put somebody out of the conversation."""
        return Effects(recheck=True)


def call_kind(policy: ChannelPolicy) -> ChannelKind:
    return ChannelKind(
        name="call",
        policy=policy,
        entries=(EntryKind("call", CallChanged),),
        signals={"line": LineQuality, "snapshot": SnapshotTaken},
    )
