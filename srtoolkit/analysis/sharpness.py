"""How sharp a curve is: the paper's maximum slope, and where and how widely the jump happens."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from srtoolkit.validation import check_dataset, check_variable

#: A jump is a run of steps steeper than this many times the straight line...
JUMP_SLOPE = 2.0
#: ...that together climb at least this share of the whole.
JUMP_RISE = 0.1
#: Within this distance of either end's output, in units of ``d(1)``, a point lies on a plateau.
PLATEAU = 0.1

Curves = Float[np.ndarray, "pair alpha"]

_LONG_NAMES = {
    "max_slope": "largest slope of the relative distance (a straight line has 1)",
    "jump_at": "alpha of the steepest step",
    "width_10_90": "alpha from 10% to 90% of the final distance (a straight line has 0.8)",
    "plateau_fraction": "share of the path within 0.1 of either end's output (a straight line has 0.2)",
    "jumps": "number of separate jumps",
}


def sharpness(curves: xr.Dataset, of: str = "relative_distance") -> xr.Dataset:
    """Sharpness of every pair's curve: ``max_slope`` is the paper's ``max d'(alpha) / d(1)``, without unit.

    Forward differences over the step in alpha, not smoothed; so it cannot exceed about ``steps - 1``, and grows a
    little with the number of steps.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        of: The curve to take; it is divided by its own value at alpha = 1.

    Returns:
        Dim ``pair``: ``max_slope``, ``jump_at``, ``width_10_90``, ``plateau_fraction``, ``jumps``, and the flags
        ``degenerate`` (the ends give the same output), ``non_finite`` (the curve or its slope holds NaN or infinity),
        ``excluded`` (either), ``lengths_differ``. Excluded pairs hold NaN.

    Raises:
        TypeError: ``curves`` is no Dataset.
        ValueError: ``curves`` has no such variable over (pair, alpha), or no increasing alphas.
    """
    curves, values = check_curves(curves, of)
    alphas = curves["alpha"].values
    with np.errstate(all="ignore"):
        relative = values / values[:, -1:]
        finite = np.isfinite(relative).all(axis=1) & np.isfinite(_slopes(alphas, relative)).all(axis=1)
    degenerate = curves["degenerate"].values.astype(bool)
    non_finite = ~finite & ~degenerate
    excluded = degenerate | non_finite
    relative = np.where(excluded[:, None], 0.0, relative)
    found = {
        "max_slope": max_slope(alphas, relative),
        "jump_at": jump_at(alphas, relative),
        "width_10_90": width_10_90(alphas, relative),
        "plateau_fraction": plateau_fraction(alphas, relative),
        "jumps": count_jumps(alphas, relative),
    }
    flags = {"degenerate": degenerate, "non_finite": non_finite, "excluded": excluded}
    carried = [
        name for name, kept in curves.variables.items() if kept.dims and "alpha" not in kept.dims and name not in flags
    ]
    dataset = curves[carried].assign(
        {name: ("pair", np.where(excluded, np.nan, value)) for name, value in found.items()}
        | {name: ("pair", value) for name, value in flags.items()}
    )
    for name, long_name in _LONG_NAMES.items():
        dataset[name].attrs["long_name"] = long_name
    return dataset.assign_attrs(curves.attrs, sharpness_of=of)


def check_curves(curves: xr.Dataset, of: str, what: str = "curves") -> tuple[xr.Dataset, Curves]:
    """``curves``, and one of its curves as numbers.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        of: The curve to take.
        what: The argument's name, for the message.

    Raises:
        TypeError: ``curves`` is no Dataset.
        ValueError: It has no such variable over (pair, alpha), no flags, or no increasing alphas.
    """
    check_dataset(curves, ("alpha", "degenerate"), what, "srtoolkit.interpolate")
    values = check_variable(curves, of, ("pair", "alpha"), "of").values.astype(np.float64)
    alphas = curves["alpha"].values
    if len(alphas) < 2 or alphas.dtype.kind not in "iuf" or not (np.diff(alphas) > 0).all():
        raise ValueError(
            f"{what}: alpha is {alphas.tolist()[:5]}…; a curve needs two or more places in increasing order, as "
            "srtoolkit.interpolate gives them."
        )
    return curves, values


def max_slope(alphas: Float[np.ndarray, " alpha"], relative: Curves) -> Float[np.ndarray, " pair"]:
    """Largest forward difference of each curve, per unit of alpha."""
    return np.max(_slopes(alphas, relative), axis=1)


def jump_at(alphas: Float[np.ndarray, " alpha"], relative: Curves) -> Float[np.ndarray, " pair"]:
    """Alpha in the middle of each curve's steepest step."""
    steepest = np.argmax(np.nan_to_num(_slopes(alphas, relative), nan=-np.inf), axis=1)
    return (alphas[steepest] + alphas[steepest + 1]) / 2


def width_10_90(alphas: Float[np.ndarray, " alpha"], relative: Curves) -> Float[np.ndarray, " pair"]:
    """Alpha between the first crossings of 0.1 and 0.9, interpolated between steps."""
    return _first_crossing(alphas, relative, 0.9) - _first_crossing(alphas, relative, 0.1)


def plateau_fraction(alphas: Float[np.ndarray, " alpha"], relative: Curves) -> Float[np.ndarray, " pair"]:
    """Share of the path whose output lies within ``PLATEAU`` of either end's, in units of the distance between them."""
    near = (np.abs(relative) < PLATEAU) | (np.abs(relative - 1) < PLATEAU)
    weights = np.gradient(alphas)
    weights[[0, -1]] /= 2
    return near @ weights / weights.sum()


def count_jumps(alphas: Float[np.ndarray, " alpha"], relative: Curves) -> Float[np.ndarray, " pair"]:
    """Number of runs of steps steeper than ``JUMP_SLOPE`` that climb at least ``JUMP_RISE`` each."""
    return _starts(jump_steps(alphas, relative)).sum(axis=1).astype(float)


def jump_steps(alphas: Float[np.ndarray, " alpha"], relative: Curves) -> Bool[np.ndarray, "pair step"]:
    """Which steps of each curve belong to a jump; the others lie in a region.

    A jump is a run of steps steeper than ``JUMP_SLOPE`` that together climb at least ``JUMP_RISE``.
    """
    rises, steep = np.diff(relative, axis=1), _slopes(alphas, relative) > JUMP_SLOPE
    run = np.cumsum(_starts(steep), axis=1)
    jumps = np.zeros_like(steep)
    for pair in range(len(relative)):
        climbed = np.bincount(run[pair][steep[pair]], weights=rises[pair][steep[pair]], minlength=1)
        jumps[pair] = steep[pair] & (climbed >= JUMP_RISE)[np.minimum(run[pair], len(climbed) - 1)]
    return jumps


def _starts(steps: Bool[np.ndarray, "pair step"]) -> Bool[np.ndarray, "pair step"]:
    """The first step of every run."""
    return steps & ~np.pad(steps, ((0, 0), (1, 0)))[:, :-1]


def _slopes(alphas: Float[np.ndarray, " alpha"], relative: Curves) -> Float[np.ndarray, "pair step"]:
    return np.diff(relative, axis=1) / np.diff(alphas)


def _first_crossing(alphas: Float[np.ndarray, " alpha"], relative: Curves, level: float) -> Float[np.ndarray, " pair"]:
    """Alpha at which each curve first reaches ``level``; NaN for a curve that never does."""
    above = relative >= level
    after = np.argmax(above, axis=1)
    before, rows = np.maximum(after - 1, 0), np.arange(len(relative))
    low, high = relative[rows, before], relative[rows, after]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(after > 0, (level - low) / (high - low), 0.0)
    return np.where(above.any(axis=1), alphas[before] + share * (alphas[after] - alphas[before]), np.nan)
