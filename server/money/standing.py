"""Compares with the journal what stands beside it: holds, and how much of a transfer was taken back."""

from __future__ import annotations

from server.money.model import AccountKind, Hold, HoldState, Transfer, TransferKind, held
from server.money.report import FaultKind, Tally
from server.money.survey import Survey

_SOME = 500
_TRIES = 5
_ENDINGS = {TransferKind.REFUND: HoldState.REFUNDED, TransferKind.SPLIT: HoldState.SPLIT}


class StandingCheck:
    """`transfer` for every transfer, then `finish`. What stands beside the journal is always read after it, and only
    goes on: so a hold that the journal has ended has ended, whoever works meanwhile."""

    def __init__(self, survey: Survey, tally: Tally) -> None:
        self._survey = survey
        self._tally = tally
        self._begun: list[Transfer] = []
        self._taken_back: set[str] = set()

    async def transfer(self, transfer: Transfer) -> None:
        if transfer.reverses is not None:
            self._taken_back.add(transfer.reverses)
        moves_held = any(leg.account.kind is AccountKind.HELD for leg in transfer.legs)
        if moves_held != (transfer.hold is not None):
            self._tally.fault(FaultKind.HOLD, transfer.id)
        elif transfer.hold is not None:
            self._begun.append(transfer)
            if len(self._begun) >= _SOME:
                await self._compare()

    async def finish(self) -> None:
        await self._compare()
        async for holds in self._survey.holds():
            self._tally.holds += len(holds)
            await self._known(holds)
        await self._reversals()

    async def _compare(self) -> None:
        transfers, self._begun = self._begun, []
        holds = await self._survey.some_holds({transfer.hold for transfer in transfers if transfer.hold})
        for transfer in transfers:
            hold = holds.get(transfer.hold or "")
            if hold is None or not _fits(transfer, hold):
                self._tally.fault(FaultKind.HOLD, transfer.hold or "")

    async def _known(self, holds: list[tuple[Hold, str]]) -> None:
        """Every hold has a transfer that began it, and one that ended it if it has ended."""
        wanted = {begun for _, begun in holds} | {hold.resolved_by for hold, _ in holds if hold.resolved_by}
        transfers = await self._survey.some(wanted)
        for hold, begun in holds:
            first = transfers.get(begun)
            last = transfers.get(hold.resolved_by or "")
            well = first is not None and first.hold == hold.id and first.kind is TransferKind.HOLD
            ended = (hold.state is HoldState.HELD) == (hold.resolved_by is None)
            if hold.resolved_by is not None and (last is None or last.hold != hold.id or not _fits(last, hold)):
                ended = False
            if not (well and ended):
                self._tally.fault(FaultKind.HOLD, hold.id)

    async def _reversals(self) -> None:
        async for transfer in self._survey.reversed():
            self._taken_back.add(transfer)
        for transfer in sorted(self._taken_back):
            for tries in range(_TRIES):
                reversal, version = await self._survey.reversal(transfer)
                claws = await self._survey.claws(transfer)
                taken = sum(leg.amount for claw in claws for leg in claw.legs if leg.amount > 0)
                if (len(claws), taken) == (version, reversal.amount):
                    break
                # Somebody may have taken back more between the two reads.
                if len(claws) < version or tries == _TRIES - 1:
                    self._tally.fault(FaultKind.REVERSAL, transfer, reversal.amount, taken)
                    break


def _fits(transfer: Transfer, hold: Hold) -> bool:
    """Whether the transfer is the one that began the hold, or that ended it."""
    change = sum(leg.amount for leg in transfer.legs if leg.account == held(hold.person))
    same = (transfer.currency, transfer.about) == (hold.currency, hold.about)
    if transfer.kind is TransferKind.HOLD:
        return same and change == hold.amount
    state = _ENDINGS.get(transfer.kind, HoldState.RELEASED)
    return same and change == -hold.amount and (hold.resolved_by, hold.state) == (transfer.id, state)
