"""Several owners under one supervisor (R-05, R-07), and what happens around seats on the real database."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.errors import Code, VouchError
from server.supervision.model import PledgeState, SeatState
from server.supervision.views import NewCohort
from tests.chat.conftest import PASSWORD
from tests.supervision.conftest import Stage
from tests.supervision.examples import DEPOSIT, POINTS, REWARD, seat, terms

KEY = "cohort-0123456789"


def wanted(*owners: str, **more: Any) -> NewCohort:
    return NewCohort(id=KEY, terms=terms(more.pop("stake", POINTS), **more), owners=list(owners))


async def refused(code: Code, doing: Any) -> VouchError:
    with pytest.raises(VouchError) as refusal:
        await doing
    assert refusal.value.code is code
    return refusal.value


async def test_each_begins_when_its_own_owner_consents(stage: Stage) -> None:
    teacher, lin, mei, max = await stage.friends("teacher", "lin", "mei", "max")
    cohorts, seats = stage.supervision.cohorts, stage.supervision.seats
    both = await asyncio.gather(*(cohorts.begin(teacher, wanted(lin, mei, max)) for _ in range(2)))
    assert sorted(new for _, new in both) == [False, True]
    cohort = both[0][0]
    of = dict(zip((lin, mei, max), cohort.pledges, strict=True))
    assert await stage.whats(lin, of[lin]) == ["consent_asked"]

    await seats.consent(lin, of[lin])
    await seats.refuse(max, of[max])
    states = [await stage.state(id) for id in cohort.pledges]
    assert states == [PledgeState.ACTIVE, PledgeState.AWAITING_OWNER, PledgeState.CANCELLED]
    await stage.pass_by(days=7)
    assert await stage.state(of[mei]) is PledgeState.EXPIRED

    assert [card.id for card in (await cohorts.view(teacher, cohort.id)).pledges] == list(cohort.pledges)
    assert [card.id for card in (await cohorts.view(lin, cohort.id)).pledges] == [of[lin]]
    eve = await stage.person("eve")
    await refused(Code.NOT_FOUND, cohorts.view(eve, cohort.id))


async def test_all_are_asked_or_nobody(stage: Stage) -> None:
    teacher, lin = await stage.friends("teacher", "lin")
    eve = await stage.person("eve")
    fault = await refused(Code.BAD_REQUEST, stage.supervision.cohorts.begin(teacher, wanted(lin, eve)))
    assert fault.field == "owners"
    await refused(Code.BAD_REQUEST, stage.supervision.cohorts.begin(teacher, wanted(lin, teacher)))
    assert not await stage.inbox(lin)
    assert await stage.services.store.collection("pledges").find_one({}) is None


async def test_of_two_accepted_at_once_for_one_seat_one_is(stage: Stage) -> None:
    emma, tom, max = await stage.friends("emma", "tom", "max")
    waiting = [seat(one, SeatState.APPLIED) for one in (tom, max)]
    made = await stage.put(emma, state=PledgeState.AWAITING_SUPERVISOR, seats=waiting)
    seats = stage.supervision.seats
    results = await asyncio.gather(
        *(seats.decide(emma, made.id, one, True) for one in (tom, max)), return_exceptions=True
    )
    assert sum(isinstance(result, VouchError) and result.code is Code.LIMIT_REACHED for result in results) == 1
    assert len((await stage.load(made.id)).seated) == 1


async def test_a_block_ends_what_waits_and_nobody_is_told_why(stage: Stage) -> None:
    emma, tom, max = await stage.friends("emma", "tom", "max")
    named = [seat(tom, SeatState.INVITED, by=emma), seat(max)]
    made = await stage.put(emma, state=PledgeState.AWAITING_SUPERVISOR, seats=named, words={"least": 2, "most": 2})
    for other in (tom, max):
        await stage.services.people.friends.block(emma, other)
    after = await stage.load(made.id)
    assert [one.state for one in after.seats if one.person == tom] == [SeatState.WITHDRAWN]
    assert after.seated == (max,)
    assert await stage.whats(tom, made.id) == []
    await refused(Code.NOT_FOUND, stage.supervision.seats.answer(tom, made.id, True))


async def test_without_its_owner_a_reward_ends_and_the_money_goes_back(stage: Stage) -> None:
    emma, tom = await stage.friends("emma", "tom")
    made = await stage.put(emma, tom, stake=REWARD, state=PledgeState.AWAITING_SUPERVISOR, seats=[seat(tom)])
    held = await stage.has(tom)
    await stage.services.people.accounts.delete(emma, PASSWORD)
    assert await stage.supervision.timers.look() == 1
    assert await stage.state(made.id) is PledgeState.CANCELLED
    assert (await stage.has(tom))[1] == 0
    assert sum(await stage.has(tom)) == sum(held)
    assert await stage.ledger_holds()


async def test_an_owner_with_money_at_stake_is_not_deleted_and_a_supervisor_leaves(stage: Stage) -> None:
    emma, tom, max = await stage.friends("emma", "tom", "max")
    made = await stage.put(emma, tom, max, stake=DEPOSIT)
    await refused(Code.MONEY_LEFT, stage.services.people.accounts.delete(emma, PASSWORD))
    assert await stage.load(made.id) == made
    await stage.services.people.accounts.delete(tom, PASSWORD)
    after = await stage.load(made.id)
    assert after.seated == (max,)
    assert after.state is PledgeState.ACTIVE
    assert "left" in await stage.whats(emma, made.id)
