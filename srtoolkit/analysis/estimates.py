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
    check_pairs,
    interval,
    takes_bootstrap,
    units,
    weighted_quantile,
)
from srtoolkit.analysis.ranks import partial_rank_correlation, rank_correlation, weighted_rank_correlation
from srtoolkit.analysis.resampling import bootstrap_weights
from srtoolkit.validation import check_number, check_variable, listed

#: What tells which prompts a pair is of, across results.
TEXTS = ("excluded", "text_a", "text_b")
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

    def __repr__(self) -> str:
        """Four digits of each, which is more than intervals warrant."""
        return f"Estimate(value={self.value:.4g}, low={self.low:.4g}, high={self.high:.4g})"

    def __format__(self, spec: str) -> str:
        """All three in the format of a number: ``f"{estimate:.1f}"`` is ``"2.1 [1.8, 2.4]"``."""
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]" if spec else str(self)


def null_range(estimates: Sequence[Estimate]) -> Estimate:
    """The same statistic of several nulls as one: its mean over them, and the range of all their intervals.

    What to give a verdict as ``null=`` where nulls differ in a seed. The range grows with the number of nulls, and has
    no coverage: what lies beyond it lies beyond each null's interval.

    Args:
        estimates: Of null models that differ in their seed, one each.

    Raises:
        ValueError: There is none, or one is no estimate.
    """
    given = listed(estimates) or []
    if not given or not all(isinstance(one, Estimate) for one in given):
        raise ValueError(f"estimates={str(estimates)[:100]!r}: expected an Estimate of each null, in a list.")
    value, low, high = np.array(given).T
    return Estimate(float(value.mean()), float(low.min()), float(high.max()))


@takes_bootstrap(quantity="of")
def ratio(
    later: xr.Dataset,
    earlier: xr.Dataset,
    of: str = "max_slope",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Median of a variable in one model over its median in another, without unit.

    A 95% interval covers about 0.97 with 60 pairs. See :func:`srtoolkit.paired_ratio` for the median of ratios.

    Args:
        later: From :func:`srtoolkit.sharpness`.
        earlier: The same of another model or checkpoint, on the same pairs.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made; both models see the same resamples, so what prompts have in common cancels.

    Raises:
        ValueError: The two were not measured on the same pairs.
    """

    def divide(medians: Medians) -> Resampled:
        return quotient(medians[:, 0], medians[:, 1])

    return _estimate([later, earlier], divide, of, bootstrap)


@takes_bootstrap(quantity="of")
def trend(
    series: Mapping[float | int, xr.Dataset],
    of: str = "max_slope",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Spearman rank correlation between a setting and the median of a variable: 1 where it grows at every step.

    The interval is over prompts, with the models as they are. It does not say what other training runs would give:
    for that see :func:`srtoolkit.slope_over_runs`, and for how likely such an order is by chance
    :func:`srtoolkit.exact_trend`. A correlation of few settings takes few values, so the interval is coarse.

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

    In simulations, 95% intervals cover about 0.93 from 30 disjoint pairs on, and 0.91 with 20.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, or a part of it.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made; prompts are what is resampled.

    Raises:
        ValueError: The Dataset has no such variable over ``pair``.
    """
    return with_interval(weighted_quantile(values_of(sharp, of), _weights(sharp, bootstrap), 0.5), bootstrap)


@takes_bootstrap(quantity="of")
def interquartile_range(
    sharp: xr.Dataset,
    of: str = "jump_at",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """How far a variable spreads over pairs: third less first quartile, in the variable's own unit.

    Intervals err on the wide side: 95% cover 0.98 with 60 pairs, and 0.96 with 200.

    Args:
        sharp: From :func:`srtoolkit.sharpness`.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made; prompts are what is resampled.

    Raises:
        ValueError: The Dataset has no such variable over ``pair``.
    """
    weights = _weights(sharp, bootstrap)
    values = values_of(sharp, of)
    low, high = (weighted_quantile(values, weights, share) for share in (0.25, 0.75))
    return with_interval(high - low, bootstrap)


@takes_bootstrap(y="of")
def correlation(
    sharp: xr.Dataset, x: str, of: str = "max_slope", *, given: str | Sequence[str] = (), bootstrap: Bootstrap = FEWER
) -> Estimate:
    """Spearman rank correlation over pairs between two variables, without unit.

    In simulations, 95% intervals cover 0.92 to 0.97 of 20 to 200 disjoint pairs, and 0.95 of 97 with one variable held
    fixed.

    Args:
        sharp: From :func:`srtoolkit.sharpness`.
        x: The variable over ``pair`` that ``of`` is correlated with.
        of: The variable over ``pair`` to take; pairs that lack either are left out.
        given: Variables over ``pair`` that are held fixed: a partial correlation, of what is left of the ranks after
            a regression on these variables' ranks.
        bootstrap: How the interval is made; prompts are what is resampled.

    Raises:
        ValueError: No such variable, fewer than three pairs that have all of them, or ``given`` leaves nothing.
    """
    fixed = [given] if isinstance(given, str) else listed(given)
    if fixed is None or any(not isinstance(name, str) for name in fixed):
        raise ValueError(f"given={str(given)[:200]!r}: expected names of variables over pair in a list, or none: ().")
    names = [x, of, *fixed]
    values = np.stack([values_of(sharp, x, "x"), values_of(sharp, of), *(values_of(sharp, n, "given") for n in fixed)])
    known = np.isfinite(values).all(axis=0)
    if known.sum() < 3:
        several = "both" if not fixed else "all of"
        raise ValueError(
            f"{known.sum()} of {len(known)} pairs have {several} {' and '.join(map(repr, names))}; a correlation needs "
            "three."
        )
    weights, values = _weights(sharp, bootstrap)[:, known].astype(np.int64), values[:, known]
    found = (
        partial_rank_correlation(values, weights) if fixed else weighted_rank_correlation(values[0], values[1], weights)
    )
    if fixed and np.isnan(found[0]):
        raise ValueError(
            f"of {names}, one follows from the others, so that nothing is left to correlate; leave it out."
        )
    enough = weights.astype(bool).sum(axis=1) > 2
    return with_interval(np.where(enough, found, np.nan), bootstrap)


def _estimate(
    sharps: Sequence[xr.Dataset],
    statistic: Callable[[Medians], Resampled],
    of: str,
    bootstrap: Bootstrap,
) -> Estimate:
    """A statistic of several medians, each resample drawn once for all of them."""
    return with_interval(statistic(resampled_medians(sharps, of, bootstrap)), bootstrap)


def resampled_medians(sharps: Sequence[xr.Dataset], of: str, bootstrap: Bootstrap) -> Medians:
    """Medians of a variable in several results on the same pairs: as they are, then in every resample.

    Args:
        sharps: From :func:`srtoolkit.sharpness` or :func:`srtoolkit.motion`.
        of: The variable over ``pair`` to take.
        bootstrap: How pairs are resampled, once for all results.

    Raises:
        ValueError: Not the same pairs everywhere, or no such variable.
    """
    weights = pair_weights(sharps, bootstrap)
    return np.stack([weighted_quantile(values_of(sharp, of), weights, 0.5) for sharp in sharps], axis=1)


def pair_weights(sharps: Sequence[xr.Dataset], bootstrap: Bootstrap) -> Float[np.ndarray, "resample pair"]:
    """Weights of the pairs as they are, then of every resample, for results on the same pairs.

    Args:
        sharps: From :func:`srtoolkit.sharpness`, or anything like it.
        bootstrap: How pairs are resampled, once for all results.

    Raises:
        ValueError: Not the same pairs everywhere.
    """
    for sharp in sharps:
        check_pairs(sharp, (*TEXTS, "prompt_a", "prompt_b"))
    first = sharps[0]
    for other in sharps[1:]:
        if not all(np.array_equal(first[key], other[key]) for key in ("prompt_a", "prompt_b", "text_a", "text_b")):
            raise ValueError(
                "these results were not measured on the same pairs of prompts, so they cannot be compared pair by "
                "pair; give sample_pairs the same arguments, and models of one tokenizer."
            )
    return _weights(first, bootstrap)


def _weights(sharp: xr.Dataset, bootstrap: Bootstrap) -> Float[np.ndarray, "resample pair"]:
    """Weights of the pairs as they are, then of every resample."""
    check_pairs(sharp, ("excluded", "prompt_a", "prompt_b"))
    drawn = bootstrap_weights(*units(sharp, bootstrap), bootstrap.resamples, bootstrap.seed)
    return np.concatenate([np.ones((1, drawn.shape[1])), drawn])


def values_of(sharp: xr.Dataset, of: str, what: str = "of") -> Float[np.ndarray, " pair"]:
    """A variable's value for each pair; NaN for pairs that are excluded.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, or anything like it.
        of: The variable over ``pair`` to take.
        what: The argument's name, for the message.
    """
    check_pairs(sharp, ("excluded",))
    values = check_variable(sharp, of, ("pair",), what).values.astype(np.float64)
    return np.where(sharp["excluded"].values.astype(bool), np.nan, values)


def quotient(above: Resampled, below: Resampled) -> Resampled:
    """One over the other: NaN where a median over none is divided by, or 0 by 0; infinite where 0 divides something.

    Args:
        above: What is divided, in every resample.
        below: What it is divided by.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return above / below


def with_interval(found: Resampled, bootstrap: Bootstrap) -> Estimate:
    """The statistic of the pairs as they are, which comes first, with the interval of the resamples behind it.

    Args:
        found: The statistic, of the pairs as they are and then of every resample.
        bootstrap: How the interval is made.
    """
    return Estimate(float(found[0]), *interval(found[1:], bootstrap.level))
