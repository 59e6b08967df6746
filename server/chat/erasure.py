"""Erases the words of people who have deleted their account; the numbers of their messages stay.

The list of rooms is written with the deletion, so that a restart goes on where it stopped.
"""

from __future__ import annotations

from datetime import timedelta

from server.chat.repo import ConversationRepo
from server.clock import Clock
from server.realtime.hub import Hub
from server.realtime.outbox import Outbox
from server.realtime.rounds import Rounds

_AGAIN = 60.0  # seconds
#: Words that were under way when the account was deleted are in the log after this long: then it is done once more.
LATE = timedelta(seconds=30)


class Erasure:
    def __init__(self, repo: ConversationRepo, hub: Hub, outbox: Outbox, clock: Clock) -> None:
        self._repo = repo
        self._hub = hub
        self._outbox = outbox
        self._clock = clock
        self.rounds = Rounds("erasure", self._erase_all, every=_AGAIN)

    async def waiting(self) -> tuple[int, float | None]:
        """How many deleted accounts still have words somewhere, and for how many seconds the first of them has."""
        times = [at for _, _, at in await self._repo.erasures()]
        return len(times), (self._clock.now() - min(times)).total_seconds() if times else None

    async def _erase_all(self) -> None:
        for person, rooms, at in await self._repo.erasures():
            for room in rooms:
                ch = room if ":" in room else f"conv:{room}"  # a conversation, or a channel of another kind
                await self._outbox.settled(ch)
                await self._hub.eraser.person(ch, person)
            if self._clock.now() - at > LATE:
                await self._repo.end_erasure(person)
