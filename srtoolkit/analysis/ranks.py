"""Spearman's rank correlation, in the one place where this library computes it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata


def rank_correlation(
    first: Float[np.ndarray, "*row entry"] | Int[np.ndarray, "*row entry"],
    second: Float[np.ndarray, "*row entry"] | Int[np.ndarray, "*row entry"],
) -> Float[np.ndarray, "*row"]:
    """Spearman's rank correlation along the last axis, without unit; NaN where a row is constant, empty or holds NaN.

    Args:
        first: One variable; equal entries share their mean rank, and infinite ones rank first or last.
        second: The other, entry by entry.
    """
    if not first.shape[-1]:
        return np.full(first.shape[:-1], np.nan)
    ranks = [rankdata(values.astype(np.float64), axis=-1, nan_policy="propagate") for values in (first, second)]
    one, other = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((one * other).sum(axis=-1) / np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1)))


def weighted_rank_correlation(
    first: Float[np.ndarray, " entry"], second: Float[np.ndarray, " entry"], weights: Int[np.ndarray, "row entry"]
) -> Float[np.ndarray, " row"]:
    """Spearman's rank correlation where entries count several times, without unit; NaN where a side is constant.

    Args:
        first: One variable, without NaN.
        second: The other, entry by entry.
        weights: How often each entry counts, row by row.
    """
    total = weights.sum(axis=1, keepdims=True)
    one, other = (_weighted_ranks(values, weights) - (total + 1) / 2 for values in (first, second))
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((weights * one**2).sum(axis=1) * (weights * other**2).sum(axis=1))
        return np.asarray((weights * one * other).sum(axis=1) / spread)


def partial_rank_correlation(
    variables: Float[np.ndarray, "quantity entry"], weights: Int[np.ndarray, "row entry"]
) -> Float[np.ndarray, " row"]:
    """Spearman's rank correlation of the first two variables, the others held fixed; NaN where these leave nothing.

    That is the correlation of what is left of two variables' ranks after a regression on the ranks of the others.

    Args:
        variables: The two variables, then those to hold fixed, all without NaN.
        weights: How often each entry counts, row by row.
    """
    table = np.tile(np.eye(len(variables)), (len(weights), 1, 1))
    for one, other in combinations(range(len(variables)), 2):
        found = weighted_rank_correlation(variables[one], variables[other], weights)
        table[:, one, other] = table[:, other, one] = found
    told = np.isfinite(table).all(axis=(1, 2))
    table[~told] = np.eye(len(variables))
    told &= np.linalg.eigvalsh(table)[:, 0] > 1e-9  # else one variable follows from the others
    table[~told] = np.eye(len(variables))
    inverse = np.linalg.inv(table)
    return np.where(told, -inverse[:, 0, 1] / np.sqrt(inverse[:, 0, 0] * inverse[:, 1, 1]), np.nan)


def _weighted_ranks(
    values: Float[np.ndarray, " entry"], weights: Int[np.ndarray, "row entry"]
) -> Float[np.ndarray, "row entry"]:
    """Mean rank of the copies of each entry among all copies."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, values[order][1:] != values[order][:-1]])
    alike = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = np.cumsum(alike, axis=1) - (alike - 1) / 2
    return ranks[:, np.searchsorted(values[order][starts], values)]
