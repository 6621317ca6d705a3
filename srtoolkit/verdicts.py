"""Verdicts: one claim, its statistic and interval, its null, the paper's value, and whether it holds.

A verdict shows as a table in a notebook. It also leaves its numbers in the cell's output under a MIME type of its own,
from which the report collects all of them.
"""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass
from typing import Any

#: Under which a notebook's output carries its verdicts, as a list of objects.
MIME = "application/vnd.srtoolkit.verdicts+json"

_HEADS = ("claim", "model", "statistic", "value", "95% interval", "null", "paper", "holds")


@dataclass(frozen=True)
class Verdict:
    """One claim as measured on one model.

    Attributes:
        claim: In a sentence.
        model: On which it was measured.
        statistic: What ``value`` is, with its unit.
        value: As measured.
        low: Lower end of the 95% interval.
        high: Upper end.
        null: The same statistic where the claim should not hold.
        paper: The paper's value, where it has one.
        holds: Whether the claim holds here.
    """

    claim: str
    model: str
    statistic: str
    value: float
    low: float | None
    high: float | None
    null: float | None
    paper: float | None
    holds: bool

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return Scorecard((self,))._repr_mimebundle_()


@dataclass(frozen=True)
class Scorecard:
    """Several verdicts as one table."""

    verdicts: tuple[Verdict, ...]

    def __str__(self) -> str:
        return "\n".join(f"{'holds' if v.holds else 'DOES NOT HOLD'}: {v.claim}: {_line(v)}" for v in self.verdicts)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "text/html": self._html(),
            MIME: [asdict(verdict) for verdict in self.verdicts],
        }

    def _html(self) -> str:
        def row(cells: tuple[str, ...], tag: str) -> str:
            return (
                "<tr>"
                + "".join(f'<{tag} style="text-align:left">{html.escape(cell)}</{tag}>' for cell in cells)
                + "</tr>"
            )

        body = "".join(row(_cells(verdict), "td") for verdict in self.verdicts)
        return f"<table><thead>{row(_HEADS, 'th')}</thead><tbody>{body}</tbody></table>"


def verdict(
    claim: str,
    *,
    model: str,
    statistic: str,
    value: float,
    holds: bool,
    low: float | None = None,
    high: float | None = None,
    null: float | None = None,
    paper: float | None = None,
) -> Verdict:
    """Record whether a claim holds; as a cell's last value it shows as a table and enters the report.

    Args:
        claim: In a sentence.
        model: On which it was measured.
        statistic: What ``value`` is, with its unit.
        value: As measured.
        holds: Whether the claim holds here, computed from the numbers.
        low: Lower end of the 95% interval of ``value``.
        high: Upper end.
        null: The same statistic where the claim should not hold.
        paper: The paper's value, where it has one.
    """
    low, high, null, paper = (None if number is None else float(number) for number in (low, high, null, paper))
    return Verdict(claim, model, statistic, float(value), low, high, null, paper, bool(holds))


def scorecard(*verdicts: Verdict) -> Scorecard:
    """Several verdicts as one table, which enters the report as a whole.

    Args:
        verdicts: From :func:`verdict`.
    """
    return Scorecard(verdicts)


def _cells(verdict: Verdict) -> tuple[str, ...]:
    interval = "" if verdict.low is None or verdict.high is None else f"{verdict.low:.2f} to {verdict.high:.2f}"
    numbers = ("" if number is None else f"{number:.3g}" for number in (verdict.null, verdict.paper))
    held = "yes" if verdict.holds else "no"
    return (verdict.claim, verdict.model, verdict.statistic, f"{verdict.value:.2f}", interval, *numbers, held)


def _line(verdict: Verdict) -> str:
    """Two significant digits: this text is compared between machines, whose sums differ in the sixth."""
    interval = "" if verdict.low is None or verdict.high is None else f" [{verdict.low:.2g}, {verdict.high:.2g}]"
    rest = [
        f"{name} {number:.2g}"
        for name, number in (("null", verdict.null), ("paper", verdict.paper))
        if number is not None
    ]
    return f"{verdict.statistic} {verdict.value:.2g}{interval}" + (f" ({', '.join(rest)})" if rest else "")
