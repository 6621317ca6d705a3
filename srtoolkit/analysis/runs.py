"""Statistics whose unit is the training run: what other runs of the same setting would give."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from scipy import stats

from srtoolkit.analysis.estimates import Estimate
from srtoolkit.validation import check_number, check_share, listed


def across_runs(values: Iterable[float | int | Estimate], level: float = 0.95) -> Estimate:
    """Mean of a statistic over runs, in its own unit, with Student's interval over runs.

    Args:
        values: The statistic of every run; of an :class:`srtoolkit.Estimate`, its value.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The mean. With one run the ends are NaN, and a warning says why.

    Raises:
        ValueError: No values, one that is no finite number, or a level that is no share.
    """
    runs, level = _numbers(values, "values"), check_share(level, "level")
    if len(runs) < 2:
        _cannot_tell("one run says nothing about how runs differ, so its mean has no interval")
        return Estimate(float(runs.mean()), np.nan, np.nan)
    reach = stats.t.ppf((1 + level) / 2, len(runs) - 1) * stats.sem(runs)
    return Estimate(float(runs.mean()), float(runs.mean() - reach), float(runs.mean() + reach))


def difference_over_runs(
    values: Iterable[float | int | Estimate], others: Iterable[float | int | Estimate], level: float = 0.95
) -> Estimate:
    """Mean of a statistic over runs of one kind less that over runs of another, in its own unit.

    The interval is Welch's: the two kinds may have other numbers of runs, and scatter otherwise. With three runs of
    each it covers 0.94 to 0.97 of the time, as the kinds scatter less or more alike.

    Args:
        values: The statistic of every run of the one kind; of an :class:`srtoolkit.Estimate`, its value.
        others: That of every run of the other kind.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The difference. Where either kind has one run, the ends are NaN, and a warning says why.

    Raises:
        ValueError: No values, one that is no finite number, or a level that is no share.
    """
    first, second, level = _numbers(values, "values"), _numbers(others, "others"), check_share(level, "level")
    apart = float(first.mean() - second.mean())
    if min(len(first), len(second)) < 2:
        _cannot_tell("one run says nothing about how runs differ, so a difference from it has no interval")
        return Estimate(apart, np.nan, np.nan)
    if np.ptp(first) == np.ptp(second) == 0:
        return Estimate(apart, apart, apart)  # no run differs from another of its kind; Welch's formula divides by that
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)  # of runs that hardly differ
        ends = stats.ttest_ind(first, second, equal_var=False).confidence_interval(level)
    return Estimate(apart, *map(float, ends))


def slope_over_runs(
    values: Iterable[float | int | Estimate], settings: Iterable[float | int], level: float = 0.95
) -> Estimate:
    """Least-squares slope of a statistic against log10 of a setting, in the statistic's unit for ten times as much.

    The interval is Student's over runs, with two degrees of freedom fewer than runs. It is about a line through
    runs that scatter alike at every setting.

    Args:
        values: The statistic of every run; of an :class:`srtoolkit.Estimate`, its value.
        settings: Each run's setting, such as its number of parameters; above 0.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The slope. Where no setting has two runs, a departure from the line cannot be told from what runs differ by: the
        ends are NaN, and a warning says so.

    Raises:
        ValueError: Not one setting for each value, one setting for all, a number that is none, or a level that is no
            share.
    """
    runs, places, level = _numbers(values, "values"), _numbers(settings, "settings"), check_share(level, "level")
    if len(runs) != len(places):
        raise ValueError(f"{len(runs)} values and {len(places)} settings: expected one setting for each run.")
    if (places <= 0).any() or np.ptp(places) == 0:
        raise ValueError(f"settings={places.tolist()}: expected numbers above 0, not all the same.")
    line = stats.linregress(np.log10(places), runs)
    if len(np.unique(places)) == len(places):
        _cannot_tell(f"{len(places)} settings have one run each, so the slope has no interval over runs; repeat some")
        return Estimate(float(line.slope), np.nan, np.nan)
    reach = stats.t.ppf((1 + level) / 2, len(runs) - 2) * line.stderr
    return Estimate(float(line.slope), float(line.slope - reach), float(line.slope + reach))


def _numbers(given: Iterable[float | int | Estimate], what: str) -> Float[np.ndarray, " run"]:
    kept = listed(given)
    if not kept:
        raise ValueError(f"{what}={str(given)[:100]!r}: expected one number for each run.")
    return np.array([check_number(one.value if isinstance(one, Estimate) else one, what) for one in kept])


def _cannot_tell(why: str) -> None:
    warnings.warn(f"{why}.", stacklevel=3)
