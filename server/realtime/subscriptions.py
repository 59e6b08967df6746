"""Subscribing: from `subscribed` over what was missed to live entries, without a hole and without a repeat."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from server.errors import Code, VouchError
from server.principals import Principal
from server.realtime import protocol as p
from server.realtime.channels import Access, ChannelKinds
from server.realtime.entries import EntryLog
from server.realtime.frames import text_frame
from server.realtime.gate import Gate, Passed
from server.realtime.gates import Gates
from server.realtime.metrics import HISTORY_READS
from server.realtime.pages import Pages
from server.realtime.positions import Mark, Positions
from server.realtime.presence import PresenceBoard
from server.realtime.roster import Peer
from server.store import Gathered

_REPLAY_READ = 200
#: How much is sent of a replay before looking whether the peer keeps up; the allowed backlog is four times as much.
_REPLAY_BYTES = 256 * 1024


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
        #: the subscribers by channel, and those of them who may not signal
        self._followers: dict[str, set[Peer]] = defaultdict(set)
        self._silent: dict[str, set[Peer]] = defaultdict(set)
        self._missed = Gathered(self._read_missed)

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
        if after is not None and same_epoch:
            await self._gates.reach(gate, after)
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
        ready: list[Passed] = []  # read from the log and not sent yet
        while True:
            # A piece at a time, as fast as the peer takes it: a long replay must not look like a slow reader.
            await peer.drained()
            if peer.closing:
                return
            if gate.generation != generation:  # rights changed while we waited
                generation = gate.generation
                access = await self._access(principal, ch)
                if not access.read or access.first > position + 1:  # gone, or gone and back with a later beginning
                    peer.say(p.Dropped(ch, Code.NOT_FOUND))
                    return
                continue
            if not ready and not gate.covers(position):
                ready = await self._missing(gate, position + 1, min(gate.delivered, position + _REPLAY_READ))
                continue
            frames = [gate.seen(one, access.first) for one in ready] or gate.since(position, access.first)
            piece = _piece(frames)
            if not ready and len(piece) == len(frames):
                break
            for frame in piece:
                peer.send(frame)
            position += len(piece)
            del ready[: len(piece)]
        # No await from here on: nothing can pass the gate between the ring's last piece and the live entries.
        if self.stopping or self._gates.get(ch) is not gate:
            raise VouchError(Code.TRY_LATER)
        self.unsubscribe(peer, ch)  # two subscriptions of one peer at once: the later one holds
        for frame in piece:
            peer.send(frame)
        gate.subscribe(peer, access.first)
        peer.channels.add(ch)
        self._followers[ch].add(peer)
        if access.hears:
            self._show(peer, ch)
        else:
            self._silent[ch].add(peer)

    async def _missing(self, gate: Gate, first: int, last: int) -> list[Passed]:
        """Reads entries from the log, unless the ring has them when it comes to it: those who come back together after
        a restart have all missed the same."""
        erasures = gate.erasures
        passed = await self._missed.get((gate.ch, first, last))
        if not passed:  # delivered, but not readable yet: whoever asks again finds it
            raise VouchError(Code.TRY_LATER)
        if gate.erasures == erasures:  # else it might bring words back that were erased while it was read
            gate.remember(passed)
        return list(passed)

    async def _read_missed(self, wanted: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int, int], list[Passed]]:
        async def read(ch: str, first: int, last: int) -> list[Passed]:
            HISTORY_READS.inc()
            entries = await self._log.read(ch, first, last)
            return [Passed(entry, text_frame(p.encode(p.EntryEvent(ch, entry)))) for entry in entries]

        return dict(zip(wanted, await asyncio.gather(*(read(*want) for want in wanted)), strict=True))

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
        self._followers[ch].discard(peer)
        if not self._followers[ch]:
            del self._followers[ch]
        if (gate := self._gates.get(ch)) is not None:
            gate.unsubscribe(peer)
            gate.idle_since = time.monotonic()
        if self.hears(peer, ch):
            self._hide(peer, ch)
        else:
            self._speak_again(peer, ch)

    def all_hear(self, ch: str) -> bool:
        """Whether `hears` is true of every subscriber."""
        return ch not in self._silent

    def hears(self, peer: object, ch: str) -> bool:
        """Whether signals, presence and positions of others reach this subscriber: those who may signal hear them, and
        those who listen."""
        silent = self._silent.get(ch)
        return silent is None or peer not in silent

    async def review(self, gate: Gate) -> None:
        """Rights on a channel have changed for everybody in it (closed, reopened): presence follows them."""
        for peer in tuple(self._followers.get(gate.ch, ())):
            access = await self._access(peer.principal, gate.ch)
            if gate.ch not in peer.channels:
                continue
            if not access.read:
                self.drop(peer, gate.ch)
            elif access.hears and not self.hears(peer, gate.ch):
                self._speak_again(peer, gate.ch)
                self._show(peer, gate.ch)
            elif not access.hears and self.hears(peer, gate.ch):
                self._silent[gate.ch].add(peer)
                self._hide(peer, gate.ch)
                peer.say(p.Presence(gate.ch, online=[]))

    def _speak_again(self, peer: Peer, ch: str) -> None:
        self._silent[ch].discard(peer)
        if not self._silent[ch]:
            del self._silent[ch]

    def _show(self, peer: Peer, ch: str) -> None:
        kind = self._kinds.of(ch)
        if kind is not None and kind.presence:
            self._presence.enter(ch, peer.principal.id)
            peer.say(self._presence.snapshot(ch))

    def _hide(self, peer: Peer, ch: str) -> None:
        kind = self._kinds.of(ch)
        if kind is not None and kind.presence:
            self._presence.leave(ch, peer.principal.id)


def _piece(frames: list[bytes]) -> list[bytes]:
    """The first frames that together have REPLAY_BYTES, or all."""
    size = 0
    for index, frame in enumerate(frames):
        size += len(frame)
        if size >= _REPLAY_BYTES:
            return frames[: index + 1]
    return frames


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
