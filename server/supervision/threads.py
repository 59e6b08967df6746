"""What becomes of a pledge's thread when somebody who wrote in it deletes their account."""

from __future__ import annotations

from server.store import Tx
from server.supervision.neighbours import Outbox
from server.supervision.repo import PledgesRepo


class Threads:
    def __init__(self, repo: PledgesRepo, outbox: Outbox) -> None:
        self._repo = repo
        self._outbox = outbox

    async def erased(self, tx: Tx, person: str) -> list[str]:
        """Tells every thread of the person that their words go, and answers the channels in which they are to be
        erased. What was stamped, decided and added as evidence stays: others rely on it."""
        channels = []
        for id, version in (await self._repo.versions_of(person, tx)).items():
            ch = f"pledge:{id}"
            body = {"person": person}
            # Behind everything that this version of the pledge has told.
            await self._outbox.put(
                tx, id=f"erased:{id}:{person}", ch=ch, order=version * 100 + 99, kind="erased", body=body
            )
            channels.append(ch)
        return channels
