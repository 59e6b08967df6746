"""All figures in docs/benchmarks.md: the table between two marks, and the chart beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from scripts.benchmarks import BENCHES, chart
from scripts.benchmarks.readings import Report, Result, as_json, number
from scripts.benchmarks.targets import FIGURES
from server.settings import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
CHART = ROOT / "docs" / "images" / "benchmarks.svg"
BEGIN, END = "<!-- figures: written by ./scripts/bench --report -->", "<!-- end of figures -->"


def make(directory: Path, measured: Callable[[str], Report]) -> list[str]:
    """Measures what `directory` has no NAME.json of yet, and writes page and chart from all of them.

    Returns the names of what was measured now.
    """
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for name in BENCHES:
        kept = directory / f"{name}.json"
        if not kept.exists():
            kept.write_text(as_json(measured(name)) + "\n", "utf-8")
            made.append(name)
    reports = [
        msgspec.json.decode((directory / f"{name}.json").read_bytes(), type=Report, strict=False) for name in BENCHES
    ]
    PAGE.write_text(with_figures(PAGE.read_text("utf-8"), table(reports)), "utf-8")
    CHART.write_text(chart.draw(by_metric(reports)), "utf-8")
    return made


def by_metric(reports: Iterable[Report]) -> dict[tuple[str, str], list[Result]]:
    """The results of all subjects by (bench, metric), Vouch first."""
    found: dict[tuple[str, str], list[Result]] = {}
    for report in reports:
        for result in report.results:
            found.setdefault((report.bench, result.metric), []).append(result)
    return found


def table(reports: Sequence[Report]) -> str:
    """One row per figure, in Markdown."""
    lines = [
        "| bench | date | metric | what | unit | target | Vouch | min – max | runs | peers |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    dates = {report.bench: f"{report.at:%Y-%m-%d}" for report in reports}
    results = by_metric(reports)
    last = ""
    for (bench, metric), figure in FIGURES.items():
        own = next((result for result in results.get((bench, metric), []) if result.subject == "vouch"), None)
        if own is None:
            continue
        peers = {result.subject: result.value for result in results[bench, metric] if result.subject != "vouch"}
        others = [f"{peer} {number(value)}" for peer, value in peers.items()]
        met = figure.met(own.value, peers)
        cells = [
            f"`{bench}`" if bench != last else "",
            dates[bench] if bench != last else "",
            f"`{metric}`",
            figure.title,
            own.unit,
            figure.target,
            number(own.value) + ("" if met is None else f" ({'reached' if met else '**missed**'})"),
            f"{number(own.min)} – {number(own.max)}",
            str(own.runs),
            ", ".join(others) or "–",
        ]
        last = bench
        lines.append("| " + " | ".join(cells) + " |")
    machines = dict.fromkeys(f"{report.cpu}, {report.cores} cores" for report in reports)
    lines += ["", f"Each by `./scripts/bench NAME` on {'; '.join(machines)}."]
    return "\n".join(lines)


def with_figures(page: str, figures: str) -> str:
    """The page with these figures between the marks. Raises ValueError when a mark is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has not both marks, {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}"
