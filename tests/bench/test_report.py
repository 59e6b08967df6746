from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.benchmarks import BENCHES, __main__, chart, report
from scripts.benchmarks.readings import Report, Result, as_json
from scripts.benchmarks.targets import FIGURES, Figure, Ratio

AT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def result(metric: str, subject: str, value: float, unit: str = "msg/cpu-s") -> Result:
    return Result(metric, subject, value, unit, 5, value * 0.9, value * 1.1)


def figures(name: str) -> Report:
    """A report with everything that is told of this bench."""
    results = [result(metric, "vouch", 10.0) for bench, metric in FIGURES if bench == name]
    if name == "fanout":
        results.append(result("fanout_n500", "picows", 300_000.0))
    return Report(name, AT, "A processor", 2, results)


@pytest.mark.parametrize(
    ("figure", "value", "met", "target"),
    [
        (Figure("", least=2_500), 2_500.0, True, "≥ 2,500"),
        (Figure("", least=1_500_000), 1_499_999.0, False, "≥ 1,500,000"),
        (Figure("", most=1.1), 1.1, True, "≤ 1.1"),
        (Figure("", most=0), 1.0, False, "≤ 0"),
        (Figure(""), 1.0, None, "–"),
    ],
)
def test_targets(figure: Figure, value: float, met: bool | None, target: str) -> None:
    assert figure.met(value) is met
    assert figure.target == target


CALL = Figure("", most=10, ratios=(Ratio("janus", 1.5), Ratio("mediarelay", 1 / 5)))


@pytest.mark.parametrize(
    ("value", "peers", "met"),
    [
        (3.0, {"janus": 2.0, "mediarelay": 15.0}, True),
        (3.1, {"janus": 2.0, "mediarelay": 15.0}, False),
        (3.0, {"janus": 3.0, "mediarelay": 14.9}, False),
        (11.0, {"janus": 30.0, "mediarelay": 90.0}, False),
        # what was not measured proves nothing, but can be missed without it
        (3.0, {"janus": 2.0}, None),
        (3.1, {"janus": 2.0}, False),
        (3.0, None, None),
    ],
)
def test_targets_that_are_ratios(value: float, peers: dict[str, float] | None, met: bool | None) -> None:
    assert CALL.met(value, peers) is met


def test_ratios_are_told() -> None:
    assert CALL.target == "≤ 10, ≤ 1.5 × janus, 5 × less than mediarelay"
    results = [result("cpu_pct_v24", "vouch", 12.0, "%"), result("cpu_pct_v24", "janus", 10.0, "%")]
    (row,) = [
        line for line in report.table([Report("calls", AT, "A processor", 2, results)]).splitlines() if "v24" in line
    ]
    assert "| ≤ 1.1 × janus | 12 (**missed**) |" in row
    assert row.endswith("| janus 10 |")


def test_every_bench_is_told_of() -> None:
    assert {bench for bench, _ in FIGURES} == set(BENCHES)
    assert set(chart.PANELS) <= set(FIGURES)


def test_the_table_says_what_was_missed() -> None:
    table = report.table([figures("fanout"), figures("latency")])
    lines = table.splitlines()
    assert "| 10 (**missed**) | 9 – 11 | 5 | picows 300,000 |" in lines[2]
    assert "| ≤ 12 | 10 (reached) |" in next(line for line in lines if "`p99_ms`" in line)
    assert lines[-1].endswith("on A processor, 2 cores.")
    assert all(line.count("|") == 11 for line in lines[:-2])


def test_titles_of_panels_fit_into_them() -> None:
    assert max(len(FIGURES[key].title) for key in chart.PANELS) <= 44


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="both marks"):
        report.with_figures("# Measured", "…")


def test_the_chart_has_a_bar_for_everybody() -> None:
    root = ElementTree.fromstring(chart.draw(report.by_metric([figures(name) for name in BENCHES])))
    bars = [shape.get("class") for shape in root.iter(SVG + "rect")]
    assert bars.count("vouch") == len(chart.PANELS)
    assert bars.count("peer") == 1
    words = [text.text for text in root.iter(SVG + "text")]
    assert "Fan-out to 500 members" in words
    assert "target ≥ 350,000" in words
    assert "300,000" in words


def test_bars_are_as_long_as_their_values() -> None:
    results = {("fanout", "fanout_n500"): [result("", "vouch", 400.0), result("", "tornado", 100.0)]}
    root = ElementTree.fromstring(chart.draw(results))
    long, short = (float(bar.get("width", "0")) for bar in root.iter(SVG + "rect") if bar.get("rx") == "2")
    assert long == pytest.approx(4 * short, abs=0.5) or short == 1.0


def test_the_chart_stays_within_its_frame() -> None:
    root = ElementTree.fromstring(chart.draw(report.by_metric([figures(name) for name in BENCHES])))
    _, _, width, _ = map(float, root.get("viewBox", "").split())
    for group in root.iter(SVG + "g"):
        left = float(group.get("transform", "")[len("translate(") :].split()[0])
        for bar in group.iter(SVG + "rect"):
            assert left + float(bar.get("x", "0")) + float(bar.get("width", "0")) <= width


def test_what_was_measured_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, drawn = tmp_path / "page.md", tmp_path / "chart.svg"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "CHART", drawn)
    kept = tmp_path / "json"
    kept.mkdir()
    (kept / "durable.json").write_text(as_json(figures("durable")))
    made = report.make(kept, figures)
    assert made == [name for name in BENCHES if name != "durable"]
    assert json.loads((kept / "fanout.json").read_text())["bench"] == "fanout"
    first = page.read_text()
    assert first.startswith("before\n")
    assert first.endswith("after\n")
    assert "old" not in first
    assert "`durable`" in first
    assert report.make(kept, figures) == []
    assert page.read_text() == first
    assert drawn.read_text().startswith("<svg")


def test_a_report_takes_no_shortcuts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["--report", str(tmp_path), "--quick"])
    assert "in full" in capsys.readouterr().err


def test_the_page_has_the_marks() -> None:
    assert report.with_figures(report.PAGE.read_text("utf-8"), "figures")
