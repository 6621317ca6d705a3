"""What a jump is: the one definition, and how its threshold is found.

A **jump** is a run of steps in which an output moves faster than ``JUMP_SPEED`` along its own path (even motion has
speed 1), and which together cover at least ``JUMP_SHARE`` of that path. Two points of a path lie in the **same region**
where no jump lies between them; a path with J jumps goes through J + 1 regions.

Both thresholds were settled on models in which nothing learned is left, before any trained model was looked at with
them: see :data:`JUMP_SPEED`.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from srtoolkit.analysis.bootstrap import check_pairs
from srtoolkit.analysis.curves import READS, check_curves
from srtoolkit.validation import check_dataset, check_names, check_share, check_variable

#: A step is fast where the output moves faster than this along its own path; even motion has speed 1. Settled on nulls
#: alone: the value that 95% of paths' largest speeds stay below, of the worst of six permuted models, rounded up. Each
#: had 200 disjoint random pairs, 50 points, block 0, ``srt.null_model(model, "permuted", seed=0 | 1 | 2)``:
#: SmolLM2-135M 1.90, 1.75, 1.84; nano-1m 1.80, 1.95, 1.89 after the final norm, and less before it. SmolLM2's
#: ``"spectrum"`` and ``"gain"`` have 1.83 each. Of permuted paths at most 0.5% (SmolLM2) and 2.5% (nano-1m) hold a
#: jump. Fewer points flatten a jump a little: of 200 pairs of nano-1m, 47, 52, 54, 56 and 56% have one at 10, 25, 50,
#: 100 and 200 points, and of its permuted paths never more than 1.5%. So results of other numbers of points may stand
#: beside each other from 25 on; at 10, some jumps are missed.
JUMP_SPEED = 2.0

#: The same for next-token probabilities, which change less evenly in any model: SmolLM2-135M 3.14, 3.00, 3.02; nano-1m
#: 4.40, 5.20, 5.15 (``"spectrum"`` 3.25, ``"gain"`` 3.20). The smaller the model, the more; so calibrate for one's own.
JUMP_SPEED_PREDICTIONS = 5.2

#: Fast steps in a row are a jump where they cover at least this share of the length of the output's path; else they are
#: a ripple.
JUMP_SHARE = 0.1


def jump_speed_of(step: str) -> float:
    """The speed of a jump on a path that is measured in this variable.

    Args:
        step: Name of the distance from one point to the next, as ``READS`` and ``srtoolkit.analysis.motion`` have it.
    """
    return JUMP_SPEED_PREDICTIONS if step in ("step_hellinger", "step_jsd") else JUMP_SPEED


def speed_of(
    alphas: Float[np.ndarray, " alpha"], steps: Float[np.ndarray, "pair step"]
) -> Float[np.ndarray, "pair step"]:
    """Speed of each output along its own path, in units of its mean: even motion has 1.

    Args:
        alphas: Places of the points.
        steps: Distance of every point's output from that one point before, in any unit. A path of no finite length has
            speed 0.
    """
    with np.errstate(all="ignore"):
        speed = steps / steps.sum(axis=1, keepdims=True) / np.diff(alphas) * (alphas[-1] - alphas[0])
    return np.nan_to_num(speed, nan=0.0, posinf=0.0, neginf=0.0)


def jump_steps(
    alphas: Float[np.ndarray, " alpha"], steps: Float[np.ndarray, "pair step"], jump_speed: float = JUMP_SPEED
) -> Bool[np.ndarray, "pair step"]:
    """Which steps of each path belong to a jump; the others lie in a region.

    Args:
        alphas: Places of the points.
        steps: Distance of every point's output from that one point before, in any unit.
        jump_speed: The speed up to which a step lies in a region; ``JUMP_SPEED`` unless calibrated for a model.
    """
    speed = speed_of(alphas, steps)
    fast = speed > jump_speed
    # Runs are numbered over all pairs; none goes on from one pair to the next.
    run = starts(fast).ravel().cumsum()
    share = speed * np.diff(alphas) / (alphas[-1] - alphas[0])
    covered = np.bincount(run, weights=np.where(fast, share, 0.0).ravel(), minlength=1)
    return fast & (covered >= JUMP_SHARE)[run].reshape(fast.shape)


def starts(steps: Bool[np.ndarray, "pair step"]) -> Bool[np.ndarray, "pair step"]:
    """The first step of every run.

    Args:
        steps: Which steps belong to runs.
    """
    return steps & ~np.pad(steps, ((0, 0), (1, 0)))[:, :-1]


def count_jumps(jumps: Bool[np.ndarray, "pair step"]) -> Float[np.ndarray, " pair"]:
    """Number of separate jumps of each path.

    Args:
        jumps: From :func:`jump_steps`.
    """
    return starts(jumps).sum(axis=1).astype(float)


def steepest_jump(
    jumps: Bool[np.ndarray, "pair step"], steps: Float[np.ndarray, "pair step"]
) -> Int[np.ndarray, "pair 2"]:
    """First and last point of each path's jump with the longest step; meaningless where there is no jump.

    Args:
        jumps: From :func:`jump_steps`.
        steps: What it was given.
    """
    top = np.where(jumps, steps, -np.inf).argmax(axis=1)
    ends = np.empty((len(jumps), 2), dtype=np.int64)
    for pair, peak in enumerate(top):
        outside = np.flatnonzero(~jumps[pair])
        ends[pair] = (
            max(outside[outside < peak], default=-1) + 1,
            min(outside[outside > peak], default=jumps.shape[1]),
        )
    return ends


def calibrate_jump(null_curves: xr.Dataset, level: float = 0.95, reads: str = "final_norm") -> float:
    """The speed, without unit, that most paths of a null model stay below; what is faster is no accident of scale.

    ``JUMP_SPEED`` is this of packaged models. For a model of one's own, give it the curves of
    ``srt.null_model(model, "permuted", seed=...)``, and the result to ``srt.motion(curves, jump_speed=...)``.

    Args:
        null_curves: From :func:`srtoolkit.interpolate` or :func:`srtoolkit.motion`, of a model in which nothing learned
            is left, on prompts, block and steps like those to be judged.
        level: The share of the null's paths that stay below, between 0 and 1.
        reads: Which output of the curves, as :func:`srtoolkit.motion` takes it.

    Raises:
        TypeError: ``null_curves`` is no Dataset.
        ValueError: ``level`` is not between 0 and 1, it was not read there, or no path has a speed.
    """
    level, (reads,) = check_share(level, "level"), check_names(reads, READS, "reads")
    if isinstance(null_curves, xr.Dataset) and "peak" in null_curves.data_vars:
        peaks = check_variable(check_pairs(null_curves, (), "null_curves"), "peak", ("pair",), "of").values
    else:
        check_dataset(null_curves, (READS[reads][0],), "null_curves", f"srtoolkit.interpolate with reads={reads!r}")
        curves, steps = check_curves(null_curves, READS[reads][0], "null_curves")
        finite = np.isfinite(steps).all(axis=1) & (steps[:, 1:].sum(axis=1) > 0) & ~curves["degenerate"].values
        peaks = speed_of(curves["alpha"].values, steps[finite, 1:]).max(axis=1)
    peaks = peaks[np.isfinite(peaks)]
    if not len(peaks):
        raise ValueError(
            f"null_curves: none of its {null_curves.sizes.get('pair', 0)} paths has a speed; measure more pairs."
        )
    return float(np.quantile(peaks, level))
