"""How likely an order of a few values is by chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import permutation_test, rankdata

from srtoolkit.analysis.estimates import values_of
from srtoolkit.analysis.ranks import rank_correlation
from srtoolkit.validation import check_names, check_number

#: Which orders count as extreme, as scipy names them.
ALTERNATIVES = ("two-sided", "greater", "less")


class ExactTrend(NamedTuple):
    """A rank correlation with the probability of one like it by chance.

    Attributes:
        correlation: Spearman's, between settings and values.
        p: Share of all orders of the values that correlate as much.
        n: Number of settings.
    """

    correlation: float
    p: float
    n: int


def exact_trend(
    series: Mapping[float | int, xr.Dataset | float | int],
    of: str = "max_slope",
    *,
    alternative: str = "two-sided",
) -> ExactTrend:
    """Spearman rank correlation between a setting and a value, and its exact p: the share of orders as extreme.

    Each setting is one observation, so few of them cannot say much: the least p of five, rising at every step, is 1/120
    one-sided. Checkpoints of one training run are no independent observations; p is then that of a random order.

    Args:
        series: Numbers, or results of :func:`srtoolkit.sharpness` or :func:`srtoolkit.motion`, by tokens of training,
            parameters, or loss. Of a result the median over pairs counts.
        of: The variable over ``pair`` of results to take.
        alternative: Which orders count as extreme, as scipy names them. ``"greater"`` is for a claim that was made
            beforehand and has a sign.

    Raises:
        ValueError: Fewer than three settings or more than nine, from where on scipy.stats.spearmanr is good enough;
            no such variable; or values that are all alike.
    """
    (alternative,) = check_names(alternative, ALTERNATIVES, "alternative")
    if not isinstance(series, Mapping) or isinstance(series, xr.Dataset) or not 3 <= len(series) <= 9:
        raise ValueError(
            f"an exact trend needs three to nine values by their settings, got {str(series)[:100]!r}; for more, "
            "scipy.stats.spearmanr has a good p."
        )
    places = rankdata([check_number(setting, "setting") for setting in series])
    values = [
        check_number(np.nanmedian(values_of(one, of)) if isinstance(one, xr.Dataset) else one, "value")
        for one in series.values()
    ]
    ranks, ways = rankdata(values), math.factorial(len(values))
    if np.ptp(ranks) == 0:
        raise ValueError(f"all {len(ranks)} values are {values[0]:g}, so they have no order.")

    def correlate(ranks: Any, axis: int = -1) -> Any:
        found = rank_correlation(np.moveaxis(ranks, axis, -1), np.broadcast_to(places, ranks.shape))
        return np.round(found, 9)  # so that orders that are as extreme count as such

    found = permutation_test(
        (ranks,), correlate, permutation_type="pairings", n_resamples=ways, vectorized=True, alternative=alternative
    )
    return ExactTrend(float(found.statistic), float(found.pvalue), len(ranks))
