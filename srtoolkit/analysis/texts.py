"""What goes with the distance of a text's tokens from their boundaries."""

from __future__ import annotations

import numpy as np
import xarray as xr

from srtoolkit.analysis.bootstrap import USUAL, Bootstrap, takes_bootstrap
from srtoolkit.analysis.estimates import Estimate, with_interval
from srtoolkit.analysis.ranks import partial_rank_correlation, weighted_rank_correlation
from srtoolkit.validation import check_dataset, check_variable, listed


@takes_bootstrap()
def text_correlation(
    result: xr.Dataset,
    x: str = "surprisal",
    of: str = "boundary",
    *,
    given: str | tuple[str, ...] = ("entropy",),
    bootstrap: Bootstrap = USUAL,
) -> Estimate:
    """Spearman's rank correlation of two variables over the tokens of a text, others held fixed; from -1 to 1.

    Of what is left of the ranks after a regression on the others' ranks. Tokens that lack a variable are left out, as
    the first is of surprisal; infinite distances rank last. Places where one token stands are no independent cases, so
    different tokens are resampled, each with all its places; that neighbours are alike is not counted. In simulations
    of 150 tokens, 95% intervals cover 0.94 to 0.96, and of 60 tokens 0.92 to 0.96.

    Args:
        result: From :func:`srtoolkit.text_map`.
        x: One variable over ``pos``.
        of: The other.
        given: Variables over ``pos`` to hold fixed, or none: ``()``.
        bootstrap: How the interval is made.

    Raises:
        TypeError: ``result`` is no Dataset.
        ValueError: No such variable, fewer than five tokens have all of them, or ``given`` leaves nothing.
    """
    check_dataset(result, ("token", "boundary"), "result", "srtoolkit.text_map")
    fixed = [given] if isinstance(given, str) else listed(given)
    if fixed is None or any(not isinstance(name, str) for name in fixed):
        raise ValueError(f"given={str(given)[:200]!r}: expected names of variables over pos in a list, or none: ().")
    asked = [(x, "x"), (of, "of"), *((name, "given") for name in fixed)]
    values = np.stack([check_variable(result, name, ("pos",), what).values.astype(np.float64) for name, what in asked])
    known = np.asarray(~np.isnan(values).any(axis=0))
    if known.sum() < 5:
        raise ValueError(
            f"{known.sum()} of {values.shape[1]} tokens have {[name for name, _ in asked]}; five are needed."
        )
    numbers = np.unique(result["token"].values[known], return_inverse=True)[1]
    kinds = int(numbers.max()) + 1
    drawn = np.random.default_rng(bootstrap.seed).multinomial(kinds, np.full(kinds, 1 / kinds), bootstrap.resamples)
    weights = np.concatenate([np.ones((1, len(numbers)), dtype=np.int64), drawn[:, numbers]])
    found = (
        partial_rank_correlation(values[:, known], weights)
        if fixed
        else weighted_rank_correlation(values[0, known], values[1, known], weights)
    )
    if np.isnan(found[0]):
        raise ValueError(f"of {[name for name, _ in asked]}, one is constant or follows from the others; leave it out.")
    return with_interval(found, bootstrap)
