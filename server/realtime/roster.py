"""The connections of this node, by the principal they belong to."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Protocol

import structlog

from server.principals import Principal
from server.realtime import protocol as p
from server.realtime.background import Background
from server.realtime.channels import ChannelKinds
from server.realtime.gates import Gates
from server.realtime.heartbeat import Heartbeat, SessionCheck
from server.realtime.metrics import CONNECTIONS
from server.store import StoreError

MAX_CONNECTIONS_EACH = 50

log = structlog.get_logger(__name__)


class Peer(Protocol):
    """A connection, as the parts of the hub see it."""

    channels: set[str]
    closing: bool

    @property
    def principal(self) -> Principal: ...

    def say(self, frame: p.ServerFrame) -> None: ...

    def send(self, frame: bytes) -> None: ...

    def transmit(self, frame: bytes) -> None: ...

    def beat(self) -> None: ...

    def close(self, code: p.Close, *, retry_after: float | None = None) -> None: ...

    async def drained(self) -> None: ...


class Roster:
    def __init__(
        self,
        kinds: ChannelKinds,
        gates: Gates,
        heartbeat: Heartbeat,
        sign_ins: SessionCheck,
        background: Background,
    ) -> None:
        self._kinds = kinds
        self._gates = gates
        self._heartbeat = heartbeat
        self._sign_ins = sign_ins
        self._background = background
        self._peers: dict[str, set[Peer]] = defaultdict(set)
        self._stopping = False

    def of(self, person: str) -> list[Peer]:
        return list(self._peers.get(person, ()))

    def dismiss(self) -> int:
        """Closes every connection with a resumable code and lets nobody in any more; answers how many there were."""
        self._stopping = True
        everybody = [peer for group in self._peers.values() for peer in group]
        for peer in everybody:
            peer.close(p.Close.GOING_AWAY, retry_after=0.5)
        return len(everybody)

    def enter(self, peer: Peer, principal: Principal) -> p.Close | None:
        """Counts a connection in, or says why not: the principal has too many, or the server is stopping."""
        if self._stopping:
            return p.Close.GOING_AWAY
        group = self._peers[principal.id]
        if len(group) >= MAX_CONNECTIONS_EACH:
            return p.Close.TOO_MANY_CONNECTIONS
        group.add(peer)
        self._heartbeat.add(peer)
        CONNECTIONS.inc()
        for ch in self._kinds.personal(principal):
            self._background.spawn(self._follow(peer, principal, ch), "follow own channel")
        return None

    async def _follow(self, peer: Peer, principal: Principal, ch: str) -> None:
        """Holds a person's own channel open while they have a connection. The sign-in is looked at once more: it may
        have ended after it was checked and before the channel was followed."""
        try:
            gate = await self._gates.open(ch)
            if principal.id in self._peers:
                gate.pins = 1
            live = await self._sign_ins.live_sessions([principal.session])
        except StoreError as fault:
            log.warning("own channel not followed; sign-ins are checked anyway", fault=type(fault).__name__)
            return
        if principal.session and principal.session not in live:
            peer.close(p.Close.SIGNED_OUT)

    def leave(self, peer: Peer) -> None:
        """The connection is gone; its subscriptions were ended by whoever calls."""
        self._heartbeat.remove(peer)
        group = self._peers.get(peer.principal.id)
        if group is not None and peer in group:
            group.discard(peer)
            CONNECTIONS.dec()
            if not group:
                del self._peers[peer.principal.id]
                for ch in self._kinds.personal(peer.principal):
                    if (gate := self._gates.get(ch)) is not None:
                        gate.pins = 0
                        gate.idle_since = time.monotonic()
