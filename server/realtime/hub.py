"""The hub: the front door of realtime for domains and sockets.

It joins the parts: the appender makes entries durable, gates order them per channel, the bus tells other nodes, and
connections subscribe. Domains append through the outbox or `append_as`, and read through `pages` and `positions`.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Coroutine
from typing import Any, Protocol

import msgspec
import structlog

from server.clock import Clock
from server.errors import Code, VouchError
from server.principals import Principal
from server.realtime import protocol as p
from server.realtime.appender import Accepted, Appender
from server.realtime.bus import Bus
from server.realtime.channels import Access, ChannelKinds, Draft, EntryKind, checked_body, split
from server.realtime.connection import Connection
from server.realtime.entries import EntryLog
from server.realtime.frames import text_frame
from server.realtime.gate import Gate
from server.realtime.gates import Gates
from server.realtime.heartbeat import Heartbeat
from server.realtime.metrics import CONNECTIONS, HISTORY_READS
from server.realtime.nodes import Nodes
from server.realtime.pages import Pages
from server.realtime.positions import Mark, Positions
from server.realtime.presence import PresenceBoard
from server.realtime.signals import Signals
from server.realtime.sweep import Sweep
from server.store import StoreError

MAX_CONNECTIONS_EACH = 50
_REPLAY_READ = 200
_ERASE_STEP = 500

log = structlog.get_logger(__name__)

_heard = msgspec.json.Decoder(p.EntryEvent | p.SignalEvent | p.PositionEvent | p.Presence)


class SignIns(Protocol):
    """What the hub needs of the people domain."""

    async def authenticate_token(self, token: str) -> Principal | None: ...

    async def live_sessions(self, sessions: Collection[str]) -> set[str]: ...


class SendAllowance(Protocol):
    """Asked before each append by a client; raises `too_often`."""

    async def spend(self, principal: Principal) -> None: ...


class Flusher:
    """Flushes the connections that were written to, once per tick of the event loop."""

    def __init__(self) -> None:
        self._dirty: list[Connection] = []

    def add(self, connection: Connection) -> None:
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.append(connection)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            try:
                connection.flush()
            except Exception:  # one connection's fault must not leave the others of this tick unflushed
                log.exception("flush failed")
                connection.abort()


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
        clock: Clock,
        epoch: str,
        digest_key: bytes,
        sign_ins: SignIns,
        allowance: SendAllowance,
    ) -> None:
        self.clock = clock
        self.node = nodes.node
        self.epoch = epoch
        self.kinds = kinds
        self.sign_ins = sign_ins
        self.flusher = Flusher()
        self.positions = positions
        self.presence = presence
        self._log = log
        self._bus = bus
        self._allowance = allowance
        self._appender = Appender(log, clock, self.node, digest_key, self._durable, lambda: self._sweep.doubt())
        self._signals = Signals(self._send_signal)
        self.gates = Gates(log, bus, kinds, presence, self._appender, self._passed)
        self.pages = Pages(log, self.gates)
        self._sweep = Sweep(log, nodes, clock, self.gates.live)
        self._heartbeat = Heartbeat(sign_ins)
        self._connections: dict[str, set[Connection]] = defaultdict(set)
        self._background: set[asyncio.Task[None]] = set()
        self._stopping = False
        nodes.on_come.append(lambda _: self._spawn(self._reload_presence(), "presence reload"))
        nodes.on_gone.append(presence.node_gone)

    @property
    def ping_every(self) -> float:
        return self._heartbeat.every

    # ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        self._appender.start()
        await self._bus.start(self._hear, self._rejoined)
        self._sweep.start()
        self._heartbeat.start()
        self.gates.start()

    async def drain(self) -> None:
        """Closes every socket with a resumable code and gives the closing handshakes a moment."""
        self._stopping = True
        connections = [c for group in self._connections.values() for c in group]
        for connection in connections:
            connection.close(p.Close.GOING_AWAY, retry_after=0.5)
        if connections:
            await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """Stops after `drain`; what was accepted is made durable first."""
        await self._heartbeat.stop()
        await self._sweep.stop()
        self._signals.stop()
        await self._appender.stop()
        await self.positions.stop()
        await self.presence.stop()
        await self.gates.stop()
        await self._bus.stop()

    # ── Appending ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def append(self, draft: Draft) -> Accepted:
        """Appends for the server itself: rights were checked by whoever calls. Returns when it is durable."""
        kind = self.kinds.of(draft.ch)
        return await self._appender.submit(draft, kind.entry(draft.kind) if kind else None)

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
        if entry_kind.scrubs and target is not None:
            await self._scrub(ch, target.seq)
        future = self._appender.submit(draft, entry_kind)
        if entry_kind.replaces and target is not None:
            ref = target.seq
            future.add_done_callback(lambda done: self._replaced(ch, ref, done))
        return future

    async def _admit(self, principal: Principal, access: Access, entry_kind: EntryKind, draft: Draft) -> p.Entry | None:
        """Raises when the draft may not be appended; returns the entry that it refers to."""
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

    async def _scrub(self, ch: str, seq: int) -> None:
        """Erases an entry's words and those of its edits. Before the deletion is appended: if we die in between the
        words are gone and the sender, without acknowledgement, deletes again.

        First the entry, then its edits: one that becomes durable too late to be found here finds the entry gone.
        """
        await self._erase(ch, {seq})
        modifiers = await self._log.modifiers_of(ch, seq)
        await self._erase(ch, {entry.seq for entry in modifiers if self._replaces(ch, entry) and not entry.gone})

    def _replaced(self, ch: str, ref: int, done: asyncio.Future[Accepted]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._spawn(self._erase_if_gone(ch, ref, done.result().entry.seq), "edit of a deleted entry")

    async def _erase_if_gone(self, ch: str, ref: int, seq: int) -> None:
        """An edit that was under way while its entry was deleted keeps no words either."""
        try:
            target = await self._log.point(ch, ref)
            if target is not None and target.gone:
                await self._erase(ch, {seq})
        except StoreError as fault:
            log.warning("edit not checked", ch=ch, seq=seq, fault=type(fault).__name__)

    def _replaces(self, ch: str, entry: p.Entry) -> bool:
        kind = self.kinds.of(ch)
        entry_kind = kind.entry(entry.kind) if kind else None
        return entry_kind is not None and entry_kind.replaces

    async def erase(self, ch: str, person: str) -> None:
        """Erases the words of everything that a person has written to a channel."""
        head = await self.gates.head(ch)
        for first in range(1, head.seq + 1, _ERASE_STEP):
            entries = await self._log.read(ch, first, min(first + _ERASE_STEP - 1, head.seq))
            await self._erase(ch, {entry.seq for entry in entries if entry.by == person and not entry.gone})

    async def _erase(self, ch: str, seqs: set[int]) -> None:
        await self._log.scrub(ch, seqs)
        self._appender.forget_body(ch, seqs)
        if (gate := self.gates.get(ch)) is not None:
            gate.scrub(seqs)

    def _durable(self, accepted: Accepted) -> None:
        self._bus.publish(accepted.ch, p.encode(p.EntryEvent(accepted.ch, accepted.entry)))
        if (gate := self.gates.get(accepted.ch)) is not None:
            gate.offer(accepted.entry)

    # ── What an entry changes beside being read ────────────────────────────────────────────────────────────────────

    def _passed(self, gate: Gate, entry: p.Entry) -> None:
        """Applies what an entry changes beside being read."""
        kind = self.kinds.of(gate.ch)
        entry_kind = kind.entry(entry.kind) if kind else None
        if entry_kind is not None and entry_kind.scrubs and entry.ref is not None:
            edits = {e.seq for e in gate.recent() if e.ref == entry.ref and self._replaces(gate.ch, e)}
            gate.scrub({entry.ref} | edits)
        effects = self.kinds.effects(gate.ch, entry)
        if effects.erase:
            gate.scrub({e.seq for e in gate.recent() if e.by in effects.erase})
        if effects.recheck or effects.drop:
            gate.changed()
        for person in effects.drop:
            for connection in list(self._connections.get(person, ())):
                if gate.ch in connection.channels:
                    self.unsubscribe(connection, gate.ch)
                    connection.say(p.Dropped(gate.ch, Code.NOT_FOUND))
        if effects.end_sessions:
            for connection in list(self._connections.get(split(gate.ch)[1], ())):
                if connection.principal.session in effects.end_sessions:
                    connection.close(p.Close.SIGNED_OUT)

    # ── Connections ─────────────────────────────────────────────────────────────────────────────────────────────────

    def enter(self, connection: Connection, principal: Principal) -> p.Close | None:
        """Counts a connection in, or says why not: the principal has too many, or the server is stopping."""
        if self._stopping:
            return p.Close.GOING_AWAY
        group = self._connections[principal.id]
        if len(group) >= MAX_CONNECTIONS_EACH:
            return p.Close.TOO_MANY_CONNECTIONS
        group.add(connection)
        self._heartbeat.add(connection)
        CONNECTIONS.inc()
        for ch in self.kinds.personal(principal):
            self._spawn(self._follow(connection, principal, ch), "follow own channel")
        return None

    async def _follow(self, connection: Connection, principal: Principal, ch: str) -> None:
        """Holds a person's own channel open while they have a connection. The sign-in is looked at once more: it may
        have ended after it was checked and before the channel was followed."""
        try:
            gate = await self.gates.open(ch)
            if principal.id in self._connections:
                gate.pins = 1
            live = await self.sign_ins.live_sessions([principal.session])
        except StoreError as fault:
            log.warning("own channel not followed; sign-ins are checked anyway", fault=type(fault).__name__)
            return
        if principal.session and principal.session not in live:
            connection.close(p.Close.SIGNED_OUT)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def leave(self, connection: Connection) -> None:
        self._heartbeat.remove(connection)
        for ch in list(connection.channels):
            self.unsubscribe(connection, ch)
        group = self._connections.get(connection.principal.id)
        if group is not None and connection in group:
            group.discard(connection)
            CONNECTIONS.dec()
            if not group:
                del self._connections[connection.principal.id]
                for ch in self.kinds.personal(connection.principal):
                    if (gate := self.gates.get(ch)) is not None:
                        gate.pins = 0
                        gate.idle_since = time.monotonic()

    async def subscribe(
        self, connection: Connection, rid: int, ch: str, after: int | None, *, same_epoch: bool
    ) -> None:
        """Answers `subscribed`, replays what was missed, goes live; raises VouchError when it may not."""
        kind = self.kinds.of(ch)
        principal = connection.principal
        access = await self.access(principal, ch)
        if kind is None or not access.read:
            raise VouchError(Code.NOT_FOUND)
        if ch not in connection.channels and len(connection.channels) >= p.MAX_CHANNELS:
            raise VouchError(Code.LIMIT_REACHED)
        self.unsubscribe(connection, ch)
        gate = await self.gates.open(ch)
        generation = gate.generation
        mark = await self._mark(principal.id, ch, access.first) if kind.positions else Mark()
        if gate.generation != generation:
            generation = gate.generation
            if not (access := await self.access(principal, ch)).read:
                raise VouchError(Code.NOT_FOUND)
        gap = _gap(gate, access, after, replays=kind.replays, same_epoch=same_epoch)
        connection.say(
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
                if not (await self.access(principal, ch)).read:
                    connection.say(p.Dropped(ch, Code.NOT_FOUND))
                    return
            for entry in entries:
                connection.say(p.EntryEvent(ch, entry))
            position = entries[-1].seq
            await connection.drained()
        if gate.generation != generation and not (await self.access(principal, ch)).read:
            connection.say(p.Dropped(ch, Code.NOT_FOUND))
            return
        # No await from here on: nothing can pass the gate between the ring and the live entries.
        if connection.closing:
            return
        if self._stopping or self.gates.get(ch) is not gate or not gate.covers(position):
            raise VouchError(Code.TRY_LATER)
        self.unsubscribe(connection, ch)  # two subscriptions of one connection at once: the later one holds
        for frame in gate.since(position):
            connection.send(frame)
        gate.subscribers.add(connection)
        connection.channels.add(ch)
        if kind.presence:
            self.presence.enter(ch, principal.id)
            connection.say(p.Presence(ch, online=self.presence.online(ch)))

    async def _mark(self, person: str, ch: str, first: int) -> Mark:
        """A person's positions; what came before `first`, their first entry, does not count as unread."""
        mark = (await self.positions.of(person, [ch])).get(ch, Mark())
        if mark.read >= first - 1:
            return mark
        return msgspec.structs.replace(mark, read_n=max(mark.read_n, await self.pages.count_at(ch, first - 1)))

    def unsubscribe(self, connection: Connection, ch: str) -> None:
        if ch not in connection.channels:
            return
        connection.channels.discard(ch)
        if (gate := self.gates.get(ch)) is not None:
            gate.subscribers.discard(connection)
            gate.idle_since = time.monotonic()
        kind = self.kinds.of(ch)
        if kind is not None and kind.presence:
            self.presence.leave(ch, connection.principal.id)

    async def access(self, principal: Principal, ch: str) -> Access:
        """What the principal may do on the channel; remembered while the channel's gate would tell of a change."""
        gate = self.gates.live(ch)
        if gate is None:
            return await self.kinds.access(principal, ch)
        key = (principal.kind.value, principal.id)
        known = gate.access.get(key)
        if isinstance(known, Access):
            return known
        generation = gate.generation
        access = await self.kinds.access(principal, ch)
        if gate.generation == generation:
            gate.access[key] = access
        return access

    # ── Signals and positions ───────────────────────────────────────────────────────────────────────────────────────

    async def signal(self, principal: Principal, ch: str, kind: str, body: msgspec.Raw) -> None:
        """Passes a signal on to whoever is there."""
        if not (await self.access(principal, ch)).signal:
            raise VouchError(Code.NOT_FOUND)
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
        if max(read, delivered) > gate.delivered:
            raise VouchError(Code.BAD_REQUEST, "This is beyond the newest entry.", field="read")
        before = access.first - 1  # what came before one's time does not count as unread
        self.positions.move(principal.id, ch, read=read and max(read, before), delivered=delivered)

    def announce_position(self, event: p.PositionEvent) -> None:
        self._bus.publish(event.ch, p.encode(event))
        self._tell(event.ch, event)

    def tell_presence(self, change: p.Presence) -> None:
        if change.joined or change.left:
            self._tell(change.ch, change)

    def publish_presence(self, change: p.Presence) -> None:
        self._bus.publish(change.ch, p.encode(change))

    def _send_signal(self, event: p.SignalEvent) -> None:
        self._bus.publish(event.ch, p.encode(event))
        self._tell(event.ch, event)

    def _tell(self, ch: str, frame: p.ServerFrame) -> None:
        gate = self.gates.get(ch)
        if gate is not None and gate.subscribers:
            data = text_frame(p.encode(frame))
            for subscriber in tuple(gate.subscribers):  # sending may close a slow one, which then leaves the set
                subscriber.send(data)

    # ── The bus ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _hear(self, ch: str, node: str, payload: bytes) -> None:
        try:
            event = _heard.decode(payload)
        except msgspec.DecodeError:
            log.warning("the bus brought something that is no frame", ch=ch, node=node)
            return
        gate = self.gates.get(ch)
        if gate is None:
            return
        if isinstance(event, p.EntryEvent):
            gate.offer(event.entry)
        elif isinstance(event, p.Presence):
            if (news := self.presence.heard(node, event)) is not None:
                self._tell(ch, news)
        else:
            self._tell(ch, event)

    def _rejoined(self) -> None:
        self._sweep.hurry()
        self._spawn(self._reload_presence(), "presence reload")

    async def _reload_presence(self) -> None:
        await self.presence.restate()
        for gate in self.gates:
            kind = self.kinds.of(gate.ch)
            if kind is not None and kind.presence and (news := await self.presence.load(gate.ch)) is not None:
                self.tell_presence(news)


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
