"""Matched sets: pairs of prompts that are alike in what is not in question, so that what is in question can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from srtoolkit.validation import check_dataset, check_number, check_variable, listed

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
        ``first`` and ``second`` cut down to the couples, in the same order, which ``couple`` numbers. Matching changes
        what is asked: it is now about pairs that have a partner. :func:`srtoolkit.balance` says how many do not, and
        how alike the couples' two sides are.

    Raises:
        TypeError: ``first`` or ``second`` is no Dataset.
        ValueError: A variable that either lacks, a width that is negative, or no two entries that match.
    """
    equal, relative = ((names,) if isinstance(names, str) else tuple(names) for names in (equal, relative))
    widths = _check(first, second, within, equal)
    cost = np.zeros((first.sizes["pair"], second.sizes["pair"]))
    for name, width in widths.items():
        a, b = (part[name].values.astype(np.float64) for part in (first, second))
        gap = _gap(a, b, name in relative)
        with np.errstate(invalid="ignore"):
            cost += np.where(gap <= width, gap / (width or 1.0), _FORBIDDEN)  # a gap that is not a number is forbidden
    for name in equal:
        cost[first[name].values[:, None] != second[name].values[None]] = _FORBIDDEN
    rows, columns = linear_sum_assignment(np.minimum(cost, _FORBIDDEN))
    good = cost[rows, columns] < _FORBIDDEN
    if not good.any():
        raise ValueError(
            f"none of {cost.shape[0]} and {cost.shape[1]} pairs match within {dict(within)} and equal {list(equal)}; "
            "allow wider differences."
        )
    couple = ("pair", np.arange(good.sum()), {"long_name": "number of the couple"})
    return (
        first.isel(pair=rows[good]).assign_coords(couple=couple),
        second.isel(pair=columns[good]).assign_coords(couple=couple),
    )


def balance(
    first: xr.Dataset,
    second: xr.Dataset,
    matched: tuple[xr.Dataset, xr.Dataset],
    of: str | Sequence[str] = "input_distance",
) -> pd.DataFrame:
    """How alike two sets of pairs are before and after a match: means, in the variables' units, and their differences.

    A standardised difference is that of the means over the root of the mean variance of ``first`` and ``second``, after
    the match as before it (Stuart 2010, Statistical Science 25(1)); below 0.1 in size is commonly called balanced.

    Args:
        first: As given to :func:`srtoolkit.match`.
        second: As given to :func:`srtoolkit.match`.
        matched: What the match returned.
        of: The variables over ``pair`` to compare, one name or several; also such as were not matched on.

    Returns:
        A row for each variable and ``"before"`` and ``"after"``: ``mean_first``, ``mean_second``, ``difference``
        (standardised, without unit), ``n_first`` and ``n_second`` (pairs), ``left_out_first`` and ``left_out_second``
        (pairs without a partner).

    Raises:
        TypeError: Something that is no Dataset.
        ValueError: A variable that one of them lacks.
    """
    names = [of] if isinstance(of, str) else listed(of)
    parts = listed(matched) or []
    if not names or len(parts) != 2:
        raise ValueError(
            f"of={of!r}, matched of {len(parts)}: expected names of variables, and the two that match gave."
        )
    rows = {}
    for name in names:
        before, after = (
            [
                check_variable(check_dataset(part, (), what, "srtoolkit.sharpness"), name, ("pair",), "of").astype(
                    float
                )
                for part, what in zip(two, ("first", "second"), strict=True)
            ]
            for two in ((first, second), parts)
        )
        scale = float(np.sqrt(np.mean([part.var(ddof=1) for part in before]))) if min(map(len, before)) > 1 else np.nan
        for when, two in (("before", before), ("after", after)):
            rows[name, when] = _row(
                two, scale, [len(whole) - len(part) for whole, part in zip(before, two, strict=True)]
            )
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["variable", "match"])


def _row(two: list[xr.DataArray], scale: float, left_out: list[int]) -> dict[str, float]:
    """One row of a table of balance."""
    one, other = (float(part.mean()) for part in two)
    return {
        "mean_first": one,
        "mean_second": other,
        "difference": 0.0 if one == other else float(np.float64(one - other) / scale) if scale else np.inf,
        "n_first": len(two[0]),
        "n_second": len(two[1]),
        "left_out_first": left_out[0],
        "left_out_second": left_out[1],
    }


def _check(
    first: xr.Dataset, second: xr.Dataset, within: Mapping[str, float], equal: Sequence[str]
) -> dict[str, float]:
    """The widths; refuses what there is nothing to match on."""
    if not isinstance(within, Mapping) or isinstance(within, xr.Dataset):  # which counts as a mapping, too
        raise TypeError(f"within: expected the width by variable, such as {{'input_distance': 0.05}}, got {within!r}.")
    for part, what in ((first, "first"), (second, "second")):
        check_dataset(part, (), what, "srtoolkit.sharpness")
    names = (*within, *equal)
    missing = [
        name for name in names if any(name not in part or part[name].dims != ("pair",) for part in (first, second))
    ]
    if missing or "pair" not in first.dims or "pair" not in second.dims:
        raise ValueError(
            f"cannot match on {missing}: not variables over pair of both; there are {sorted(map(str, first))}."
        )
    for part in (first, second):
        for name in within:
            check_variable(part, name, ("pair",), "within")
    return {name: check_number(width, f"within[{name!r}]", 0.0) for name, width in within.items()}


def _gap(
    a: Float[np.ndarray, " pair"], b: Float[np.ndarray, " other"], relative: bool
) -> Float[np.ndarray, "pair other"]:
    """Difference, or its share of the mean; 0 between two zeros."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        difference = np.abs(a[:, None] - b[None])
        share = difference / ((np.abs(a)[:, None] + np.abs(b)[None]) / 2) if relative else difference
    return np.where(difference == 0, 0.0, share)
