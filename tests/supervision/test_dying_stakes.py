"""The process dies between any two steps of paying and settling a stake; the next goes on, and all is there once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from server.payments.model import OrderKind, RemoteState
from server.supervision.model import Outcome, Pledge, PledgeState, StakeState
from server.supervision.rules import lifecycle
from server.supervision.stakes import Stakes
from server.supervision.terms import StakeKind, StakeTerms
from server.supervision.views import Fund
from tests.conftest import Run
from tests.payments.mortality import Died, Fate, Mortal
from tests.supervision.conftest import PROVIDER, Stage
from tests.supervision.examples import DEPOSIT

#: more than any of these takes
STEPS = 60

Act = Callable[[Pledge], Awaitable[Any]]


class Mortality:
    """Supervision, in a process that may die at each call of the database, the ledger, the wallet and payments."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.fate = Fate()
        changes, funding = stage.supervision.changes, stage.supervision.funding
        stakes = changes._stakes
        assert isinstance(stakes, Stakes)
        for part, names in (
            (changes, ("_repo", "_outbox", "_money")),
            (stakes, ("_money", "_voice")),
            (funding, ("_repo", "_wallet", "_check_outs", "_payments")),
        ):
            for name in names:
                setattr(part, name, Mortal(getattr(part, name), self.fate))

    def everywhere(self, run: Run[Any], begin: Callable[[], Awaitable[Pledge]], act: Act) -> list[Pledge]:
        """`act` on a fresh pledge, dying before its first step, before its second …, and after its last; asked again
        each time by the process that comes after."""
        pledges: list[Pledge] = []
        for step in range(STEPS):
            pledge, died = run(self._once(begin, act, 2 * step))
            pledges.append(pledge)
            if not died:
                pledge, died = run(self._once(begin, act, 2 * step - 1))
                assert died
                return [*pledges, pledge]
        raise AssertionError(f"more than {STEPS} steps")

    async def _once(self, begin: Callable[[], Awaitable[Pledge]], act: Act, strike: int) -> tuple[Pledge, bool]:
        """The pledge as it is then, and whether somebody has died."""
        pledge = await begin()
        self.fate.strike(strike)
        with suppress(Died):
            await act(pledge)
        died, self.fate.dead = self.fate.dead, False
        self.fate.spare()
        await act(pledge)
        return await self.stage.load(pledge.id), died


@pytest.fixture
def mortality(stage: Stage, run: Run[Any]) -> Mortality:
    run(stage.supervision.timers.stop())
    return Mortality(stage)


def test_while_paying_from_the_wallet(stage: Stage, mortality: Mortality, run: Run[Any]) -> None:
    emma, tom = run(stage.people("emma", "tom"))

    async def begin() -> Pledge:
        await stage.fund(emma, 100_00)
        return await _unpaid(stage, emma, tom)

    async def pay(pledge: Pledge) -> None:
        await stage.supervision.funding.fund(emma, pledge.id, Fund(id=_key(pledge)), "")

    paid = mortality.everywhere(run, begin, pay)
    assert {pledge.state for pledge in paid} == {PledgeState.ACTIVE}
    assert run(stage.has(emma)) == (0, 100_00 * len(paid))
    assert run(stage.ledger_holds())


def test_while_paying_through_a_provider(stage: Stage, mortality: Mortality, run: Run[Any]) -> None:
    emma, tom = run(stage.people("emma", "tom"))
    funding = stage.supervision.funding

    async def pay(pledge: Pledge) -> None:
        _, payment = await funding.fund(emma, pledge.id, Fund(id=_key(pledge), provider=PROVIDER), "")
        assert payment is not None
        thing = stage.provider.of(payment.id, OrderKind.CHARGE)
        assert thing is not None
        stage.provider.settle(thing, RemoteState.DONE)
        await funding.look(emma, pledge.id, payment.id)

    paid = mortality.everywhere(run, lambda: _unpaid(stage, emma, tom), pay)
    assert {pledge.stake.state for pledge in paid} == {StakeState.HELD}
    assert run(stage.has(emma)) == (0, 100_00 * len(paid)), "each was paid once"
    assert run(stage.ledger_holds())


def test_while_settling(stage: Stage, mortality: Mortality, run: Run[Any]) -> None:
    emma, *watchers = run(stage.people("emma", "tom", "max", "ann"))

    async def begin() -> Pledge:
        return await _judged(stage, await stage.put(emma, *watchers, stake=DEPOSIT))

    settled = mortality.everywhere(run, begin, _over(stage))
    assert {pledge.stake.state for pledge in settled} == {StakeState.SPLIT}
    assert run(stage.has(emma)) == (40_00 * len(settled), 0)
    for watcher in watchers:
        assert run(stage.has(watcher)) == (20_00 * len(settled), 0)
    for pledge in settled:
        lines = [entry for entry in run(stage.thread(pledge.id)) if entry.kind == "money"]
        assert len(lines) == 1, "told once"
    assert run(stage.ledger_holds())


def test_while_words_are_sent(stage: Stage, mortality: Mortality, run: Run[Any]) -> None:
    emma, tom, ann = run(stage.friends("emma", "tom", "ann"))
    words = StakeTerms(kind=StakeKind.MESSAGE, words="I owe you a cake.", to=ann)

    async def begin() -> Pledge:
        return await _judged(stage, await stage.put(emma, tom, stake=words))

    settled = mortality.everywhere(run, begin, _over(stage))
    ((room, _),) = run(stage.services.conversations.rooms_of_many([ann]))[ann]
    said = [entry.body["pledge"] for entry in run(stage._entries(f"conv:{room}")) if entry.kind == "message"]
    assert sorted(said) == sorted(pledge.id for pledge in settled)


def _key(pledge: Pledge) -> str:
    return f"pay-{pledge.id}"


async def _unpaid(stage: Stage, owner: str, *seated: str) -> Pledge:
    return await stage.put(owner, *seated, stake=DEPOSIT, state=PledgeState.AWAITING_FUNDS, unpaid=True)


async def _judged(stage: Stage, pledge: Pledge) -> Pledge:
    return await stage.supervision.changes.apply(
        pledge.id, lambda now_is, now: lifecycle.decide(now_is, Outcome.FAILED, now)
    )


def _over(stage: Stage) -> Act:
    """The challenge window ends."""

    async def act(pledge: Pledge) -> None:
        assert pledge.until is not None
        stage.clock.at = max(stage.clock.at, pledge.until)
        await stage._tick(pledge.id)

    return act
