"""Subscribing: from `subscribed` over what was missed to live entries, without a hole and without a repeat."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec

from server.errors import Code, VouchError
from server.principals import Principal
from server.realtime import protocol as p
from server.realtime.channels import Access, ChannelKinds
from server.realtime.entries import EntryLog
from server.realtime.gate import Gate
from server.realtime.gates import Gates
from server.realtime.metrics import HISTORY_READS
from server.realtime.pages import Pages
from server.realtime.positions import Mark, Positions
from server.realtime.presence import PresenceBoard
from server.realtime.roster import Peer

_REPLAY_READ = 200


class Subscriptions:
    """`access` answers who may do what. Once `stopping` is set nobody goes live any more."""

    def __init__(
        self,
        log: EntryLog,
        kinds: ChannelKinds,
        gates: Gates,
        pages: Pages,
        positions: Positions,
        presence: PresenceBoard,
        access: Callable[[Principal, str], Awaitable[Access]],
    ) -> None:
        self.stopping = False
        self._log = log
        self._kinds = kinds
        self._gates = gates
        self._pages = pages
        self._positions = positions
        self._presence = presence
        self._access = access

    async def subscribe(self, peer: Peer, rid: int, ch: str, after: int | None, *, same_epoch: bool) -> None:
        """Answers `subscribed`, replays what was missed, goes live; raises VouchError when it may not."""
        kind = self._kinds.of(ch)
        principal = peer.principal
        access = await self._access(principal, ch)
        if kind is None or not access.read:
            raise VouchError(Code.NOT_FOUND)
        if ch not in peer.channels and len(peer.channels) >= p.MAX_CHANNELS:
            raise VouchError(Code.LIMIT_REACHED)
        self.unsubscribe(peer, ch)
        gate = await self._gates.open(ch)
        generation = gate.generation
        mark = await self._mark(principal.id, ch, access.first) if kind.positions else Mark()
        if gate.generation != generation:
            generation = gate.generation
            if not (access := await self._access(principal, ch)).read:
                raise VouchError(Code.NOT_FOUND)
        gap = _gap(gate, access, after, replays=kind.replays, same_epoch=same_epoch)
        peer.say(
            p.Subscribed(
                rid, ch, gate.delivered, gate.n, access.write, access.signal, access.first,
                mark.read, mark.read_n, mark.delivered, gap,
            )
        )  # fmt: skip
        position = gate.delivered if after is None or gap is not None else after
        while not gate.covers(position):
            HISTORY_READS.inc()
            entries = await self._log.read(ch, position + 1, min(gate.delivered, position + _REPLAY_READ))
            if not entries:  # delivered, but not readable yet: whoever asks again finds it
                raise VouchError(Code.TRY_LATER)
            if gate.generation != generation:  # rights changed while we read
                generation = gate.generation
                if not (await self._access(principal, ch)).read:
                    peer.say(p.Dropped(ch, Code.NOT_FOUND))
                    return
            for entry in entries:
                peer.say(p.EntryEvent(ch, entry))
            position = entries[-1].seq
            await peer.drained()
        if gate.generation != generation and not (await self._access(principal, ch)).read:
            peer.say(p.Dropped(ch, Code.NOT_FOUND))
            return
        # No await from here on: nothing can pass the gate between the ring and the live entries.
        if peer.closing:
            return
        if self.stopping or self._gates.get(ch) is not gate or not gate.covers(position):
            raise VouchError(Code.TRY_LATER)
        self.unsubscribe(peer, ch)  # two subscriptions of one peer at once: the later one holds
        for frame in gate.since(position):
            peer.send(frame)
        gate.subscribers.add(peer)
        peer.channels.add(ch)
        if kind.presence:
            self._presence.enter(ch, principal.id)
            peer.say(p.Presence(ch, online=self._presence.online(ch)))

    async def _mark(self, person: str, ch: str, first: int) -> Mark:
        """A person's positions; what came before `first`, their first entry, does not count as unread."""
        mark = (await self._positions.of(person, [ch])).get(ch, Mark())
        if mark.read >= first - 1:
            return mark
        return msgspec.structs.replace(mark, read_n=max(mark.read_n, await self._pages.count_at(ch, first - 1)))

    def drop(self, peer: Peer, ch: str) -> None:
        """Ends a subscription because the right to it has ended, and says so."""
        if ch in peer.channels:
            self.unsubscribe(peer, ch)
            peer.say(p.Dropped(ch, Code.NOT_FOUND))

    def unsubscribe(self, peer: Peer, ch: str) -> None:
        if ch not in peer.channels:
            return
        peer.channels.discard(ch)
        if (gate := self._gates.get(ch)) is not None:
            gate.subscribers.discard(peer)
            gate.idle_since = time.monotonic()
        kind = self._kinds.of(ch)
        if kind is not None and kind.presence:
            self._presence.leave(ch, peer.principal.id)


def _gap(gate: Gate, access: Access, after: int | None, *, replays: bool, same_epoch: bool) -> p.Gap | None:
    if after is None:
        return None
    if not replays:
        return p.Gap.SNAPSHOT
    if not same_epoch:
        return p.Gap.EPOCH
    if after > gate.delivered:
        return p.Gap.AHEAD
    if after < access.first - 1:
        return p.Gap.RIGHTS
    if gate.delivered - after > p.MAX_REPLAY:
        return p.Gap.BEHIND
    return None
