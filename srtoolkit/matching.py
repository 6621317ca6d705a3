"""Matched sets: pairs of prompts that are alike in what is not in question, so that what is in question can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

#: Stands for "not allowed" among the costs of a match; the solver takes no infinity in every row.
_FORBIDDEN = 1e9


def match(
    first: xr.Dataset,
    second: xr.Dataset,
    within: Mapping[str, float],
    equal: Sequence[str] = (),
    relative: Sequence[str] = ("input_distance",),
) -> tuple[xr.Dataset, xr.Dataset]:
    """As many couples as can be made, each of one entry of ``first`` and one of ``second`` that are alike.

    No entry is used twice; of all ways to make the couples, one with the least total difference, in units of the
    widths allowed, is taken.

    Args:
        first: Anything over ``pair``, such as a part of a :func:`srtoolkit.sharpness` result.
        second: The same, of the pairs to compare with.
        within: By variable, the largest difference allowed within a couple.
        equal: Variables that must be the same.
        relative: Which of ``within`` are shares of the couple's mean, not differences.

    Returns:
        ``first`` and ``second`` cut down to the couples, in the same order.

    Raises:
        ValueError: A variable that either lacks, or no two entries that match.
    """
    missing = [name for name in (*within, *equal) if name not in first or name not in second]
    if missing:
        raise ValueError(f"cannot match on {missing}: not variables of both; there are {sorted(map(str, first))}.")
    cost = np.zeros((first.sizes["pair"], second.sizes["pair"]))
    for name, width in within.items():
        gap = _gap(first[name].values, second[name].values, name in relative) / width
        cost += np.where(gap <= 1, gap, _FORBIDDEN)
    for name in equal:
        cost[first[name].values[:, None] != second[name].values[None]] = _FORBIDDEN
    cost = np.nan_to_num(cost, nan=_FORBIDDEN)
    rows, columns = linear_sum_assignment(np.minimum(cost, _FORBIDDEN))
    good = cost[rows, columns] < _FORBIDDEN
    if not good.any():
        raise ValueError(
            f"none of {cost.shape[0]} and {cost.shape[1]} pairs match within {dict(within)} and equal {list(equal)}; "
            "allow wider differences."
        )
    return first.isel(pair=rows[good]), second.isel(pair=columns[good])


def _gap(a: np.ndarray, b: np.ndarray, relative: bool) -> Float[np.ndarray, "first second"]:
    difference = np.abs(a[:, None].astype(np.float64) - b[None])
    return difference / ((np.abs(a)[:, None] + np.abs(b)[None]) / 2) if relative else difference
