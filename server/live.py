"""Wiring of what is live: calls, their media plane, and proofs. No rules here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.calls import wire
from server.calls.ice import Ice
from server.calls.neighbours import Neighbours, Parties
from server.calls.plane import Plane
from server.calls.service import Calls
from server.chat.service import ConversationService
from server.clock import Clock
from server.keys import Keys
from server.limits import Limits
from server.media.service import MediaService
from server.people.service import People
from server.proofs.neighbours import Neighbours as ProofNeighbours
from server.proofs.service import Proofs
from server.realtime.hub import Hub
from server.realtime.nodes import Nodes
from server.realtime.outbox import Outbox
from server.realtime.protocol import SignalEvent
from server.settings import Settings
from server.store import Store
from server.supervision.model import FINAL, PledgeState
from server.supervision.service import Supervision


@dataclass(frozen=True)
class Parts:
    """What is there before."""

    settings: Settings
    keys: Keys
    clock: Clock
    store: Store
    outbox: Outbox
    limits: Limits
    hub: Hub
    nodes: Nodes
    people: People
    conversations: ConversationService
    supervision: Supervision
    media: MediaService


class Live:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.proofs = Proofs(
            ProofNeighbours(
                store=parts.store,
                clock=parts.clock,
                limits=parts.limits,
                people=parts.people,
                pledges=parts.supervision.changes,
                exhibits=parts.supervision.exhibits,
                making=parts.media.making,
                keeping=parts.media.keeping,
                contents=parts.media,
                keys=parts.keys,
            )
        )
        settings = parts.settings
        self.plane = Plane(settings)
        ice = Ice(settings.calls_stun, settings.calls_turn, settings.calls_turn_secret, parts.clock)
        self.calls = Calls(self._neighbours(), ice)
        parts.supervision.evidence.proofs = self.proofs
        parts.nodes.on_gone.append(self.calls.keeper.node_gone)

    def listen(self) -> None:
        """Hears of what ends a seat: a sign-in that ends, an account that goes, a conversation that is left."""
        people = self._parts.people
        people.on_sessions_end(self.calls.on_sessions_end)
        people.on_delete(self.calls.on_delete)
        people.on_delete(self.proofs.on_delete)
        self._parts.conversations.on_rights(self.calls.on_rights)

    async def start(self) -> None:
        await self.proofs.start()
        await self.calls.start()

    async def stop(self) -> None:
        await self.calls.stop()
        await self.proofs.stop()

    def _neighbours(self) -> Neighbours:
        parts = self._parts
        return Neighbours(
            store=parts.store,
            outbox=parts.outbox,
            clock=parts.clock,
            limits=parts.limits,
            conversations=parts.conversations,
            people=parts.people,
            parties=self._parties,
            plane=self.plane,
            pictures=self._picture,
            asking=parts.hub.asking,
            node=parts.nodes.node,
            live=parts.nodes.live,
            sockets=parts.hub.roster.of,
            signal=self._signal,
            directory=parts.settings.data_dir / "recordings",
        )

    async def _parties(self, pledge: str) -> Parties | None:
        found = await self._parts.supervision.repo.get(pledge)
        if found is None or found.state is PledgeState.DRAFT:
            return None
        agreed = found.state is not PledgeState.AWAITING_OWNER and found.state not in FINAL
        return Parties(found.owner, frozenset(found.seated), agreed)

    async def _picture(self, picture: wire.Picture, *, person: str, by: str, pledge: str, call: str, key: str) -> str:
        proof = await self.proofs.from_picture(
            picture.rgb, picture.width, picture.height, person=person, by=by, pledge=pledge, call=call, key=key
        )
        return proof.id

    def _signal(self, ch: str, kind: str, body: dict[str, Any]) -> None:
        self._parts.hub.teller.announce_signal(SignalEvent(ch, "system", kind, body))
