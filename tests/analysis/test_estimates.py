"""Ratios, trends and spreads, on series whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from slopes import sharp as unnamed
from srtoolkit.analysis.bootstrap import summarise
from srtoolkit.analysis.estimates import Estimate, correlation, interquartile_range, median, ratio, trend
from srtoolkit.analysis.ranks import weighted_rank_correlation


def sharp(values, prompts=None, excluded=None):
    found = unnamed(values, excluded=excluded)
    texts = [f"prompt {number}" for number in (range(len(values)) if prompts is None else prompts)]
    return found.assign(text_a=("pair", texts), text_b=("pair", texts))


def test_a_ratio_of_medians_and_its_interval():
    rng = np.random.default_rng(0)
    before = rng.lognormal(size=400)
    found = ratio(sharp(before * rng.lognormal(0.7, 0.1, 400)), sharp(before))
    assert found.low < np.exp(0.7) < found.high
    assert found.value == pytest.approx(np.exp(0.7), rel=0.1)
    alike = ratio(sharp(3 * before), sharp(before))
    assert alike == pytest.approx((3, 3, 3))  # the same resample for both: what they share cancels


def test_a_trend_is_a_rank_correlation_of_medians():
    rng = np.random.default_rng(0)
    rising = {10.0**step: sharp(rng.normal(step, 0.1, 100)) for step in range(5)}
    assert trend(rising) == pytest.approx((1, 1, 1))
    assert trend({-tokens: result for tokens, result in rising.items()}).value == pytest.approx(-1)
    swapped = dict(zip([1, 2, 3, 5, 4], rising.values(), strict=True))
    assert trend(swapped).value == pytest.approx(0.9)


def test_a_trend_of_nothing_has_an_interval_that_says_so():
    rng = np.random.default_rng(1)
    found = trend({float(step): sharp(rng.normal(size=100)) for step in range(6)})
    assert found.low < 0 < found.high
    assert found.high - found.low > 0.5


def test_the_spread_is_that_between_quartiles():
    found = interquartile_range(sharp(np.arange(1001)), "max_slope")
    assert found.value == pytest.approx(500, abs=1)
    assert found.low < 500 < found.high


def test_pairs_that_are_excluded_do_not_count():
    found = ratio(sharp([2, 2, 2, 1000], excluded=[0, 0, 0, 1]), sharp([1, 1, 1, 1]))
    assert found == (2, 2, 2)


def test_other_prompts_are_refused():
    with pytest.raises(ValueError, match="not measured on the same pairs"):
        ratio(sharp([1.0, 2.0]), sharp([1.0, 2.0], prompts=[0, 2]))
    with pytest.raises(ValueError, match="three or more"):
        trend({1.0: sharp([1.0]), 2.0: sharp([2.0])})
    with pytest.raises(ValueError, match="sharpest"):
        interquartile_range(sharp([1.0]), "sharpest")


def test_a_correlation_is_of_ranks_and_has_an_interval():
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    result = sharp(x).assign(other=("pair", np.exp(x)), noise=("pair", rng.normal(size=200)))
    assert correlation(result, "max_slope", "other") == pytest.approx((1, 1, 1))
    found = correlation(result, "max_slope", "noise")
    assert found.low < 0 < found.high and found.high - found.low < 0.5
    gaps = result.assign(other=("pair", np.where(np.arange(200) < 198, np.nan, x)))
    with pytest.raises(ValueError, match="2 of 200 pairs have both"):
        correlation(gaps, "max_slope", "other")


def test_a_partial_correlation_is_that_of_what_a_regression_on_ranks_leaves():
    rng = np.random.default_rng(8)
    z, w = rng.normal(size=(2, 150))
    x, y = z + rng.normal(size=150), np.exp(z - 0.5 * w + rng.normal(size=150))
    result = sharp(y).assign(x=("pair", x), z=("pair", z), w=("pair", w))
    ranks = scipy.stats.rankdata([x, y, z, w], axis=1)
    others = np.column_stack([ranks[2:].T, np.ones(150)])
    left = [rank - others @ np.linalg.lstsq(others, rank, rcond=None)[0] for rank in ranks[:2]]
    found = correlation(result, "x", given=["z", "w"])
    assert found.value == pytest.approx(scipy.stats.pearsonr(*left).statistic)
    assert found.low < 0.1 and found.high < correlation(result, "x").low  # z made most of it
    with pytest.raises(ValueError, match="one follows from the others"):
        correlation(result.assign(same=("pair", x**3)), "x", given="same")


def test_an_estimate_is_written_with_its_interval():
    assert f"{Estimate(2.14, 1.8, 2.52):.1f}" == "2.1 [1.8, 2.5]"


def test_a_median_has_the_interval_that_a_summary_gives():
    result = sharp(np.random.default_rng(5).lognormal(size=60))
    row = summarise(result, ["max_slope"]).sel(quantity="max_slope")
    found = median(result)
    assert found.value == pytest.approx(row["median"].item())
    assert found.low == pytest.approx(row.low.item()) and found.high == pytest.approx(row.high.item())
    assert found.low < found.value < found.high


def test_a_correlation_of_ties_is_that_of_repeated_pairs():
    rng = np.random.default_rng(6)
    first, second = rng.integers(0, 4, (2, 30)).astype(float)
    weights = rng.integers(0, 4, (20, 30))
    found = weighted_rank_correlation(first, second, weights)
    expected = [scipy.stats.spearmanr(np.repeat(first, times), np.repeat(second, times)).statistic for times in weights]
    np.testing.assert_allclose(found, expected)
