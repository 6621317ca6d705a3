"""Predictions within a stable region and across its boundary, and where along a path the predicted token changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from srtoolkit.analysis.bootstrap import USUAL, Bootstrap, takes_bootstrap
from srtoolkit.analysis.curves import OwnPath, out_of, own_path
from srtoolkit.analysis.decomposition import over_seeds, seeds_error
from srtoolkit.analysis.estimates import Estimate, pair_weights, with_interval
from srtoolkit.analysis.jumps import JUMP_SPEED, jump_steps, steepest_jump
from srtoolkit.analysis.uneven import filled
from srtoolkit.validation import as_float, check_axes, check_dataset, check_number, check_variable, check_whole, listed

_ALIKE = ("tokens_a", "tokens_b", "alpha")


def divergence_by_region(found: xr.Dataset, curves: xr.Dataset, *, jump_speed: float | None = None) -> xr.Dataset:
    """Divergence of predictions, in nats, within a stable region and across its boundary, at equal input distance.

    Two points are in the same region where no step of a jump lies between them, and in different ones where the whole
    jump with the fastest step does; other points, with one foot in a jump, are left out. Jumps are those of
    :mod:`srtoolkit.analysis.jumps`, along the path of the output after the final norm. A boundary is where the output
    moves, and predictions are read off the output: see :func:`divergence_at_equal_output` for what is left beyond that.

    Args:
        found: From :func:`srtoolkit.divergence`, or ``curves`` once more, measured with ``lags``.
        curves: From :func:`srtoolkit.interpolate`, on the same pairs, steps, block and path.
        jump_speed: Speed above which a step is fast, as :func:`srtoolkit.motion` takes it.

    Returns:
        Dims ``pair``, ``lag``: means over the points, ``jsd_same``, ``jsd_different``, ``same_token_same``,
        ``same_token_different``, NaN where a pair has no such points; ``excluded``: pairs without a jump or a curve.

    Raises:
        TypeError: Either is no Dataset.
        ValueError: Either is the result of something else, or the two are not of the same paths.
    """
    found = _at_lags(found)
    path, jumps, excluded = _jumps_of(found, curves, jump_speed)
    same, different = _told_apart(found, path, jumps)
    data = {
        f"{name}_{kind}": (
            ("pair", "lag"),
            found[name].transpose("pair", "lag", "alpha").where(chosen).mean("alpha").values,
        )
        for name in ("jsd", "same_token")
        for kind, chosen in (("same", same), ("different", different))
    }
    kept = found.drop_vars([name for name, values in found.variables.items() if "alpha" in values.dims])
    return kept.assign(data).assign(excluded=("pair", excluded))


def divergence_at_equal_output(
    found: xr.Dataset,
    curves: xr.Dataset,
    bins: int | Sequence[float | int] | Float[np.ndarray, " limit"] = 6,
    *,
    jump_speed: float | None = None,
) -> xr.Dataset:
    """Divergence of predictions, in nats, within a stable region and across its boundary, at equal *output* distance.

    Outputs on two sides of a boundary are far apart, and so are their predictions, whatever a region is. Here points
    of a path are compared whose outputs are equally far apart: what is left is whether a region is more than a
    distance. All lags of ``found`` are taken together; give it several, so that points within one region come as far
    apart as points of two.

    Args:
        found: From :func:`srtoolkit.divergence`, with several lags, or ``curves`` once more, measured with ``lags``.
        curves: From :func:`srtoolkit.interpolate`, on the same pairs, steps, block and path.
        bins: Number of ranges of output distance, which have equally many points; or the ranges' limits, increasing.
        jump_speed: Speed above which a step is fast, as :func:`srtoolkit.motion` takes it. A null model has hardly a
            jump of the usual speed; ``srt.calibrate_jump(null_curves, level=share)`` is the speed that this share of
            its paths stay below, so that it has as many as the model that it is compared with.

    Returns:
        Dims ``pair``, ``bin``: means over the points, ``jsd_same``, ``jsd_different``, ``distance_same`` and
        ``distance_different`` (of outputs; how equal they are within the range), and ``log_ratio``, the natural log of
        ``jsd_different`` over ``jsd_same``; NaN where a pair has no such points. Pairs are the units:
        ``srt.median(result.isel(bin=0), "log_ratio")`` has an interval over them. Dim ``bin``: ``low``, ``high``
        (the range's limits, L2 after the final norm), ``pairs`` (those with a ``log_ratio``), and ``ratio``, from the
        mean of their logs. ``excluded``: pairs without a jump or a curve.

    Raises:
        TypeError: Either is no Dataset.
        ValueError: Either is the result of something else, the two are not of the same paths, no pair has points of
            both kinds, or the limits do not increase.
    """
    found = _at_lags(found)
    check_dataset(found, ("output_distance",), "found", "srtoolkit.divergence")
    path, jumps, excluded = _jumps_of(found, curves, jump_speed)
    same, different = _told_apart(found, path, jumps)
    apart, jsd = (found[name].transpose("pair", "lag", "alpha").values for name in ("output_distance", "jsd"))
    known = np.isfinite(apart) & np.isfinite(jsd) & ~excluded[:, None, None]
    same, different = same & known, different & known
    limits = _limits(bins, apart[same], apart[different])
    place = np.digitize(apart, limits) - 1
    data: dict[str, np.ndarray] = {}
    for kind, chosen in (("same", same), ("different", different)):
        for name, values in (("jsd", jsd), ("distance", apart)):
            data[f"{name}_{kind}"] = np.stack(
                [_means(values, chosen & (place == k)) for k in range(len(limits) - 1)], -1
            )
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log(data["jsd_different"] / data["jsd_same"])
    data["log_ratio"] = np.where(np.isfinite(log_ratio), log_ratio, np.nan)
    pairs = np.isfinite(data["log_ratio"]).sum(axis=0)
    with np.errstate(invalid="ignore"):
        ratio = np.exp(np.nansum(data["log_ratio"], axis=0) / np.where(pairs > 0, pairs, np.nan))
    over_bins = {"low": limits[:-1], "high": limits[1:], "pairs": pairs, "ratio": ratio}
    kept = found.drop_vars([name for name, values in found.variables.items() if {"alpha", "lag"} & set(values.dims)])
    return kept.assign(
        {name: (("pair", "bin"), values) for name, values in data.items()}
        | {name: ("bin", values) for name, values in over_bins.items()}
        | {"excluded": ("pair", excluded)}
    )


@takes_bootstrap()
def ratio_at_equal_output(equal: xr.Dataset | Sequence[xr.Dataset], *, bootstrap: Bootstrap = USUAL) -> Estimate:
    """How many times as far apart predictions are across a boundary as within a region, at equal output distance.

    The median over ranges of output distance of the ratio of both divergences, each the exponential of the mean log
    over pairs; 1 where a boundary tells nothing that the distance of the outputs does not. In simulations of 34 pairs,
    95% intervals cover 0.94, and 0.98 of three seeds.

    Args:
        equal: From :func:`divergence_at_equal_output`; of one range, ``isel(bin=[0])``, for that range alone. Several,
            of null models from different seeds on the same pairs, are averaged as logs.
        bootstrap: How the interval is made: pairs are resampled, and seeds with them, as :func:`srtoolkit.decompose`
            does it.

    Raises:
        ValueError: Something else, or not the same pairs everywhere.
    """
    results = over_seeds(equal)
    weights = pair_weights(results, bootstrap)
    logs = np.stack([_median_of_bins(result, weights) for result in results])
    return with_interval(np.exp(logs.mean(axis=0) + seeds_error(logs[:, 0], logs.shape[1], bootstrap)), bootstrap)


def _median_of_bins(equal: xr.Dataset, weights: Float[np.ndarray, "resample pair"]) -> Float[np.ndarray, " resample"]:
    """Median over ranges of the weighted mean log ratio; ranges without a pair are left out."""
    log_ratio = check_variable(equal, "log_ratio", ("pair", "bin"), "equal").values
    known = np.isfinite(log_ratio)
    with np.errstate(invalid="ignore"):
        means = weights @ np.where(known, log_ratio, 0.0) / (weights @ known)
    some = np.isfinite(means).any(axis=1)
    found = np.full(len(means), np.nan)
    found[some] = np.nanmedian(means[some], axis=1)
    return found


def _at_lags(found: xr.Dataset) -> xr.Dataset:
    """What was compared at lags by the names that ``divergence`` gives it; curves have ``_lag`` behind these."""
    if not isinstance(found, xr.Dataset) or "jsd_lag" not in found:
        return found
    compared = {str(name): str(name).removesuffix("_lag") for name in found.data_vars if "lag" in found[name].dims}
    others = [name for name in found.data_vars if "alpha" in found[name].dims and name not in compared]
    return found.drop_vars(others).rename(compared)


def _jumps_of(
    found: xr.Dataset, curves: xr.Dataset, jump_speed: float | None
) -> tuple[OwnPath, Bool[np.ndarray, "pair step"], Bool[np.ndarray, " pair"]]:
    """The outputs' paths, their jumps, and which pairs do not count; refuses results of different paths."""
    check_dataset(found, ("jsd", "same_token", "lag", *_ALIKE), "found", "srtoolkit.divergence")
    check_dataset(curves, ("relative_distance", "degenerate", *_ALIKE), "curves", "srtoolkit.interpolate")
    of_points = dict.fromkeys(("jsd", "same_token"), ("pair", "lag", "alpha"))
    check_axes(found, of_points, "found", "srtoolkit.divergence")
    check_axes(curves, {"relative_distance": ("pair", "alpha")}, "curves", "srtoolkit.interpolate")
    if not all(np.array_equal(found[key], curves[key]) for key in _ALIKE) or any(
        found.attrs.get(key) != curves.attrs.get(key) for key in ("layer", "path", "fingerprint")
    ):
        raise ValueError("the two results are not of the same paths: give both the same model, pairs, steps and block.")
    curves = filled(curves)
    path = own_path(curves)
    finite = np.isfinite(path.steps).all(axis=1) & np.isfinite(curves["relative_distance"].values).all(axis=1)
    flags = out_of(curves, curves["degenerate"].values.astype(bool), finite)
    fastest = JUMP_SPEED if jump_speed is None else check_number(jump_speed, "jump_speed", 1.0)
    jumps = jump_steps(curves["alpha"].values, path.steps, fastest)
    return path, jumps, flags["excluded"].values | ~jumps.any(axis=1)


def _told_apart(
    found: xr.Dataset, path: OwnPath, jumps: Bool[np.ndarray, "pair step"]
) -> tuple[Bool[np.ndarray, "pair lag alpha"], Bool[np.ndarray, "pair lag alpha"]]:
    """Which points are in one region with those ``lag`` steps further, and which have the fastest jump between."""
    widest, places = steepest_jump(jumps, path.steps), np.arange(jumps.shape[1] + 1)
    lags = found["lag"].values[:, None]
    before = np.asarray(np.pad(jumps.cumsum(axis=1), ((0, 0), (1, 0))))
    last = np.minimum(places + lags, places[-1])
    inside = np.asarray(places + lags <= places[-1])
    same = np.equal(before[:, last], before[:, None, :])
    first, end = widest[:, :1, None], widest[:, 1:, None]
    different = (first >= places) & (end <= last) & (jumps.sum(axis=1) > 0)[:, None, None]
    return same & inside, different & inside


def _limits(
    bins: int | Sequence[float | int] | Float[np.ndarray, " limit"],
    same: Float[np.ndarray, " _point"],
    different: Float[np.ndarray, " _point"],
) -> Float[np.ndarray, " limit"]:
    """Limits of the ranges of output distance; given a number, with equally many points where both kinds occur."""
    given = listed(bins)
    if given is not None:
        limits = np.array([np.nan if (limit := as_float(one)) is None else limit for one in given])
        if len(limits) < 2 or np.isnan(limits).any() or (np.diff(limits) <= 0).any():
            raise ValueError(f"bins={bins!r}: expected a number of ranges, or two or more increasing limits.")
        return limits
    number = check_whole(bins, "bins", 1, 1000)
    ends = [(values.min(), values.max()) for values in (same, different) if len(values)]
    low, high = max((end[0] for end in ends), default=0.0), min((end[1] for end in ends), default=0.0)
    if len(ends) < 2 or low >= high:
        raise ValueError(
            "no output distance occurs both within a region and across a boundary; give srtoolkit.divergence more "
            "lags, short ones and long ones."
        )
    both = np.concatenate([same, different])
    limits = np.unique(np.quantile(both[(both >= low) & (both <= high)], np.linspace(0, 1, number + 1)))
    limits[-1] = np.nextafter(limits[-1], np.inf)  # ranges are open above
    return limits


def _means(
    values: Float[np.ndarray, "pair lag alpha"], chosen: Bool[np.ndarray, "pair lag alpha"]
) -> Float[np.ndarray, " pair"]:
    """Mean of each pair's chosen points; NaN where it has none."""
    count = chosen.sum(axis=(1, 2))
    return np.where(chosen, values, 0.0).sum(axis=(1, 2)) / np.where(count > 0, count, np.nan)


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
    tokens, alphas = filled(curves)["top_token"].values, curves["alpha"].values
    is_a = tokens == tokens[:, :1]
    last = is_a.shape[1] - 1 - is_a[:, ::-1].argmax(axis=1)
    middle = (alphas[last] + alphas[np.minimum(last + 1, len(alphas) - 1)]) / 2
    name = "alpha at which the top token stops being A's"
    return xr.DataArray(
        np.where(is_a[:, -1], np.nan, middle), dims="pair", name="token_change_at", attrs={"long_name": name}
    )
