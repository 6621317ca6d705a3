"""Medians, quartiles and bootstrap intervals that know which pairs share a prompt."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
import xarray as xr
from jaxtyping import Float, Int, Real

from srtoolkit.analysis.resampling import bootstrap_weights
from srtoolkit.validation import (
    check_dataset,
    check_share,
    check_variable,
    check_whole,
    former_spellings,
    listed,
)

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Quantities that are summarised unless others are named, where a Dataset has them: of sharpness, then of motion.
QUANTITIES = (
    *("max_slope", "jump_at", "width_10_90", "plateau_fraction", "jumps"),
    *("peak", "peak_at", "calm_a", "calm_b", "winding", "plateau_a", "plateau_b"),
)

_COLUMNS = ("median", "q25", "q75", "low", "high", "n")


@dataclass(frozen=True)
class Bootstrap:
    """How an interval is made by resampling: its coverage, the number of resamples, and the seed of their draw.

    Attributes:
        level: Coverage of the interval, between 0 and 1.
        resamples: Number of resamples, from 1 on.
        seed: Seed of the random draw of the resamples, from 0 on.
        cluster: Variable over ``pair`` whose equal values are drawn together; by default, pairs that share a prompt
            are. ``"document"`` means ``document_a`` and ``document_b`` where there is no variable of that very name.

    Raises:
        TypeError: ``cluster`` is no name.
        ValueError: ``level`` is not between 0 and 1, or ``resamples`` or ``seed`` is no such whole number.
    """

    level: float = 0.95
    resamples: int = 2000
    seed: int = 0
    cluster: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", check_share(self.level, "level"))
        object.__setattr__(self, "resamples", check_whole(self.resamples, "resamples", 1, 10**7))
        object.__setattr__(self, "seed", check_whole(self.seed, "seed"))
        if self.cluster is not None and not isinstance(self.cluster, str):
            raise TypeError(f"cluster={self.cluster!r}: expected the name of a variable over pair, or None.")


#: How intervals are made unless one says otherwise...
USUAL = Bootstrap()
#: ...and where one resample takes long: rank correlations and agreements.
FEWER = Bootstrap(resamples=1000)


def takes_bootstrap(**renamed: str) -> Callable[[_Function], _Function]:
    """Check a function's ``bootstrap=``, and let its former ``level=``, ``resamples=`` and ``seed=`` go on working.

    Args:
        renamed: What another argument is called now, by its former name; see
            :func:`srtoolkit.validation.former_spellings`.

    Returns:
        A decorator. The former spellings warn, and end with the next release.
    """

    def decorate(function: _Function) -> _Function:
        name, usual = function.__name__, inspect.signature(function).parameters["bootstrap"].default

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            former = {key: named.pop(key) for key in ("level", "resamples", "seed") if key in named}
            if former:
                shown = ", ".join(f"{key}={value!r}" for key, value in former.items())
                wanted = f"bootstrap=srt.Bootstrap({shown})"
                if "bootstrap" in named:
                    raise TypeError(f"{name}: {', '.join(former)} belong into bootstrap=; give {wanted} alone.")
                message = f"{name}({shown}): give {wanted}; the former spelling ends with the next release."
                warnings.warn(message, DeprecationWarning, stacklevel=3)
                named["bootstrap"] = replace(usual, **former)
            if not isinstance(named.get("bootstrap", usual), Bootstrap):
                raise TypeError(f"{name}: bootstrap={named['bootstrap']!r}: expected srt.Bootstrap(level=0.95).")
            return function(*given, **named)

        return former_spellings(**renamed)(cast(_Function, call))

    return decorate


@takes_bootstrap(quantities="of")
def summarise(sharp: xr.Dataset, of: str | Sequence[str] | None = None, *, bootstrap: Bootstrap = USUAL) -> xr.Dataset:
    """Median, quartiles and an interval of the median for each variable over pairs, in the variable's own unit.

    Args:
        sharp: From :func:`srtoolkit.sharpness` or :func:`srtoolkit.motion`.
        of: The variables to summarise, each with one value a pair; one name or several. By default those that
            sharpness and motion give, as far as ``sharp`` has them.
        bootstrap: How the interval is made; see
            :func:`srtoolkit.analysis.resampling.bootstrap_weights` for what is resampled.

    Returns:
        Dim ``quantity``, the variables' names: ``median``, ``q25``, ``q75``, ``low``, ``high`` (the interval of the
        median), ``n`` (pairs used), ``excluded`` (pairs left out because they are degenerate or not finite).

    Raises:
        TypeError: ``sharp`` is no Dataset, or ``bootstrap`` no :class:`Bootstrap`.
        ValueError: ``of`` names nothing, or a variable that ``sharp`` does not have over ``pair``.
    """
    check_pairs(sharp, ("excluded", "prompt_a", "prompt_b"))
    names = [of] if isinstance(of, str) else listed(of)
    if of is None:
        names = [name for name in QUANTITIES if name in sharp.data_vars]
    if not names:
        raise ValueError(f"of={of!r}: expected one or more names of variables over pair.")
    for name in names:
        check_variable(sharp, name, ("pair",), "of")
    kept = sharp.isel(pair=np.flatnonzero(~sharp["excluded"].values.astype(bool)))
    weights = bootstrap_weights(*units(kept, bootstrap), bootstrap.resamples, bootstrap.seed)
    rows = [_summary(kept[name].values.astype(np.float64), weights, bootstrap.level) for name in names]
    found = {
        column: ("quantity", np.array(cells)) for column, cells in zip(_COLUMNS, zip(*rows, strict=True), strict=True)
    }
    attrs = {
        "interval_level": bootstrap.level,
        "bootstrap_resamples": bootstrap.resamples,
        "bootstrap_seed": bootstrap.seed,
        **({"bootstrap_cluster": bootstrap.cluster} if bootstrap.cluster else {}),
    }
    summary = xr.Dataset(found, {"quantity": names}, {**sharp.attrs, **attrs})
    return summary.assign(excluded=sharp.sizes["pair"] - summary["n"])


def _summary(
    values: Float[np.ndarray, " pair"], weights: Int[np.ndarray, "resample pair"], level: float
) -> tuple[float, float, float, float, float, int]:
    """The columns of a summary for one variable, of the pairs where it is finite."""
    finite = np.isfinite(values)
    low, high = median_interval(values[finite], weights[:, finite], level)
    q25, median, q75 = np.quantile(values[finite], [0.25, 0.5, 0.75]).tolist() if finite.any() else [np.nan] * 3
    return median, q25, q75, low, high, int(finite.sum())


def check_pairs(sharp: xr.Dataset, variables: Sequence[str], what: str = "sharp") -> xr.Dataset:
    """``sharp`` as a Dataset of pairs that holds some variables, each with one value a pair.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, or anything like it.
        variables: The variables that it must hold.
        what: The argument's name, for the message.

    Raises:
        TypeError: ``sharp`` is no Dataset.
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


def units(sharp: xr.Dataset, bootstrap: Bootstrap) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """What is resampled, as :func:`bootstrap_weights` takes it: the numbers of each pair's two prompts, or clusters.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, or anything like it.
        bootstrap: How the interval is made; it may name a cluster.

    Raises:
        ValueError: No prompts' numbers, or no such cluster.
    """
    names = ("prompt_a", "prompt_b") if bootstrap.cluster is None else unit_names(sharp, bootstrap)
    check_pairs(sharp, names)
    labels = np.concatenate([sharp[name].values for name in names])
    numbers = np.unique(labels, return_inverse=True)[1].astype(np.int64).reshape(2, -1)
    return numbers[0], numbers[1]


def unit_names(sharp: xr.Dataset, bootstrap: Bootstrap) -> tuple[str, str]:
    """The variables that hold the cluster of either prompt: twice the same where a pair as a whole has one.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, or anything like it.
        bootstrap: How the interval is made; it names a cluster.
    """
    name = bootstrap.cluster
    return (f"{name}", f"{name}") if name in sharp.variables else (f"{name}_a", f"{name}_b")


def median_interval(
    values: Float[np.ndarray, " pair"], weights: Int[np.ndarray, "resample pair"], level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the weighted median over resamples, in the values' unit; NaN where there are no values."""
    return interval(weighted_quantile(values, weights, 0.5), level)


def interval(found: Float[np.ndarray, " resample"], level: float) -> tuple[float, float]:
    """Percentile interval of a statistic, in its own unit: the one way in which this library makes intervals.

    Resamples without a value (NaN) are left out, infinite ones count; the ends are NaN where no resample has a value.

    Args:
        found: The statistic in every resample.
        level: Coverage of the interval, between 0 and 1.

    Raises:
        ValueError: ``level`` is not between 0 and 1.
    """
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
