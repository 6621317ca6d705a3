"""Verdicts: one claim, its statistic and interval, its null, the paper's value, and whether it holds.

A verdict shows as a table in a notebook. It also leaves its numbers in the cell's output under a MIME type of its own,
from which the report collects all of them.
"""

from __future__ import annotations

import html
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from srtoolkit.validation import as_float

#: Under which a notebook's output carries its verdicts, as a list of objects.
MIME = "application/vnd.srtoolkit.verdicts+json"

_HEADS = ("claim", "model", "statistic", "value", "95% interval", "null", "paper", "holds")


@dataclass(frozen=True)
class Verdict:
    """One claim as measured on one model.

    Attributes:
        claim: The claim, in a sentence.
        model: The model on which it was measured.
        statistic: What ``value`` is, with its unit.
        value: The statistic as measured.
        low: Lower end of the 95% interval.
        high: Upper end of the 95% interval.
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
            MIME: [_as_json(verdict) for verdict in self.verdicts],
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
        claim: The claim, in a sentence.
        model: The model on which it was measured.
        statistic: What ``value`` is, with its unit.
        value: The statistic as measured.
        holds: Whether the claim holds here, computed from the numbers.
        low: Lower end of the 95% interval of ``value``.
        high: Upper end of the 95% interval.
        null: The same statistic where the claim should not hold.
        paper: The paper's value, where it has one.

    Raises:
        TypeError: A text, number or answer that is none.
        ValueError: ``value`` is NaN, so that nothing was measured and the claim neither holds nor does not.
    """
    for name, text in (("claim", claim), ("model", model), ("statistic", statistic)):
        if not isinstance(text, str):
            raise TypeError(f"{name}={text!r}: expected a text that says which {name} this verdict is of.")
    if (not isinstance(holds, bool | np.bool_) and str(getattr(holds, "dtype", "")) != "bool") or np.ndim(holds):
        raise TypeError(f"holds={holds!r}: expected True or False, as a comparison of numbers gives it.")
    value = _number(value, "value")
    if math.isnan(value):
        raise ValueError(
            f"{claim!r} on {model}: the {statistic} is NaN, so nothing was measured. Were all pairs excluded? "
            "srtoolkit.summarise counts them; degenerate and non_finite say why."
        )
    rest = {"low": low, "high": high, "null": null, "paper": paper}
    numbers = {name: None if number is None else _number(number, name) for name, number in rest.items()}
    return Verdict(claim, model, statistic, value, holds=bool(holds), **numbers)


def scorecard(*verdicts: Verdict) -> Scorecard:
    """Several verdicts as one table, which enters the report as a whole.

    Args:
        verdicts: The verdicts, from :func:`verdict`, one an argument.

    Raises:
        TypeError: Something that is no verdict.
    """
    if not all(isinstance(verdict, Verdict) for verdict in verdicts):
        kinds = sorted({type(verdict).__name__ for verdict in verdicts})
        raise TypeError(f"a scorecard is made of verdicts, one an argument, as srt.verdict gives them; got {kinds}.")
    return Scorecard(verdicts)


def _number(value: Any, name: str) -> float:
    number = as_float(value)
    if number is None:
        raise TypeError(f"{name}={value!r}: expected a single number.")
    return number


def _as_json(verdict: Verdict) -> dict[str, Any]:
    """What a notebook keeps; JSON knows neither NaN nor infinity."""
    cells = asdict(verdict).items()
    return {name: None if isinstance(cell, float) and not math.isfinite(cell) else cell for name, cell in cells}


def _cells(verdict: Verdict) -> tuple[str, ...]:
    interval = "" if verdict.low is None or verdict.high is None else f"{verdict.low:.2f} to {verdict.high:.2f}"
    numbers = ("" if number is None else f"{number:.3g}" for number in (verdict.null, verdict.paper))
    held = "yes" if verdict.holds else "no"
    value = "" if verdict.value is None else f"{verdict.value:.2f}"  # infinite, and read back from a notebook
    return (verdict.claim, verdict.model, verdict.statistic, value, interval, *numbers, held)


def _line(verdict: Verdict) -> str:
    """Two significant digits: this text is compared between machines, whose sums differ in the sixth."""
    interval = "" if verdict.low is None or verdict.high is None else f" [{verdict.low:.2g}, {verdict.high:.2g}]"
    rest = [
        f"{name} {number:.2g}"
        for name, number in (("null", verdict.null), ("paper", verdict.paper))
        if number is not None
    ]
    return f"{verdict.statistic} {verdict.value:.2g}{interval}" + (f" ({', '.join(rest)})" if rest else "")
