"""How medians compare, with their intervals: between models on the same pairs, and between pairs of one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.stats import rankdata

from srtoolkit.analysis.bootstrap import (
    FEWER,
    USUAL,
    Bootstrap,
    bootstrap_weights,
    check_pairs,
    interval,
    takes_bootstrap,
    weighted_quantile,
)
from srtoolkit.analysis.ranks import rank_correlation
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


@takes_bootstrap(quantity="of")
def ratio(
    later: xr.Dataset,
    earlier: xr.Dataset,
    of: str = "max_slope",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Median of a variable in one model over its median in another, without unit.

    Args:
        later: From :func:`srtoolkit.sharpness`.
        earlier: The same of another model or checkpoint, on the same pairs.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made; both models see the same resamples, so what prompts have in common cancels.

    Raises:
        ValueError: The two were not measured on the same pairs.
    """

    def divide(medians: Medians) -> Resampled:
        return _divide(medians[:, 0], medians[:, 1])

    return _estimate([later, earlier], divide, of, bootstrap)


@takes_bootstrap(quantity="of")
def trend(
    series: Mapping[float | int, xr.Dataset],
    of: str = "max_slope",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Spearman rank correlation between a setting and the median of a variable: 1 where it grows at every step.

    Args:
        series: Results of :func:`srtoolkit.sharpness` on the same pairs, by tokens of training, parameters, or loss.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made; prompts are what is resampled.

    Raises:
        ValueError: Fewer than three settings, or not the same pairs everywhere.
    """
    if not isinstance(series, Mapping) or isinstance(series, xr.Dataset) or len(series) < 3:
        raise ValueError(f"a trend needs three or more results by their settings, got {str(series)[:100]!r}.")
    places = rankdata([check_number(setting, "setting") for setting in series])

    def correlate(medians: Medians) -> Resampled:
        found = rank_correlation(medians, np.broadcast_to(places, medians.shape))
        found = found.round(9)  # ranks are whole numbers, so what is beyond is rounding, and 0.9 should be 0.9
        return np.where((medians == medians[:, :1]).all(axis=1), 0.0, found)  # medians all alike follow no setting

    return _estimate(list(series.values()), correlate, of, bootstrap)


@takes_bootstrap(quantity="of")
def median(
    sharp: xr.Dataset,
    of: str = "max_slope",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Median of a variable over pairs, in the variable's own unit.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, or a part of it.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made; prompts are what is resampled.

    Raises:
        ValueError: The Dataset has no such variable over ``pair``.
    """
    return _with_interval(weighted_quantile(_values(sharp, of), _weights(sharp, bootstrap), 0.5), bootstrap)


@takes_bootstrap(quantity="of")
def interquartile_range(
    sharp: xr.Dataset,
    of: str = "jump_at",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """How far a variable spreads over pairs: third less first quartile, in the variable's own unit.

    Args:
        sharp: From :func:`srtoolkit.sharpness`.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made; prompts are what is resampled.

    Raises:
        ValueError: The Dataset has no such variable over ``pair``.
    """
    weights = _weights(sharp, bootstrap)
    values = _values(sharp, of)
    low, high = (weighted_quantile(values, weights, share) for share in (0.25, 0.75))
    return _with_interval(high - low, bootstrap)


@takes_bootstrap(y="of")
def correlation(sharp: xr.Dataset, x: str, of: str = "max_slope", *, bootstrap: Bootstrap = FEWER) -> Estimate:
    """Spearman rank correlation over pairs between two variables, without unit.

    Args:
        sharp: From :func:`srtoolkit.sharpness`.
        x: The variable over ``pair`` that ``of`` is correlated with.
        of: The variable over ``pair`` to take; pairs that lack either are left out.
        bootstrap: How the interval is made; prompts are what is resampled.

    Raises:
        ValueError: No such variable, or fewer than three pairs that have both.
    """
    first, second = _values(sharp, x, "x"), _values(sharp, of)
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 3:
        raise ValueError(f"{known.sum()} of {len(known)} pairs have both {x!r} and {of!r}; a correlation needs three.")
    weights = _weights(sharp, bootstrap)[:, known].astype(np.int64)
    found = [rank_correlation(np.repeat(first[known], times), np.repeat(second[known], times)) for times in weights]
    enough = weights.astype(bool).sum(axis=1) > 2
    return _with_interval(np.where(enough, found, np.nan), bootstrap)


@takes_bootstrap(quantity="of")
def contrast(
    first: xr.Dataset,
    second: xr.Dataset,
    of: str = "max_slope",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Median of a variable over some pairs, over its median over others, without unit.

    Args:
        first: Some pairs of a :func:`srtoolkit.sharpness` result, as ``isel`` or :func:`srtoolkit.match` picks them.
        second: Other pairs, of the same model.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made. Prompts are drawn once for both: a prompt may be in pairs of either.

    Raises:
        ValueError: The Dataset has no such variable over ``pair``.
    """
    weights, split = _joint_weights(first, second, bootstrap), first.sizes["pair"]
    above = weighted_quantile(_values(first, of), weights[:, :split], 0.5)
    below = weighted_quantile(_values(second, of), weights[:, split:], 0.5)
    return _with_interval(_divide(above, below), bootstrap)


@takes_bootstrap(quantity="of")
def share_below(
    first: xr.Dataset,
    second: xr.Dataset,
    of: str = "max_slope",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Share of couples whose first has less of a variable than its second; 0.5 where couples differ by chance.

    Args:
        first: From :func:`srtoolkit.match`: pair by pair the partner of ``second``.
        second: The other part of the same match.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made; prompts are what is resampled.

    Raises:
        ValueError: Not as many pairs in both, or no such variable.
    """
    weights = _joint_weights(first, second, bootstrap)
    if first.sizes["pair"] != second.sizes["pair"]:
        raise ValueError(
            f"{first.sizes['pair']} and {second.sizes['pair']} pairs are no couples; srtoolkit.match makes them."
        )
    split = first.sizes["pair"]
    # A couple counts as often as both of its pairs do: an A that they share is then drawn once, not twice.
    counts = np.sqrt(weights[:, :split] * weights[:, split:])
    values = _values(first, of), _values(second, of)
    known = np.isfinite(values[0]) & np.isfinite(values[1])
    below = (values[0] < values[1]) + 0.5 * (values[0] == values[1])
    with np.errstate(invalid="ignore"):
        return _with_interval(counts[:, known] @ below[known] / counts[:, known].sum(1), bootstrap)


def _joint_weights(first: xr.Dataset, second: xr.Dataset, bootstrap: Bootstrap) -> Float[np.ndarray, "resample pair"]:
    """Weights of the pairs of both, then of every resample; equal prompts are known by their text."""
    for part, name in ((first, "first"), (second, "second")):
        check_pairs(part, _TEXTS, name)
    texts = [np.concatenate([part[key].values for part in (first, second)]) for key in ("text_a", "text_b")]
    numbers = np.unique(np.concatenate(texts), return_inverse=True)[1].astype(np.int64).reshape(2, -1)
    drawn = bootstrap_weights(numbers[0], numbers[1], bootstrap.resamples, bootstrap.seed)
    return np.concatenate([np.ones((1, drawn.shape[1])), drawn])


def _estimate(
    sharps: Sequence[xr.Dataset],
    statistic: Callable[[Medians], Resampled],
    of: str,
    bootstrap: Bootstrap,
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
    weights = _weights(first, bootstrap)
    medians = [weighted_quantile(_values(sharp, of), weights, 0.5) for sharp in sharps]
    return _with_interval(statistic(np.stack(medians, axis=1)), bootstrap)


def _weights(sharp: xr.Dataset, bootstrap: Bootstrap) -> Float[np.ndarray, "resample pair"]:
    """Weights of the pairs as they are, then of every resample."""
    check_pairs(sharp, ("excluded", "prompt_a", "prompt_b"))
    drawn = bootstrap_weights(sharp["prompt_a"].values, sharp["prompt_b"].values, bootstrap.resamples, bootstrap.seed)
    return np.concatenate([np.ones((1, drawn.shape[1])), drawn])


def _values(sharp: xr.Dataset, of: str, what: str = "of") -> Float[np.ndarray, " pair"]:
    check_pairs(sharp, ("excluded",))
    values = check_variable(sharp, of, ("pair",), what).values.astype(np.float64)
    return np.where(sharp["excluded"].values.astype(bool), np.nan, values)


def _divide(above: Resampled, below: Resampled) -> Resampled:
    """NaN where a median over none is divided by, or 0 by 0; infinite where 0 divides something."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return above / below


def _with_interval(found: Resampled, bootstrap: Bootstrap) -> Estimate:
    """The statistic of the pairs as they are, which comes first, with the interval of the resamples behind it."""
    return Estimate(float(found[0]), *interval(found[1:], bootstrap.level))
