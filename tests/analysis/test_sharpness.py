"""Sharpness of curves whose sharpness is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from srtoolkit.analysis.sharpness import sharpness

ALPHAS = np.linspace(0, 1, 50)


def dataset(*rows, alphas=ALPHAS, degenerate=None):
    values = np.array(rows, dtype=float)
    n = len(values)
    return xr.Dataset(
        {
            "distance": (("pair", "alpha"), values),
            "relative_distance": (("pair", "alpha"), values),
            "degenerate": ("pair", np.zeros(n, bool) if degenerate is None else np.array(degenerate)),
            "lengths_differ": ("pair", np.zeros(n, bool)),
            "prompt_a": ("pair", np.arange(n)),
            "prompt_b": ("pair", np.arange(n) + n),
        },
        {"pair": [str(index) for index in range(n)], "alpha": alphas},
    )


def sigmoid(center, steepness):
    curve = 1 / (1 + np.exp(-steepness * (ALPHAS - center)))
    return (curve - curve[0]) / (curve[-1] - curve[0])


def test_a_straight_line():
    found = sharpness(dataset(3 * ALPHAS)).isel(pair=0)
    assert found.max_slope == pytest.approx(1)
    assert found.width_10_90 == pytest.approx(0.8)
    assert found.plateau_fraction == pytest.approx(0.2, abs=0.02)
    assert found.jumps == 0


def test_one_step_reaches_the_ceiling_of_the_statistic():
    found = sharpness(dataset(np.where(ALPHAS < 0.5, 0, 7.0))).isel(pair=0)
    assert found.max_slope == pytest.approx(49)
    assert found.jump_at == pytest.approx(0.5)
    assert found.width_10_90 == pytest.approx(0.8 / 49)
    assert found.plateau_fraction == pytest.approx(1)
    assert found.jumps == 1


def test_a_sigmoid_jumps_where_and_as_steeply_as_it_is_made():
    found = sharpness(dataset(sigmoid(0.3, 40))).isel(pair=0)
    assert found.max_slope == pytest.approx(10, rel=0.02)
    assert found.jump_at == pytest.approx(0.3, abs=0.02)
    assert found.width_10_90 == pytest.approx(2 * np.log(9) / 40, rel=0.05)


def test_two_stairs_are_two_jumps_and_a_ripple_is_none():
    stairs = 0.5 * (sigmoid(0.3, 80) + sigmoid(0.7, 80))
    ripple = ALPHAS + 0.02 * np.sin(40 * ALPHAS)
    assert sharpness(dataset(stairs, ripple)).jumps.values.tolist() == [2, 0]


def test_the_grid_need_not_be_even():
    alphas = np.sort(np.r_[0, 1, np.random.default_rng(0).random(40)])
    assert sharpness(dataset(alphas, alphas=alphas)).max_slope.item() == pytest.approx(1)


def test_degenerate_and_broken_curves_are_flagged_and_hold_nan():
    broken = ALPHAS.copy()
    broken[10] = np.inf
    found = sharpness(dataset(ALPHAS, 0 * ALPHAS, broken, np.full(50, np.nan), degenerate=[False, True, False, False]))
    assert found.degenerate.values.tolist() == [False, True, False, False]
    assert found.non_finite.values.tolist() == [False, False, True, True]
    assert found.excluded.values.tolist() == [False, True, True, True]
    assert np.isfinite(found.max_slope.values).tolist() == [True, False, False, False]


def test_an_unknown_curve_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'slope'.*relative_distance"):
        sharpness(dataset(ALPHAS), of="slope")


@given(
    arrays(float, 20, elements=st.floats(0, 1e3, allow_subnormal=False)),
    st.floats(1e-3, 1e3),
    st.floats(1e-2, 1e2),
)
def test_any_curve_is_at_least_as_steep_as_the_line_between_its_ends(middle, end, scale):
    curve = np.r_[0, middle, end]
    alphas = np.linspace(0, 1, 22)
    once, again = (sharpness(dataset(factor * curve, alphas=alphas)).isel(pair=0) for factor in (1, scale))
    assert once.max_slope >= 1 - 1e-9
    assert 0 <= once.plateau_fraction <= 1
    assert 0 <= once.jump_at <= 1
    assert again.max_slope == pytest.approx(once.max_slope.item())
