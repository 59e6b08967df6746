"""Who moves money for whom: adults for themselves, guardians for minors."""

from __future__ import annotations

from server.errors import Code, VouchError
from server.store import Tx
from server.wallet import rules
from server.wallet.model import Standing
from server.wallet.neighbours import Guardians


class Standings:
    def __init__(self, guardians: Guardians) -> None:
        self._guardians = guardians

    async def of(self, person: str, tx: Tx | None = None) -> Standing:
        return await self._guardians.standing(person, tx)

    async def may_move(self, person: str, tx: Tx | None = None) -> None:
        """Raises `guardian_needed` for minors."""
        rules.moves_money(await self.of(person, tx))

    async def payee(self, person: str, tx: Tx | None = None) -> str:
        """Who receives what is meant for somebody; in a transaction it holds until that has ended. Raises
        `guardian_needed` for a minor without a guardian."""
        payee = await self._guardians.payee_of(person, tx)
        if payee is None:
            raise VouchError(Code.GUARDIAN_NEEDED, "Nobody receives money for this person yet.", field="to")
        return payee

    async def guardian(self, person: str) -> str | None:
        """Who moves money for a minor; None for an adult, and where nobody is known yet."""
        payee = await self._guardians.payee_of(person)
        return None if payee == person else payee
