"""Polytope boundaries beside region boundaries: how many lie within stable regions, how many where the output jumps."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from srtoolkit.analysis.ranks import rank_correlation
from srtoolkit.analysis.sharpness import check_curves, jump_steps
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
    "follows_slope": "Spearman correlation over steps of gate flips and slope",
}


def polytopes_by_region(flips: xr.Dataset, curves: xr.Dataset, of: str = "relative_distance") -> xr.Dataset:
    """Polytope boundaries per stable region, in gate flips: how many lie within regions and how many in the jumps.

    A path with J jumps (:func:`srtoolkit.sharpness.jump_steps`) runs through J + 1 regions. Each gate's change of sign
    in each step is a polytope boundary. It is a region boundary at most if it lies in a jump.

    Args:
        flips: From :func:`count_gate_flips`; ``flips.sel(block=[…])`` for some blocks only.
        curves: From :func:`srtoolkit.interpolate`, on the same pairs and steps. Curves of *another* model ask where
            that one's jumps lie among these gates.
        of: The curve whose jumps are taken.

    Returns:
        Dims ``pair``, ``block``: ``flips``, ``flips_in_jumps``, ``flips_in_regions``. Dim ``pair``, all blocks
        together: ``regions``; ``flips_per_region`` (those within regions, over regions); ``share_no_boundary``, 1 -
        J / flips; ``share_in_regions`` of flips; ``density_ratio``, flips per unit of alpha inside jumps over outside,
        and ``density_ratio_elsewhere``, the same with the jumps of another pair; ``follows_slope``, Spearman
        correlation over steps of flips and the curve's rise. NaN where there is no jump, no flip or an ``excluded``
        pair; those whose gates are ``non_finite`` are excluded, and their flips -1. For :func:`srtoolkit.summarise`.

    Raises:
        ValueError: Not the same pairs, steps, path or patched block.
    """
    excluded, undefined, relative = _check_same_paths(flips, curves, of)
    alphas, steps = flips["alpha"].values, flips["flips"].transpose("pair", "alpha", "block").values[:, 1:]
    jumps = jump_steps(alphas, relative) & ~excluded[:, None]
    regions = 1.0 + (jumps & ~np.pad(jumps, ((0, 0), (1, 0)))[:, :-1]).sum(axis=1)
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
            "density_ratio_elsewhere": _density_ratio(alphas, total, _elsewhere(jumps)),
            "follows_slope": rank_correlation(total, np.diff(relative, axis=1)),
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
    flips: xr.Dataset, curves: xr.Dataset, of: str = "relative_distance", reach: float = 0.4
) -> xr.Dataset:
    """Gate flips and slope around each pair's steepest step, both in units of their mean over the path: 1 is even.

    Args:
        flips: From :func:`count_gate_flips`; ``flips.sel(block=[…])`` for some blocks only.
        curves: From :func:`srtoolkit.interpolate`, on the same pairs and steps; they say where the steepest step is.
        of: The curve whose slope is taken, and whose steepest step is at 0.
        reach: How far to look on either side, in alpha.

    Returns:
        Dims ``pair``, ``offset`` (alpha less that of the steepest step): ``flips``, all blocks together, and
        ``slope``, ``d'(alpha) / d(1)``; NaN beyond the path's ends and for ``excluded`` pairs.

    Raises:
        ValueError: Not the same pairs, steps, path or patched block.
    """
    excluded, _, relative = _check_same_paths(flips, curves, of)
    reach = check_number(reach, "reach", 0.0, 1.0)
    if not np.allclose(np.diff(flips["alpha"].values, 2), 0, atol=1e-6):
        raise ValueError("flips: alpha is not evenly spaced, so there is no one distance from a jump in steps.")
    step = float(flips["alpha"][1] - flips["alpha"][0])
    total = flips["flips"].sum("block").transpose("pair", "alpha").values[:, 1:].astype(np.float64)
    rises = np.diff(relative, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = {"flips": total / total.mean(axis=1, keepdims=True), "slope": rises / step}
    places = np.arange(-round(reach / step), round(reach / step) + 1)
    index = np.argmax(np.nan_to_num(rises, nan=-np.inf), axis=1)[:, None] + places
    inside = (index >= 0) & (index < rises.shape[1]) & ~excluded[:, None]
    data: dict[str, Any] = {"excluded": ("pair", excluded)}
    for name, values in each.items():
        taken = np.take_along_axis(values, index.clip(0, rises.shape[1] - 1), axis=1)
        data[name] = ("pair", "offset"), np.where(inside, taken, np.nan)
    carried = [name for name in _CARRIED if name in flips.variables and "block" not in flips[name].dims]
    return flips[carried].assign(data).assign_coords(offset=places * step).assign_attrs(flips.attrs, jumps_of=of)


def _check_same_paths(
    flips: xr.Dataset, curves: xr.Dataset, of: str
) -> tuple[Bool[np.ndarray, " pair"], Bool[np.ndarray, " pair"], Float[np.ndarray, "pair alpha"]]:
    """Which pairs do not count, which of these have undefined gates, and the curves; refuses different paths."""
    check_dataset(flips, ("flips", "alpha", "block", "text_a", "text_b"), "flips", "srtoolkit.count_gate_flips")
    if sorted(map(str, flips["flips"].dims)) != ["alpha", "block", "pair"]:
        raise ValueError(
            f"flips: its flips have dims {flips['flips'].dims}, expected pair, alpha and block; take some blocks with "
            ".sel(block=[...]), a list."
        )
    curves, relative = check_curves(curves, of)
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
    return (
        curves["degenerate"].values.astype(bool) | ~np.isfinite(relative).all(axis=1) | undefined,
        undefined,
        relative,
    )


def _elsewhere(jumps: Bool[np.ndarray, "pair step"]) -> Bool[np.ndarray, "pair step"]:
    """Jumps of another pair, half the list away: neighbours in it often share a prompt. A single pair has no other."""
    return np.roll(jumps, len(jumps) // 2, axis=0) if len(jumps) > 1 else np.zeros_like(jumps)


def _density_ratio(
    alphas: Float[np.ndarray, " alpha"], flips: Int[np.ndarray, "pair step"], jumps: Bool[np.ndarray, "pair step"]
) -> Float[np.ndarray, " pair"]:
    """Flips per unit of alpha inside jumps over outside; NaN without a jump."""
    inside, outside = ((flips * part).sum(axis=1) / (part @ np.diff(alphas)) for part in (jumps, ~jumps))
    return np.where(jumps.any(axis=1), inside / outside, np.nan)


def divergence_by_region(found: xr.Dataset, curves: xr.Dataset) -> xr.Dataset:
    """Divergence of predictions, in nats, within a stable region and across its boundary, at equal input distance.

    Two points are in the same region where no step of a jump lies between them, and in different ones where the whole
    jump with the steepest step does; other points, with one foot in a jump, are left out. Jumps are those of
    :func:`srtoolkit.sharpness`.

    Args:
        found: From :func:`srtoolkit.divergence`.
        curves: From :func:`srtoolkit.interpolate`, on the same pairs, steps, block and path.

    Returns:
        Dims ``pair``, ``lag``: means over the points, ``jsd_same``, ``jsd_different``, ``same_token_same``,
        ``same_token_different``, NaN where a pair has no such points; ``excluded``: pairs without a jump or a curve.

    Raises:
        TypeError: Either is no Dataset.
        ValueError: Either is the result of something else, or the two are not of the same paths.
    """
    check_dataset(found, ("jsd", "same_token", "lag", "alpha", "tokens_a", "tokens_b"), "found", "srtoolkit.divergence")
    check_dataset(curves, ("relative_distance", "alpha", "tokens_a", "tokens_b"), "curves", "srtoolkit.interpolate")
    alike = ("tokens_a", "tokens_b", "alpha")
    if not all(np.array_equal(found[key], curves[key]) for key in alike) or any(
        found.attrs.get(key) != curves.attrs.get(key) for key in ("layer", "path", "fingerprint")
    ):
        raise ValueError("the two results are not of the same paths: give both the same model, pairs, steps and block.")
    steps = jump_steps(curves["alpha"].values, curves["relative_distance"].values)
    widest = _steepest_jump(steps, np.diff(curves["relative_distance"].values, axis=1))
    places = np.arange(curves.sizes["alpha"])
    means: dict[str, list[np.ndarray]] = {}
    for lag in found["lag"].values:
        before = np.pad(steps.cumsum(axis=1), ((0, 0), (1, 0)))
        last = np.minimum(places + lag, places[-1])
        same = before[:, last] == before[:, places]
        different = (widest[:, :1] >= places) & (widest[:, 1:] <= places + lag) & steps.any(axis=1, keepdims=True)
        for name in ("jsd", "same_token"):
            values = found[name].sel(lag=lag)
            for kind, chosen in (("same", same), ("different", different)):
                means.setdefault(f"{name}_{kind}", []).append(values.where(chosen).mean("alpha").values)
    data = {name: (("pair", "lag"), np.stack(values, axis=1)) for name, values in means.items()}
    excluded = ~steps.any(axis=1) | ~np.isfinite(curves["relative_distance"].values).all(axis=1)
    kept = found.drop_vars(["jsd", "same_token", "alpha"])
    return kept.assign(data).assign(excluded=("pair", excluded))


def _steepest_jump(
    steps: Bool[np.ndarray, "pair step"], rises: Float[np.ndarray, "pair step"]
) -> Int[np.ndarray, "pair 2"]:
    """First and last point of each curve's jump with the steepest step; meaningless where there is no jump."""
    top = np.where(steps, rises, -np.inf).argmax(axis=1)
    ends = np.empty((len(steps), 2), dtype=np.int64)
    for pair, peak in enumerate(top):
        outside = np.flatnonzero(~steps[pair])
        ends[pair] = (
            max(outside[outside < peak], default=-1) + 1,
            min(outside[outside > peak], default=steps.shape[1]),
        )
    return ends


def token_change_at(curves: xr.Dataset) -> xr.DataArray:
    """Alpha at which the most probable next token stops being that of A for good, in the middle of the step.

    Args:
        curves: From :func:`srtoolkit.interpolate`, read at ``"logits"`` among others.

    Returns:
        Dim ``pair``: NaN where A and B have the same most probable token.

    Raises:
        ValueError: ``curves`` has no predictions.
    """
    check_dataset(curves, ("alpha",), "curves", "srtoolkit.interpolate")
    if "top_token" not in curves:
        raise ValueError(
            f"these curves hold no predictions, only {list(curves.data_vars)}; interpolate reads='logits'."
        )
    tokens, alphas = curves["top_token"].values, curves["alpha"].values
    is_a = tokens == tokens[:, :1]
    last = is_a.shape[1] - 1 - is_a[:, ::-1].argmax(axis=1)
    middle = (alphas[last] + alphas[np.minimum(last + 1, len(alphas) - 1)]) / 2
    name = "alpha at which the top token stops being A's"
    return xr.DataArray(
        np.where(is_a[:, -1], np.nan, middle), dims="pair", name="token_change_at", attrs={"long_name": name}
    )
