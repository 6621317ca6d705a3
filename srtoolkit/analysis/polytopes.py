"""Polytope boundaries beside region boundaries: how many lie within stable regions, how many where the output jumps."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int, Shaped

from srtoolkit.analysis.curves import OwnPath, out_of, own_path
from srtoolkit.analysis.jumps import count_jumps, jump_speed_of, jump_steps, speed_of
from srtoolkit.analysis.ranks import rank_correlation
from srtoolkit.validation import check_dataset, check_number

_CARRIED = ("text_a", "text_b", "prompt_a", "prompt_b", "lengths_differ", "gates")

_LONG_NAMES = {
    "flips": "gates that change sign along the path",
    "flips_in_jumps": "gates that change sign in a jump of the output",
    "flips_in_regions": "gates that change sign within a stable region",
    "regions": "stable regions on the path",
    "flips_per_region": "polytope boundaries within a stable region",
    "share_no_boundary": "share of polytope boundaries that cannot be a region boundary of their own",
    "share_in_regions": "share of polytope boundaries outside any jump",
    "density_ratio": "polytope boundaries per unit of alpha, in jumps over outside",
    "density_ratio_elsewhere": "the same with the jumps of another pair",
    "follows_slope": "Spearman correlation over steps of gate flips and the output's speed",
    "follows_slope_elsewhere": "the same with the speed of another pair's output",
}


def polytopes_by_region(flips: xr.Dataset, curves: xr.Dataset, of: str = "relative_distance") -> xr.Dataset:
    """Polytope boundaries per stable region, in gate flips: how many lie within regions and how many in the jumps.

    A path with J jumps (:mod:`srtoolkit.analysis.jumps`) runs through J + 1 regions. Each gate's change of sign in each
    step is a polytope boundary. It is a region boundary at most if it lies in a jump.

    Args:
        flips: From :func:`count_gate_flips`; ``flips.sel(block=[…])`` for some blocks only.
        curves: From :func:`srtoolkit.interpolate`, on the same pairs and steps. Curves of *another* model ask where
            that one's jumps lie among these gates.
        of: The curve whose output's jumps are taken, along its own path as :func:`srtoolkit.sharpness` has it.

    Returns:
        Dims ``pair``, ``block``: ``flips``, ``flips_in_jumps``, ``flips_in_regions``. Dim ``pair``, all blocks
        together: ``regions``; ``flips_per_region`` (those within regions, over regions); ``share_no_boundary``, 1 -
        J / flips; ``share_in_regions`` of flips; ``density_ratio``, flips per unit of alpha inside jumps over outside,
        and ``density_ratio_elsewhere``, the same with the jumps of another pair; ``follows_slope``, Spearman
        correlation over steps of flips and the output's speed, and ``follows_slope_elsewhere``, the same with another
        pair's speed. NaN where there is no jump, no flip or an ``excluded``
        pair; those whose gates are ``non_finite`` are excluded, and their flips -1. For :func:`srtoolkit.summarise`.

    Raises:
        ValueError: Not the same pairs, steps, path or patched block.
    """
    excluded, undefined, path = _check_same_paths(flips, curves, of)
    alphas, steps = flips["alpha"].values, flips["flips"].transpose("pair", "alpha", "block").values[:, 1:]
    speed = np.where(excluded[:, None], np.nan, speed_of(alphas, path.steps))
    jumps = jump_steps(alphas, path.steps, jump_speed_of(path.name)) & ~excluded[:, None]
    regions = 1 + count_jumps(jumps)
    within = (steps * jumps[:, :, None]).sum(axis=1)
    by_block = {"flips": steps.sum(axis=1), "flips_in_jumps": within, "flips_in_regions": steps.sum(axis=1) - within}
    by_block = {name: np.where(undefined[:, None], -1, values) for name, values in by_block.items()}
    total = steps.sum(axis=-1)
    count, outside = total.sum(axis=1), (total * ~jumps).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "regions": regions,
            "flips_per_region": outside / regions,
            "share_no_boundary": np.where(count > 0, 1 - (regions - 1) / count, np.nan),
            "share_in_regions": outside / count,
            "density_ratio": _density_ratio(alphas, total, jumps),
            "density_ratio_elsewhere": _density_ratio(alphas, total, _elsewhere(jumps, False)),
            "follows_slope": rank_correlation(total, speed),
            "follows_slope_elsewhere": rank_correlation(total, _elsewhere(speed, np.nan)),
        }
    carried = [name for name in _CARRIED if name in flips.variables]
    dataset = flips[carried].assign(
        {name: (("pair", "block"), values) for name, values in by_block.items()}
        | {name: (("pair",), np.where(excluded, np.nan, values)) for name, values in found.items()}
        | {"excluded": (("pair",), excluded)}
    )
    for name, long_name in _LONG_NAMES.items():
        dataset[name].attrs["long_name"] = long_name
    return dataset.assign_attrs(flips.attrs, jumps_of=of, jumps_of_model=curves.attrs.get("model", ""))


def around_jumps(
    flips: xr.Dataset,
    curves: xr.Dataset,
    of: str = "relative_distance",
    reach: float = 0.4,
    elsewhere: bool = False,
) -> xr.Dataset:
    """Gate flips and speed around each path's fastest step, both in units of their mean over the path: 1 is even.

    Args:
        flips: From :func:`count_gate_flips`; ``flips.sel(block=[…])`` for some blocks only.
        curves: From :func:`srtoolkit.interpolate`, on the same pairs and steps; they say where the fastest step is.
        of: The curve whose output's speed is taken, along its own path as :func:`srtoolkit.sharpness` has it; its
            fastest step is at 0, be it in a jump or not.
        reach: How far to look on either side, in alpha.
        elsewhere: Look at the same gates around the fastest step of another pair, and at that one's speed: the null.

    Returns:
        Dims ``pair``, ``offset`` (alpha less that of the fastest step): ``flips``, all blocks together, and ``slope``,
        the output's speed along its own path; NaN beyond the path's ends and for ``excluded`` pairs.

    Raises:
        TypeError: ``elsewhere`` is no truth value.
        ValueError: Not the same pairs, steps, path or patched block.
    """
    excluded, _, path = _check_same_paths(flips, curves, of)
    reach = check_number(reach, "reach", 0.0, 1.0)
    if not isinstance(elsewhere, bool | np.bool_):
        raise TypeError(f"elsewhere={elsewhere!r}: expected one of True and False.")
    if not np.allclose(np.diff(flips["alpha"].values, 2), 0, atol=1e-6):
        raise ValueError("flips: alpha is not evenly spaced, so there is no one distance from a jump in steps.")
    step = float(flips["alpha"][1] - flips["alpha"][0])
    total = flips["flips"].sum("block").transpose("pair", "alpha").values[:, 1:].astype(np.float64)
    speed = np.where(excluded[:, None], np.nan, speed_of(flips["alpha"].values, path.steps))
    speed = _elsewhere(speed, np.nan) if elsewhere else speed
    excluded = excluded | np.isnan(speed).any(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = {"flips": total / total.mean(axis=1, keepdims=True), "slope": speed}
    places = np.arange(-round(reach / step), round(reach / step) + 1)
    index = np.argmax(np.nan_to_num(speed, nan=-np.inf), axis=1)[:, None] + places
    inside = (index >= 0) & (index < speed.shape[1]) & ~excluded[:, None]
    data: dict[str, Any] = {"excluded": ("pair", excluded)}
    for name, values in each.items():
        taken = np.take_along_axis(values, index.clip(0, speed.shape[1] - 1), axis=1)
        data[name] = ("pair", "offset"), np.where(inside, taken, np.nan)
    carried = [name for name in _CARRIED if name in flips.variables and "block" not in flips[name].dims]
    return flips[carried].assign(data).assign_coords(offset=places * step).assign_attrs(flips.attrs, jumps_of=of)


def _check_same_paths(
    flips: xr.Dataset, curves: xr.Dataset, of: str
) -> tuple[Bool[np.ndarray, " pair"], Bool[np.ndarray, " pair"], OwnPath]:
    """Which pairs do not count, which of these have undefined gates, and the outputs' paths; refuses different ones."""
    check_dataset(flips, ("flips", "alpha", "block", "text_a", "text_b"), "flips", "srtoolkit.count_gate_flips")
    if sorted(map(str, flips["flips"].dims)) != ["alpha", "block", "pair"]:
        raise ValueError(
            f"flips: its flips have dims {flips['flips'].dims}, expected pair, alpha and block; take some blocks with "
            ".sel(block=[...]), a list."
        )
    path = own_path(curves, of)
    check_dataset(curves, ("text_a", "text_b"), "curves", "srtoolkit.interpolate")
    if any(not np.array_equal(flips[side].values, curves[side].values) for side in ("text_a", "text_b")):
        raise ValueError(
            f"flips are of {flips.sizes['pair']} pairs and curves of {curves.sizes['pair']} which are not the same "
            "ones in the same order; give count_gate_flips and interpolate the same pairs."
        )
    if flips.sizes["alpha"] != curves.sizes["alpha"] or not np.allclose(flips["alpha"], curves["alpha"]):
        raise ValueError(
            f"flips were counted in {flips.sizes['alpha']} steps, curves in {curves.sizes['alpha']}; give "
            "count_gate_flips and interpolate the same number of steps."
        )
    for setting in ("layer", "path"):
        mine, other = (part.attrs.get(setting) for part in (flips, curves))
        if mine is not None and other is not None and mine != other:
            raise ValueError(f"flips have {setting}={mine!r}, curves {setting}={other!r}; both need the same path.")
    undefined = flips["non_finite"].values if "non_finite" in flips else np.zeros(flips.sizes["pair"], dtype=bool)
    finite = np.isfinite(path.steps).all(axis=1) & np.isfinite(curves[of].values).all(axis=1)
    excluded = out_of(curves, curves["degenerate"].values.astype(bool), finite)["excluded"].values
    return excluded | undefined, undefined, path


def _elsewhere(values: Shaped[np.ndarray, "pair step"], none: float | bool) -> Shaped[np.ndarray, "pair step"]:
    """Values of another pair, half the list away: neighbours in it may share a prompt. A single pair has no other."""
    return np.roll(values, len(values) // 2, axis=0) if len(values) > 1 else np.full_like(values, none)


def _density_ratio(
    alphas: Float[np.ndarray, " alpha"], flips: Int[np.ndarray, "pair step"], jumps: Bool[np.ndarray, "pair step"]
) -> Float[np.ndarray, " pair"]:
    """Flips per unit of alpha inside jumps over outside; NaN without a jump."""
    inside, outside = ((flips * part).sum(axis=1) / (part @ np.diff(alphas)) for part in (jumps, ~jumps))
    return np.where(jumps.any(axis=1), inside / outside, np.nan)
