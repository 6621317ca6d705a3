"""Couples of pairs: paired statistics, and what is resampled together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from srtoolkit.analysis.couples import contrast, paired_ratio, share_below
from srtoolkit.analysis.matching import balance, match


def pairs(values, texts_a, texts_b, **more):
    data = {"max_slope": values, "excluded": np.zeros(len(values), bool), **more}
    texts = {"text_a": [f"a{text}" for text in texts_a], "text_b": [f"b{text}" for text in texts_b]}
    return xr.Dataset({name: ("pair", value) for name, value in (data | texts).items()})


def width(found):
    return found.high - found.low


def test_a_paired_ratio_is_the_median_of_ratios_within_couples():
    rng = np.random.default_rng(0)
    common, n = rng.lognormal(0, 1, 101), np.arange(101)
    one, other = common * rng.lognormal(0.3, 0.1, 101), common * rng.lognormal(0, 0.1, 101)
    found = paired_ratio(pairs(one, n, n), pairs(other, n + 500, n + 500))
    assert found.value == pytest.approx(np.median(one / other))
    assert found.low < np.exp(0.3) < found.high
    assert width(found) < 0.3 * width(contrast(pairs(one, n, n), pairs(other, n + 500, n + 500)))
    excluded = np.r_[True, np.zeros(100, bool)]
    fewer = paired_ratio(pairs(one, n, n).assign(excluded=("pair", excluded)), pairs(other, n + 500, n + 500))
    assert fewer.value == pytest.approx(np.exp(np.median(np.log(one / other)[1:])))
    with pytest.raises(ValueError, match="no couples"):
        paired_ratio(pairs(one, n, n), pairs(other, n + 500, n + 500).isel(pair=slice(5)))


@pytest.mark.parametrize("shift", [0, 500])
def test_couples_are_drawn_as_couples_whether_or_not_they_share_a_prompt(shift):
    """A share of 0.72 of 57 couples has a binomial interval 0.23 wide."""
    n = np.arange(57)
    first, second = pairs((n >= 41).astype(float), n, n), pairs(np.full(57, 0.5), n + shift, n + 900)
    found = share_below(first, second)
    assert found.value == pytest.approx(41 / 57)
    assert width(found) == pytest.approx(2 * 1.96 * np.sqrt(0.72 * 0.28 / 57), rel=0.1)


def test_couples_that_share_prompts_with_others_are_drawn_with_them():
    rng = np.random.default_rng(3)
    frame, n = np.repeat(np.arange(30), 4), np.arange(120)
    low = np.repeat(rng.integers(0, 2, 30), 4)  # all couples of a frame agree
    first, second = pairs(1.0 - low, frame, n), pairs(np.full(120, 0.5), frame, n + 900)
    alone = pairs(1.0 - low, n, n), pairs(np.full(120, 0.5), n + 900, n + 900)
    assert width(share_below(first, second)) > 1.7 * width(share_below(*alone))


def test_matched_couples_are_drawn_together_for_a_contrast():
    rng = np.random.default_rng(4)
    common, n = rng.lognormal(0, 1, 80), np.arange(80)
    first = pairs(2 * common, n, n, input_distance=common)
    second = pairs(common, n + 500, n + 500, input_distance=common * 1.001)
    matched = match(first, second, {"input_distance": 0.01})
    assert matched[0]["couple"].values.tolist() == matched[1]["couple"].values.tolist() == list(range(80))
    assert contrast(*matched) == pytest.approx((2, 2, 2))
    assert width(contrast(first, second)) > 0.5  # as two sets they are not


def test_a_table_of_balance_has_means_and_standardised_differences():
    rng = np.random.default_rng(5)
    distance = rng.normal(20, 4, 150), rng.normal(24, 4, 90)
    first, second = (
        pairs(np.ones(len(d)), np.arange(len(d)) + 500 * side, np.arange(len(d)), input_distance=d, kind=d > 22)
        for side, d in enumerate(distance)
    )
    matched = match(first, second, {"input_distance": 0.05})
    table = balance(first, second, matched, ["input_distance", "kind"])
    scale = np.sqrt(np.mean([pd.Series(d).var() for d in distance]))
    assert table.loc[("input_distance", "before"), "difference"] == pytest.approx(
        (distance[0].mean() - distance[1].mean()) / scale
    )
    after = table.loc[("input_distance", "after")]
    means = [part["input_distance"].values.mean() for part in matched]
    assert [after["mean_first"], after["mean_second"]] == pytest.approx(means)
    assert after["difference"] == pytest.approx((means[0] - means[1]) / scale) and abs(after["difference"]) < 0.2
    left_out = 150 - matched[0].sizes["pair"], 90 - matched[1].sizes["pair"]
    assert (after["left_out_first"], after["left_out_second"]) == left_out
    assert table.loc[("kind", "before"), "mean_first"] == pytest.approx((distance[0] > 22).mean())
    with pytest.raises(ValueError, match="zipf"):
        balance(first, second, matched, "zipf")
