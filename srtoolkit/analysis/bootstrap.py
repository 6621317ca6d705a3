"""Medians, quartiles and bootstrap intervals that know which pairs share a prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float, Int, Real

from srtoolkit.validation import check_dataset, check_share, check_variable, check_whole, listed

#: Quantities of a sharpness Dataset that are summarised unless others are named.
QUANTITIES = ("max_slope", "jump_at", "width_10_90", "plateau_fraction", "jumps")


def summarise(
    sharp: xr.Dataset,
    quantities: Sequence[str] = QUANTITIES,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Median, quartiles and an interval of the median for each quantity, in the quantity's own unit.

    Args:
        sharp: From :func:`srtoolkit.sharpness`.
        quantities: Variables over ``pair``.
        level: Coverage of the interval.
        resamples: Bootstrap resamples; see :func:`bootstrap_weights` for what is resampled.
        seed: Of the bootstrap.

    Returns:
        Dim ``quantity``: ``median``, ``q25``, ``q75``, ``low``, ``high`` (the interval of the median), ``n`` (pairs
        used), ``excluded`` (pairs left out because they are degenerate or not finite).

    Raises:
        TypeError: ``sharp`` is no Dataset.
        ValueError: No quantities, one that ``sharp`` does not have over ``pair``, or a level, number of resamples or
            seed that is none.
    """
    check_pairs(sharp, ("excluded", "prompt_a", "prompt_b"))
    names = [quantities] if isinstance(quantities, str) else listed(quantities)
    if not names:
        raise ValueError(f"quantities={quantities!r}: expected one or more names of variables over pair.")
    for name in names:
        check_variable(sharp, name, ("pair",), "quantities")
    kept = sharp.isel(pair=np.flatnonzero(~sharp["excluded"].values.astype(bool)))
    weights = bootstrap_weights(kept["prompt_a"].values, kept["prompt_b"].values, resamples, seed)
    rows = []
    for name in names:
        values = kept[name].values.astype(np.float64)
        finite = np.isfinite(values)
        low, high = median_interval(values[finite], weights[:, finite], level)
        quartiles = np.quantile(values[finite], [0.25, 0.5, 0.75]) if finite.any() else [np.nan] * 3
        rows.append(
            [quartiles[1], quartiles[0], quartiles[2], low, high, finite.sum(), sharp.sizes["pair"] - finite.sum()]
        )
    columns = ("median", "q25", "q75", "low", "high", "n", "excluded")
    data = {
        column: ("quantity", np.array(cells, dtype=int if column in ("n", "excluded") else float))
        for column, cells in zip(columns, zip(*rows, strict=True), strict=True)
    }
    attrs = {**sharp.attrs, "interval_level": level, "bootstrap_resamples": resamples, "bootstrap_seed": seed}
    return xr.Dataset(data, {"quantity": names}, attrs)


def check_pairs(sharp: xr.Dataset, variables: Sequence[str], what: str = "sharp") -> xr.Dataset:
    """``sharp`` as a Dataset of pairs that holds some variables, each with one value a pair.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, or anything like it.
        variables: That it must hold.
        what: The argument's name.

    Raises:
        TypeError: No Dataset.
        ValueError: A variable is missing, or does not have one value a pair.
    """
    check_dataset(sharp, variables, what, "srtoolkit.sharpness")
    odd = [name for name in variables if sharp[name].dims != ("pair",)]
    if odd:
        raise ValueError(
            f"{what}: {odd} have dims {[sharp[name].dims for name in odd]}, not one value a pair; take one model of a "
            "sweep with .isel(model=0)."
        )
    return sharp


def bootstrap_weights(
    prompt_a: Int[np.ndarray, " pair"], prompt_b: Int[np.ndarray, " pair"], resamples: int, seed: int
) -> Int[np.ndarray, "resample pair"]:
    """How often each pair counts in each bootstrap resample.

    Pairs that share a prompt are not independent. Where any do, prompts are what is resampled, and a pair counts as
    often as its two prompts were drawn, multiplied: the pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics
    1(2)), which errs on the wide side. Where none do, pairs are resampled.
    """
    resamples = check_whole(resamples, "resamples", 1, 10**7)
    rng = np.random.default_rng(check_whole(seed, "seed"))
    numbers, counts = np.unique(np.concatenate([prompt_a, prompt_b]), return_counts=True)
    itself = prompt_a == prompt_b
    if (counts[np.searchsorted(numbers, prompt_a)] <= 1 + itself).all() and (
        counts[np.searchsorted(numbers, prompt_b)] <= 1 + itself
    ).all():
        n = len(prompt_a)
        return rng.multinomial(n, np.full(n, 1 / n), size=resamples) if n else np.zeros((resamples, 0), dtype=int)
    drawn = rng.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), size=resamples)
    once = drawn[:, np.searchsorted(numbers, prompt_a)]
    other = drawn[:, np.searchsorted(numbers, prompt_b)]
    return np.where(itself, once, once * other)


def median_interval(
    values: Float[np.ndarray, " pair"], weights: Int[np.ndarray, "resample pair"], level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the weighted median over resamples; NaN for no values."""
    return interval(weighted_quantile(values, weights, 0.5), level)


def interval(found: Float[np.ndarray, " resample"], level: float) -> tuple[float, float]:
    """Percentile interval over the resamples that have a value, infinite ones included; NaN where none has."""
    level, known = check_share(level, "level"), found[~np.isnan(found)]
    if not len(known):
        return float("nan"), float("nan")
    # Between an infinite and a finite value there is nothing to interpolate.
    ends = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(known, ends) if np.isfinite(known).all() else np.quantile(known, ends, method="nearest")
    return float(low), float(high)


def weighted_quantile(
    values: Float[np.ndarray, " pair"], weights: Real[np.ndarray, "resample pair"], share: float
) -> Float[np.ndarray, " resample"]:
    """The value below which ``share`` of each resample's weight lies.

    The mean of the two values on either side where the weights meet the share exactly, as a median of an even number
    has it. NaN values have no weight; a resample without weight gives NaN.
    """
    finite = np.isfinite(values)
    values, weights = values[finite], weights[:, finite]
    if not len(values):
        return np.full(len(weights), np.nan)
    order = np.argsort(values)
    heap = np.cumsum(weights[:, order], axis=1)
    wanted = share * heap[:, -1:]
    below, above = np.argmax(heap >= wanted, axis=1), np.argmax(heap > wanted, axis=1)
    middle = (values[order][below] + values[order][above]) / 2
    return np.where(heap[:, -1] > 0, middle, np.nan)
