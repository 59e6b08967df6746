"""What a bench measures, how often, and the two forms it is told in."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec


class Plan(msgspec.Struct, frozen=True):
    """`rounds` is how often every subject gets its turn, `seconds` how long one turn measures, and `size` the share of
    the full load where a bench counts connections instead of seconds.
    """

    rounds: int = 5
    seconds: float = 20.0
    size: float = 1.0


QUICK = Plan(rounds=2, seconds=4.0, size=0.2)


class Reading(msgspec.Struct, frozen=True):
    """One number of one turn."""

    metric: str
    value: float
    unit: str


class Result(msgspec.Struct, frozen=True):
    """All turns of one metric and subject; `value` is the median."""

    metric: str
    subject: str
    value: float
    unit: str
    runs: int
    min: float
    max: float


class Report(msgspec.Struct, frozen=True):
    bench: str
    at: datetime
    cpu: str
    cores: int
    results: list[Result]


def summarise(turns: Iterable[tuple[str, Iterable[Reading]]]) -> list[Result]:
    """Results by metric and subject, in the order of their first appearance."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for subject, readings in turns:
        for reading in readings:
            values.setdefault((reading.metric, subject, reading.unit), []).append(reading.value)
    return [
        Result(metric, subject, statistics.median(found), unit, len(found), min(found), max(found))
        for (metric, subject, unit), found in values.items()
    ]


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that `share` (0 to 1) of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def as_json(report: Report) -> str:
    built: dict[str, Any] = msgspec.to_builtins(report)
    return msgspec.json.encode(built).decode()


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_table(report: Report) -> str:
    head = ("metric", "subject", "median", "min", "max", "unit", "runs")
    rows = [
        (r.metric, r.subject, number(r.value), number(r.min), number(r.max), r.unit, str(r.runs))
        for r in report.results
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [f"{report.bench} · {report.at:%Y-%m-%d %H:%M} UTC · {report.cpu}, {report.cores} cores", ""]
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if 2 <= i <= 4 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
