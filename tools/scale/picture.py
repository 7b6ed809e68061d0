"""Draws outcomes as an SVG: three panels one above the other, a line for each scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from tools.scale.simulation import Outcome, Sample

_WIDTH, _PANEL, _LEFT, _TOP, _GAP = 860, 170, 70, 40, 46
_PLOT = _WIDTH - _LEFT - 20
_COLOURS = ("#b3261e", "#b26a00", "#1e6b52", "#2457a7")
_STYLE = "font-family='system-ui, sans-serif' font-size='12' fill='#333'"

Value = Callable[[Outcome, int], float]


def draw(outcomes: Sequence[Outcome]) -> str:
    """The picture."""
    panels: list[tuple[str, Value]] = [
        ("jobs that wait", lambda outcome, at: outcome.samples[at].waiting),
        ("instances", lambda outcome, at: outcome.samples[at].instances),
        ("jobs completed a second, mean of 5 s", _rate),
    ]
    seconds = max(outcome.seconds for outcome in outcomes)
    height = _TOP + len(panels) * (_PANEL + _GAP)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height}' {_STYLE}>",
        f"<rect width='{_WIDTH}' height='{height}' fill='white'/>",
    ]
    for index, outcome in enumerate(outcomes):
        left = _LEFT + index * 200
        parts.append(f"<rect x='{left}' y='12' width='14' height='4' fill='{_COLOURS[index]}'/>")
        parts.append(f"<text x='{left + 20}' y='18'>{escape(outcome.scenario.name)}</text>")
    for index, (title, value) in enumerate(panels):
        parts += _panel(outcomes, title, value, _TOP + index * (_PANEL + _GAP), seconds)
    return "\n".join([*parts, "</svg>", ""])


def _panel(outcomes: Sequence[Outcome], title: str, value: Value, top: int, seconds: int) -> list[str]:
    series = [[value(outcome, at) for at in range(len(outcome.samples))] for outcome in outcomes]
    highest = max(1.0, *(max(values) for values in series))
    bottom = top + _PANEL
    parts = [f"<text x='{_LEFT}' y='{top + 12}' font-weight='600'>{escape(title)}</text>"]
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (_PANEL - 20)
        parts.append(f"<line x1='{_LEFT}' x2='{_LEFT + _PLOT}' y1='{y:.1f}' y2='{y:.1f}' stroke='#ddd'/>")
        parts.append(f"<text x='{_LEFT - 8}' y='{y + 4:.1f}' text-anchor='end'>{highest * share:,.0f}</text>")
    for tick in range(0, seconds + 1, 60):
        x = _LEFT + tick / seconds * _PLOT
        parts.append(f"<text x='{x:.1f}' y='{bottom + 16}' text-anchor='middle'>{tick} s</text>")
    for colour, values in zip(_COLOURS, series, strict=False):
        points = " ".join(
            f"{_LEFT + at / seconds * _PLOT:.1f},{bottom - number / highest * (_PANEL - 20):.1f}"
            for at, number in enumerate(values)
        )
        parts.append(f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.6'/>")
    return parts


def _rate(outcome: Outcome, at: int) -> float:
    now: Sample = outcome.samples[at]
    before = outcome.samples[max(0, at - 5)]
    return (now.completed - before.completed) / max(1, now.second - before.second)
