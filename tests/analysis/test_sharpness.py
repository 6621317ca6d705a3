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
    assert found.plateau_fraction == pytest.approx(1 - 0.8 / 49)  # the step itself, straight between points
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


def test_plateaus_and_jumps_are_those_of_the_output_and_not_of_its_distance_from_a():
    """An output that leaves A along an arc about it: as far from A as the end is, and not near the end."""
    angle = np.linspace(0, np.pi, 49)
    outputs = np.concatenate([[[0.0, 0.0]], np.stack([np.cos(angle), np.sin(angle)], axis=1)])
    from_a, from_b = (np.linalg.norm(outputs - outputs[end], axis=1) for end in (0, -1))
    step = np.pad(np.linalg.norm(np.diff(outputs, axis=0), axis=1), (1, 0))
    of = {"step": step, "distance": from_a, "distance_b": from_b}
    curves = dataset(from_a)
    whole = curves.assign({name: (("pair", "alpha"), values[None]) for name, values in of.items()})
    alone = sharpness(curves.drop_vars("distance"))
    assert alone.plateau_fraction > 0.9 and alone.attrs["own_path"] == "relative_distance"
    found = sharpness(whole)
    near = (
        2 * np.arcsin(0.05) / np.pi * 48 / 49 + 0.1 / 49
    )  # a chord of 0.1 about the end, and a tenth of the first step
    assert found.plateau_fraction.item() == pytest.approx(near, abs=1e-3) and found.attrs["own_path"] == "step"
    assert found.jumps == 1 and alone.jumps == 1
    assert found.max_slope == alone.max_slope


@pytest.mark.parametrize("of", ["kl", "jsd", "logit_difference", "hellinger"])
def test_curves_of_predictions_have_the_hellinger_path_beside_them(of):
    step = np.full((1, 50), 1.0)
    step[0, 20:22] = 40  # 40 of 47 + 80 each: speed 15
    names = {"step_hellinger": step, "hellinger": ALPHAS[None], "hellinger_b": 1 - ALPHAS[None], of: ALPHAS[None]}
    curves = dataset(ALPHAS).assign({name: (("pair", "alpha"), values) for name, values in names.items()})
    found = sharpness(curves, of)
    assert found.jumps == 1 and found.attrs["own_path"] == "step_hellinger"
    assert sharpness(curves).jumps == 0 and sharpness(curves).attrs["own_path"] == "relative_distance"
    broken = curves.assign(step_hellinger=curves["step_hellinger"] * np.where(ALPHAS > 0.5, np.nan, 1))
    assert sharpness(broken, of).non_finite.all() and not sharpness(broken).excluded.any()


def test_rounded_pairs_are_left_out_like_degenerate_ones():
    curves = dataset(ALPHAS, ALPHAS).assign(rounded=("pair", [False, True]))
    found = sharpness(curves)
    assert found.excluded.values.tolist() == [False, True] and not found.degenerate.any()
    assert np.isnan(found.max_slope[1]) and found.rounded.values.tolist() == [False, True]


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
