"""Scorecards: several verdicts as one table, which says how many were tried on each claim."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from srtoolkit.analysis.verdicts import BY_CONSTRUCTION, MIME, Verdict
from srtoolkit.reference import Criterion, criterion

#: A claim holds after Holm's correction where its adjusted p is at most this: intervals have 95%.
LEVEL = 0.05

HEADS = ("outcome", "claim", "model", "n", "statistic", "value [95%]", "null", "paper", "criterion", "p, after Holm")


@dataclass(frozen=True)
class Standing:
    """A verdict beside all others on the same claim.

    Attributes:
        verdict: The verdict.
        tried: How many verdicts there are on the claim, those that could not fail left out.
        p: Its p-value after Holm's correction for these; ``None`` where it has none, or is the only one.
        lacks: Name of the criterion of its positive control, where that does not hold here; else empty.
    """

    verdict: Verdict
    tried: int
    p: float | None
    lacks: str = ""

    @property
    def outcome(self) -> str:
        """The verdict's own, and whether it stays after Holm's correction; undecided without its positive control."""
        if self.lacks:
            return f"undecided ({self.lacks} does not hold)"
        fallen = self.verdict.holds and self.p is not None and self.p > LEVEL
        return "holds (not after Holm)" if fallen else self.verdict.outcome

    @property
    def numbers(self) -> str:
        """The value with its interval and all that stands beside it: null, paper, how many were tried, p."""
        verdict = self.verdict
        beside = [f"null {_null_text(verdict)}"] if verdict.null is not None else []
        beside += [f"paper {number_text(verdict.paper)}"] if verdict.paper is not None else []
        beside += [f"one of {self.tried} tried on this claim"] if self.tried > 1 else []
        beside += [f"p {p_text(self.p)} after Holm"] if self.p is not None else []
        return ", ".join([_value_text(verdict), *beside])


@dataclass(frozen=True)
class Scorecard:
    """Several verdicts as one table."""

    verdicts: tuple[Verdict, ...]

    def __str__(self) -> str:
        return "\n".join(_lines(standing) for standing in self.standings())

    def standings(self) -> list[Standing]:
        """Each verdict beside the others on its claim, in order.

        One family, for which p-values are corrected by Holm's method, is what speaks to one of the paper's claims; of
        what is beyond the paper, each criterion is a claim of its own. Counted are all that could fail, whatever came
        out. What is not sampled has the p-value that its criterion names as chance; without one it is counted and not
        corrected. A claim whose criterion needs a positive control is undecided unless that holds on the same model.
        """
        held = {(verdict.criterion, verdict.model) for verdict in self.verdicts if verdict.holds}
        families: dict[str, list[int]] = {}
        for place, verdict in enumerate(self.verdicts):
            if verdict.informative:
                families.setdefault(verdict.criterion if verdict.of == "beyond" else verdict.of, []).append(place)
        found = [Standing(verdict, 0, None, _lacks(verdict, held)) for verdict in self.verdicts]
        for places in families.values():
            adjusted = holm([_p(self.verdicts[place]) for place in places]) if len(places) > 1 else [None]
            for place, p in zip(places, adjusted, strict=True):
                found[place] = replace(found[place], tried=len(places), p=p)
        return found

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "text/html": table_html(self.standings()),
            MIME: [verdict.as_json() for verdict in self.verdicts],
        }


def scorecard(*verdicts: Any) -> Scorecard:
    """Several verdicts as one table, which enters the report as a whole.

    Where several speak to one of the paper's claims, the table says how many were tried, and whether each that holds
    still does after Holm's correction for these.

    Args:
        verdicts: The verdicts, from :func:`verdict`, one an argument.

    Raises:
        TypeError: Something that is no verdict.
    """
    if not all(isinstance(verdict, Verdict) for verdict in verdicts):
        kinds = sorted({type(verdict).__name__ for verdict in verdicts})
        raise TypeError(f"a scorecard is made of verdicts, one an argument, as srt.verdict gives them; got {kinds}.")
    return Scorecard(verdicts)


def _p(verdict: Verdict) -> float | None:
    """Its p-value; of what is not sampled, how often it would be so by chance."""
    return criterion(verdict.criterion).chance if verdict.p is None else verdict.p


def _lacks(verdict: Verdict, held: set[tuple[str, str]]) -> str:
    """The criterion of its positive control, where that is not among those that hold, by criterion and model."""
    needs = criterion(verdict.criterion).needs
    return needs if needs and (needs, verdict.model) not in held else ""


def holm(p: Sequence[float | None]) -> list[float | None]:
    """p-values after Holm's correction (Holm 1979): at most so often is any of them this small by chance.

    Args:
        p: The p-values of one family; ``None`` stays and does not count.
    """
    known = np.array([place for place, one in enumerate(p) if one is not None], dtype=np.int64)
    order = known[np.argsort([p[place] for place in known], kind="stable")]
    steps = [(len(order) - rank) * float(p[place] or 0.0) for rank, place in enumerate(order)]
    adjusted: list[float | None] = [None] * len(p)
    for place, one in zip(order, np.minimum(1.0, np.maximum.accumulate(steps)) if steps else (), strict=True):
        adjusted[place] = float(one)
    return adjusted


def estimate_text(value: float, low: float | None, high: float | None) -> str:
    """A number with its interval, as ``4.2 [3.6, 4.9]``.

    The interval's width has two digits: more say nothing, and would differ between machines, whose sums differ in the
    sixth digit; with fewer, both ends could read the same. What has no width has three digits in all.
    """
    if low is None or high is None or low == high == value:
        return number_text(value)
    width = high - low
    places = 1 - math.floor(math.log10(width)) if math.isfinite(width) and width > 0 else math.inf
    if abs(places) > 9:  # nothing that a fixed number of places could show
        return f"{number_text(value)} [{number_text(low)}, {number_text(high)}]"
    shown = (f"{round(number, int(places)) + 0.0:.{max(int(places), 0)}f}" for number in (value, low, high))
    return "{} [{}, {}]".format(*shown)


def number_text(number: float) -> str:
    """A number with three digits, thousands written out."""
    return f"{float(f'{number:.3g}'):.0f}" if 1000 <= abs(number) < 1e6 else f"{number:.3g}"


def p_text(p: float | None) -> str:
    """A p-value with one digit, or how small it is."""
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.1g}"


def cells(standing: Standing) -> Iterator[str]:
    """What a table says of a verdict, in the order of ``HEADS``.

    Args:
        standing: The verdict beside the others.
    """
    verdict = standing.verdict
    yield standing.outcome
    yield verdict.claim
    yield verdict.model
    yield str(verdict.n)
    yield criterion(verdict.criterion).short or verdict.statistic
    yield _value_text(verdict)
    yield _null_text(verdict)
    yield "" if verdict.paper is None else number_text(verdict.paper)
    yield f"{verdict.criterion} ({verdict.date}): {verdict.rule}" + ("" if verdict.informative else "; cannot fail")
    yield p_text(_p(verdict) if standing.p is None else standing.p) + (
        f" of {standing.tried}" if standing.tried > 1 else ""
    )


def table_html(standings: Sequence[Standing], links: Sequence[str] = ()) -> str:
    """A table of verdicts.

    Args:
        standings: The verdicts.
        links: Where each was made, as HTML, for a last column; none where empty.
    """

    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f'<{tag} style="text-align:left">{cell}</{tag}>' for cell in cells) + "</tr>"

    made = [[link] for link in links] or [[] for _ in standings]
    rows = [[*map(html.escape, cells(one)), *where] for one, where in zip(standings, made, strict=True)]
    head = row([*HEADS, *(["cell"] if links else [])], "th")
    return f"<table><thead>{head}</thead><tbody>{''.join(row(one, 'td') for one in rows)}</tbody></table>"


def _lines(standing: Standing) -> str:
    """A verdict in a notebook's text, whose numbers are compared between machines: see ``estimate_text``."""
    verdict = standing.verdict
    shown = standing.outcome if standing.outcome in ("holds", BY_CONSTRUCTION) else standing.outcome.upper()
    return (
        f"{shown}: {verdict.claim}\n"
        f"    {verdict.model}, n = {verdict.n}: {standing.numbers}\n"
        f"    {verdict.statistic}\n"
        f"    criterion {verdict.criterion} of {verdict.date}: {verdict.rule}"
    )


def _value_text(verdict: Verdict) -> str:
    """The value with its interval, whose level is said where it is another than 95%."""
    level = criterion(verdict.criterion).level
    other = "" if level == Criterion.level else f", {level:.0%} interval"
    return estimate_text(verdict.value, verdict.low, verdict.high) + other


def _null_text(verdict: Verdict) -> str:
    return "" if verdict.null is None else estimate_text(verdict.null, verdict.null_low, verdict.null_high)
