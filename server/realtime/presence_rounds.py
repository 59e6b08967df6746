"""Goes round the channels and has the lists of who is here compared with what is so: whatever the bus lost and Redis
forgot is put right within some rounds."""

from __future__ import annotations

from server.realtime.channels import ChannelKinds
from server.realtime.gates import Gates
from server.realtime.nodes import Nodes
from server.realtime.presence import PresenceBoard
from server.realtime.rounds import Rounds
from server.realtime.teller import Teller

EVERY = 5.0  # seconds
#: Channels of one round, read by one request to Redis.
_AT_ONCE = 200


class PresenceRounds:
    """A node that is alone does nothing: when another comes, each says anew who is here."""

    def __init__(
        self, gates: Gates, kinds: ChannelKinds, presence: PresenceBoard, teller: Teller, nodes: Nodes
    ) -> None:
        self.rounds = Rounds("presence", self.once, every=EVERY)
        self._gates = gates
        self._kinds = kinds
        self._presence = presence
        self._teller = teller
        self._nodes = nodes
        self._left: list[str] = []

    async def once(self) -> None:
        """The next channels in turn."""
        if self._nodes.alone:
            return
        if not self._left:
            self._left = [gate.ch for gate in self._gates if self._shows(gate.ch)]
        turn, self._left = self._left[:_AT_ONCE], self._left[_AT_ONCE:]
        for news in await self._presence.tend([ch for ch in turn if self._gates.get(ch) is not None]):
            self._teller.presence(news)

    def _shows(self, ch: str) -> bool:
        kind = self._kinds.of(ch)
        return kind is not None and kind.presence
