"""How many classes there are, if how often each is drawn is negative binomial: those that were not drawn included."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq, minimize
from scipy.special import gammaln
from scipy.stats import chi2

from srtoolkit.analysis.estimates import Estimate

#: Bounds of the logarithms of mean and size: from draws that hardly ever meet to a Poisson distribution.
_BOUNDS = ((-7.0, 7.0), (-3.0, 7.0))

#: Starts of the search, for the logarithm of the size.
_STARTS = (-1.0, 0.0, 3.0)

#: How many times as many classes as were seen are looked at.
MOST = 1000.0


def richness(counts: Int[np.ndarray, " region"], level: float) -> Estimate:
    """Number of classes, by maximum likelihood of a negative binomial without its zeros; the interval is likelihood's.

    The likelihood of a number of classes is that of the counts and of so many zeros, at the best mean and size for it.

    Args:
        counts: How often each class was drawn that was.
        level: Coverage of the interval, between 0 and 1.
    """
    seen = len(counts)
    value = seen / -np.expm1(_log_zero(*_best(counts, None)))
    top, cut = _profile(counts, value), chi2.ppf(level, 1) / 2

    def beyond(log_number: float) -> float:
        return top - _profile(counts, float(np.exp(log_number))) - cut

    low, here, high = (float(np.log(number)) for number in (seen, value, MOST * seen))
    lower = low if here - low < 1e-9 or beyond(low) <= 0 else brentq(beyond, low, here, xtol=1e-4)
    upper = np.inf if here >= high or beyond(high) <= 0 else brentq(beyond, here, high, xtol=1e-4)
    return Estimate(float(value), float(np.exp(lower)), float(np.exp(upper)))


def _profile(counts: Int[np.ndarray, " region"], number: float) -> float:
    """Logarithm of the likelihood of a number of classes, but for a constant."""
    unseen = number - len(counts)
    mean, size = _best(counts, unseen)
    ways = gammaln(number + 1) - gammaln(unseen + 1)
    return float(ways + unseen * _log_zero(mean, size) + _log_likelihood(counts, mean, size))


def _best(counts: Int[np.ndarray, " region"], unseen: float | None) -> Float[np.ndarray, " 2"]:
    """The likeliest mean and size, with so many zeros beside the counts, or given that none of these is 0."""

    def cost(logs: Float[np.ndarray, " 2"]) -> float:
        mean, size = np.exp(logs)
        zero = _log_zero(mean, size)
        beside = unseen * zero if unseen is not None else -len(counts) * np.log(-np.expm1(zero))
        return -float(_log_likelihood(counts, mean, size) + beside)

    starts = ([np.log(counts.mean()), start] for start in _STARTS)
    tried = [minimize(cost, start, method="L-BFGS-B", bounds=_BOUNDS) for start in starts]
    return np.exp(min(tried, key=lambda one: one.fun).x)


def _log_likelihood(counts: Int[np.ndarray, " region"], mean: float, size: float) -> float:
    share = mean / (size + mean)
    each = gammaln(counts + size) - gammaln(size) - gammaln(counts + 1) + counts * np.log(share)
    return float(each.sum()) + len(counts) * _log_zero(mean, size)


def _log_zero(mean: float, size: float) -> float:
    """Logarithm of the probability that a class is not drawn."""
    return -size * float(np.log1p(mean / size))
