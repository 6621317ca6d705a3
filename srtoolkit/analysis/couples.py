"""How two sets of pairs of one model compare, as sets and couple by couple."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from srtoolkit.analysis.bootstrap import USUAL, Bootstrap, check_pairs, takes_bootstrap, unit_names, weighted_quantile
from srtoolkit.analysis.estimates import TEXTS, Estimate, quotient, values_of, with_interval
from srtoolkit.analysis.resampling import group_weights, groups_of, prompt_weights


@takes_bootstrap(quantity="of")
def contrast(
    first: xr.Dataset,
    second: xr.Dataset,
    of: str = "max_slope",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Median of a variable over some pairs, over its median over others, without unit.

    Couples of :func:`srtoolkit.match` are resampled as couples, but their medians are compared, not couple by couple:
    :func:`paired_ratio` does that. The interval takes the match as given. In simulations, 95% intervals cover 0.95 for
    60 and 120 pairs, and 0.98 for 60 couples.

    Args:
        first: Some pairs of a :func:`srtoolkit.sharpness` result, as ``isel`` or :func:`srtoolkit.match` picks them.
        second: Other pairs, of the same model.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made. Prompts are drawn once for both: a prompt may be in pairs of either.

    Raises:
        ValueError: The Dataset has no such variable over ``pair``.
    """
    weights, split = _joint_weights(first, second, bootstrap), first.sizes["pair"]
    above = weighted_quantile(values_of(first, of), weights[:, :split], 0.5)
    below = weighted_quantile(values_of(second, of), weights[:, split:], 0.5)
    return with_interval(quotient(above, below), bootstrap)


@takes_bootstrap(quantity="of")
def share_below(
    first: xr.Dataset,
    second: xr.Dataset,
    of: str = "max_slope",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Share of couples whose first has less of a variable than its second; 0.5 where couples differ by chance.

    The 95% interval covers about 0.95 for 60 couples that share no prompt with other couples. Where they do, and fewer
    than about 20 groups of couples are left, it is that of prompts and covers nearly 1: for 60 couples across 40 frames
    it is twice as wide as need be. Matching within frames, by ``equal``, avoids that.

    Args:
        first: From :func:`srtoolkit.match`: pair by pair the partner of ``second``.
        second: The other part of the same match.
        of: The variable over ``pair`` to take.
        bootstrap: How the interval is made; prompts are what is resampled.

    Raises:
        ValueError: Not as many pairs in both, or no such variable.
    """
    values, weights = _couples(first, second, of, bootstrap)
    known = np.isfinite(values).all(axis=0)
    below = (values[0] < values[1]) + 0.5 * (values[0] == values[1])
    with np.errstate(invalid="ignore"):
        return with_interval(weights[:, known] @ below[known] / weights[:, known].sum(1), bootstrap)


@takes_bootstrap()
def paired_ratio(
    first: xr.Dataset,
    second: xr.Dataset,
    of: str = "max_slope",
    *,
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Median over couples of a variable's ratio between the first and the second of a couple, without unit.

    That is ``exp`` of the median of log ratios. What the two of a couple have in common cancels. Intervals cover as
    those of :func:`share_below` do; of 15 couples a little less than they name, such as 0.88 for 90%.

    Args:
        first: From :func:`srtoolkit.match`: pair by pair the partner of ``second``; or the same pairs in another model.
        second: The other part of the same match.
        of: The variable over ``pair`` to take. Couples that lack it, or in which it is 0 or less, are left out.
        bootstrap: How the interval is made; couples that share prompts are resampled together.

    Raises:
        ValueError: Not as many pairs in both, or no such variable.
    """
    values, weights = _couples(first, second, of, bootstrap)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.where(values > 0, values, np.nan))
        return with_interval(np.exp(weighted_quantile(logs[0] - logs[1], weights, 0.5)), bootstrap)


def _couples(
    first: xr.Dataset, second: xr.Dataset, of: str, bootstrap: Bootstrap
) -> tuple[Float[np.ndarray, "side pair"], Float[np.ndarray, "resample pair"]]:
    """The variable on both sides of every couple, and weights of the couples as they are, then of every resample.

    Couples are resampled as wholes, together with those that share a prompt with them. Where too few groups are left,
    prompts are, and a couple counts as often as both of its pairs do: an A that they share is drawn once, not twice.
    """
    prompts = _joint_units(first, second, bootstrap)
    n = first.sizes["pair"]
    if n != second.sizes["pair"]:
        raise ValueError(f"{n} and {second.sizes['pair']} pairs are no couples; srtoolkit.match makes them.")
    values, rng = np.stack([values_of(first, of), values_of(second, of)]), np.random.default_rng(bootstrap.seed)
    drawn: Any = group_weights(groups_of(np.concatenate([prompts[:, :n], prompts[:, n:]])), bootstrap.resamples, rng)
    if drawn is None:
        of_pairs = prompt_weights(prompts, bootstrap.resamples, rng)
        drawn = np.sqrt(of_pairs[:, :n] * of_pairs[:, n:])
    return values, np.concatenate([np.ones((1, n)), drawn])


def _joint_weights(first: xr.Dataset, second: xr.Dataset, bootstrap: Bootstrap) -> Float[np.ndarray, "resample pair"]:
    """Weights of the pairs of both, then of every resample; the two of a couple are drawn together."""
    prompts, rng = _joint_units(first, second, bootstrap), np.random.default_rng(bootstrap.seed)
    linked, alone = prompts, prompts.shape[1]
    if all("couple" in part.variables for part in (first, second)):
        couples = np.concatenate([check_pairs(part, ("couple",))["couple"].values for part in (first, second)])
        numbers = np.unique(couples, return_inverse=True)[1].astype(np.int64)
        linked = np.concatenate([prompts, numbers[None] + prompts.max(initial=-1) + 1])
        alone = len(np.unique(couples))
    drawn = group_weights(groups_of(linked), bootstrap.resamples, rng, alone)
    drawn = prompt_weights(prompts, bootstrap.resamples, rng) if drawn is None else drawn
    return np.concatenate([np.ones((1, drawn.shape[1])), drawn])


def _joint_units(first: xr.Dataset, second: xr.Dataset, bootstrap: Bootstrap) -> Int[np.ndarray, "side pair"]:
    """Numbers of the prompts, or clusters, of the pairs of both; equal texts are equal prompts."""
    names = TEXTS[1:]
    for part, what in ((first, "first"), (second, "second")):
        check_pairs(part, TEXTS, what)
        if bootstrap.cluster is not None:
            names = unit_names(part, bootstrap)
            check_pairs(part, names, what)
    labels = [np.concatenate([part[name].values for part in (first, second)]) for name in names]
    return np.unique(np.concatenate(labels), return_inverse=True)[1].astype(np.int64).reshape(2, -1)
