"""A verdict drawn as one line: its interval, its null's, and the bound that was set beforehand."""

from __future__ import annotations

import html
from collections.abc import Iterator

from srtoolkit.analysis.scorecards import Standing, number_text
from srtoolkit.analysis.verdicts import Verdict
from srtoolkit.reference import criterion

#: Width and height of the picture, and the room on either side, in pixels.
WIDTH, HEIGHT, ROOM = 220, 26, 8


def strip(standing: Standing) -> str:
    """A small picture in SVG: the null as a grey band, bounds as dashed lines, the value as a dot with its interval.

    Args:
        standing: The verdict; its colour is that of the class of the outcome, which the page sets.
    """
    verdict = standing.verdict
    ends = sorted({number for number in _numbers(verdict) if number is not None})
    span = (ends[-1] - ends[0]) or abs(ends[0]) or 1.0

    def x(number: float) -> float:
        return round(ROOM + (WIDTH - 2 * ROOM) * (number - ends[0]) / span, 1)

    shapes = ""
    if verdict.null is not None:
        low, high = _interval(verdict.null, verdict.null_low, verdict.null_high)
        shapes += f'<rect class="null" x="{x(low) - 1}" y="4" width="{x(high) - x(low) + 2:.1f}" height="18"/>'
    for bound in _bounds(verdict):
        shapes += f'<line class="bound" x1="{x(bound)}" x2="{x(bound)}" y1="1" y2="25"/>'
    low, high = _interval(verdict.value, verdict.low, verdict.high)
    shapes += f'<line class="value" x1="{x(low)}" x2="{x(high)}" y1="13" y2="13"/>'
    shapes += f'<circle class="value" cx="{x(verdict.value)}" cy="13" r="5"/>'
    told = f"from {number_text(ends[0])} to {number_text(ends[-1])}; {verdict.rule}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
        f"<title>{html.escape(told)}</title>{shapes}</svg>"
    )


def _numbers(verdict: Verdict) -> Iterator[float | None]:
    yield from (verdict.value, verdict.low, verdict.high, verdict.null, verdict.null_low, verdict.null_high)
    yield from _bounds(verdict)


def _bounds(verdict: Verdict) -> list[float]:
    """The bounds of the criterion's rule."""
    rule = criterion(verdict.criterion).rule
    return [bound for bound in (rule.low, rule.high) if bound is not None]


def _interval(value: float, low: float | None, high: float | None) -> tuple[float, float]:
    return value if low is None else low, value if high is None else high
