"""Correlations over a text's tokens are scipy's, and their intervals know which tokens are the same."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import rankdata, spearmanr

import srtoolkit as srt


def a_map(seed=0, n=60, kinds=40):
    rng = np.random.default_rng(seed)
    entropy = rng.normal(size=n)
    surprisal = entropy + rng.normal(size=n)
    boundary = entropy - 0.5 * surprisal + rng.normal(size=n)
    surprisal[0] = np.nan
    data = {"entropy": entropy, "surprisal": surprisal, "boundary": boundary, "token": rng.integers(0, kinds, n)}
    return xr.Dataset({name: ("pos", values) for name, values in data.items()})


def residuals(values, given):
    """What is left of ranks after a straight line in the ranks of another variable."""
    y, x = rankdata(values), rankdata(given)
    return y - np.polyval(np.polyfit(x, y, 1), x)


def test_a_correlation_is_that_of_scipy_and_a_partial_one_that_of_residuals():
    result, known = a_map(), slice(1, None)
    plain = srt.text_correlation(result, given=())
    assert plain.value == pytest.approx(spearmanr(result.surprisal[known], result.boundary[known])[0])
    held = result.entropy.values[known]
    left = [residuals(result[name].values[known], held) for name in ("surprisal", "boundary")]
    assert srt.text_correlation(result).value == pytest.approx(np.corrcoef(*left)[0, 1])


def test_infinite_distances_rank_last():
    result = a_map()
    result["boundary"][[4, 9]] = np.inf
    very_far = result.copy(deep=True)
    very_far["boundary"][[4, 9]] = 1e9
    assert srt.text_correlation(result) == srt.text_correlation(very_far)


def test_places_of_one_token_are_no_independent_cases():
    """The same text four times has the interval of the text, not half of it."""
    once = a_map(n=40, kinds=10**9)
    often = xr.concat([once] * 4, "pos")
    one, four = srt.text_correlation(once), srt.text_correlation(often)
    assert four.value == pytest.approx(one.value, abs=0.01)
    assert (four.high - four.low) / (one.high - one.low) == pytest.approx(1, abs=0.05)


def test_intervals_cover():
    """Of 100 texts of tokens that go with nothing, about 95 intervals hold 0."""
    few, held = srt.Bootstrap(resamples=200), 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 1])
        result = a_map(seed).assign(boundary=("pos", rng.normal(size=60)))
        found = srt.text_correlation(result, bootstrap=few)
        held += found.low <= 0 <= found.high
    assert 88 <= held <= 100


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="x='size'"):
        srt.text_correlation(a_map(), "size")
    with pytest.raises(ValueError, match="given='size'"):
        srt.text_correlation(a_map(), given="size")
    with pytest.raises(ValueError, match="4 of 5 tokens"):
        srt.text_correlation(a_map(n=5))
    with pytest.raises(ValueError, match="follows from the others"):
        srt.text_correlation(a_map(), given="surprisal")
    with pytest.raises(TypeError, match="result"):
        srt.text_correlation([1, 2])
