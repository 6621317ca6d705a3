"""Change and order of structure along a setting, where both were put in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from slopes import sharp
from srtoolkit.analysis.bootstrap import Bootstrap
from srtoolkit.analysis.decomposition import decompose
from srtoolkit.analysis.structure_trends import structure_trend


def result(values, prefix="prompt"):
    texts = [f"{prefix} {number}" for number in range(len(values))]
    return sharp(values).assign(
        peak=("pair", np.asarray(values, float)), text_a=("pair", texts), text_b=("pair", texts)
    )


def drawn(rng, structure, gain, scatter=0.3, seeds=3):
    """A trained model and its nulls whose medians have about this structure and gain."""
    trained = result(np.exp(structure + gain + rng.normal(0, scatter, 80)))
    return trained, [result(np.exp(gain + rng.normal(0, scatter, 80))) for _ in range(seeds)]


def test_values_are_those_of_decompose_and_scipy_in_any_order_of_settings():
    rng = np.random.default_rng(0)
    series = {
        setting: drawn(rng, 0.02 * setting, gain) for setting, gain in zip((8, 1, 4, 2, 16), rng.random(5), strict=True)
    }
    structures = {setting: decompose(*both).structure.value for setting, both in series.items()}
    found = structure_trend(series)
    assert found.n == 5
    assert found.change.value == pytest.approx(structures[16] - structures[1])
    assert found.correlation.value == pytest.approx(spearmanr(list(structures), list(structures.values())).statistic)


def test_growth_that_shuffled_weights_share_is_no_change():
    values = np.random.default_rng(1).lognormal(size=60)
    series = {grown: (result(3 * grown * values), [result(grown * values)] * 2) for grown in (1, 2, 4)}
    assert structure_trend(series).change == pytest.approx((0, 0, 0))


def test_seeds_of_both_ends_widen_the_interval_of_the_change_as_students_does():
    ones, nulls = result(np.ones(60)), [result(np.full(60, factor)) for factor in np.exp([0.1, 0.2, 0.3])]
    found = structure_trend({1: (ones, [ones]), 2: (ones, nulls)}, bootstrap=Bootstrap(resamples=20_000))
    assert found.change.value == pytest.approx(-0.2)
    assert found.change.high + 0.2 == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=0.1)  # two degrees of freedom


def test_what_cannot_be_compared_is_refused():
    one = result([1.0, 2.0])
    with pytest.raises(ValueError, match="two or more settings"):
        structure_trend({1: (one, [one])})
    with pytest.raises(ValueError, match="for each setting"):
        structure_trend({1: (one, [one]), 2: (one, [])})
    with pytest.raises(ValueError, match="not measured on the same pairs"):
        structure_trend({1: (one, [one]), 2: (result([1.0, 2.0], "other"), [result([1.0, 2.0], "other")])})
