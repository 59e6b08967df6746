"""Telling what is true only now – signals, presence, positions – to whoever is here, and to the other nodes."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from server.realtime import protocol as p
from server.realtime.bus import Bus
from server.realtime.channels import ChannelKinds
from server.realtime.frames import text_frame
from server.realtime.gates import Gates
from server.realtime.nodes import Nodes
from server.realtime.positions import Moved
from server.realtime.presence import PresenceBoard
from server.realtime.roster import Roster
from server.realtime.subscriptions import Subscriptions

#: Up to so many subscribers everybody sees how far the others have read.
POSITIONS_SHOWN = 50

_moved = msgspec.json.Encoder()


class Teller:
    """`announce_…` tells all nodes, the others only this one's subscribers. Nothing of it is stored or repeated."""

    def __init__(
        self,
        kinds: ChannelKinds,
        gates: Gates,
        subscriptions: Subscriptions,
        roster: Roster,
        presence: PresenceBoard,
        bus: Bus,
        nodes: Nodes,
    ) -> None:
        self._kinds = kinds
        self._gates = gates
        self._subscriptions = subscriptions
        self._roster = roster
        self._presence = presence
        self._bus = bus
        self._nodes = nodes

    def announce_position(self, moved: Moved) -> None:
        self._publish(moved.ch, _moved.encode(moved))
        self.position(moved)

    def position(self, moved: Moved) -> None:
        """To everybody in a small channel; in a large one, where all read each message, to the person's own devices.

        Where reading is hidden others are told what they may see, and nothing at all when that has not moved.
        """
        gate = self._gates.get(moved.ch)
        shared = gate is not None and len(gate.subscribers) <= POSITIONS_SHOWN
        hidden = moved.shown < moved.read
        own = p.PositionEvent(moved.ch, moved.by, moved.read, moved.read_n, moved.delivered)
        if shared and not hidden:
            self.all(moved.ch, own)
        elif shared and moved.visible:
            seen = p.PositionEvent(moved.ch, moved.by, moved.shown, moved.shown_n, moved.delivered)
            self.all(moved.ch, seen, but=self._roster.of(moved.by))
        for peer in self._roster.of(moved.by):
            if moved.ch in peer.channels and (hidden or not shared or not self._subscriptions.hears(peer, moved.ch)):
                peer.say(own)

    def announce_signal(self, event: p.SignalEvent) -> None:
        self._publish(event.ch, p.encode(event))
        self.all(event.ch, event)

    def announce_presence(self, change: p.Presence) -> None:
        """To the other nodes; here it is told by `presence`."""
        self._publish(change.ch, p.encode(change))

    def presence(self, change: p.Presence) -> None:
        if change.joined or change.left:
            self.all(change.ch, self._presence.shown(change))

    async def reload_presence(self) -> None:
        """Says again who is here, and reads who is on the other nodes."""
        await self._presence.restate()
        for gate in self._gates:
            kind = self._kinds.of(gate.ch)
            if kind is not None and kind.presence and (news := await self._presence.load(gate.ch)) is not None:
                self.presence(news)

    def all(self, ch: str, frame: p.ServerFrame, but: Collection[object] = ()) -> None:
        """To all subscribers on this node who hear what others do, `but` those."""
        gate = self._gates.get(ch)
        if gate is None or not gate.subscribers:
            return
        data = text_frame(p.encode(frame))
        if not but and self._subscriptions.all_hear(ch):
            gate.tell(data)
            return
        gate.flush()  # entries go before what is said about them
        for subscriber in tuple(gate.subscribers):  # sending may close a slow one, which then leaves the set
            if subscriber not in but and self._subscriptions.hears(subscriber, ch):
                subscriber.send(data)

    def _publish(self, ch: str, payload: bytes) -> None:
        if not self._nodes.alone:
            self._bus.publish(ch, payload)
