"""Structure and gain, where both were put in."""

from __future__ import annotations

import numpy as np
import pytest

from slopes import sharp
from srtoolkit.analysis.bootstrap import Bootstrap
from srtoolkit.analysis.decomposition import decompose, null_structure
from srtoolkit.analysis.estimates import Estimate, null_range


def result(values):
    texts = [f"prompt {number}" for number in range(len(values))]
    return sharp(values).assign(
        peak=("pair", np.asarray(values, float)), text_a=("pair", texts), text_b=("pair", texts)
    )


def test_parts_are_logs_of_medians_and_add_up():
    rng = np.random.default_rng(0)
    trained, nulls = rng.lognormal(1.2, 0.4, 81), [rng.lognormal(0.3, 0.2, 81) for _ in range(3)]
    found = decompose(result(trained), [result(null) for null in nulls])
    assert found.total.value == pytest.approx(np.log(np.median(trained)))
    assert found.gain.value == pytest.approx(np.mean([np.log(np.median(null)) for null in nulls]))
    assert found.structure.value == pytest.approx(found.total.value - found.gain.value)
    assert found.seeds == 3
    assert all(part.low < part.value < part.high for part in found[:3])


def test_a_baseline_is_taken_off_total_and_gain_alone():
    rng = np.random.default_rng(1)
    trained, null, untrained = (result(rng.lognormal(mean, 0.1, 60)) for mean in (1.2, 0.3, 0.1))
    without, counted = decompose(trained, null), decompose(trained, null, baseline=untrained)
    zero = np.log(untrained["peak"].median().item())
    assert counted.total.value == pytest.approx(without.total.value - zero)
    assert counted.gain.value == pytest.approx(without.gain.value - zero)
    assert counted.structure == pytest.approx(without.structure)


def test_a_null_like_the_trained_model_leaves_no_structure():
    values = np.random.default_rng(2).lognormal(size=60)
    assert decompose(result(2 * values), result(2 * values)).structure == pytest.approx((0, 0, 0))


def test_seeds_that_differ_widen_the_intervals_as_students_does():
    values = np.ones(60)
    found = decompose(result(values), [result(values * factor) for factor in np.exp([0.1, 0.2, 0.3])],
                      bootstrap=Bootstrap(resamples=20_000))  # fmt: skip
    assert found.gain.value == pytest.approx(0.2)
    assert found.gain.high - 0.2 == pytest.approx(
        4.303 * 0.1 / np.sqrt(3), rel=0.1
    )  # Student's, two degrees of freedom
    assert decompose(result(values), result(2 * values)).gain == pytest.approx([np.log(2)] * 3)  # of one: none known


def test_nulls_have_no_structure_over_each_other_but_for_chance():
    """Medians of 2, 4 and 8: each over the geometric mean of the other two."""
    nulls = [result(np.full(9, value)) for value in (2.0, 4.0, 8.0)]
    found = null_structure(nulls, "max_slope")
    assert found.value == pytest.approx(0)
    each = [decompose(nulls[at], nulls[:at] + nulls[at + 1 :], "max_slope").structure for at in range(3)]
    np.testing.assert_allclose([one.value for one in each], np.log(2) * np.array([-1.5, 0, 1.5]))
    assert (found.low, found.high) == (min(one.low for one in each), max(one.high for one in each))
    with pytest.raises(ValueError, match="two null models or more, got 1"):
        null_structure(nulls[:1], "max_slope")


def test_estimates_of_several_nulls_have_their_mean_and_the_range_of_their_intervals():
    found = null_range([Estimate(1.0, 0.9, 1.2), Estimate(1.3, 1.1, 1.6), Estimate(1.0, 0.8, 1.1)])
    assert found == pytest.approx((1.1, 0.8, 1.6)) and isinstance(found, Estimate)
    with pytest.raises(ValueError, match="expected an Estimate of each null"):
        null_range([])


def test_other_pairs_and_no_nulls_are_refused():
    with pytest.raises(ValueError, match="not measured on the same pairs"):
        decompose(result([1.0, 2.0]), result([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="one result of a null model or more"):
        decompose(result([1.0, 2.0]), [])
