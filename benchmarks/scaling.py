"""How srtoolkit's time grows: with points, pairs and blocks, and that of one more point with the prompt's length."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.table import OURS


class Fit(NamedTuple):
    """``y = exp(intercept) x ** exponent``, by least squares on logarithms of all runs.

    Attributes:
        exponent: 1 is proportional, 0 constant.
        low: Lower end of its 95% interval.
        high: Upper end.
        intercept: Logarithm of y at x = 1.
    """

    exponent: float
    low: float
    high: float
    intercept: float

    def at(self, x: np.ndarray) -> np.ndarray:
        """The fitted y."""
        return np.exp(self.intercept) * x**self.exponent


def fit(x: np.ndarray, y: np.ndarray) -> Fit:
    """The power of x that y follows, and its interval."""
    found = stats.linregress(np.log(x), np.log(y))
    half = stats.t.ppf(0.975, len(x) - 2) * found.stderr if len(x) > 2 else math.inf
    return Fit(float(found.slope), float(found.slope - half), float(found.slope + half), float(found.intercept))


def line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """``y = start + each x`` by least squares of relative residuals: start, each, and the largest relative residual."""
    each, start = np.polyfit(x, y, 1, w=1 / y)
    return float(start), float(each), float(np.abs((start + each * x) / y - 1).max())


def varied(table: pd.DataFrame, blocks: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each number that was varied: its values and srt.patch's seconds, of all runs.

    Args:
        table: From ``table.read``.
        blocks: Blocks of the model.
    """
    ours = table[table["contestant"] == OURS]
    found = {}
    for kind, x in (("points", ours["points"]), ("pairs", ours["pairs"]), ("layers", blocks - 1 - ours["layer"])):
        some = ours["kind"] == kind
        if some.any():
            found[kind] = x[some].to_numpy(float), ours["seconds"][some].to_numpy(float)
    return found


def further_point(table: pd.DataFrame) -> pd.DataFrame:
    """Milliseconds of a further point, beside the prefix, at each prompt length; and what it needs, in MFLOP.

    The difference between few and many points of one pair, fastest runs, over the difference in their number.
    """
    ours = table[(table["contestant"] == OURS) & (table["kind"] == "length")]
    best = ours.groupby(["tokens", "points"])[["seconds", "gflop"]].min().reset_index()
    rows = []
    for tokens, some in best.groupby("tokens"):
        if len(some) < 2:
            continue
        few, many = some.iloc[0], some.iloc[-1]
        more = many["points"] - few["points"]
        milliseconds = 1e3 * (many["seconds"] - few["seconds"]) / more
        rows.append({"tokens": tokens, "ms": milliseconds, "mflop": 1e3 * (many["gflop"] - few["gflop"]) / more})
    return pd.DataFrame(rows, columns=["tokens", "ms", "mflop"])


def render(table: pd.DataFrame, blocks: int) -> str:
    """All fits, in words."""
    lines = []
    for kind, (x, y) in varied(table, blocks).items():
        found = fit(x, y)
        start, each, residual = line(x, y)
        name = "blocks behind the patch" if kind == "layers" else kind
        lines.append(
            f"{x.min():.0f} to {x.max():.0f} {name}: time grows with exponent {found.exponent:.2f} (95% interval "
            f"{found.low:.2f} to {found.high:.2f}); as a line, {start:.2f} s and {1e3 * each:.2f} ms for each, "
            f"to {residual:.0%}"
        )
    further = further_point(table)
    lines += [
        f"a further point at {row.tokens} tokens: {row.ms:.2f} ms for {row.mflop:.0f} MFLOP"
        for row in further.itertuples()
    ]
    if len(further) > 1:
        first, last = further.iloc[0], further.iloc[-1]
        lines.append(
            f"from {first.tokens:.0f} to {last.tokens:.0f} tokens a further point takes {last.ms / first.ms:.2f} times "
            f"the time for {last.mflop / first.mflop:.2f} times the operations"
        )
    return "\n".join(lines)
