"""Curves as numbers: checked, with the output's own path beside each, and back to Datasets with flags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from srtoolkit.analysis.uneven import filled
from srtoolkit.validation import check_dataset, check_variable

Curves = Float[np.ndarray, "pair alpha"]

#: Read points of single blocks: the stream after one, or what its attention or MLP adds; without a number, the last's.
OF_A_BLOCK = re.compile(r"(resid|attn|mlp)(\.[0-9]{1,6})?")


def suffix_of(read: str) -> str:
    """What the names of a vector's measures end in, by where it is read: ``"_mlp_3"`` for ``"mlp.3"``.

    Args:
        read: The read point; after the final norm, names end in nothing.
    """
    return "" if read == "final_norm" else f"_{read.replace('.', '_')}"


def names_of(read: str) -> tuple[str, str, str]:
    """The variables that an output's own path is made of.

    They are the distance from the output one point before, from A's output, and from that at alpha = 1.

    Args:
        read: The read point.
    """
    if read == "logits":
        return "step_hellinger", "hellinger", "hellinger_b"
    suffix = suffix_of(read)
    return f"step{suffix}", f"distance{suffix}", f"distance_b{suffix}"


#: Those variables at the read points of every measure.
READS = {read: names_of(read) for read in ("final_norm", "resid", "logits")}

#: Curves of predictions.
PREDICTIONS = ("hellinger", "kl", "jsd", "logit_difference")


class OwnPath(NamedTuple):
    """The path of an output, as distances between its points; all in one unit.

    Attributes:
        steps: From each point to the next.
        from_a: From A's output.
        from_b: From the output at alpha = 1.
        name: The variable whose values ``steps`` are, or the curve that was taken in its place.
    """

    steps: Float[np.ndarray, "pair step"]
    from_a: Curves
    from_b: Curves
    name: str


def check_curves(curves: xr.Dataset, of: str, what: str = "curves") -> tuple[xr.Dataset, Curves]:
    """``curves`` without gaps (:mod:`srtoolkit.analysis.uneven`), and one of its curves as numbers.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        of: The curve to take.
        what: The argument's name, for the message.

    Raises:
        TypeError: ``curves`` is no Dataset.
        ValueError: It has no such variable over (pair, alpha), no flags, or no increasing alphas.
    """
    check_alphas(curves, what)
    curves = filled(curves)
    return curves, check_variable(curves, of, ("pair", "alpha"), "of").values.astype(np.float64)


def check_alphas(curves: xr.Dataset, what: str = "curves") -> Float[np.ndarray, " alpha"]:
    """Places of the points of curves, after a check that these are curves, with flags.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        what: The argument's name, for the message.

    Raises:
        TypeError: ``curves`` is no Dataset.
        ValueError: It has no flags, or no increasing alphas.
    """
    alphas = check_dataset(curves, ("alpha", "degenerate"), what, "srtoolkit.interpolate")["alpha"].values
    if alphas.ndim != 1 or len(alphas) < 2 or alphas.dtype.kind not in "iuf" or not (np.diff(alphas) > 0).all():
        raise ValueError(
            f"{what}: alpha is {str(alphas.tolist())[:50]}…; a curve needs two or more places in increasing order, as "
            "srtoolkit.interpolate gives them."
        )
    return alphas.astype(np.float64)


def own_path(curves: xr.Dataset, of: str = "relative_distance") -> OwnPath:
    """The path of the output that a curve was read off, as distances between its points.

    ``relative_distance`` has ``step``, ``distance`` and ``distance_b`` beside it; ``kl``, ``jsd`` and
    ``logit_difference`` have the Hellinger distances of the same predictions. Where the Dataset holds no such variables
    (one of an older version, or a curve of one's own), the curve is taken for a place on a line.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        of: The curve whose output is meant.

    Raises:
        TypeError: ``curves`` is no Dataset.
        ValueError: It has no such variable over (pair, alpha), no flags, or no increasing alphas.
    """
    curves, values = check_curves(curves, of)
    names = _names_beside(of)
    if names and all(name in curves and curves[name].dims == ("pair", "alpha") for name in names):
        steps, from_a, from_b = (curves[name].values.astype(np.float64) for name in names)
        return OwnPath(steps[:, 1:], from_a, from_b, names[0])
    with np.errstate(all="ignore"):
        places = values / values[:, -1:]
        return OwnPath(np.abs(np.diff(places)), np.abs(places - places[:, :1]), np.abs(places - places[:, -1:]), of)


def _names_beside(of: str) -> tuple[str, ...]:
    """The variables of the output's own path that lie beside a curve, where it is one of these measures'."""
    if of in PREDICTIONS:
        return READS["logits"]
    kind, found, suffix = of.removeprefix("relative_").partition("distance")
    return () if kind or not found else (f"step{suffix}", f"distance{suffix}", f"distance_b{suffix}")


def plateaus(
    alphas: Float[np.ndarray, " alpha"], path: OwnPath, near: float
) -> tuple[Float[np.ndarray, " pair"], Float[np.ndarray, " pair"]]:
    """Shares of each path on which the output is near A's, and near that at alpha = 1; straight between points.

    Args:
        alphas: Places of the points.
        path: Distances between the outputs.
        near: What is near, as a share of the distance of the path's ends.
    """
    with np.errstate(invalid="ignore"):
        limit = near * path.from_a[:, -1:]
        return _share_below(alphas, path.from_a - limit), _share_below(alphas, path.from_b - limit)


def _share_below(alphas: Float[np.ndarray, " alpha"], height: Curves) -> Float[np.ndarray, " pair"]:
    """Share of the path on which a curve is at or below 0, straight between points."""
    left, right = height[:, :-1], height[:, 1:]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        crossing = np.where(left != right, left / (left - right), 0.0)
    below = np.where(left <= 0, np.where(right <= 0, 1.0, crossing), np.where(right <= 0, 1 - crossing, 0.0))
    return np.nan_to_num(below) @ np.diff(alphas) / (alphas[-1] - alphas[0])


def out_of(curves: xr.Dataset, degenerate: Bool[np.ndarray, " pair"], finite: Bool[np.ndarray, " pair"]) -> xr.Dataset:
    """Flags of the pairs that a measure leaves out, in variables over ``pair``.

    Args:
        curves: What was measured; its ``rounded`` pairs, whose steps the number format may have made, are left out.
        degenerate: Pairs whose ends give the same output.
        finite: Pairs whose numbers are all finite.
    """
    rounded = curves["rounded"].values.astype(bool) if "rounded" in curves else np.zeros(len(finite), dtype=bool)
    flags = {"degenerate": degenerate, "non_finite": ~finite & ~degenerate, "excluded": degenerate | ~finite | rounded}
    return xr.Dataset({name: ("pair", flag) for name, flag in flags.items()})


def of_pairs(
    curves: xr.Dataset, found: Mapping[str, Float[np.ndarray, " pair"]], flags: xr.Dataset, names: Mapping[str, str]
) -> xr.Dataset:
    """Measures of every pair as a Dataset, with flags and all that ``curves`` knows of the pairs.

    Args:
        curves: What was measured.
        found: The measures by name; pairs that are left out get NaN.
        flags: From :func:`out_of`.
        names: What each measure is, in words.
    """
    excluded = flags["excluded"].values
    carried = [
        name for name, kept in curves.variables.items() if kept.dims and "alpha" not in kept.dims and name not in flags
    ]
    dataset = curves[carried].assign(
        {
            name: ("pair", np.where(excluded, np.nan, values), {"long_name": names[name]})
            for name, values in found.items()
        }
        | {str(name): ("pair", flag.values) for name, flag in flags.items()}
    )
    return dataset.assign_attrs(curves.attrs)
