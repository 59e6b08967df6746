"""Paying a stake: from the wallet, through a provider, by a guardian; twice, late, and for nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from server.errors import Code, VouchError
from server.payments.model import OrderKind
from server.store import Tx
from server.supervision.model import Pledge, PledgeState, StakeState
from server.supervision.rules import lifecycle, stakes
from server.supervision.rules.change import Change, turned
from server.supervision.terms import StakeTerms
from server.supervision.views import Fund
from server.wallet.model import Payment, Standing
from tests.conftest import Run
from tests.supervision.conftest import PROVIDER, Stage
from tests.supervision.examples import DEPOSIT, POINTS, REWARD

ORIGIN = "https://vouch.test"


def wallet(n: int = 1) -> Fund:
    return Fund(id=f"wallet-{n:010}")


def online(n: int = 1) -> Fund:
    return Fund(id=f"online-{n:010}", provider=PROVIDER)


def deposit(amount: int) -> StakeTerms:
    return msgspec.structs.replace(DEPOSIT, amount=amount, moves_if_failed=amount)


class Till:
    """Where stakes are paid, with the provider's side of it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.desk = stage.supervision.funding

    async def pledge(self, owner: str, *seated: str, stake: StakeTerms = DEPOSIT) -> Pledge:
        """It has all its supervisors, and waits for the money."""
        state = PledgeState.AWAITING_FUNDS
        return await self.stage.put(owner, *seated, stake=stake, state=state, unpaid=True)

    async def open(self, me: str, pledge: Pledge, n: int = 1) -> Payment:
        _, payment = await self.desk.fund(me, pledge.id, online(n), ORIGIN)
        assert payment is not None
        return payment

    def remote(self, payment: Payment) -> Any:
        return self.stage.provider.of(payment.id, OrderKind.CHARGE)

    async def end(self, me: str, payment: Payment, state: str = "done") -> Payment:
        """The payer confirms or refuses at the provider's page, and comes back."""
        thing = self.remote(payment)
        self.stage.provider.settle(thing, type(thing.state)(state))
        return await self.stage.services.wallet.movements.payment(me, payment.id)

    async def refused(self, code: Code, me: str, pledge: Pledge, how: Fund) -> None:
        with pytest.raises(VouchError) as refusal:
            await self.desk.fund(me, pledge.id, how, ORIGIN)
        assert refusal.value.code is code


@pytest.fixture
def till(stage: Stage) -> Till:
    return Till(stage)


# ── From the wallet ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_from_the_wallet_at_once(stage: Stage, till: Till, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        await stage.fund(emma, 150_00)
        waiting = await till.pledge(emma, tom)
        paid, payment = await till.desk.fund(emma, waiting.id, wallet(), ORIGIN)
        assert payment is None
        assert (paid.state, paid.stake.state, paid.stake.payer) == (PledgeState.ACTIVE, StakeState.HELD, emma)
        assert await stage.has(emma) == (50_00, 100_00)
        (hold,) = await stage.services.money.holds(emma)
        assert (hold.about, hold.amount) == (f"pledge:{waiting.id}", 100_00)
        assert (await till.desk.fund(emma, waiting.id, wallet(), ORIGIN))[0] == paid, "the same request again"
        await till.refused(Code.ALREADY, emma, waiting, wallet(2))
        await till.refused(Code.ALREADY, emma, waiting, online())
        assert [entry.body["state"] for entry in await stage.thread(waiting.id) if entry.kind == "money"] == ["held"]
        assert await stage.whats(tom, waiting.id) == ["funded", "begun"]
        assert await stage.ledger_holds()

    run(body())


def test_two_at_once_pay_once(stage: Stage, till: Till, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        await stage.fund(emma, 500_00)
        waiting = await till.pledge(emma, tom)
        tries = [till.desk.fund(emma, waiting.id, wallet(n), ORIGIN) for n in range(5)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        refusals = [one.code for one in done if isinstance(one, VouchError)]
        assert refusals == [Code.ALREADY] * 4
        assert await stage.has(emma) == (400_00, 100_00)

    run(body())


def test_who_pays_what_nobody_asked_them_for(stage: Stage, till: Till, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom, ann = await stage.people("emma", "tom", "ann")
        for person in (emma, tom, ann):
            await stage.fund(person, 500_00)
        deposit = await till.pledge(emma, tom)
        await till.refused(Code.FORBIDDEN, tom, deposit, wallet())
        await till.refused(Code.NOT_FOUND, ann, deposit, wallet())
        reward = await till.pledge(emma, tom, stake=REWARD)
        await till.refused(Code.FORBIDDEN, emma, reward, wallet())
        assert (await till.desk.fund(tom, reward.id, wallet(), ORIGIN))[0].stake.payer == tom
        words = await stage.put(emma, tom, stake=POINTS, state=PledgeState.AWAITING_SUPERVISOR, seats=())
        await till.refused(Code.CONFLICT, emma, words, wallet())
        draft = await stage.put(emma, tom, stake=DEPOSIT, state=PledgeState.DRAFT)
        await till.refused(Code.NOT_FOUND, tom, draft, wallet())
        await till.refused(Code.CONFLICT, emma, draft, wallet())

    run(body())


def test_too_little_and_too_much(stage: Stage, till: Till, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        poor = await till.pledge(emma, tom)
        await till.refused(Code.INSUFFICIENT_FUNDS, emma, poor, wallet())
        await stage.fund(emma, 20_000_00)
        large = deposit(5_001_00)
        await till.refused(Code.AMOUNT_LIMIT, emma, await till.pledge(emma, tom, stake=large), wallet())
        allowed = deposit(5_000_00)
        for n in range(2):
            await till.desk.fund(emma, (await till.pledge(emma, tom, stake=allowed)).id, wallet(n), ORIGIN)
        await till.refused(Code.AMOUNT_LIMIT, emma, poor, wallet())  # 10,000 yuan were moved today
        assert await stage.state(poor.id) is PledgeState.AWAITING_FUNDS
        assert await stage.ledger_holds()

    run(body())


# ── Through a provider ──────────────────────────────────────────────────────────────────────────────────────────────


def test_through_a_providers_page(stage: Stage, till: Till, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        waiting = await till.pledge(emma, tom)
        payment = await till.open(emma, waiting)
        back = f"{ORIGIN}/pledges/{waiting.id}?payment={payment.id}"
        assert payment.check_out is not None
        assert back in payment.check_out
        asked = await stage.load(waiting.id)
        assert (asked.state, asked.stake.state) == (PledgeState.AWAITING_FUNDS, StakeState.AUTHORISED)
        assert (await till.open(emma, waiting)).id == payment.id, "the same request again"
        await till.refused(Code.CONFLICT, emma, waiting, online(2))
        await till.refused(Code.CONFLICT, emma, waiting, wallet())
        await till.end(emma, payment)
        paid, known = await till.desk.look(emma, waiting.id, payment.id)
        assert known is not None
        assert known.check_out is None
        assert (paid.state, paid.stake.state, paid.stake.order) == (PledgeState.ACTIVE, StakeState.HELD, payment.id)
        assert await stage.has(emma) == (0, 100_00)
        assert await stage.ledger_holds()

    run(body())


@pytest.mark.parametrize("ending", ["failed", "expired", "cancelled"])
def test_a_page_that_ends_without_money(stage: Stage, till: Till, run: Run[Any], ending: str) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        waiting = await till.pledge(emma, tom)
        payment = await till.open(emma, waiting)
        if ending == "cancelled":
            await till.desk.cancel(emma, waiting.id, payment.id)
        else:
            await till.end(emma, payment, ending)
        again = await stage.load(waiting.id)
        assert (again.stake.state, again.stake.order) == (StakeState.CREATED, None)
        second = await till.open(emma, waiting, 2)
        await till.end(emma, second)
        assert await stage.state(waiting.id) is PledgeState.ACTIVE
        assert await stage.has(emma) == (0, 100_00)

    run(body())


def test_a_page_is_its_payers_own(stage: Stage, till: Till, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        await stage.fund(emma, 100_00)
        waiting = await till.pledge(emma, tom)
        other = await till.pledge(emma, tom)
        payment = await till.open(emma, waiting)
        for me, id in ((tom, waiting.id), (emma, other.id)):
            for act in (till.desk.look, till.desk.cancel):
                with pytest.raises(VouchError) as refusal:
                    await act(me, id, payment.id)
                assert refusal.value.code is Code.NOT_FOUND

    run(body())


def test_paid_when_nobody_waits_any_more(stage: Stage, till: Till, run: Run[Any]) -> None:
    """The pledge was cancelled while the payer was at the provider's page: the money stays theirs, and they know."""

    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        waiting = await till.pledge(emma, tom)
        payment = await till.open(emma, waiting)
        await stage.supervision.changes.apply(
            waiting.id, lambda pledge, now: lifecycle.end(pledge, PledgeState.CANCELLED, emma, now)
        )
        assert (await stage.load(waiting.id)).stake.state is StakeState.VOIDED
        await till.end(emma, payment)
        assert await stage.has(emma) == (100_00, 0)
        assert (await stage.whats(emma, waiting.id))[-1] == "paid_late"
        assert await stage.ledger_holds()

    run(body())


def test_paid_at_two_pages(stage: Stage, till: Till, run: Run[Any]) -> None:
    """The first page seemed to have ended, and was paid all the same: one of the two is the stake."""

    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        waiting = await till.pledge(emma, tom)
        first = await till.open(emma, waiting)
        await stage.supervision.changes.apply(waiting.id, lambda pledge, now: stakes.close(pledge, first.id))
        second = await till.open(emma, waiting, 2)
        await till.end(emma, first)
        await till.end(emma, second)
        assert await stage.has(emma) == (100_00, 100_00)
        assert (await stage.load(waiting.id)).stake.order == first.id
        assert (await stage.whats(emma, waiting.id))[-1] == "paid_late"
        assert await stage.ledger_holds()

    run(body())


def test_a_pledge_heals_that_never_heard_of_the_end(stage: Stage, till: Till, run: Run[Any]) -> None:
    """The server died between the end of a check-out and the note that one is open."""

    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        waiting = await till.pledge(emma, tom)
        payment = await till.open(emma, waiting)
        open_page = (await stage.load(waiting.id)).stake
        await till.end(emma, payment, "failed")
        await stage.supervision.changes.apply(waiting.id, lambda pledge, now: Change(turned(pledge, stake=open_page)))
        assert (await till.desk.look(emma, waiting.id, payment.id))[0].stake.state is StakeState.CREATED
        await stage.supervision.changes.apply(waiting.id, lambda pledge, now: Change(turned(pledge, stake=open_page)))
        await till.end(emma, await till.open(emma, waiting, 2))
        assert await stage.state(waiting.id) is PledgeState.ACTIVE

    run(body())


def test_who_owes_something_pays_that_first(stage: Stage, till: Till, run: Run[Any]) -> None:
    """What comes in settles a claim before it can be staked: it is too little then, and stays in the wallet."""

    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        await stage.fund(emma, 30_00)
        spent = await till.pledge(emma, tom, stake=deposit(30_00))
        await till.desk.fund(emma, spent.id, wallet(), ORIGIN)
        journal = await stage.services.money.by_key("fund:1")
        assert journal is not None
        transfer = journal.id

        async def claw(tx: Tx) -> None:
            await stage.services.money.claw_back(tx, transfer, key="claw", amount=30_00, by="system")

        await stage.services.money.transact([], claw)
        waiting = await till.pledge(emma, tom)
        await till.end(emma, await till.open(emma, waiting))
        assert await stage.has(emma) == (70_00, 30_00)
        again = await stage.load(waiting.id)
        assert (again.state, again.stake.state) == (PledgeState.AWAITING_FUNDS, StakeState.CREATED)
        assert (await stage.whats(emma, waiting.id))[-1] == "paid_late"
        assert await stage.ledger_holds()

    run(body())


# ── Guardians ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_guardian_pays_for_a_minor(stage: Stage, till: Till, run: Run[Any]) -> None:
    async def body() -> None:
        lin, linba, tom = await _family(stage)
        await stage.fund(linba, 100_00)
        waiting = await till.pledge(lin, tom)
        assert waiting.stake.payer == linba
        assert await stage.whats(linba, waiting.id) == ["funds_wanted"]
        await till.refused(Code.GUARDIAN_NEEDED, lin, waiting, wallet())
        paid, _ = await till.desk.fund(linba, waiting.id, wallet(), ORIGIN)
        assert (paid.state, paid.stake.payer) == (PledgeState.ACTIVE, linba)
        assert await stage.has(linba) == (0, 100_00)

    run(body())


def test_custody_changes_before_it_is_paid(stage: Stage, till: Till, run: Run[Any]) -> None:
    async def body() -> None:
        lin, linba, tom = await _family(stage)
        aunt = await stage.person("aunt")
        await stage.befriend(lin, aunt)
        await stage.fund(aunt, 100_00)
        waiting = await till.pledge(lin, tom)
        payment = await till.open(linba, waiting)
        await stage.guard(lin, aunt)
        await stage.services.guardians.end(linba, ward=lin, guardian=linba)
        asked = await stage.load(waiting.id)
        assert (asked.stake.state, asked.stake.payer) == (StakeState.CREATED, aunt)
        assert await stage.whats(aunt, waiting.id) == ["funds_wanted"]
        await till.end(linba, payment)
        assert await stage.has(linba) == (100_00, 0)
        assert (await stage.whats(linba, waiting.id))[-1] == "paid_late"
        await till.refused(Code.NOT_FOUND, linba, waiting, wallet())
        assert (await till.desk.fund(aunt, waiting.id, wallet(), ORIGIN))[0].stake.payer == aunt
        assert await stage.ledger_holds()

    run(body())


def test_a_minor_without_a_guardian_pays_nothing(stage: Stage, till: Till, run: Run[Any]) -> None:
    async def body() -> None:
        lin = await stage.person("lin", years=12)
        tom = await stage.person("tom")
        waiting = await till.pledge(lin, tom)
        assert waiting.stake.payer is None
        assert await stage.services.guardians.standing(lin) is Standing.MINOR
        await till.refused(Code.GUARDIAN_NEEDED, lin, waiting, wallet())

    run(body())


async def _family(stage: Stage) -> tuple[str, str, str]:
    """Lin, twelve years old, their father, and a supervisor."""
    lin = await stage.person("lin", years=12)
    linba, tom = await stage.people("linba", "tom")
    await stage.befriend(lin, linba)
    await stage.guard(lin, linba)
    return lin, linba, tom
