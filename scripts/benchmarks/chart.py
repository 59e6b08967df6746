"""The chart of docs/benchmarks.md: a small panel per figure, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from scripts.benchmarks.readings import Result, number
from scripts.benchmarks.targets import FIGURES, Figure

#: (bench, metric) of each panel, two in a row
PANELS = (
    ("fanout", "fanout_n500"),
    ("fanout", "fanout_n2000"),
    ("fanout", "burst10_n2000"),
    ("idle", "kib_per_connection"),
    ("latency", "p99_ms"),
    ("durable", "sustained_per_s"),
    ("durable", "ack_p99_ms"),
    ("reconnect", "seconds"),
    ("slow", "others_p99_ratio"),
    ("churn", "rss_growth_pct"),
)

# All in px.
_WIDTH, _GUTTER = 880, 24
_PANEL = (_WIDTH - 3 * _GUTTER) // 2
_NAMES, _VALUES = 84, 86
_BAR, _STEP, _HEAD, _FOOT = 16, 24, 48, 34

#: The tokens of static/packages/ui: paper, ink, ink-2, line, sky, amber.
_STYLE = """
svg { color-scheme: light dark; font: 13px system-ui, "Noto Sans SC", sans-serif; }
.paper { fill: #faf8f4 } .ink { fill: #1f2a37 } .ink-2 { fill: #5b6675 } .range { stroke: #1f2a37 }
.vouch { fill: #2b5fa6 } .peer { fill: #b9c0ca } .target { stroke: #8a5a00 } .target-text { fill: #8a5a00 }
.title { font-size: 15px; font-weight: 600 } .small { font-size: 12px }
text { font-variant-numeric: tabular-nums }
@media (prefers-color-scheme: dark) {
.paper { fill: #14181e } .ink { fill: #e8e6e1 } .ink-2 { fill: #a3adba } .range { stroke: #e8e6e1 }
.vouch { fill: #8ab4f0 } .peer { fill: #4a5566 } .target { stroke: #e9b949 } .target-text { fill: #e9b949 }
}
"""


def draw(results: Mapping[tuple[str, str], list[Result]]) -> str:
    """An SVG of the PANELS that there are results for; `results` are by (bench, metric)."""
    present = [key for key in PANELS if results.get(key)]
    parts: list[str] = []
    y = _GUTTER
    for row in range(0, len(present), 2):
        heights = []
        for column, key in enumerate(present[row : row + 2]):
            x = _GUTTER + column * (_PANEL + _GUTTER)
            panel, height = _panel(FIGURES[key], results[key])
            parts.append(f'<g transform="translate({x} {y})">{panel}</g>')
            heights.append(height)
        y += max(heights) + _GUTTER
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img" '
        f'aria-label="What was measured of Vouch and its peers">\n<style>{_STYLE}</style>\n'
        f'<rect class="paper" width="{_WIDTH}" height="{y}" rx="10"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(figure: Figure, results: list[Result]) -> tuple[str, int]:
    """The panel's shapes, and its height."""
    target = figure.least if figure.least is not None else figure.most
    most = max([result.max for result in results] + [target or 0.0]) or 1.0
    scale = (_PANEL - _NAMES - _VALUES) / most
    better = "less" if figure.most is not None else "more"
    parts = [
        f'<text class="ink title" y="14">{escape(figure.title)}</text>',
        f'<text class="ink-2 small" y="32">{escape(results[0].unit)}, {better} is better</text>',
    ]
    for index, result in enumerate(results):
        y = _HEAD + index * _STEP
        middle = y + _BAR / 2
        kind = "vouch" if result.subject == "vouch" else "peer"
        width = max(1.0, result.value * scale)
        low, high = (_NAMES + max(0.0, end) * scale for end in (result.min, result.max))
        name = "Vouch" if result.subject == "vouch" else result.subject
        parts += [
            f'<text class="ink" x="{_NAMES - 8}" y="{middle + 4.5:g}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{_NAMES}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2"/>',
            f'<path class="range" d="M{low:.1f} {middle:g}H{high:.1f}"/>',
            f'<text class="ink" x="{_PANEL}" y="{middle + 4.5:g}" text-anchor="end">{number(result.value)}</text>',
        ]
    bottom = _HEAD + len(results) * _STEP
    if target is not None:
        x, text = _NAMES + target * scale, f"target {escape(figure.target)}"
        parts += [
            f'<path class="target" stroke-dasharray="3 3" d="M{x:.1f} {_HEAD - 6}V{bottom + 2}"/>',
            f'<text class="target-text small" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>',
        ]
    return "".join(parts), bottom + _FOOT
