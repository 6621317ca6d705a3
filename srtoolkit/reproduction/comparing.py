"""Measured numbers beside those read off the paper's figures, with intervals and deviations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from srtoolkit import reference
from srtoolkit.analysis.bootstrap import Bootstrap, interval, weighted_quantile
from srtoolkit.analysis.estimates import Estimate
from srtoolkit.analysis.resampling import bootstrap_weights
from srtoolkit.analysis.sharpness import sharpness

#: Reading errors of the digitised numbers, as their file says: of slopes, and of values of curves.
SLOPE_READING, CURVE_READING = 0.05, 0.01

#: How the intervals of this page are made.
BOOTSTRAP = Bootstrap(level=0.95, resamples=1000, seed=0)

NO_INTERVAL = float("nan")


@dataclass(frozen=True)
class Row:
    """One number of one figure.

    Attributes:
        quantity: The quantity in words, with its unit where it has one.
        model: Label of the model that was measured.
        ours: The measured number with its interval, which is NaN where there is none.
        paper_model: Name of the paper's model.
        paper: The paper's number; ``None`` where it has none.
        reading: Reading error of the paper's number.
        alike: Whether both are of the same model and settings, so that they should agree.
    """

    quantity: str
    model: str
    ours: Estimate
    paper_model: str = ""
    paper: float | None = None
    reading: float = 0.0
    alike: bool = False

    @property
    def agrees(self) -> str:
        """``"yes"`` or ``"no"``: whether the paper's number is in our interval, up to its reading error; else empty."""
        if not self.alike or self.paper is None:
            return ""
        low, high = (self.ours.value if np.isnan(end) else end for end in (self.ours.low, self.ours.high))
        return "yes" if low - self.reading <= self.paper <= high + self.reading else "no"


def digitised() -> dict[str, Any]:
    """The numbers read off the paper's figures."""
    return dict(reference.janiak2024()["digitised"])


def as_table(rows: Sequence[Row]) -> pd.DataFrame:
    """A table of all rows, with the deviation (ours less the paper's) and the ratio (ours over the paper's).

    Args:
        rows: Rows of one figure.
    """
    columns = ["quantity", "model", "ours", "low", "high", "paper_model", "paper", "deviation", "ratio", "agrees"]
    lines = []
    for row in rows:
        paper = np.nan if row.paper is None else row.paper
        ratio = row.ours.value / paper if paper else np.nan
        values = (*row.ours, row.paper_model, paper, row.ours.value - paper, ratio, row.agrees)
        lines.append((row.quantity, row.model, *values))
    return pd.DataFrame(lines, columns=columns)


def alone(value: float | int) -> Estimate:
    """A measured number that has no interval.

    Args:
        value: The number.
    """
    return Estimate(float(value), NO_INTERVAL, NO_INTERVAL)


def slope_quantiles(curves: xr.Dataset, shares: Sequence[float] = (0.25, 0.5, 0.75)) -> list[Estimate]:
    """Quantiles over pairs of the largest slope, each with its interval.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        shares: Shares of the pairs that lie below each quantile.
    """
    return quantiles(sharpness(curves), "max_slope", shares)


def quantiles(results: xr.Dataset, of: str, shares: Sequence[float]) -> list[Estimate]:
    """Quantiles of a variable over pairs, each with its interval.

    Args:
        results: A Dataset with ``prompt_a``, ``prompt_b`` and, if need be, ``excluded`` along ``pair``.
        of: Name of the variable.
        shares: Shares of the pairs that lie below each quantile.
    """
    kept, weights = _kept(results)
    values = kept[of].values.astype(np.float64).reshape(-1)
    return [
        _estimate(float(np.nanquantile(values, share)), weighted_quantile(values, weights, share)) for share in shares
    ]


def mean(results: xr.Dataset, of: str) -> Estimate:
    """Mean of a variable over pairs, with its interval.

    Args:
        results: A Dataset, as :func:`quantiles` takes it.
        of: Name of the variable.
    """
    kept, weights = _kept(results)
    values = kept[of].values.astype(np.float64).reshape(-1)
    heavy = weights[weights.any(axis=1)]  # of few pairs, some resamples have none
    return _estimate(float(values.mean()), heavy @ values / heavy.sum(axis=1))


def curve_rows(curves: xr.Dataset, model: str, paper_model: str, values: Sequence[float], alike: bool) -> list[Row]:
    """Rows of the median curve, at the alphas where the paper's was read.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        model: Label of the model that was measured.
        paper_model: Name of the paper's model.
        values: Values of the paper's median curve.
        alike: Whether both should agree.
    """
    rows = []
    for alpha, paper in zip(digitised()["alpha"], values, strict=True):
        at = curves.assign(here=curves["relative_distance"].interp(alpha=alpha), excluded=curves["degenerate"])
        (ours,) = quantiles(at, "here", [0.5])
        quantity = f"median relative distance at α = {alpha}"
        rows.append(Row(quantity, model, ours, paper_model, paper, CURVE_READING, alike))
    return rows


def quantile_rows(
    results: xr.Dataset,
    of: str,
    what: str,
    model: str,
    paper_model: str,
    paper: Mapping[str, float | int],
    *,
    scale: float = 1.0,
    reading: float = 0.0,
    alike: bool = False,
) -> list[Row]:
    """Rows of a distribution's quantiles, mean and ends beside the paper's; the median first.

    Args:
        results: A Dataset, as :func:`quantiles` takes it.
        of: Name of the variable.
        what: The variable in words.
        model: Label of the model that was measured.
        paper_model: Name of the paper's model.
        paper: The paper's numbers by name: ``"q05"``, …, ``"mean"``, ``"min"``, ``"max"``.
        scale: Number that the paper's numbers are divided by.
        reading: Reading error of the paper's numbers, after that.
        alike: Whether both should agree.
    """
    names = {"q50": "median", "q05": "5%", "q25": "25%", "q75": "75%", "q95": "95%"}
    found = dict(zip(names, quantiles(results, of, [int(name[1:]) / 100 for name in names]), strict=True))
    found["mean"] = mean(results, of)
    kept, _ = _kept(results)
    # Ends move with the number of pairs, and no bootstrap says how far; they are shown, not judged.
    ends = {"min": alone(kept[of].min().item()), "max": alone(kept[of].max().item())}
    return [
        Row(f"{what}, {names.get(name, name)}", model, ours, paper_model, paper[name] / scale, reading,
            alike and name not in ends)
        for name, ours in {**found, **ends}.items()
    ]  # fmt: skip


def _kept(results: xr.Dataset) -> tuple[xr.Dataset, np.ndarray]:
    """The pairs that count, and how often each does in every resample."""
    excluded = results["excluded"].values if "excluded" in results else np.zeros(results.sizes["pair"], dtype=bool)
    kept = results.isel(pair=np.flatnonzero(~excluded))
    prompts = kept["prompt_a"].values, kept["prompt_b"].values
    return kept, bootstrap_weights(*prompts, BOOTSTRAP.resamples, BOOTSTRAP.seed)


def _estimate(value: float, resampled: Float[np.ndarray, " resample"]) -> Estimate:
    return Estimate(value, *interval(resampled, BOOTSTRAP.level))
