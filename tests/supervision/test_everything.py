"""Promises with money, people, providers and time in any order: the money is always right.

Whatever happens: nobody is below 0; what is held is held for a pledge that goes on; each stake resolves once; and when
everybody has come to rest, nothing is held any more and the ledger verifies to 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tornado.ioloop import IOLoop

from server.errors import Code, VouchError
from server.limits import Limits
from server.money.model import Currency, HoldState, TransferKind
from server.payments.model import OrderKind, RemoteState
from server.principals import Grant, Role
from server.supervision.desk_views import Rule
from server.supervision.model import FINAL, WAITING, Outcome, Pledge, PledgeState, Side, StakeState, Verdict
from server.supervision.repo import pledge_of
from server.supervision.rules.stakes import RESOLVED
from server.supervision.terms import StakeTerms, TaskTerms, Terms
from server.supervision.views import Admit, Fund, NewPledge, Report, Stamp
from tests.supervision.conftest import PROVIDER, ZONE, Stage
from tests.supervision.examples import DEPOSIT, REWARD

T = TypeVar("T")
PATIENCE = 240.0
#: Lin is a minor, Linba the guardian who pays and is paid for them; Sue and Sam are staff.
NAMES = ("emma", "tom", "max", "lin", "linba", "sue", "sam")
REASONS = "Both sides were heard, and this is what the evidence shows."
_ENOUGH = 1_000_000_00

which = st.integers(0, 1_000)
somebody = st.sampled_from(NAMES)


def may_be(refusal: VouchError) -> None:
    assert refusal.code is not Code.INTERNAL, refusal


class World(RuleBasedStateMachine):
    """`run`, `stage` and `ids` are set on a subclass by the test."""

    run: Any
    stage: Stage
    ids: dict[str, str]
    made = 0

    def __init__(self) -> None:
        super().__init__()
        self.pledges: list[str] = []

    # ── How things are tried ────────────────────────────────────────────────────────────────────────────────────────

    def attempt(self, what: Coroutine[Any, Any, T]) -> T | None:
        """Its answer; None where it may not be. What nobody has thought of is a fault."""

        async def trying() -> T | None:
            try:
                return await what
            except VouchError as refusal:
                may_be(refusal)
                return None

        answer: T | None = self.run(trying())
        return answer

    def pick(self, choice: int) -> Pledge:
        pledge: Pledge = self.run(self.stage.load(self.pledges[choice % len(self.pledges)]))
        return pledge

    def key(self) -> str:
        World.made += 1
        return f"everything-{World.made:010}"

    # ── Making ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @initialize(reward=st.booleans())
    def a_promise(self, reward: bool) -> None:
        self.promise("lin" if reward else "emma", reward, ["max"] if reward else ["tom", "max"], 3, 2)
        self.everybody_agrees_to_begin(0)
        self.the_payer_pays(0, 1)

    @rule(
        owner=st.sampled_from(["emma", "lin"]),
        reward=st.booleans(),
        watchers=st.lists(st.sampled_from(["tom", "max"]), min_size=1, max_size=2, unique=True),
        days=st.integers(1, 3),
        grace=st.integers(0, 2),
    )
    def promise(self, owner: str, reward: bool, watchers: list[str], days: int, grace: int) -> None:
        due = (self.stage.clock.at + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
        task = TaskTerms(title="Run 5 km", due=due, repeat=f"FREQ=DAILY;COUNT={days}")
        stake: StakeTerms = REWARD if reward else DEPOSIT
        terms = Terms(
            title="Run again",
            zone=ZONE,
            tasks=(task,),
            stake=stake,
            grace=grace * 60,
            most=2 if reward else len(watchers),
        )
        drafter = "tom" if reward else owner
        wanted = NewPledge(
            id=self.key(),
            side=Side.SUPERVISOR if reward else Side.OWNER,
            terms=terms,
            owner=self.ids[owner] if reward else None,
            supervisors=[self.ids[one] for one in watchers if one != drafter],
        )
        drafting = self.stage.supervision.drafting
        made = self.attempt(drafting.create(self.ids[drafter], wanted))
        if made is not None and self.attempt(drafting.publish(self.ids[drafter], made[0].id)) is not None:
            self.pledges.append(made[0].id)

    @rule(choice=which, who=somebody, accept=st.sampled_from([True, True, False]))
    def answer(self, choice: int, who: str, accept: bool) -> None:
        self.attempt(self.stage.supervision.seats.answer(self.ids[who], self.pick(choice).id, accept))

    @rule(choice=which)
    def everybody_agrees_to_begin(self, choice: int) -> None:
        pledge, seats = self.pick(choice), self.stage.supervision.seats
        self.attempt(seats.consent(pledge.owner, pledge.id))
        for seat in pledge.seats:
            self.attempt(seats.answer(seat.person, pledge.id, True))

    @rule(choice=which, who=somebody)
    def leave(self, choice: int, who: str) -> None:
        self.attempt(self.stage.supervision.seats.leave(self.ids[who], self.pick(choice).id))

    @rule(choice=which, who=somebody)
    def call_off(self, choice: int, who: str) -> None:
        self.attempt(self.stage.supervision.drafting.remove(self.ids[who], self.pick(choice).id))

    # ── Money ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(choice=which, times=st.integers(1, 2))
    def the_payer_pays(self, choice: int, times: int) -> None:
        pledge = self.pick(choice)
        for _ in range(times):
            if pledge.stake.payer is not None:
                fund = Fund(id=self.key())
                self.attempt(self.stage.supervision.funding.fund(pledge.stake.payer, pledge.id, fund, ""))

    @rule(choice=which, who=somebody, online=st.booleans())
    def somebody_pays(self, choice: int, who: str, online: bool) -> None:
        fund = Fund(id=self.key(), provider=PROVIDER if online else None)
        self.attempt(self.stage.supervision.funding.fund(self.ids[who], self.pick(choice).id, fund, ""))

    @rule(choice=which, state=st.sampled_from([RemoteState.DONE, RemoteState.DONE, RemoteState.FAILED]))
    def a_check_out_ends(self, choice: int, state: RemoteState) -> None:
        things = [thing for thing in self.stage.provider.all() if thing.kind is OrderKind.CHARGE and thing.order]
        if not things:
            return
        thing = things[choice % len(things)]
        self.stage.provider.settle(thing, state)
        payments = self.stage.services.payments

        async def look() -> None:
            await payments.look(await payments.order(thing.order or ""))

        self.attempt(look())

    # ── Judging ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(choice=which, n=st.integers(1, 3))
    def report(self, choice: int, n: int) -> None:
        pledge = self.pick(choice)
        self.attempt(self.stage.supervision.judging.report(pledge.owner, pledge.id, n, Report()))

    @rule(choice=which, verdict=st.sampled_from(Verdict), n=st.integers(1, 3))
    def everybody_stamps(self, choice: int, verdict: Verdict, n: int) -> None:
        pledge = self.pick(choice)
        for person in pledge.seated:
            stamp = Stamp(verdict=verdict)
            self.attempt(self.stage.supervision.judging.stamp(person, pledge.id, n, stamp))

    @rule(choice=which, verdict=st.sampled_from([Verdict.DONE, Verdict.DONE, Verdict.NOT_DONE]))
    def everybody_is_of_one_mind(self, choice: int, verdict: Verdict) -> None:
        for task in self.pick(choice).tasks:
            self.everybody_stamps(choice, verdict, task.n)

    @rule(choice=which, who=somebody, verdict=st.sampled_from(Verdict), n=st.integers(1, 3))
    def stamp(self, choice: int, who: str, verdict: Verdict, n: int) -> None:
        stamp = Stamp(verdict=verdict)
        self.attempt(self.stage.supervision.judging.stamp(self.ids[who], self.pick(choice).id, n, stamp))

    @rule(choice=which, task=st.integers(0, 3))
    def admit(self, choice: int, task: int) -> None:
        pledge = self.pick(choice)
        self.attempt(self.stage.supervision.judging.admit(pledge.owner, pledge.id, Admit(task=task)))

    @rule(choice=which)
    def everybody_accepts(self, choice: int) -> None:
        pledge = self.pick(choice)
        for person in {pledge.owner, *pledge.seated, pledge.stake.payer or pledge.owner}:
            self.attempt(self.stage.supervision.judging.agree(person, pledge.id))

    @rule(choice=which, who=somebody, appeal=st.booleans())
    def object(self, choice: int, who: str, appeal: bool) -> None:
        cases, pledge = self.stage.supervision.cases, self.pick(choice)
        self.attempt((cases.appeal if appeal else cases.dispute)(self.ids[who], pledge.id, REASONS))

    @rule(choice=which, who=st.sampled_from(["sue", "sam"]), ruling=st.sampled_from(Outcome))
    def staff_rules(self, choice: int, who: str, ruling: Outcome) -> None:
        cases, pledge = self.stage.supervision.cases, self.pick(choice)
        if pledge.case is not None:
            self.attempt(cases.take(self.ids[who], pledge.id, pledge.case.id))
            self.attempt(cases.rule(self.ids[who], pledge.id, pledge.case.id, Rule(ruling, REASONS)))

    @rule(hours=st.sampled_from([1, 12, 48, 72]))
    def time_passes(self, hours: int) -> None:
        self.run(self.stage.pass_by(hours=hours))

    # ── What holds ──────────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def what_is_held_is_held_for_a_promise(self) -> None:
        self.run(self.check())

    async def check(self) -> None:
        store = self.stage.services.store
        rows = await store.collection("pledges").find({"_id": {"$in": self.pledges}}).to_list(None)
        holds = await store.collection("holds").find({}).to_list(None)
        held = {row["_id"] for row in holds if row["state"] == HoldState.HELD}
        for pledge in map(pledge_of, rows):
            stake = pledge.stake
            if pledge.state in FINAL:
                assert stake.state in RESOLVED
            elif pledge.state not in WAITING:
                assert stake.state is StakeState.HELD, "nothing begins without its money"
            assert (stake.hold in held) is (stake.state is StakeState.HELD)
            if stake.parts:
                assert sum(part.amount for part in stake.parts) == pledge.terms.stake.amount

    def teardown(self) -> None:
        self.run(self.come_to_rest())

    async def come_to_rest(self) -> None:
        """Nobody does anything any more: everything ends by itself."""
        while (due := await self.stage._next_due()) is not None:
            await self.stage.pass_by(seconds=max(0.0, (due[1] - self.stage.clock.at).total_seconds()))
        rows = await self.stage.services.store.collection("transfers").find({}).to_list(None)
        ended = Counter(row["hold"] for row in rows if row.get("hold") and row["kind"] != TransferKind.HOLD)
        for id in self.pledges:
            pledge = await self.stage.load(id)
            assert pledge.state in FINAL
            assert pledge.stake.hold is None or ended[pledge.stake.hold] == 1, "each resolves once"
            assert pledge.state is not PledgeState.SETTLED or pledge.outcome is not None
        for person in self.ids.values():
            assert (await self.stage.has(person))[1] == 0, "nothing is held any more"


async def _people(stage: Stage) -> dict[str, str]:
    ids = {name: await stage.person(name, years=12 if name == "lin" else None) for name in NAMES}
    for one in ("emma", "lin"):
        await stage.befriend(ids[one], ids["tom"], ids["max"])
    await stage.befriend(ids["lin"], ids["linba"])
    await stage.guard(ids["lin"], ids["linba"])
    for name in ("sue", "sam"):
        await stage.services.people.grant(ids[name], Grant(Role.STAFF), "system")
    for name in ("emma", "tom", "linba"):
        await stage.fund(ids[name], _ENOUGH, Currency.CNY)
    return ids


async def _free(*_: object) -> None:
    """Nobody is asked to slow down."""


def test_everything_in_any_order(stage: Stage, io_loop: IOLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        answer: T = io_loop.run_sync(lambda: coroutine, timeout=PATIENCE)
        return answer

    monkeypatch.setattr(Limits, "hit", _free)
    run(stage.supervision.timers.stop())
    world = type("World", (World,), {"run": staticmethod(run), "stage": stage, "ids": run(_people(stage))})
    bounds = settings(
        max_examples=5,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # whoever meets a fault shrinks it
    )
    run_state_machine_as_test(world, settings=bounds)
    assert run(stage.ledger_holds())
