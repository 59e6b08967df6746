"""The hub: the front door of realtime for domains and sockets.

It joins the parts: the appender makes entries durable, gates order them per channel, the bus tells other nodes, and
connections subscribe. Domains append through the outbox or `append_as`, and read through `pages` and `positions`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec
import structlog

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.principals import Principal
from server.realtime import protocol as p
from server.realtime.appender import Appender
from server.realtime.asking import MARK, Asking
from server.realtime.background import Background
from server.realtime.bus import Bus
from server.realtime.channels import Access, ChannelKinds, Draft, EntryKind, checked_body, split
from server.realtime.entries import EntryLog
from server.realtime.eraser import Eraser
from server.realtime.flusher import Flusher
from server.realtime.followers import Followers
from server.realtime.gate import Gate
from server.realtime.gates import Gates
from server.realtime.heartbeat import Heartbeat, SessionCheck
from server.realtime.lane import Accepted
from server.realtime.nodes import Nodes
from server.realtime.old_trails import TIDIED_EVERY, OldTrails
from server.realtime.owners import Leases, Owners
from server.realtime.pages import Pages
from server.realtime.positions import Moved, Positions
from server.realtime.presence import PresenceBoard
from server.realtime.presence_rounds import PresenceRounds
from server.realtime.roster import Peer, Roster
from server.realtime.rounds import Rounds
from server.realtime.signals import Signals
from server.realtime.subscriptions import Subscriptions
from server.realtime.sweep import Sweep
from server.realtime.teller import Teller
from server.store import StoreError

log = structlog.get_logger(__name__)

_heard = msgspec.json.Decoder(p.EntryEvent | p.SignalEvent | Moved | p.Presence)


class SignIns(SessionCheck, Protocol):
    """What the hub needs of the people domain."""

    async def authenticate_token(self, token: str) -> Principal | None: ...


class SendAllowance(Protocol):
    """Asked before each append by a client; raises `too_often`."""

    async def spend(self, principal: Principal) -> None: ...


class Hub:
    """One per process."""

    def __init__(
        self,
        *,
        log: EntryLog,
        kinds: ChannelKinds,
        bus: Bus,
        nodes: Nodes,
        positions: Positions,
        presence: PresenceBoard,
        leases: Leases,
        clock: Clock,
        epoch: str,
        digest_key: bytes,
        sign_ins: SignIns,
        allowance: SendAllowance,
        followers: Followers,
        limits_factor: float = 1.0,
    ) -> None:
        self.clock = clock
        self.followers = followers
        #: multiplies how many frames a connection may send
        self.limits_factor = limits_factor
        self.node = nodes.node
        self.epoch = epoch
        self.kinds = kinds
        self.sign_ins = sign_ins
        self.flusher = Flusher()
        self.positions = positions
        self.presence = presence
        self._log = log
        self._bus = bus
        self._nodes = nodes
        self._allowance = allowance
        self._appender = Appender(
            log,
            clock,
            self.node,
            digest_key,
            self._durable,
            doubt=lambda channels: self._sweep.doubt(channels),
            alone=lambda: nodes.alone,
            conflict=lambda channels: self._owners.conflicted(channels),
        )
        nodes.trails = self._appender.trails
        self._signals = Signals(lambda event: self.teller.announce_signal(event))
        self.gates = Gates(
            log, bus, kinds, presence, self._appender, self._passed, self.flusher.add_gate, followers.look
        )
        self.pages = Pages(log, self.gates, kinds)
        self._sweep = Sweep(log, nodes, self.gates)
        self._background = Background()
        self._owners = Owners(
            node=self.node,
            bus=bus,
            leases=leases,
            appender=self._appender,
            kinds=kinds,
            live=nodes.live,
            offer=self._offer,
            key=digest_key,
            background=self._background,
        )
        self.asking = Asking(node=self.node, bus=bus, key=digest_key, background=self._background)
        self._heartbeat = Heartbeat(sign_ins, self._background)
        self.eraser = Eraser(log, self.gates, self._appender, kinds, self._background)
        self.subscriptions = Subscriptions(log, kinds, self.gates, self.pages, positions, presence, self.access)
        self.roster = Roster(kinds, self.gates, self._heartbeat, sign_ins, self._background)
        self.teller = Teller(kinds, self.gates, self.subscriptions, self.roster, presence, bus, nodes)
        self._presence_rounds = PresenceRounds(self.gates, kinds, presence, self.teller, nodes).rounds
        self._trail_rounds = Rounds("old trails", OldTrails(log, clock).once, every=TIDIED_EVERY)
        nodes.on_come.append(lambda _: self._reload_presence())
        nodes.on_gone += [presence.node_gone, self._owners.gone, self.asking.gone, lambda _: followers.catch_up()]
        # The others may have struck our people off the lists meanwhile.
        nodes.on_absence += [
            bus.announce,
            lambda: self._background.spawn(self.teller.reload_presence(), "presence reload"),
        ]

    @property
    def ping_every(self) -> float:
        return self._heartbeat.every

    # ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        self._appender.start()
        await self._bus.start(self._hear, self._rejoined, on_direct=self._told, on_greeting=self._greeted)
        self._bus.announce()
        self._owners.start()
        self.followers.start()
        self._sweep.start()
        self._presence_rounds.start()
        self._trail_rounds.start()
        self._heartbeat.start()
        self.gates.start()

    async def drain(self) -> None:
        """Closes every socket with a resumable code and gives the closing handshakes a moment."""
        self.subscriptions.stopping = True
        if self.roster.dismiss():
            await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """Stops after `drain`; what was accepted is made durable first."""
        await self._heartbeat.stop()
        await self._sweep.stop()
        await self._presence_rounds.stop()
        await self._trail_rounds.stop()
        self._signals.stop()
        await self._owners.stop()
        await self.followers.stop()  # some of them append
        await self._appender.stop()
        await self._background.stop()
        await self.positions.stop()
        await self.presence.stop()
        await self.gates.stop()
        await self._bus.stop()

    # ── Appending ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def append(self, draft: Draft) -> Accepted:
        """Appends for the server itself: rights were checked by whoever calls. Returns when it is durable."""
        kind = self.kinds.of(draft.ch)
        entry_kind = kind.entry(draft.kind) if kind else None
        if entry_kind is not None and entry_kind.scrubs and draft.ref is not None:
            # What staff delete keeps no words either, however often it is relayed.
            await self.eraser.entry(draft.ch, draft.ref)
        return await self._owners.submit(draft, entry_kind)

    async def append_as(
        self, principal: Principal, ch: str, id: str, kind: str, body: bytes | msgspec.Raw, ref: int | None
    ) -> Accepted:
        """Appends for a principal after all checks. Raises VouchError."""
        return await (await self.submit_as(principal, ch, id, kind, body, ref))

    async def submit_as(
        self, principal: Principal, ch: str, id: str, kind: str, body: bytes | msgspec.Raw, ref: int | None
    ) -> asyncio.Future[Accepted]:
        """Checks, then queues; drafts of one caller are numbered in the order of these calls."""
        access = await self.access(principal, ch)
        if not access.read:
            raise VouchError(Code.NOT_FOUND)
        entry_kind = self.kinds.client_entry(ch, kind)
        draft = Draft(ch, principal.id, id, kind, checked_body(entry_kind.body, body), ref)
        try:
            await self._allowance.spend(principal)
            target = await self._admit(principal, access, entry_kind, draft)
        except VouchError:
            # A repeat gets its first acknowledgement even where the same thing would not be allowed any more.
            if (done := await self._appender.find(draft)) is not None:
                return done
            raise
        if self.gates.get(ch) is None:
            # Rights are remembered only where a gate hears of their changes: without, each append asks the database.
            self._background.spawn(self._open_gate(ch), "gate for a writer")
        if entry_kind.scrubs and target is not None:
            if (done := await self._appender.find(draft)) is not None:  # a used id is refused before words go
                return done
            await self.eraser.entry(ch, target.seq)
        future = self._owners.submit(draft, entry_kind)
        if entry_kind.replaces and target is not None:
            self.eraser.watch_edit(ch, target.seq, future)
        if entry_kind.countable:
            future.add_done_callback(self._wrote)
        return future

    def _wrote(self, done: asyncio.Future[Accepted]) -> None:
        if not done.cancelled() and done.exception() is None:
            accepted = done.result()
            kind = self.kinds.of(accepted.ch)
            if kind is not None and kind.positions:
                entry = accepted.entry
                self.positions.wrote(entry.by, accepted.ch, entry.seq, entry.n)

    def recheck(self, ch: str) -> None:
        """Rights on a channel have just changed: on this node they hold from now, on the others from its entry on."""
        if (gate := self.gates.get(ch)) is not None:
            gate.changed()

    async def _open_gate(self, ch: str) -> None:
        try:
            await self.gates.open(ch)
        except StoreError as fault:
            log.warning("gate not opened", ch=ch, fault=type(fault).__name__)

    async def _admit(self, principal: Principal, access: Access, entry_kind: EntryKind, draft: Draft) -> p.Entry | None:
        """Raises when the draft may not be appended; returns the entry that it refers to."""
        if access.silenced_until:
            raise VouchError(Code.SILENCED, retry_after=self._silence_left(access))
        if not access.write:
            raise VouchError(Code.CLOSED)
        target = None
        if entry_kind.modifies or draft.ref is not None:
            target = await self._target(draft.ch, access, draft.ref)
        channel_kind = self.kinds.of(draft.ch)
        assert channel_kind is not None  # client_entry has refused unknown ones
        await channel_kind.policy.admit(principal, split(draft.ch)[1], draft, target)
        return target

    async def _target(self, ch: str, access: Access, ref: int | None) -> p.Entry:
        if ref is None or ref < access.first:
            raise VouchError(Code.BAD_REQUEST, "This needs `ref`, the number of an entry you may see.", field="ref")
        entry = await self._log.point(ch, ref)
        if entry is None:
            raise VouchError(Code.BAD_REQUEST, "No entry has this number.", field="ref")
        return entry

    def _durable(self, accepted: Accepted) -> None:
        self.followers.offer(accepted.ch, accepted.entry)
        gate, alone = self.gates.get(accepted.ch), self._nodes.alone
        if gate is None and alone:
            return
        payload = p.encode(p.EntryEvent(accepted.ch, accepted.entry))
        if not alone:
            self._bus.publish(accepted.ch, payload)
        if gate is not None:
            gate.offer(accepted.entry, payload)

    def _offer(self, accepted: Accepted) -> None:
        """Another node has made an entry durable for this one, and tells all the others."""
        if (gate := self.gates.get(accepted.ch)) is not None:
            gate.offer(accepted.entry)

    # ── What an entry changes beside being read ────────────────────────────────────────────────────────────────────

    def _passed(self, gate: Gate, entry: p.Entry) -> None:
        """Applies what an entry changes beside being read."""
        kind = self.kinds.of(gate.ch)
        entry_kind = kind.entry(entry.kind) if kind else None
        if entry_kind is not None and entry_kind.scrubs and entry.ref is not None:
            edits = {e.seq for e in gate.recent() if e.ref == entry.ref and self.kinds.replaces(gate.ch, e.kind)}
            self.eraser.forget(gate, {entry.ref} | edits)
        effects = self.kinds.effects(gate.ch, entry)
        if effects.erase:
            said = {e.seq for e in gate.recent() if e.by in effects.erase and self.kinds.said(gate.ch, e)}
            self.eraser.forget(gate, said)
        if effects.recheck or effects.drop:
            gate.changed()
        if effects.recheck:
            self._background.spawn(self._review(gate), "review of rights")
        for person in effects.drop:
            for peer in self.roster.of(person):
                self.subscriptions.drop(peer, gate.ch)
        if effects.end_sessions:
            for peer in self.roster.of(split(gate.ch)[1]):
                if peer.principal.session in effects.end_sessions:
                    peer.close(p.Close.SIGNED_OUT)

    async def _review(self, gate: Gate) -> None:
        try:
            await self.subscriptions.review(gate)
        except StoreError as fault:
            log.warning("rights not reviewed; they are asked for again before use", fault=type(fault).__name__)

    def leave(self, peer: Peer) -> None:
        """A connection is gone, or about to be."""
        for ch in list(peer.channels):
            self.subscriptions.unsubscribe(peer, ch)
        self.roster.leave(peer)

    # ── Rights ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def access(self, principal: Principal, ch: str) -> Access:
        """What the principal may do on the channel; remembered while the channel's gate would tell of a change."""
        gate = self.gates.live(ch)
        if gate is None:
            return await self.kinds.access(principal, ch)
        key = (principal.kind.value, principal.id)
        known = gate.access.get(key)
        if isinstance(known, Access) and not (known.silenced_until and self._silence_left(known) <= 0):
            return known
        generation = gate.generation
        access = await self.kinds.access(principal, ch)
        if gate.generation == generation and access.read:
            # A refusal is not remembered: who is let in a moment later need not wait, and strangers fill no memory.
            gate.access[key] = access
        return access

    def _silence_left(self, access: Access) -> float:
        """Seconds."""
        return round((access.silenced_until - to_ms(self.clock.now())) / 1000, 1)

    # ── Signals and positions ───────────────────────────────────────────────────────────────────────────────────────

    async def signal(self, principal: Principal, ch: str, kind: str, body: msgspec.Raw) -> None:
        """Passes a signal on to whoever is there."""
        access = await self.access(principal, ch)
        if not access.signal:
            raise VouchError(Code.NOT_FOUND)
        if access.silenced_until:
            raise VouchError(Code.SILENCED, retry_after=self._silence_left(access))
        channel_kind = self.kinds.of(ch)
        struct = channel_kind.signals.get(kind) if channel_kind else None
        if struct is None:
            raise VouchError(Code.BAD_REQUEST, "No signal has this name here.", field="kind")
        self._signals.put(p.SignalEvent(ch, principal.id, kind, checked_body(struct, body)))

    async def move_position(self, principal: Principal, ch: str, *, read: int = 0, delivered: int = 0) -> None:
        """Moves the principal's own position forward."""
        kind = self.kinds.of(ch)
        access = await self.access(principal, ch)
        if kind is None or not kind.positions or not access.read:
            raise VouchError(Code.NOT_FOUND)
        gate = await self.gates.open(ch)
        await self.gates.reach(gate, max(read, delivered))
        if max(read, delivered) > gate.delivered:
            raise VouchError(Code.BAD_REQUEST, "This is beyond the newest entry.", field="read")
        if access.unseen:
            return
        before = access.first - 1  # what came before one's time does not count as unread
        self.positions.move(principal.id, ch, read=read and max(read, before), delivered=delivered)

    # ── The bus ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _hear(self, ch: str, node: str, payload: bytes) -> None:
        try:
            event = _heard.decode(payload)
        except msgspec.DecodeError:
            log.warning("the bus brought something that is no frame", ch=ch, node=node)
            return
        self._nodes.greeted(node)
        gate = self.gates.get(ch)
        if gate is None:
            return
        if isinstance(event, p.EntryEvent):
            gate.offer(event.entry, payload)
        elif isinstance(event, p.Presence):
            if (news := self.presence.heard(node, event)) is not None:
                self.teller.presence(news)
        elif isinstance(event, Moved):
            self.teller.position(event)
        else:
            self.teller.all(ch, event)

    def _greeted(self, node: str) -> None:
        """A node has come; it learns of this one by the answer."""
        self._nodes.greeted(node)
        self._bus.send(node, b"")

    def _told(self, node: str, payload: bytes) -> None:
        """Something for this node alone; nothing in it is the answer to a greeting."""
        self._nodes.greeted(node)
        if payload.startswith(MARK):
            self.asking.told(node, payload)
        elif payload:
            self._owners.told(node, payload)

    def _rejoined(self) -> None:
        self._bus.announce()
        self._sweep.hurry()
        self._reload_presence()

    def _reload_presence(self) -> None:
        self._background.spawn(self.teller.reload_presence(), "presence reload")
