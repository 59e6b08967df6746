"""The same events at the provider, told of in any order, late, twice or not at all, end in the same balances."""

from __future__ import annotations

import random
import secrets
from functools import partial

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, settings
from pymongo import MongoClient
from tornado.ioloop import IOLoop

from server.embedded import Embedded
from server.payments.model import OrderKind, OrderState, RemoteState
from server.store import Store
from tests.payments.stage import CHEN, LIN, HandClock, Stage
from tests.payments.strict import StrictProvider

#: seconds for one telling, on a machine that may be busy
PATIENCE = 240.0
EVENTS = ["pay", "refuse", "dispute", "give up", "arrive", "come back", "fail"]
events = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 7)), min_size=3, max_size=14)


def happens(stage: Stage, event: str, which: int) -> None:
    charges = [thing for thing in stage.provider.all() if thing.kind is OrderKind.CHARGE]
    leaving = [thing for thing in stage.provider.all() if thing.kind is not OrderKind.CHARGE]
    charge, out = charges[which % len(charges)], leaving[which % len(leaving)]
    match event:
        case "pay":
            stage.provider.settle(charge, RemoteState.DONE)
        case "refuse":
            stage.provider.settle(charge, RemoteState.FAILED)
        case "dispute" | "give up" if charge.state is RemoteState.DONE:
            stage.provider.dispute(charge, charge.amount if event == "dispute" else 0)
        case "arrive":
            stage.provider.settle(out, RemoteState.DONE)
        case "come back" | "fail":
            stage.provider.settle(out, RemoteState.FAILED)


async def told(stage: Stage, script: list[tuple[str, int]], order: random.Random) -> list[object]:
    """What everybody has in the end, and how each order ended."""
    begun = [await stage.paid(amount, person) for amount, person in ((50_00, LIN), (30_00, CHEN))]
    begun += [await stage.charge(amount, person) for amount, person in ((7_00, LIN), (9_00, CHEN), (11_00, LIN))]
    begun += [await stage.pay_out(amount, person) for amount, person in ((5_00, LIN), (6_00, CHEN))]
    begun += [await stage.refund(charge, 10_00) for charge in begun[:2]]
    before = len(stage.provider.sent)
    for event, which in script:
        happens(stage, event, which)
    notices = [sent for sent in stage.provider.sent[before:] for _ in range(order.choice([0, 1, 1, 2]))]
    order.shuffle(notices)
    for sent in notices:
        await stage.deliver(sent)
        if order.random() < 0.4:
            stage.clock.turn(seconds=order.random() * 90)
            await stage.work()
    # The payers who are left go, and what no notice has told is found by comparing.
    for thing in stage.provider.all():
        if thing.kind is not OrderKind.REFUND:
            ending = RemoteState.DONE if thing.kind is OrderKind.PAY_OUT else RemoteState.EXPIRED
            stage.provider.settle(thing, ending)
    await stage.pass_time(30)
    found = await stage.payments.reconcile("strict", HandClock().at, stage.clock.now())
    assert found.differences == []
    await stage.agrees()
    await stage.holds_true()
    ended = [await stage.payments.order(one.id) for one in begun]
    assert all(one.state is not OrderState.OPEN for one in ended)
    return [await stage.has(LIN), await stage.has(CHEN), [(one.state, one.disputed, one.refunded) for one in ended]]


@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(script=events, seeds=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)))
def test_any_order_of_the_same_events(
    embedded: Embedded, redis_url: str, io_loop: IOLoop, script: list[tuple[str, int]], seeds: tuple[int, int]
) -> None:
    async def play(seed: int) -> list[object]:
        clock = HandClock()
        store = Store(embedded.mongodb_uri, f"test_{secrets.token_hex(6)}")
        stage = Stage(store, redis_url, clock, StrictProvider(clock=clock))
        try:
            await stage.begin()
            return await told(stage, script, random.Random(seed))
        finally:
            await stage.end()
            store.close()
            with MongoClient[dict[str, object]](embedded.mongodb_uri) as client:
                client.drop_database(store.name)

    first, second = (io_loop.run_sync(partial(play, seed), timeout=PATIENCE) for seed in seeds)
    assert first == second
