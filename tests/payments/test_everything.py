"""People, stakes, providers, notices, nodes, clocks and deaths in any order: the money is always right.

Whatever happens: Σ = 0 per currency, nobody below 0, each hold resolves once, and once everybody has come to rest, what
we say that the provider holds is what it says, and what each person has is what came minus what left.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pymongo import MongoClient
from tornado.ioloop import IOLoop

from server.embedded import Embedded
from server.errors import Code, VouchError
from server.money.model import (
    Account,
    Currency,
    Draft,
    Hold,
    HoldState,
    Leg,
    Share,
    TransferKind,
    available,
)
from server.payments.model import FINAL, Notice, Order, OrderKind, OrderState, RemoteState
from server.payments.service import Payments
from server.store import Store
from tests.conftest import Run
from tests.payments.mortality import Died, Fate, Mortal, make_mortal
from tests.payments.stage import BO, CHEN, LIN, HandClock, Stage
from tests.payments.strict import StrictProvider

T = TypeVar("T")
#: seconds until everybody has come to rest, on a machine that may be busy
PATIENCE = 240.0
PEOPLE = (LIN, CHEN)
CURRENCIES = (Currency.CNY, Currency.JPY)
#: refusals that may well be the answer to what the machine tries
_FINE = {
    Code.INSUFFICIENT_FUNDS,
    Code.CONFLICT,
    Code.AMOUNT_LIMIT,
    Code.ALREADY,
    Code.FORBIDDEN,
    Code.BAD_REQUEST,
    Code.UNAVAILABLE,
}

ENDS = [RemoteState.DONE, RemoteState.DONE, RemoteState.FAILED, RemoteState.EXPIRED]

people = st.sampled_from(PEOPLE)
amounts = st.integers(1, 50_00)
which = st.integers(0, 1_000)


def may_be(refusal: VouchError) -> None:
    assert refusal.code in _FINE, refusal


class Life:
    """One process: it may die, and then another one takes its place."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.fate = Fate()
        provider = Mortal(stage.provider, self.fate)
        self.payments: Payments = stage.another(
            providers={stage.provider.name: provider}, money=Mortal(stage.money, self.fate)
        )
        make_mortal(self.payments, self.fate)


class World(RuleBasedStateMachine):
    """`run` and `uri` are set on a subclass by the test."""

    run: Run[Any]
    uri: str
    redis_url: str

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.store = Store(self.uri, f"test_{secrets.token_hex(6)}")
        self.provider = StrictProvider(clock=self.clock)
        self.stage = Stage(self.store, self.redis_url, self.clock, self.provider)
        self.run(self.stage.begin())
        self.lives = [Life(self.stage), Life(self.stage)]
        self.holds: list[Hold] = []
        self.keys = 0

    # ── How things are tried ────────────────────────────────────────────────────────────────────────────────────────

    def do(self, node: int, what: Any) -> Any:
        """`what(payments)` in a process, which may die of it; its answer, None without one."""
        life = self.lives[node % 2]

        async def trying() -> Any:
            try:
                answer = await what(life.payments)
                await life.payments.driver.idle()
                return answer
            except VouchError as refusal:
                may_be(refusal)
            except Died:
                pass
            finally:
                if life.fate.dead:
                    await life.payments.driver.stop()
                    self.lives[node % 2] = Life(self.stage)
                life.fate.spare()
            return None

        return self.run(trying())

    def key(self) -> str:
        self.keys += 1
        return f"world:{self.keys}"

    def orders(self, *kinds: OrderKind) -> list[Order]:
        found, _ = self.run(self.stage.payments.in_state(None, None, 200))
        return [order for order in reversed(found) if order.kind in kinds or not kinds]

    def pick(self, choice: int, *kinds: OrderKind) -> Order | None:
        orders = self.orders(*kinds)
        return orders[choice % len(orders)] if orders else None

    # ── People ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @initialize(amount=amounts)
    def somebody_has_something(self, amount: int) -> None:
        self.run(self.stage.paid(amount, LIN))

    @rule(node=which, person=people, amount=amounts, currency=st.sampled_from(CURRENCIES), at_once=st.booleans())
    def top_up(self, node: int, person: str, amount: int, currency: Currency, at_once: bool) -> None:
        key = self.key()

        async def begin(payments: Payments) -> Order:
            return await payments.begin_charge(
                key=key,
                person=person,
                provider=self.provider.name,
                amount=amount,
                currency=currency,
                purpose="top_up",
                by=person,
                return_url="",
                language="en",
            )

        order = self.do(node, begin)
        if at_once and order is not None and self.provider.of(order.id) is not None:
            self.stage.there(order, RemoteState.DONE)
        again = self.do(node + 1, begin)
        assert order is None or again is None or order.id == again.id

    @rule(node=which, choice=which, part=st.none() | amounts, approval=st.booleans())
    def send_back(self, node: int, choice: int, part: int | None, approval: bool) -> None:
        charge = self.pick(choice, OrderKind.CHARGE)
        key = self.key()
        if charge is not None:
            asked: dict[str, Any] = {"key": key, "charge": charge.id, "amount": part, "by": charge.person}
            self.do(node, lambda payments: payments.begin_refund(approval=approval, **asked))

    @rule(node=which, person=people, amount=amounts, approval=st.booleans(), fails=st.booleans())
    def pay_out(self, node: int, person: str, amount: int, approval: bool, fails: bool) -> None:
        asked: dict[str, Any] = {
            "key": self.key(),
            "person": person,
            "provider": self.provider.name,
            "amount": amount,
            "currency": Currency.CNY,
            "destination": {"number": "1"} | ({"fails": "yes"} if fails else {}),
            "by": person,
            "approval": approval,
        }
        self.do(node, lambda payments: payments.begin_pay_out(**asked))

    @rule(node=which, choice=which, yes=st.booleans())
    def decide(self, node: int, choice: int, yes: bool) -> None:
        order = self.pick(choice)
        if order is not None and yes:
            self.do(node, lambda payments: payments.approve(order.id, BO))
        elif order is not None:
            self.do(node, lambda payments: payments.refuse(order.id, BO, "no"))

    @rule(node=which, choice=which)
    def cancel(self, node: int, choice: int) -> None:
        order = self.pick(choice)
        if order is not None:
            self.do(node, lambda payments: payments.cancel(order.id, order.person))

    @rule(node=which, choice=which)
    def look(self, node: int, choice: int) -> None:
        order = self.pick(choice)
        if order is not None:
            self.do(node, lambda payments: payments.look(order))

    # ── Stakes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def moved(self, *accounts: Account, body: Any) -> Any:
        try:
            return await self.stage.money.transact(accounts, body)
        except VouchError as refusal:
            may_be(refusal)
            return None

    @rule(person=people, amount=amounts)
    def stake(self, person: str, amount: int) -> None:
        key, money = self.key(), self.stage.money
        hold = self.run(
            self.moved(
                available(person),
                body=lambda tx: money.hold(
                    tx, key=key, person=person, amount=amount, currency=Currency.CNY, about="pledge:1"
                ),
            )
        )
        self.holds += [hold] if hold is not None else []

    @precondition(lambda self: self.holds)
    @rule(choice=which, how=st.sampled_from(["release", "refund", "split"]))
    def resolve(self, choice: int, how: str) -> None:
        hold, money, key = self.holds[choice % len(self.holds)], self.stage.money, self.key()
        other = available(CHEN if hold.person == LIN else LIN)
        shares = [Share(other, 1), Share(available(hold.person), 1)]
        ways: dict[str, Any] = {
            "release": lambda tx: money.release(tx, hold.id, key=key, to=other),
            "refund": lambda tx: money.refund(tx, hold.id, key=key),
            "split": lambda tx: money.split(tx, hold.id, key=key, shares=shares),
        }
        before = self.run(money.hold_of(hold.id))
        done = self.run(self.moved(available(LIN), available(CHEN), body=ways[how]))
        assert (done is not None) is (before.state is HoldState.HELD)

    @rule(giver=people, amount=amounts)
    def pay_each_other(self, giver: str, amount: int) -> None:
        taker = CHEN if giver == LIN else LIN
        legs = (Leg(available(giver), -amount), Leg(available(taker), amount))
        draft = Draft(key=self.key(), kind=TransferKind.PAYMENT, currency=Currency.CNY, legs=legs)
        self.run(self.moved(available(giver), available(taker), body=lambda tx: self.stage.money.post(tx, draft)))

    # ── The other side ──────────────────────────────────────────────────────────────────────────────────────────────

    @rule(
        choice=which,
        state=st.sampled_from([RemoteState.DONE, RemoteState.DONE, RemoteState.FAILED, RemoteState.EXPIRED]),
    )
    def something_ends_there(self, choice: int, state: RemoteState) -> None:
        things = self.provider.all()
        thing = things[choice % len(things)]
        if state is RemoteState.EXPIRED and thing.kind is not OrderKind.CHARGE:
            state = RemoteState.FAILED
        self.provider.settle(thing, state)

    @rule(choice=which, share=st.sampled_from([0.0, 0.3, 1.0]))
    def a_bank_takes_back(self, choice: int, share: float) -> None:
        paid = [t for t in self.provider.all() if t.kind is OrderKind.CHARGE and t.state is RemoteState.DONE]
        if paid:
            thing = paid[choice % len(paid)]
            self.provider.dispute(thing, round(thing.amount * share))

    @rule(down=st.booleans())
    def it_goes_down_and_up(self, down: bool) -> None:
        self.provider.down = down

    @rule(answers=st.integers(1, 2))
    def answers_are_lost(self, answers: int) -> None:
        self.provider.lose = answers

    @rule()
    def it_refuses_the_next(self) -> None:
        self.provider.refuse = 1

    @rule(node=which, choice=which, times=st.integers(1, 2))
    def a_notice_comes(self, node: int, choice: int, times: int) -> None:
        sent = self.provider.sent[choice % len(self.provider.sent)]
        for _ in range(times):
            self.do(node, lambda payments: self.stage.deliver(sent, payments))

    @rule(node=which, choice=which)
    def a_strange_notice_comes(self, node: int, choice: int) -> None:
        sent = self.provider.sent[choice % len(self.provider.sent)]
        forged = sent._replace(body=sent.body.replace(b"charge", b"refund", 1) + b" ")
        unknown = self.provider.tell(Notice("x", OrderKind.CHARGE, "y_" + "z" * 20, "nothing"))
        for strange in (forged, unknown):
            self.do(node, lambda payments, strange=strange: self.stage.deliver(strange, payments))

    # ── Time and death ──────────────────────────────────────────────────────────────────────────────────────────────

    @rule(minutes=st.sampled_from([0.1, 1, 10, 50, -30]))
    def time_passes(self, minutes: float) -> None:
        self.clock.turn(minutes=minutes)

    @rule(node=which)
    def a_node_works(self, node: int) -> None:
        self.do(node, lambda payments: payments.driver.look())

    @rule(node=which, steps=st.integers(0, 30))
    def a_node_is_going_to_die(self, node: int, steps: int) -> None:
        self.lives[node % 2].fate.strike(steps)

    # ── What holds ──────────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def nobody_is_below_zero(self) -> None:
        for person in PEOPLE:
            for currency in CURRENCIES:
                assert min(self.run(self.stage.has(person, currency))) >= 0

    def teardown(self) -> None:
        try:
            self.run(self.come_to_rest())
        finally:
            self.run(self.stage.end())
            self.store.close()
            with MongoClient[dict[str, object]](self.uri) as client:
                client.drop_database(self.store.name)

    async def come_to_rest(self) -> None:
        """The faults are over; time passes, the desk does its part, and then everything must be right."""
        self.provider.down, self.provider.lose, self.provider.refuse = False, 0, 0
        for life in self.lives:
            await life.payments.driver.idle()
        for order in await self.stage.payments._repo.open():
            if order.state is OrderState.APPROVAL:
                await self.stage.payments.approve(order.id, BO)
        await self.stage.pass_time(3)
        for thing in self.provider.all():
            if thing.state is RemoteState.PENDING:
                self.provider.settle(thing, RemoteState.DONE)
        await self.stage.pass_time(30)
        day = timedelta(days=3)
        now = self.clock.now()
        found = await self.stage.payments.reconcile(self.provider.name, now - day, now + day)
        assert found.differences == []
        assert [one for one in found.sums if one.ours != one.theirs] == []
        assert await self.stage.payments._repo.open() == []
        await self.stage.holds_true()
        await self.stage.agrees()
        await self.they_have_what_came_minus_what_left()
        await self.each_hold_resolved_once()

    async def they_have_what_came_minus_what_left(self) -> None:
        expected: dict[Currency, int] = defaultdict(int)
        for thing in self.provider.all():
            if thing.state is RemoteState.DONE:
                signed = thing.amount if thing.kind is OrderKind.CHARGE else -thing.amount
                expected[thing.currency] += signed - thing.disputed
        # What they paid each other and staked stays among them, and is the ledger's own test.
        for currency in CURRENCIES:
            together = 0
            for person in PEOPLE:
                have, held, owes = await self.stage.has(person, currency)
                together += have + held - owes
            assert together == expected[currency]

    async def each_hold_resolved_once(self) -> None:
        ended: dict[str, int] = defaultdict(int)
        day = timedelta(days=9)
        async for transfer in self.stage.money.journal(self.clock.now() - day, self.clock.now() + day):
            if transfer.hold and transfer.kind is not TransferKind.HOLD:
                ended[transfer.hold] += 1
        assert set(ended.values()) <= {1}
        still = {hold.id for person in PEOPLE for hold in await self.stage.money.holds(person)}
        mine = {hold.id for hold in self.holds}
        assert still <= mine
        assert not still & set(ended)
        for order in (await self.stage.payments.in_state(None, None, 500))[0]:
            assert order.state in FINAL
            assert order.hold is None or ended[order.hold] == 1


def test_everything_in_any_order(embedded: Embedded, redis_url: str, io_loop: IOLoop) -> None:
    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        answer: T = io_loop.run_sync(lambda: coroutine, timeout=PATIENCE)
        return answer

    world = type("World", (World,), {"run": staticmethod(run), "uri": embedded.mongodb_uri, "redis_url": redis_url})
    bounds = settings(
        max_examples=6,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[
            Phase.explicit,
            Phase.reuse,
            Phase.generate,
        ],  # one example takes seconds: whoever meets a fault shrinks it
    )
    run_state_machine_as_test(world, settings=bounds)
