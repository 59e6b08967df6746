"""What time does is done once, by whichever node comes first, whatever dies and whatever the clock says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from server.errors import Code, VouchError
from server.keys import Keys
from server.services import Services
from server.settings import Settings
from server.supervision import timers as module
from server.supervision.changes import Changes
from server.supervision.model import Pledge, PledgeState
from server.supervision.timers import LEASE, Timers
from server.supervision.timers_repo import TimersRepo
from tests.chat.conftest import PASSWORD
from tests.conftest import Run
from tests.supervision.conftest import Stage, StageClock
from tests.supervision.examples import POINTS, REWARD

DAY = timedelta(days=1)


@pytest.fixture
def other(settings: Settings, keys: Keys, clock: StageClock, stage: Stage, run: Run[Any]) -> Iterator[Services]:
    """A second node on the same database."""
    made = Services(settings, keys, clock, mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    run(made.start())
    run(made.supervision.timers.stop())
    yield made
    run(made.stop())


async def waiting(stage: Stage, count: int = 1, kind: Any = POINTS) -> list[Pledge]:
    """Pledges that expire in a day if nobody is found."""
    emma, tom = await stage.people("emma", "tom")
    fields: dict[str, Any] = {"state": PledgeState.AWAITING_SUPERVISOR, "seats": (), "expires_at": stage.clock.at + DAY}
    return [await stage.put(emma, tom, stake=kind, **fields) for _ in range(count)]


async def expired(stage: Stage, made: list[Pledge]) -> list[int]:
    """How often each of these came to its end, as its thread tells."""
    return [
        sum(entry.kind == "state" and entry.body["state"] == "expired" for entry in await stage.thread(one.id))
        for one in made
    ]


async def test_nothing_is_done_before_its_time(stage: Stage) -> None:
    (made,) = await waiting(stage)
    stage.clock.at += DAY - timedelta(seconds=1)
    assert await stage.supervision.timers.look() == 0
    assert await stage.load(made.id) == made


async def test_what_is_due_is_done_once_and_then_nothing_is_due(stage: Stage) -> None:
    made = await waiting(stage, 3, REWARD)
    stage.clock.at += DAY
    assert await stage.supervision.timers.look() == 3
    assert await stage.supervision.timers.look() == 0
    assert await expired(stage, made) == [1, 1, 1]
    assert (await stage.load(made[0].id)).due is None
    assert await stage.ledger_holds()


async def test_two_nodes_share_what_is_due(stage: Stage, other: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOME", 3)
    made = await waiting(stage, 12)
    stage.clock.at += DAY
    done = await asyncio.gather(stage.supervision.timers.look(), other.supervision.timers.look())
    assert sum(done) == 12
    assert await expired(stage, made) == [1] * 12


async def test_two_who_do_the_same_by_mistake_do_it_once(stage: Stage, other: Services) -> None:
    """As if both held the lease."""
    (made,) = await waiting(stage, kind=REWARD)
    stage.clock.at += DAY
    lease = stage.clock.at + LEASE
    both = (stage.supervision.timers, other.supervision.timers)
    await asyncio.gather(*(timers._do(made.id, lease) for timers in both))
    assert await expired(stage, [made]) == [1]


async def test_what_a_node_has_claimed_and_not_done_is_done_by_another(stage: Stage, other: Services) -> None:
    made = await waiting(stage, 2)
    stage.clock.at += DAY
    ids = [one.id for one in made]
    claimed = await TimersRepo(stage.services.store).claim(ids, stage.clock.at, stage.clock.at + LEASE)
    assert set(claimed) == set(ids)
    assert await other.supervision.timers.look() == 0
    stage.clock.at += LEASE
    assert await other.supervision.timers.look() == 2
    assert await expired(stage, made) == [1, 1]


async def test_a_start_finds_what_became_due_while_nobody_was_there(stage: Stage, other: Services) -> None:
    made = await waiting(stage, 2)
    stage.clock.at += 30 * DAY
    timers = Timers(other.store, other.supervision.changes, other.clock)
    timers.start()
    await timers.rounds.done.wait()
    await timers.stop()
    assert await expired(stage, made) == [1, 1]


async def test_a_clock_that_is_turned_back_makes_nothing_happen_twice(stage: Stage) -> None:
    made = await waiting(stage, 2)
    stage.clock.at += DAY
    await stage.supervision.timers.look()
    stage.clock.at -= 7 * DAY
    assert await stage.supervision.timers.look() == 0
    stage.clock.at += 30 * DAY
    assert await stage.supervision.timers.look() == 0
    assert await expired(stage, made) == [1, 1]


async def test_what_was_claimed_before_the_clock_was_turned_back_is_done_when_it_says_so(stage: Stage) -> None:
    (made,) = await waiting(stage)
    stage.clock.at += DAY
    await TimersRepo(stage.services.store).claim([made.id], stage.clock.at, stage.clock.at + LEASE)
    stage.clock.at -= timedelta(hours=1)
    assert await stage.supervision.timers.look() == 0
    stage.clock.at += timedelta(hours=1) + LEASE
    assert await stage.supervision.timers.look() == 1
    assert await expired(stage, [made]) == [1]


async def test_somebody_acts_while_it_is_due(stage: Stage) -> None:
    """The one who comes first decides; the other one is told what is."""
    (made,) = await waiting(stage)
    stage.clock.at += DAY
    await asyncio.gather(
        stage.supervision.timers.look(), stage.supervision.drafting.remove(made.owner, made.id), return_exceptions=True
    )
    after = await stage.load(made.id)
    assert after.state in (PledgeState.EXPIRED, PledgeState.CANCELLED)
    assert sum(passed.state in (PledgeState.EXPIRED, PledgeState.CANCELLED) for passed in after.history) == 1


async def test_one_that_fails_keeps_nobody_waiting_and_is_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await waiting(stage, 3)
    stage.clock.at += DAY
    real = Changes.apply

    async def fails(changes: Changes, id: str, *rest: Any) -> Pledge:
        if id == made[1].id:
            raise VouchError(Code.TRY_LATER)
        return await real(changes, id, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Changes, "apply", fails)
        assert await stage.supervision.timers.look() == 3
        assert await stage.supervision.timers.look() == 0
    assert await expired(stage, made) == [1, 0, 1]
    stage.clock.at += LEASE
    assert await stage.supervision.timers.look() == 1
    assert await expired(stage, made) == [1, 1, 1]


async def test_a_time_at_which_nothing_is_to_be_done_is_put_right(stage: Stage) -> None:
    """As an upgrade may leave it, that reckons otherwise."""
    (made,) = await waiting(stage)
    rows = stage.services.store.collection("pledges")
    await rows.update_one({"_id": made.id}, {"$set": {"due": stage.clock.at}})
    assert await stage.supervision.timers.look() == 1
    assert await stage.load(made.id) == made


async def test_the_next_round_comes_when_something_is_due(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await waiting(stage)
    timers = stage.supervision.timers
    hurried = asyncio.Event()
    monkeypatch.setattr(timers.rounds, "hurry", hurried.set)
    stage.clock.at += DAY - timedelta(milliseconds=20)
    await timers.look()
    await hurried.wait()
    await timers.stop()


async def test_what_is_given_up_is_ended_at_once(stage: Stage) -> None:
    """It does not wait for the next round: whoever gives it up hurries the timers."""
    (made,) = await waiting(stage)
    timers = stage.supervision.timers
    timers.start()
    await timers.rounds.done.wait()
    await stage.services.people.accounts.delete(made.owner, PASSWORD)
    await timers.rounds.done.wait()
    await timers.stop()
    assert await stage.state(made.id) is PledgeState.CANCELLED
