"""./scripts/bench NAME [--json] [--quick], ./scripts/bench --report DIR; without a name it lists them."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from scripts.benchmarks import BENCHES, Bench, named, report
from scripts.benchmarks.peers.running import PEERS, missing
from scripts.benchmarks.processes import cpu_name
from scripts.benchmarks.readings import Plan, Reading, Report, as_json, as_table, summarise


def present(subjects: Sequence[str]) -> list[str]:
    """Those that are installed; who is missing is named."""
    found = []
    for subject in subjects:
        if subject in PEERS and (reason := missing(subject)) is not None:
            print(f"left out: {subject}, because {reason}", file=sys.stderr, flush=True)
        else:
            found.append(subject)
    return found


def take_turns(bench: Bench, plan: Plan, only: str | None = None) -> list[tuple[str, list[Reading]]]:
    """A B A B …: `plan.rounds` turns of every subject, or of one of them."""
    turns = []
    subjects = [only] if only else present(bench.SUBJECTS)
    for number in range(plan.rounds):
        for subject in subjects:
            print(f"round {number + 1} of {plan.rounds}: {subject}", file=sys.stderr, flush=True)
            turns.append((subject, bench.measure(subject, plan)))
    return turns


def measured(name: str, *, quick: bool = False, only: str | None = None) -> Report:
    """One bench from beginning to end."""
    listed = BENCHES[name]
    results = summarise(take_turns(named(name), listed.quick if quick else listed.full, only))
    return Report(name, datetime.now(UTC).replace(microsecond=0), cpu_name(), os.cpu_count() or 1, results)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./scripts/bench", description="Measures Vouch and its peers.")
    parser.add_argument("name", nargs="?", choices=sorted(BENCHES), metavar="NAME")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, done within a minute")
    parser.add_argument("--subject", help="only this one (vouch, or a peer): for profiling")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="measure everything that DIR has no NAME.json of, and write docs/benchmarks.md and its chart from it",
    )
    chosen = parser.parse_args(arguments)
    if chosen.report is not None:
        if chosen.name or chosen.json or chosen.quick or chosen.subject:
            parser.error("--report takes all benches in full")
        print("measured:", ", ".join(report.make(chosen.report, measured)) or "nothing new")
        return 0
    if chosen.name is None:
        print("\n".join(f"{name:<12}{listed.summary}" for name, listed in BENCHES.items()))
        return 0
    subjects = named(chosen.name).SUBJECTS
    if chosen.subject is not None and chosen.subject not in subjects:
        parser.error(f"{chosen.name} measures {', '.join(subjects)}")
    figures = measured(chosen.name, quick=chosen.quick, only=chosen.subject)
    print(as_json(figures) if chosen.json else as_table(figures))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers under measurement are ended, too
    sys.exit(main(sys.argv[1:]))
