"""Medians, quartiles and bootstrap intervals that know which pairs share a prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float, Int, Real

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
        ValueError: A quantity that ``sharp`` does not have.
    """
    missing = [name for name in quantities if name not in sharp]
    if missing:
        raise ValueError(f"quantities {missing} are not in this Dataset; it has {list(sharp.data_vars)}.")
    kept = sharp.isel(pair=np.flatnonzero(~sharp["excluded"].values))
    weights = bootstrap_weights(kept["prompt_a"].values, kept["prompt_b"].values, resamples, seed)
    rows = []
    for name in quantities:
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
    return xr.Dataset(data, {"quantity": list(quantities)}, attrs)


def bootstrap_weights(
    prompt_a: Int[np.ndarray, " pair"], prompt_b: Int[np.ndarray, " pair"], resamples: int, seed: int
) -> Int[np.ndarray, "resample pair"]:
    """How often each pair counts in each bootstrap resample.

    Pairs that share a prompt are not independent. Where any do, prompts are what is resampled, and a pair counts as
    often as its two prompts were drawn, multiplied: the pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics
    1(2)), which errs on the wide side. Where none do, pairs are resampled.
    """
    rng = np.random.default_rng(seed)
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
    if not len(values):
        return float("nan"), float("nan")
    medians = weighted_quantile(values, weights, 0.5)
    low, high = np.nanquantile(medians, [(1 - level) / 2, (1 + level) / 2])
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
