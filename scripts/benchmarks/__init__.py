"""./scripts/bench NAME: measurements of the real server, with peers in the same call.

A bench is a module that offers `SUBJECTS` and `measure(subject, plan) -> readings`, and a line in
`BENCHES`. Subjects take turns (A B A B), so that a slow minute of the machine hits all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from scripts.benchmarks.readings import Plan, Reading

#: name → one line for the list
BENCHES = {
    "durable": "acknowledged messages per second, and how long an acknowledgement takes",
}


class Bench(Protocol):
    @property
    def SUBJECTS(self) -> tuple[str, ...]:
        """Who takes turns; `vouch` first."""

    def measure(self, subject: str, plan: Plan, /) -> list[Reading]: ...


def named(name: str) -> Bench:
    """The module of one of the `BENCHES`."""
    return cast(Bench, import_module(f"scripts.benchmarks.{name}"))
