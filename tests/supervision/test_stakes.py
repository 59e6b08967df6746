"""What stakes do to the ledger when their pledges go on (R-08, R-09, R-10, R-18)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server.errors import Code, VouchError
from server.money.model import STAFF_DEPARTMENT, Currency
from server.supervision.model import Outcome, PledgeState, SeatState, StakeState
from server.supervision.rules import lifecycle
from server.supervision.rules.change import Change, turned
from server.supervision.terms import StakeKind, StakeTerms
from tests.chat.conftest import PASSWORD
from tests.conftest import Run
from tests.supervision.conftest import Stage
from tests.supervision.examples import DEPOSIT, NOTHING, POINTS, REWARD, STAFF


async def decided(stage: Stage, id: str, outcome: Outcome) -> None:
    """The outcome is known, and nobody objects."""
    await stage.supervision.changes.apply(id, lambda pledge, now: lifecycle.decide(pledge, outcome, now))
    await stage.pass_by(hours=24)
    assert await stage.state(id) is PledgeState.SETTLED


async def told(stage: Stage, id: str) -> list[dict[str, Any]]:
    """What the thread says of the money."""
    return [entry.body for entry in await stage.thread(id) if entry.kind == "money"]


@pytest.mark.parametrize(
    ("outcome", "emma", "others", "state"),
    [
        (Outcome.KEPT, 100_00, 0, StakeState.REFUNDED),
        (Outcome.FAILED, 40_00, 20_00, StakeState.SPLIT),
        (Outcome.VOID, 100_00, 0, StakeState.REFUNDED),
    ],
)
def test_a_deposit(stage: Stage, run: Run[Any], outcome: Outcome, emma: int, others: int, state: StakeState) -> None:
    async def body() -> None:
        owner, *watchers = await stage.people("emma", "tom", "max", "ann")
        pledge = await stage.put(owner, *watchers, stake=DEPOSIT)
        assert await stage.has(owner) == (0, 100_00)
        await decided(stage, pledge.id, outcome)
        assert await stage.has(owner) == (emma, 0)
        assert [await stage.has(watcher) for watcher in watchers] == [(others, 0)] * 3
        settled = (await stage.load(pledge.id)).stake
        assert settled.state is state
        assert sum(part.amount for part in settled.parts) == 100_00
        (line,) = await told(stage, pledge.id)
        assert line["state"] == state.value
        assert await stage.ledger_holds()

    run(body())


def test_what_cannot_be_divided_goes_to_the_first(stage: Stage, run: Run[Any]) -> None:
    async def body() -> None:
        owner, *watchers = await stage.people("emma", "tom", "max", "ann")
        all_of_it = StakeTerms(kind=StakeKind.DEPOSIT, amount=100, currency=Currency.JPY, moves_if_failed=100)
        pledge = await stage.put(owner, *watchers, stake=all_of_it)
        await decided(stage, pledge.id, Outcome.FAILED)
        assert [(await stage.has(watcher, Currency.JPY))[0] for watcher in watchers] == [34, 33, 33]
        assert (await stage.load(pledge.id)).stake.state is StakeState.RELEASED
        assert await stage.ledger_holds()

    run(body())


def test_a_part_for_the_supervisors_when_it_is_kept(stage: Stage, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        thanks = msgspec.structs.replace(DEPOSIT, moves_if_kept=5_00)
        pledge = await stage.put(emma, tom, stake=thanks)
        await decided(stage, pledge.id, Outcome.KEPT)
        assert (await stage.has(emma), await stage.has(tom)) == ((95_00, 0), (5_00, 0))

    run(body())


@pytest.mark.parametrize(("outcome", "emma", "department"), [(Outcome.KEPT, 50_00, 0), (Outcome.FAILED, 0, 50_00)])
def test_staff(stage: Stage, run: Run[Any], outcome: Outcome, emma: int, department: int) -> None:
    """Who judges never gains."""

    async def body() -> None:
        owner, judge = await stage.people("emma", "judge")
        pledge = await stage.put(owner, judge, stake=STAFF)
        await decided(stage, pledge.id, outcome)
        assert (await stage.has(owner), await stage.has(judge)) == ((emma, 0), (0, 0))
        assert await stage.services.money.balance(STAFF_DEPARTMENT, Currency.CNY) == department
        assert await stage.ledger_holds()

    run(body())


@pytest.mark.parametrize(("outcome", "emma", "tom"), [(Outcome.KEPT, 70_00, 10_00), (Outcome.FAILED, 0, 80_00)])
def test_a_reward(stage: Stage, run: Run[Any], outcome: Outcome, emma: int, tom: int) -> None:
    async def body() -> None:
        owner, giver = await stage.people("emma", "tom")
        pledge = await stage.put(owner, giver, stake=REWARD)
        assert await stage.has(giver) == (0, 80_00)
        await decided(stage, pledge.id, outcome)
        assert (await stage.has(owner), await stage.has(giver)) == ((emma, 0), (tom, 0))
        assert await stage.ledger_holds()

    run(body())


@pytest.mark.parametrize("end", [PledgeState.CANCELLED, PledgeState.EXPIRED])
def test_what_ends_before_goes_back(stage: Stage, run: Run[Any], end: PledgeState) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        for stake, payer in ((DEPOSIT, emma), (REWARD, tom)):
            pledge = await stage.put(emma, tom, stake=stake)
            await stage.supervision.changes.apply(pledge.id, lambda now_is, now: lifecycle.end(now_is, end, emma, now))
            assert await stage.has(payer) == (stake.amount, 0)
            assert (await stage.load(pledge.id)).stake.state is StakeState.REFUNDED
        assert await stage.ledger_holds()

    run(body())


def test_it_is_settled_once(stage: Stage, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        pledge = await stage.put(emma, tom, stake=DEPOSIT)
        await decided(stage, pledge.id, Outcome.FAILED)
        before = (await stage.has(emma), await stage.has(tom))

        async def again(outcome: Outcome) -> None:
            """Even if the pledge had forgotten it, the ledger has not."""
            forgotten = {"stake": pledge.stake, "state": PledgeState.CHALLENGE_WINDOW, "outcome": outcome}
            await stage.supervision.changes.apply(
                pledge.id, lambda now_is, now: Change(turned(now_is, until=now, **forgotten))
            )

        await again(Outcome.FAILED)
        with pytest.raises(VouchError) as refusal:
            await again(Outcome.KEPT)
        assert refusal.value.code is Code.ALREADY
        assert (await stage.has(emma), await stage.has(tom)) == before
        assert await stage.ledger_holds()

    run(body())


# ── Who receives it ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_guardian_receives_what_is_for_a_minor(stage: Stage, run: Run[Any]) -> None:
    async def body() -> None:
        lin = await stage.person("lin", years=12)
        tom, linba = await stage.people("tom", "linba")
        await stage.befriend(lin, linba)
        await stage.guard(lin, linba)
        pledge = await stage.put(lin, tom, stake=REWARD)
        split = (await stage.supervision.stake_views.of(pledge, tom)).split
        assert split is not None
        assert [(one.side, one.person and one.person.id, one.payee and one.payee.id) for one in split.if_kept] == [
            ("owner", lin, linba),
            ("payer", tom, None),
        ]
        await decided(stage, pledge.id, Outcome.KEPT)
        assert (await stage.has(lin), await stage.has(linba)) == ((0, 0), (70_00, 0))
        part = (await stage.load(pledge.id)).stake.parts[0]
        assert (part.person, part.payee) == (lin, linba)

    run(body())


def test_what_nobody_can_receive_goes_back(stage: Stage, run: Run[Any]) -> None:
    """A minor whose guardian is gone, and nobody who supervises any more."""

    async def body() -> None:
        lin = await stage.person("lin", years=12)
        tom, emma = await stage.people("tom", "emma")
        reward = await stage.put(lin, tom, stake=REWARD)
        await decided(stage, reward.id, Outcome.KEPT)
        assert await stage.has(tom) == (80_00, 0)
        deposit = await stage.put(emma, tom, stake=DEPOSIT)
        left = tuple(msgspec.structs.replace(seat, state=SeatState.LEFT) for seat in deposit.seats)
        await stage.supervision.changes.apply(deposit.id, lambda pledge, _: Change(turned(pledge, seats=left)))
        await decided(stage, deposit.id, Outcome.FAILED)
        assert await stage.has(emma) == (100_00, 0)
        assert await stage.ledger_holds()

    run(body())


def test_custody_changes_while_it_is_open(stage: Stage, run: Run[Any]) -> None:
    """Who receives is asked when it is paid out; what goes back goes to who paid."""

    async def body() -> None:
        lin = await stage.person("lin", years=12)
        tom, linba, aunt = await stage.people("tom", "linba", "aunt")
        for guardian in (linba, aunt):
            await stage.befriend(lin, guardian)
            await stage.guard(lin, guardian)
        reward = await stage.put(lin, tom, stake=REWARD)
        await stage.services.guardians.end(linba, ward=lin, guardian=linba)
        await decided(stage, reward.id, Outcome.KEPT)
        assert (await stage.has(linba), await stage.has(aunt)) == ((0, 0), (70_00, 0))

    run(body())


def test_nobody_deletes_an_account_while_its_money_is_held(stage: Stage, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        await stage.put(emma, tom, stake=DEPOSIT)
        with pytest.raises(VouchError) as refusal:
            await stage.services.people.accounts.delete(emma, PASSWORD)
        assert refusal.value.code is Code.MONEY_LEFT

    run(body())


# ── What is no money ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("outcome", [Outcome.KEPT, Outcome.FAILED])
def test_words_are_sent_when_it_failed(stage: Stage, run: Run[Any], outcome: Outcome) -> None:
    async def body() -> None:
        emma, tom, ann = await stage.friends("emma", "tom", "ann")
        words = StakeTerms(kind=StakeKind.MESSAGE, words="I owe you a cake.", to=ann)
        pledge = await stage.put(emma, tom, stake=words)
        await decided(stage, pledge.id, outcome)
        stake = (await stage.load(pledge.id)).stake
        said = await _said(stage, emma, ann)
        if outcome is Outcome.KEPT:
            assert (stake.state, said) == (StakeState.REFUNDED, [])
        else:
            assert stake.state is StakeState.RELEASED
            assert stake.done_at is not None
            assert said == [(emma, {"text": "I owe you a cake.", "pledge": pledge.id})]

    run(body())


def test_words_do_not_reach_who_has_blocked_their_author(stage: Stage, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom, ann = await stage.friends("emma", "tom", "ann")
        words = StakeTerms(kind=StakeKind.MESSAGE, words="I owe you a cake.", to=ann)
        pledge = await stage.put(emma, tom, stake=words)
        await stage.services.people.friends.block(ann, emma)
        await decided(stage, pledge.id, Outcome.FAILED)
        stake = (await stage.load(pledge.id)).stake
        assert (stake.state, stake.done_at) == (StakeState.RELEASED, None)

    run(body())


def test_a_chore_is_owed_and_done(stage: Stage, run: Run[Any]) -> None:
    async def body() -> None:
        emma, tom, ann = await stage.friends("emma", "tom", "ann")
        pledge = await stage.put(emma, tom, stake=StakeTerms(kind=StakeKind.CHORE, words="Wash up", to=ann))
        desk = stage.supervision.funding
        for person in (emma, tom):
            with pytest.raises(VouchError) as refusal:
                await desk.chore_done(person, pledge.id)
            assert refusal.value.code is Code.NOT_FOUND
        await decided(stage, pledge.id, Outcome.FAILED)
        assert (await stage.whats(ann, pledge.id))[-1] == "chore_due"
        assert "chore_due" in await stage.whats(emma, pledge.id)
        done = await desk.chore_done(ann, pledge.id)
        assert done.stake.done_at is not None
        assert (await stage.whats(emma, pledge.id))[-1] == "chore_done"

    run(body())


@pytest.mark.parametrize("stake", [POINTS, NOTHING])
def test_points_and_ones_word(stage: Stage, run: Run[Any], stake: StakeTerms) -> None:
    async def body() -> None:
        emma, tom = await stage.people("emma", "tom")
        pledge = await stage.put(emma, tom, stake=stake)
        await decided(stage, pledge.id, Outcome.FAILED)
        assert (await stage.load(pledge.id)).stake.state is StakeState.RELEASED

    run(body())


async def _said(stage: Stage, one: str, other: str) -> list[tuple[str, dict[str, Any]]]:
    """The messages between two people."""
    rooms = await stage.services.conversations.rooms_of_many([one, other])
    both = {room for room, _ in rooms.get(one, [])} & {room for room, _ in rooms.get(other, [])}
    entries = [entry for room in both for entry in await stage._entries(f"conv:{room}")]
    return [(entry.by, entry.body) for entry in entries if entry.kind == "message"]
