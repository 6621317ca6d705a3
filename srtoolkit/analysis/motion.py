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

from srtoolkit.analysis import curves as of_curves
from srtoolkit.analysis.curves import OwnPath, check_alphas, check_curves
from srtoolkit.analysis.jumps import JUMP_SPEED, count_jumps, jump_speed_of, jump_steps, speed_of
from srtoolkit.validation import check_names, check_number, check_variable

#: Share of the path at either end over which its speed is averaged.
END = 0.1
#: Within this share of ``d(1)`` of an end's output, a point lies on that end's plateau.
NEAR = 0.1

#: Straight lines whose direction can move, by the variables that say where they are: the L2 norms of both ends, and the
#: cosine between them.
CHORDS = {
    "input_chord": ("norm_a", "norm_b", "cosine"),
    "output_chord": ("output_norm", "output_norm_b", "output_cosine"),
    "output_chord_resid": ("output_norm_resid", "output_norm_b_resid", "output_cosine_resid"),
}

#: What may be the distance of two predictions; the variables of ``"jsd"`` hold its square but for the first.
LENGTHS = {"hellinger": of_curves.READS["logits"], "jsd": ("step_jsd", "jsd", "jsd_b")}

_LONG_NAMES = {
    "peak": "largest speed of the output along its own path (even motion has 1)",
    "peak_at": "alpha of the largest speed",
    "calm_a": "mean speed in the first tenth of the path (even motion has 1)",
    "calm_b": "mean speed in the last tenth of the path (even motion has 1)",
    "winding": "length of the output's path over the distance of its ends (a straight way has 1)",
    "plateau_a": "share of the path within a tenth of d(1) of A's output",
    "plateau_b": "share of the path within a tenth of d(1) of the output at alpha = 1",
    "length": "length of the output's path, in the units of its distances",
    "jumps": "number of separate jumps",
}


def motion(
    curves: xr.Dataset, reads: str = "final_norm", length: str = "hellinger", *, jump_speed: float | None = None
) -> xr.Dataset:
    """Speed of every pair's output along its own path, ``|dF / dalpha|`` over the path's length, without unit.

    Even motion has speed 1 everywhere. All values are the same from B to A in one context, with ends exchanged.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        reads: Which output: ``"final_norm"``, ``"resid"``, ``"logits"`` for next-token probabilities, or one of a
            single block, such as ``"mlp.7"``, that the curves were read at. What a straight line would do under a norm
            is ``"input_chord"``, the *direction* of the line from A to B, and ``"output_chord"`` or
            ``"output_chord_resid"``, that of the line between the outputs of both ends.
        length: For ``"logits"``: the distance of two predictions, ``"hellinger"``, or ``"jsd"`` for the square root of
            the Jensen-Shannon divergence.
        jump_speed: Speed above which a step is fast, best from :func:`srtoolkit.calibrate_jump`; ``None`` is
            ``JUMP_SPEED`` (2.0), and for ``"logits"`` ``JUMP_SPEED_PREDICTIONS`` (5.2), both settled on 50 points. At
            10 points an eighth of the jumps is missed.

    Returns:
        A Dataset with dim ``pair``: ``peak`` (largest speed), ``peak_at`` (its alpha), ``calm_a`` and ``calm_b`` (mean
        speed in the first and last tenth of the path), ``winding`` (length over distance of the ends), ``plateau_a``
        and ``plateau_b`` (share of the path within a tenth of ``d(1)`` of that end's output), ``length``, ``jumps``
        (their number, as :mod:`srtoolkit.analysis.jumps` defines them), ``same_region`` (no jump; so is a pair whose
        ends give the same output), and the flags ``degenerate``, ``non_finite``, ``excluded`` as
        :func:`srtoolkit.sharpness` gives them. Excluded pairs hold NaN.

    Raises:
        TypeError: ``curves`` is no Dataset.
        ValueError: ``curves`` was not read there, is of before steps were measured, or has no increasing alphas; or a
            setting is not known.
    """
    curves, path, jump_speed = _read(curves, reads, length, jump_speed)
    alphas = curves["alpha"].values.astype(np.float64)
    total, apart = path.steps.sum(axis=1), path.from_a[:, -1]
    finite = np.isfinite(total) & np.isfinite(path.from_a).all(axis=1) & np.isfinite(path.from_b).all(axis=1)
    still = finite & ((total <= 0) | (apart <= 0))
    flags = of_curves.out_of(curves, curves["degenerate"].values.astype(bool) | still, finite)
    kept = ~flags["excluded"].values
    speed = np.where(kept[:, None], speed_of(alphas, path.steps), 0.0)
    steepest, jumps = speed.argmax(axis=1), count_jumps(jump_steps(alphas, path.steps, jump_speed))
    plateau_a, plateau_b = of_curves.plateaus(alphas, path, NEAR)
    tenth = END * (alphas[-1] - alphas[0])
    found = {
        "peak": speed.max(axis=1),
        "peak_at": (alphas[steepest] + alphas[steepest + 1]) / 2,
        "calm_a": _mean_speed(alphas, speed, alphas[0], alphas[0] + tenth),
        "calm_b": _mean_speed(alphas, speed, alphas[-1] - tenth, alphas[-1]),
        "winding": total / np.where(kept, apart, 1.0),
        "plateau_a": plateau_a,
        "plateau_b": plateau_b,
        "length": total,
        "jumps": jumps,
    }
    dataset = of_curves.of_pairs(curves, found, flags, _LONG_NAMES)
    same = flags["degenerate"].values | (kept & (jumps == 0))
    dataset["same_region"] = "pair", same, {"long_name": "whether no jump lies between A and B"}
    settings = {"motion_of": reads, "jump_speed": jump_speed} | ({"length": length} if reads == "logits" else {})
    return dataset.assign_attrs(settings)


def _read(curves: xr.Dataset, reads: str, length: str, jump_speed: float | None) -> tuple[xr.Dataset, OwnPath, float]:
    """The curves, the path that is meant, and the speed of a jump on it, all checked."""
    of_a_block = [reads] if isinstance(reads, str) and of_curves.OF_A_BLOCK.fullmatch(reads) else []
    known = dict.fromkeys((*of_curves.READS, *CHORDS, *of_a_block))
    (reads,), (length,) = check_names(reads, known, "reads"), check_names(length, LENGTHS, "length")
    if length != "hellinger" and reads != "logits":
        raise ValueError(f"length={length!r} is a distance of predictions, and reads={reads!r} has none; leave it out.")
    fastest = None if jump_speed is None else check_number(jump_speed, "jump_speed", 1.0)
    if reads in CHORDS:
        alphas, names = check_alphas(curves), CHORDS[reads]
        norm_a, norm_b, cosine = (
            check_variable(curves, name, ("pair",), "reads").values.astype(np.float64) for name in names
        )
        path = _chord(alphas, norm_a, norm_b, cosine, reads)
        return curves, path, JUMP_SPEED if fastest is None else fastest
    step, from_a, from_b = LENGTHS[length] if reads == "logits" else of_curves.names_of(reads)
    curves, steps = check_curves(curves, step)
    a, b = (
        check_variable(curves, end, ("pair", "alpha"), "reads").values.astype(np.float64) for end in (from_a, from_b)
    )
    if length == "jsd":
        a, b = np.sqrt(a.clip(0)), np.sqrt(b.clip(0))
    return curves, OwnPath(steps[:, 1:], a, b, step), jump_speed_of(step) if fastest is None else fastest


def _chord(
    alphas: Float[np.ndarray, " alpha"],
    norm_a: Float[np.ndarray, " pair"],
    norm_b: Float[np.ndarray, " pair"],
    cosine: Float[np.ndarray, " pair"],
    name: str,
) -> OwnPath:
    """The way of the direction of ``(1 - alpha) A + alpha B`` over the unit circle in the plane of A and B."""
    sine = np.sqrt((1 - cosine**2).clip(0))
    share = (alphas - alphas[0]) / (alphas[-1] - alphas[0])
    along = (1 - share) * norm_a[:, None] + share * (norm_b * cosine)[:, None]
    across = share * (norm_b * sine)[:, None]
    with np.errstate(all="ignore"):
        unit = np.stack([along, across], axis=-1) / np.hypot(along, across)[..., None]  # NaN where the line meets 0
    return OwnPath(
        np.linalg.norm(np.diff(unit, axis=1), axis=-1),
        np.linalg.norm(unit - unit[:, :1], axis=-1),
        np.linalg.norm(unit - unit[:, -1:], axis=-1),
        name,
    )


def _mean_speed(
    alphas: Float[np.ndarray, " alpha"], speed: Float[np.ndarray, "pair step"], low: float, high: float
) -> Float[np.ndarray, " pair"]:
    """Mean speed between two places, which may lie within steps."""
    inside = np.clip(np.minimum(alphas[1:], high) - np.maximum(alphas[:-1], low), 0, None)
    return speed @ inside / (high - low)
