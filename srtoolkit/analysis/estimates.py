"""How medians compare, with their intervals: between models on the same pairs, and between pairs of one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.stats import rankdata, spearmanr

from srtoolkit.analysis.bootstrap import bootstrap_weights, check_pairs, interval, weighted_quantile
from srtoolkit.validation import check_number, check_variable

_TEXTS = ("excluded", "text_a", "text_b")
Medians = Float[np.ndarray, "resample setting"]
Resampled = Float[np.ndarray, " resample"]


class Estimate(NamedTuple):
    """A number with its bootstrap interval, as :func:`srtoolkit.verdict` takes them.

    Attributes:
        value: As measured.
        low: Lower end of the interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """All three in the format of a number: ``f"{estimate:.1f}"`` is ``"2.1 [1.8, 2.4]"``."""
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]" if spec else str(self)


def ratio(
    later: xr.Dataset,
    earlier: xr.Dataset,
    quantity: str = "max_slope",
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Median of a quantity in one model over its median in another, without unit.

    Args:
        later: From :func:`srtoolkit.sharpness`.
        earlier: The same of another model or checkpoint, on the same pairs.
        quantity: Variable over ``pair``.
        level: Coverage of the interval.
        resamples: Bootstrap resamples; both models see the same one each time, so what prompts have in common cancels.
        seed: Of the bootstrap.

    Raises:
        ValueError: The two were not measured on the same pairs.
    """

    def divide(medians: Medians) -> Resampled:
        return _divide(medians[:, 0], medians[:, 1])

    return _estimate([later, earlier], divide, quantity, level, resamples, seed)


def trend(
    series: Mapping[float | int, xr.Dataset],
    quantity: str = "max_slope",
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Spearman rank correlation between a setting and the median of a quantity: 1 where it grows at every step.

    Args:
        series: Results of :func:`srtoolkit.sharpness` on the same pairs, by tokens of training, parameters, or loss.
        quantity: Variable over ``pair``.
        level: Coverage of the interval.
        resamples: Bootstrap resamples of the prompts.
        seed: Of the bootstrap.

    Raises:
        ValueError: Fewer than three settings, or not the same pairs everywhere.
    """
    if not isinstance(series, Mapping) or isinstance(series, xr.Dataset) or len(series) < 3:
        raise ValueError(f"a trend needs three or more results by their settings, got {str(series)[:100]!r}.")
    places = rankdata([check_number(setting, "setting") for setting in series])

    def correlate(medians: Medians) -> Resampled:
        ranks = rankdata(medians, axis=1)
        ranks, wanted = ranks - ranks.mean(1, keepdims=True), places - places.mean()
        found = ranks @ wanted / np.maximum(np.linalg.norm(ranks, axis=1) * np.linalg.norm(wanted), 1e-12)
        return found.round(9)  # ranks are whole numbers, so what is beyond is rounding, and 0.9 should be 0.9

    return _estimate(list(series.values()), correlate, quantity, level, resamples, seed)


def median(
    sharp: xr.Dataset,
    quantity: str = "max_slope",
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Median of a quantity over pairs, in the quantity's own unit.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, or a part of it.
        quantity: Variable over ``pair``.
        level: Coverage of the interval.
        resamples: Bootstrap resamples of the prompts.
        seed: Of the bootstrap.

    Raises:
        ValueError: No such variable.
    """
    return _with_interval(weighted_quantile(_values(sharp, quantity), _weights(sharp, resamples, seed), 0.5), level)


def interquartile_range(
    sharp: xr.Dataset,
    quantity: str = "jump_at",
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """How far a quantity spreads over pairs: third less first quartile, in the quantity's own unit.

    Args:
        sharp: From :func:`srtoolkit.sharpness`.
        quantity: Variable over ``pair``.
        level: Coverage of the interval.
        resamples: Bootstrap resamples.
        seed: Of the bootstrap.
    """
    weights = _weights(sharp, resamples, seed)
    values = _values(sharp, quantity)
    low, high = (weighted_quantile(values, weights, share) for share in (0.25, 0.75))
    return _with_interval(high - low, level)


def correlation(
    sharp: xr.Dataset, x: str, y: str, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Spearman rank correlation between two quantities of the pairs, without unit.

    Args:
        sharp: From :func:`srtoolkit.sharpness`.
        x: Variable over ``pair``.
        y: Another; pairs that lack either are left out.
        level: Coverage of the interval.
        resamples: Bootstrap resamples of the prompts.
        seed: Of the bootstrap.

    Raises:
        ValueError: No such variable, or fewer than three pairs that have both.
    """
    first, second = _values(sharp, x, "x"), _values(sharp, y, "y")
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 3:
        raise ValueError(f"{known.sum()} of {len(known)} pairs have both {x!r} and {y!r}; a correlation needs three.")
    weights = _weights(sharp, resamples, seed)[:, known].astype(np.int64)
    found = [_rank_correlation(np.repeat(first[known], times), np.repeat(second[known], times)) for times in weights]
    enough = weights.astype(bool).sum(axis=1) > 2
    return _with_interval(np.where(enough, found, np.nan), level)


def contrast(
    first: xr.Dataset,
    second: xr.Dataset,
    quantity: str = "max_slope",
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Median of a quantity over some pairs, over its median over others, without unit.

    Args:
        first: Some pairs of a :func:`srtoolkit.sharpness` result, as ``isel`` or :func:`srtoolkit.match` picks them.
        second: Other pairs, of the same model.
        quantity: Variable over ``pair``.
        level: Coverage of the interval.
        resamples: Bootstrap resamples of the prompts, drawn once for both: a prompt may be in pairs of either.
        seed: Of the bootstrap.

    Raises:
        ValueError: No such variable.
    """
    weights, split = _joint_weights(first, second, resamples, seed), first.sizes["pair"]
    above = weighted_quantile(_values(first, quantity), weights[:, :split], 0.5)
    below = weighted_quantile(_values(second, quantity), weights[:, split:], 0.5)
    return _with_interval(_divide(above, below), level)


def share_below(
    first: xr.Dataset,
    second: xr.Dataset,
    quantity: str = "max_slope",
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Share of couples whose first has less of a quantity than its second; 0.5 where couples differ by chance.

    Args:
        first: From :func:`srtoolkit.match`: pair by pair the partner of ``second``.
        second: The other part.
        quantity: Variable over ``pair``.
        level: Coverage of the interval.
        resamples: Bootstrap resamples of the prompts.
        seed: Of the bootstrap.

    Raises:
        ValueError: Not as many pairs in both, or no such variable.
    """
    weights = _joint_weights(first, second, resamples, seed)
    if first.sizes["pair"] != second.sizes["pair"]:
        raise ValueError(
            f"{first.sizes['pair']} and {second.sizes['pair']} pairs are no couples; srtoolkit.match makes them."
        )
    split = first.sizes["pair"]
    # A couple counts as often as both of its pairs do: an A that they share is then drawn once, not twice.
    counts = np.sqrt(weights[:, :split] * weights[:, split:])
    values = _values(first, quantity), _values(second, quantity)
    known = np.isfinite(values[0]) & np.isfinite(values[1])
    below = (values[0] < values[1]) + 0.5 * (values[0] == values[1])
    with np.errstate(invalid="ignore"):
        return _with_interval(counts[:, known] @ below[known] / counts[:, known].sum(1), level)


def _joint_weights(
    first: xr.Dataset, second: xr.Dataset, resamples: int, seed: int
) -> Float[np.ndarray, "resample pair"]:
    """Weights of the pairs of both, then of every resample; equal prompts are known by their text."""
    for part, name in ((first, "first"), (second, "second")):
        check_pairs(part, _TEXTS, name)
    texts = [np.concatenate([part[key].values for part in (first, second)]) for key in ("text_a", "text_b")]
    numbers = np.unique(np.concatenate(texts), return_inverse=True)[1].astype(np.int64).reshape(2, -1)
    drawn = bootstrap_weights(numbers[0], numbers[1], resamples, seed)
    return np.concatenate([np.ones((1, drawn.shape[1])), drawn])


def _estimate(
    sharps: Sequence[xr.Dataset],
    statistic: Callable[[Medians], Resampled],
    quantity: str,
    level: float,
    resamples: int,
    seed: int,
) -> Estimate:
    """A statistic of several medians, each resample drawn once for all of them."""
    for sharp in sharps:
        check_pairs(sharp, (*_TEXTS, "prompt_a", "prompt_b"))
    first = sharps[0]
    for other in sharps[1:]:
        if not all(np.array_equal(first[key], other[key]) for key in ("prompt_a", "prompt_b", "text_a", "text_b")):
            raise ValueError(
                "these results were not measured on the same pairs of prompts, so they cannot be compared pair by "
                "pair; give sample_pairs the same arguments, and models of one tokenizer."
            )
    weights = _weights(first, resamples, seed)
    medians = [weighted_quantile(_values(sharp, quantity), weights, 0.5) for sharp in sharps]
    return _with_interval(statistic(np.stack(medians, axis=1)), level)


def _weights(sharp: xr.Dataset, resamples: int, seed: int) -> Float[np.ndarray, "resample pair"]:
    """Weights of the pairs as they are, then of every resample."""
    check_pairs(sharp, ("excluded", "prompt_a", "prompt_b"))
    drawn = bootstrap_weights(sharp["prompt_a"].values, sharp["prompt_b"].values, resamples, seed)
    return np.concatenate([np.ones((1, drawn.shape[1])), drawn])


def _values(sharp: xr.Dataset, quantity: str, what: str = "quantity") -> Float[np.ndarray, " pair"]:
    check_pairs(sharp, ("excluded",))
    values = check_variable(sharp, quantity, ("pair",), what).values.astype(np.float64)
    return np.where(sharp["excluded"].values.astype(bool), np.nan, values)


def _divide(above: Resampled, below: Resampled) -> Resampled:
    """NaN where a median over none is divided by, or 0 by 0; infinite where 0 divides something."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return above / below


def _rank_correlation(first: Float[np.ndarray, " entry"], second: Float[np.ndarray, " entry"]) -> float:
    """Spearman's; NaN where either is constant, or nothing was drawn."""
    if not len(first) or (first == first[0]).all() or (second == second[0]).all():
        return float("nan")
    return float(spearmanr(first, second).statistic)


def _with_interval(found: Resampled, level: float) -> Estimate:
    return Estimate(float(found[0]), *interval(found[1:], level))
