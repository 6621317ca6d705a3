"""Exact probabilities of orders, counted by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from slopes import sharp
from srtoolkit.analysis.orders import exact_trend


def test_a_perfect_order_of_five_is_one_of_120():
    rising = {10.0**size: size**2 for size in range(5)}
    assert exact_trend(rising, alternative="greater") == (1.0, 1 / 120, 5)
    assert exact_trend(rising).p == pytest.approx(2 / 120)
    assert exact_trend(rising, alternative="less").p == 1


@pytest.mark.parametrize("values", [[3, 1, 4, 1, 5], [2, 1, 4, 3, 6, 5], [1, 2, 4, 3]])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_p_is_the_share_of_orders_as_extreme(values, alternative):
    settings = list(range(len(values)))
    found = exact_trend(dict(zip(settings, values, strict=True)), alternative=alternative)
    of_orders = np.array([scipy.stats.spearmanr(settings, order).statistic for order in itertools.permutations(values)])
    value = scipy.stats.spearmanr(settings, values).statistic
    greater, less = (of_orders >= value - 1e-9).mean(), (of_orders <= value + 1e-9).mean()
    assert found.correlation == pytest.approx(value)
    expected = {"greater": greater, "less": less, "two-sided": min(1, 2 * min(greater, less))}
    assert found.p == pytest.approx(expected[alternative])


def test_results_count_by_their_medians():
    series = {float(size): sharp([size, size + 1, 100 - size], excluded=[0, 0, size % 2]) for size in range(4)}
    assert exact_trend(series, "max_slope").correlation == pytest.approx(1)
    assert exact_trend(series, alternative="greater").p == pytest.approx(1 / math.factorial(4))


def test_what_has_no_exact_trend_is_refused():
    with pytest.raises(ValueError, match="three to nine"):
        exact_trend({size: size for size in range(10)})
    with pytest.raises(ValueError, match="no order"):
        exact_trend({1: 2.0, 2: 2.0, 3: 2.0})
    with pytest.raises(ValueError, match="alternative="):
        exact_trend({1: 2.0, 2: 3.0, 3: 2.0}, alternative="up")


def test_settings_count_in_their_own_order_not_in_that_of_the_mapping():
    values = {30: 1.0, 2: 5.0, 7: 3.0, 11: 4.0, 1: 2.0}
    assert exact_trend(values).correlation == pytest.approx(
        scipy.stats.spearmanr([*values], [*values.values()]).statistic
    )
    assert exact_trend(values) == exact_trend(dict(sorted(values.items())))
