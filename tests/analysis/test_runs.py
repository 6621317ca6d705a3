"""Runs as units: against scipy, and where nothing can be told."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from srtoolkit.analysis.estimates import Estimate
from srtoolkit.analysis.runs import across_runs, difference_over_runs, slope_over_runs

SIZES = [4e5, 4e5, 4e5, 1e6, 1e6, 6e6, 6e6]
VALUES = [0.2, 0.25, 0.21, 0.3, 0.33, 0.52, 0.49]


def test_a_mean_over_runs_has_scipys_interval():
    expected = scipy.stats.ttest_1samp(VALUES, 0).confidence_interval(0.9)
    assert across_runs(VALUES, 0.9) == pytest.approx((np.mean(VALUES), *expected))
    assert across_runs([Estimate(value, 0, 1) for value in VALUES], 0.9) == across_runs(VALUES, 0.9)


def test_a_difference_of_two_kinds_of_runs_has_scipys_interval():
    expected = scipy.stats.ttest_ind(VALUES, SIZES[2:5], equal_var=False).confidence_interval(0.9)
    found = difference_over_runs(VALUES, [Estimate(size, 0, 1) for size in SIZES[2:5]], 0.9)
    assert found == pytest.approx((np.mean(VALUES) - np.mean(SIZES[2:5]), *expected)) and type(found.low) is float


def test_kinds_whose_runs_are_all_alike_differ_by_one_number():
    assert difference_over_runs([0.25, 0.25], [0.0, 0.0, 0.0]) == (0.25, 0.25, 0.25)


def test_a_slope_is_that_of_a_polynomial_fit_with_students_interval():
    found = slope_over_runs(VALUES, SIZES)
    (slope, _), covariance = np.polyfit(np.log10(SIZES), VALUES, 1, cov=True)
    reach = scipy.stats.t(len(VALUES) - 2).ppf(0.975) * np.sqrt(covariance[0, 0])
    assert found == pytest.approx((slope, slope - reach, slope + reach))


def test_single_runs_have_no_interval_and_say_so():
    with pytest.warns(UserWarning, match="one run says nothing"):
        found = across_runs([0.3])
    assert found.value == 0.3 and np.isnan(found.low) and np.isnan(found.high)
    with pytest.warns(UserWarning, match="3 settings have one run each"):
        found = slope_over_runs([1, 2, 3], [10, 100, 1000])
    assert found.value == pytest.approx(1) and np.isnan(found.low) and np.isnan(found.high)
    with pytest.warns(UserWarning, match="one run says nothing.*difference"):
        found = difference_over_runs([0.5], [0.1, 0.3])
    assert found.value == pytest.approx(0.3) and np.isnan(found.low) and np.isnan(found.high)


@pytest.mark.parametrize(
    ("values", "settings", "words"),
    [([1, 2], [1], "2 values and 1 settings"), ([1, 2], [3, 3], "not all the same"), ([1, 2], [0, 3], "above 0"),
     ([], [], "one number for each run"), ([1, float("nan")], [1, 2], "values=nan")],
)  # fmt: skip
def test_runs_that_make_no_line_are_refused(values, settings, words):
    with pytest.raises(ValueError, match=words):
        slope_over_runs(values, settings)
