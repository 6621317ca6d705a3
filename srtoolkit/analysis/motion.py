"""How an output moves along its own path: fast where it jumps, slow where it stays, whichever way one walks.

The largest slope of ``d(alpha) / d(1)`` looks at the distance from A alone, and is as large in a model whose weights
were shuffled. Motion needs no point of reference: its speed is that along the output's own path, over the length of
that path. A stable region is slow at both ends *and* fast between, and not so in a model of the same weights in another
order (:func:`srtoolkit.null_model`).
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float

from srtoolkit.analysis.sharpness import Curves, check_curves
from srtoolkit.validation import check_names, check_variable

#: Share of the path at either end over which its speed is averaged.
END = 0.1
#: Within this share of ``d(1)`` of an end's output, a point lies on that end's plateau.
NEAR = 0.1

#: The variables that motion is made of, by read point: the distance from the output one point before, from A's output,
#: and from that at alpha = 1.
READS = {
    "final_norm": ("step", "distance", "distance_b"),
    "resid": ("step_resid", "distance_resid", "distance_b_resid"),
    "logits": ("step_hellinger", "hellinger", "hellinger_b"),
}

_LONG_NAMES = {
    "peak": "largest speed of the output along its own path (even motion has 1)",
    "peak_at": "alpha of the largest speed",
    "calm_a": "mean speed in the first tenth of the path (even motion has 1)",
    "calm_b": "mean speed in the last tenth of the path (even motion has 1)",
    "winding": "length of the output's path over the distance of its ends (a straight way has 1)",
    "plateau_a": "share of the path within a tenth of d(1) of A's output",
    "plateau_b": "share of the path within a tenth of d(1) of the output at alpha = 1",
    "length": "length of the output's path, in the units of its distances",
}


def motion(curves: xr.Dataset, reads: str = "final_norm") -> xr.Dataset:
    """Speed of every pair's output along its own path, ``|dF / dalpha|`` over the path's length, without unit.

    Even motion has speed 1 everywhere. All values are the same from B to A in one context, with ends exchanged.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        reads: Which output: ``"final_norm"``, ``"resid"``, or ``"logits"`` for next-token probabilities, whose steps
            are Hellinger distances.

    Returns:
        A Dataset with dim ``pair``: ``peak`` (largest speed), ``peak_at`` (its alpha), ``calm_a`` and ``calm_b`` (mean
        speed in the first and last tenth of the path), ``winding`` (length over distance of the ends), ``plateau_a``
        and ``plateau_b`` (share of the path within a tenth of ``d(1)`` of that end's output), ``length``, and the flags
        ``degenerate``, ``non_finite``, ``excluded`` as :func:`srtoolkit.sharpness` gives them. Excluded pairs hold NaN.

    Raises:
        TypeError: ``curves`` is no Dataset.
        ValueError: ``curves`` was not read there, is of before steps were measured, or has no increasing alphas.
    """
    (reads,) = check_names(reads, READS, "reads")
    step_name, *end_names = READS[reads]
    curves, steps = check_curves(curves, step_name)
    ends = [check_variable(curves, name, ("pair", "alpha"), "reads").values.astype(np.float64) for name in end_names]
    alphas, steps = curves["alpha"].values.astype(np.float64), steps[:, 1:]
    length, apart = steps.sum(axis=1), ends[0][:, -1]
    finite = np.isfinite(length) & np.isfinite(ends).all(axis=(0, 2))
    degenerate = curves["degenerate"].values.astype(bool) | (finite & ((length <= 0) | (apart <= 0)))
    excluded = degenerate | ~finite
    length, apart = np.where(excluded, 1.0, length), np.where(excluded, 1.0, apart)
    speed = np.where(excluded[:, None], 0.0, steps) / np.diff(alphas) / length[:, None] * (alphas[-1] - alphas[0])
    steepest = speed.argmax(axis=1)
    found = {
        "peak": speed.max(axis=1),
        "peak_at": (alphas[steepest] + alphas[steepest + 1]) / 2,
        "calm_a": _mean_speed(alphas, speed, alphas[0], alphas[0] + END * (alphas[-1] - alphas[0])),
        "calm_b": _mean_speed(alphas, speed, alphas[-1] - END * (alphas[-1] - alphas[0]), alphas[-1]),
        "winding": length / apart,
        "plateau_a": _share_below(alphas, ends[0], NEAR * apart),
        "plateau_b": _share_below(alphas, ends[1], NEAR * apart),
        "length": length,
    }
    flags = {"degenerate": degenerate, "non_finite": ~finite & ~degenerate, "excluded": excluded}
    carried = [
        name for name, kept in curves.variables.items() if kept.dims and "alpha" not in kept.dims and name not in flags
    ]
    dataset = curves[carried].assign(
        {name: ("pair", np.where(excluded, np.nan, value)) for name, value in found.items()}
        | {name: ("pair", value) for name, value in flags.items()}
    )
    for name, long_name in _LONG_NAMES.items():
        dataset[name].attrs["long_name"] = long_name
    return dataset.assign_attrs(curves.attrs, motion_of=reads)


def _mean_speed(
    alphas: Float[np.ndarray, " alpha"], speed: Float[np.ndarray, "pair step"], low: float, high: float
) -> Float[np.ndarray, " pair"]:
    """Mean speed between two places, which may lie within steps."""
    inside = np.clip(np.minimum(alphas[1:], high) - np.maximum(alphas[:-1], low), 0, None)
    return speed @ inside / (high - low)


def _share_below(
    alphas: Float[np.ndarray, " alpha"], distance: Curves, limit: Float[np.ndarray, " pair"]
) -> Float[np.ndarray, " pair"]:
    """Share of the path on which a curve is below its limit, straight between points."""
    left, right = distance[:, :-1] - limit[:, None], distance[:, 1:] - limit[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        crossing = np.where(left != right, left / (left - right), 0.0)
    below = np.where(left <= 0, np.where(right <= 0, 1.0, crossing), np.where(right <= 0, 1 - crossing, 0.0))
    return np.nan_to_num(below) @ np.diff(alphas) / (alphas[-1] - alphas[0])
