"""./scripts/bench NAME [--json] [--quick]; without a name it lists them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from scripts.benchmarks import BENCHES, Bench, named
from scripts.benchmarks.processes import cpu_name
from scripts.benchmarks.readings import QUICK, Plan, Reading, Report, as_json, as_table, summarise


def take_turns(bench: Bench, plan: Plan) -> list[tuple[str, list[Reading]]]:
    """A B A B …: `plan.rounds` turns of every subject."""
    turns = []
    for number in range(plan.rounds):
        for subject in bench.SUBJECTS:
            print(f"round {number + 1} of {plan.rounds}: {subject}", file=sys.stderr, flush=True)
            turns.append((subject, bench.measure(subject, plan)))
    return turns


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./scripts/bench", description="Measures Vouch and its peers.")
    parser.add_argument("name", nargs="?", choices=sorted(BENCHES), metavar="NAME")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, done within a minute")
    chosen = parser.parse_args(arguments)
    if chosen.name is None:
        print("\n".join(f"{name:<12}{summary}" for name, summary in BENCHES.items()))
        return 0
    results = summarise(take_turns(named(chosen.name), QUICK if chosen.quick else Plan()))
    report = Report(chosen.name, datetime.now(UTC).replace(microsecond=0), cpu_name(), os.cpu_count() or 1, results)
    print(as_json(report) if chosen.json else as_table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
