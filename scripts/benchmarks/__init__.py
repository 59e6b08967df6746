"""./scripts/bench NAME: measurements of the real server, with peers in the same call.

A bench is a module that offers `SUBJECTS` and `measure(subject, plan) -> readings`, and a line in
`BENCHES`. Subjects take turns (A B A B), so that a slow minute of the machine hits all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

import msgspec

from scripts.benchmarks.readings import QUICK, Plan, Reading


class Listed(msgspec.Struct, frozen=True):
    """One line for the list, and how much is measured: as a rule, and within a minute."""

    summary: str
    full: Plan = Plan()
    quick: Plan = QUICK


_ONCE = Plan(rounds=1, seconds=4.0)

BENCHES = {
    "fanout": Listed(
        "deliveries per second of processor time, in rooms of 500 and 2,000", quick=Plan(rounds=2, seconds=2.0)
    ),
    "idle": Listed("memory of a connection that only listens", Plan(rounds=3)),
    "churn": Listed("memory after 100,000 connects and disconnects", Plan(rounds=1), Plan(rounds=1, size=0.1)),
    "durable": Listed("acknowledged messages per second, and how long an acknowledgement takes"),
    "latency": Listed("from one member to all of 1,000, at 25 messages a second", Plan(rounds=3)),
    "reconnect": Listed("5,000 clients come back at once", Plan(rounds=3), _ONCE),
    "slow": Listed("what 1,500 readers notice of 500 who have stopped reading", Plan(rounds=3), _ONCE),
    "search": Listed(
        "an answer out of 200,000 messages in 50 conversations, and how the index keeps up",
        Plan(rounds=1),
        Plan(rounds=1, seconds=4.0, size=0.05),
    ),
    "ledger": Listed(
        "transfers per second, fifty at once, and how long it takes to verify 100,000",
        Plan(rounds=3),
        Plan(rounds=1, seconds=4.0, size=0.1),
    ),
    "timers": Listed(
        "10,000 pledges due at once: how long they take, and what those who chat notice",
        Plan(rounds=3),
        Plan(rounds=1, seconds=4.0, size=0.05),
    ),
    "calls": Listed(
        "a browser's call with 1, 8 and 24 viewers: what it costs and how well it is seen",
        Plan(rounds=3, seconds=10.0),
        Plan(rounds=1, seconds=1.0),
    ),
    "calls_crowd": Listed(
        "30 people in a call, each watched by five; memory after 100 joins",
        Plan(rounds=3, seconds=10.0),
        Plan(rounds=1, seconds=4.0, size=0.2),
    ),
}


class Bench(Protocol):
    @property
    def SUBJECTS(self) -> tuple[str, ...]:
        """Who takes turns; `vouch` first."""

    def measure(self, subject: str, plan: Plan, /) -> list[Reading]: ...


def named(name: str) -> Bench:
    """The module of one of the `BENCHES`."""
    return cast(Bench, import_module(f"scripts.benchmarks.{name}"))
