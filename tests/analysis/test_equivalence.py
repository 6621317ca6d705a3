"""Equivalence: an interval within a margin, and the error that the test may make."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import srtoolkit as srt


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.95, 1.05, True), (0.85, 1.05, False), (0.95, 1.2, False), (0.9, 1.0, False), (1.2, 1.3, False)],
)
def test_an_interval_lies_within_the_margin_or_does_not(low, high, expected):
    assert srt.equivalent(srt.Estimate(1.0, low, high), (0.9, 1.1)) is expected


def test_an_interval_without_ends_shows_nothing():
    assert not srt.equivalent(srt.Estimate(1.0, float("nan"), 1.0), (0.9, 1.1))
    assert not srt.equivalent(srt.Estimate(1.0, 1.0, float("nan")), (0.9, 1.1))


def test_it_is_two_one_sided_tests_at_five_percent():
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.1, 0.2, 0.3):
        values = rng.normal(shift, 1, 100)
        half = stats.t.ppf(0.95, 99) * stats.sem(values)
        found = srt.equivalent(srt.Estimate(values.mean(), values.mean() - half, values.mean() + half), (-0.3, 0.3))
        p = max(
            stats.ttest_1samp(values, -0.3, alternative="greater").pvalue,
            stats.ttest_1samp(values, 0.3, alternative="less").pvalue,
        )
        assert found == (p < 0.05), shift


@pytest.mark.parametrize("margin", [(1.1, 0.9), (1.0, 1.0), (0.9,), (float("nan"), 1.0)])
def test_a_margin_is_two_numbers_in_order(margin):
    with pytest.raises(ValueError, match="margin"):
        srt.equivalent(srt.Estimate(1.0, 1.0, 1.0), margin)
