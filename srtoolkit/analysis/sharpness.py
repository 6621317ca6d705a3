"""How sharp a curve is: the paper's maximum slope, and where and how widely the rise happens."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float

from srtoolkit.analysis import curves as of_curves
from srtoolkit.analysis.curves import Curves, check_curves, own_path
from srtoolkit.analysis.jumps import count_jumps, jump_speed_of, jump_steps

#: Within this share of ``d(1)`` of either end's output, a point lies on a plateau.
PLATEAU = 0.1

_LONG_NAMES = {
    "max_slope": "largest slope of the relative distance (a straight line has 1)",
    "jump_at": "alpha of the steepest step",
    "width_10_90": "alpha from 10% to 90% of the final distance (a straight line has 0.8)",
    "plateau_fraction": "share of the path within a tenth of d(1) of either end's output (a straight line has 0.2)",
    "jumps": "number of separate jumps",
}


def sharpness(curves: xr.Dataset, of: str = "relative_distance") -> xr.Dataset:
    """Sharpness of every pair's curve: ``max_slope`` is the paper's ``max d'(alpha) / d(1)``, without unit.

    Forward differences over the step in alpha, not smoothed; so it cannot exceed about ``steps - 1``, and grows a
    little with the number of steps. It is a fact about one curve, which looks from A: a model whose weights were
    shuffled has it too (:func:`srtoolkit.motion`).

    ``plateau_fraction`` and ``jumps`` are of the output itself, along its own path: the distances from both ends and
    from point to point that :func:`srtoolkit.interpolate` gives beside the curve. ``attrs["own_path"]`` names them.
    Where there are none, in a file of an older version or with a curve of one's own, the curve is taken for a place on
    a line, and ``attrs["own_path"]`` is its name.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        of: The curve to take; it is divided by its own value at alpha = 1.

    Returns:
        Dim ``pair``: ``max_slope``, ``jump_at`` (alpha of the curve's steepest step, be it a jump or not),
        ``width_10_90``, ``plateau_fraction`` (share of the path within a tenth of ``d(1)`` of A's output, or of that at
        alpha = 1), ``jumps`` (their number, as :mod:`srtoolkit.analysis.jumps` defines them), and the flags
        ``degenerate`` (the ends give the same output), ``non_finite`` (the curve, its slope or its output's path holds
        NaN or infinity), ``excluded`` (any, or ``rounded``), ``lengths_differ``. Excluded pairs hold NaN.

    Raises:
        TypeError: ``curves`` is no Dataset.
        ValueError: ``curves`` has no such variable over (pair, alpha), or no increasing alphas.
    """
    curves, values = check_curves(curves, of)
    alphas, path = curves["alpha"].values.astype(np.float64), own_path(curves, of)
    with np.errstate(all="ignore"):
        relative = values / values[:, -1:]
        finite = np.isfinite(relative).all(axis=1) & np.isfinite(_slopes(alphas, relative)).all(axis=1)
    if path.name != of:
        finite &= np.isfinite(path.steps).all(axis=1) & np.isfinite(path.from_b).all(axis=1)
    flags = of_curves.out_of(curves, curves["degenerate"].values.astype(bool), finite)
    relative = np.where(flags["excluded"].values[:, None], 0.0, relative)
    near_a, near_b = of_curves.plateaus(alphas, path, PLATEAU)
    on_plateaus = np.where(
        path.from_a[:, -1] > 0, near_a + near_b, near_a
    )  # no point is near both, unless both are one
    found = {
        "max_slope": max_slope(alphas, relative),
        "jump_at": jump_at(alphas, relative),
        "width_10_90": width_10_90(alphas, relative),
        "plateau_fraction": on_plateaus,
        "jumps": count_jumps(jump_steps(alphas, path.steps, jump_speed_of(path.name))),
    }
    return of_curves.of_pairs(curves, found, flags, _LONG_NAMES).assign_attrs(sharpness_of=of, own_path=path.name)


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
