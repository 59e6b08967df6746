"""A pledge as a channel: `pledge:<id>` holds what people say and what happens, in one timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from server.chat import speech
from server.chat.words import Delete, Edit, Erased, Message, Reaction, Typing
from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.media.model import Media
from server.principals import PEOPLE, Principal
from server.realtime.channels import (
    DENIED,
    NO_EFFECTS,
    Access,
    ChannelKind,
    ChannelPolicy,
    Draft,
    Effects,
    EntryKind,
)
from server.realtime.protocol import Entry
from server.supervision.repo import PledgesRepo
from server.supervision.rules import thread
from server.supervision.words import (
    CaseTold,
    Checked,
    EvidenceAdded,
    Judged,
    MoneyMoved,
    Reported,
    SeatChanged,
    Stamped,
    Stated,
)

#: after these somebody may have other rights
_RIGHTS = frozenset({"state", "seat", "case", "money"})


class MediaClaims(Protocol):
    """What a pledge's thread needs to know of media."""

    async def claim(self, person: str, place: str, entry_id: str, facts: Sequence[Media]) -> None: ...


class PledgePolicy:
    """Rights follow the pledge, as `rules.thread` reads it. A reviewer reads unseen."""

    def __init__(self, repo: PledgesRepo, clock: Clock, media: MediaClaims) -> None:
        self._repo = repo
        self._clock = clock
        self._media = media

    async def access(self, principal: Principal, channel_id: str) -> Access:
        if not PEOPLE.permits(principal):
            return DENIED
        pledge = await self._repo.get(channel_id)
        if pledge is None or not thread.reads(pledge, principal.id):
            return DENIED
        writes = thread.writes(pledge, principal.id, self._clock.now())
        return Access(read=True, write=writes, signal=writes, unseen=not thread.takes_part(pledge, principal.id))

    async def admit(self, principal: Principal, channel_id: str, draft: Draft, target: Entry | None) -> None:
        now = self._clock.now()
        pledge = await self._repo.get(channel_id)
        if pledge is None:
            raise VouchError(Code.NOT_FOUND)
        if not thread.is_open(pledge, now):  # time has closed it, and no entry tells of that
            raise VouchError(Code.CLOSED)
        speech.admit(speech.Circle(), principal.id, draft, target, to_ms(now))
        if draft.kind == "message" and (carried := draft.body.get("media")):
            await self._media.claim(principal.id, channel_id, draft.id, msgspec.convert(carried, list[Media]))

    def effects(self, entry: Entry) -> Effects:
        if entry.kind == "erased":
            return Effects(erase=(entry.body["person"],), recheck=True)
        return Effects(recheck=True) if entry.kind in _RIGHTS else NO_EFFECTS


def pledge_kind(policy: ChannelPolicy) -> ChannelKind:
    return ChannelKind(
        name="pledge",
        policy=policy,
        entries=(
            EntryKind("message", Message, by_clients=True, countable=True),
            EntryKind("edit", Edit, by_clients=True, modifies=True, replaces=True),
            EntryKind("delete", Delete, by_clients=True, modifies=True, scrubs=True),
            EntryKind("reaction", Reaction, by_clients=True, modifies=True, topic="emoji"),
            EntryKind("state", Stated),
            EntryKind("seat", SeatChanged),
            EntryKind("reported", Reported, countable=True),
            EntryKind("stamped", Stamped, countable=True),
            EntryKind("judged", Judged),
            EntryKind("checked", Checked, countable=True),
            EntryKind("money", MoneyMoved),
            EntryKind("case", CaseTold, countable=True),
            EntryKind("evidence", EvidenceAdded, countable=True),
            EntryKind("erased", Erased),
        ),
        signals={"typing": Typing},
        presence=True,
        positions=True,
    )
