"""Curves with gaps give the numbers of the straight lines between the points that ran."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt
from srtoolkit.analysis.uneven import filled

RAN = np.array([0, 3, 4, 7, 10])


def curves_at(places, steps=11):
    """A made output that walks in the plane, measured at some of the grid's points or, as a grid, at them alone."""
    alphas = np.linspace(0, 1, steps)[places]
    outputs = np.stack([np.tanh(8 * (alphas - 0.35)), 0.3 * np.sin(4 * alphas)], axis=-1)
    distance, back = (np.linalg.norm(outputs - outputs[end], axis=-1) for end in (0, -1))
    step = np.append(0, np.linalg.norm(np.diff(outputs, axis=0), axis=-1))
    values = {"distance": distance, "relative_distance": distance / distance[-1], "distance_b": back, "step": step}
    return alphas, values


def with_gaps():
    _, values = curves_at(RAN)
    gaps = {name: np.full((1, 11), np.nan) for name in values}
    for name, value in values.items():
        gaps[name][0, RAN] = value
    ran, token = np.isin(np.arange(11), RAN)[None], np.full((1, 11), -1)
    token[0, RAN] = [7, 7, 7, 9, 9]
    data = {name: (("pair", "alpha"), value) for name, value in (gaps | {"evaluated": ran, "top_token": token}).items()}
    return xr.Dataset(data | {"degenerate": ("pair", [False])}, {"alpha": np.linspace(0, 1, 11), "pair": ["0"]})


def without_gaps():
    alphas, values = curves_at(RAN)
    data = {name: (("pair", "alpha"), value[None]) for name, value in values.items()}
    return xr.Dataset(data | {"degenerate": ("pair", [False])}, {"alpha": alphas, "pair": ["0"]})


@pytest.mark.parametrize("measure", [srt.sharpness, srt.motion])
def test_a_curve_with_gaps_measures_as_the_uneven_grid_of_its_points(measure):
    found, expected = measure(with_gaps()), measure(without_gaps())
    names = [name for name in expected.data_vars if not name.endswith("_at")]
    assert "max_slope" in names or "peak" in names
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_places_lie_within_the_interval_that_is_meant():
    assert 0.3 <= srt.sharpness(with_gaps()).jump_at.item() <= 0.4
    assert 0.3 <= srt.motion(with_gaps()).peak_at.item() <= 0.4


def test_a_token_is_that_of_the_nearest_point_that_ran():
    assert filled(with_gaps()).top_token.values[0].tolist() == [7, 7, 7, 7, 7, 7, 9, 9, 9, 9, 9]
    assert 0.4 <= float(srt.token_change_at(with_gaps())[0]) <= 0.8


def test_what_has_no_gaps_stays_as_it_is():
    whole = without_gaps()
    assert filled(whole) is whole
    once = filled(with_gaps())
    assert filled(once).identical(once)


def test_a_path_without_an_end_is_refused():
    curves = with_gaps()
    curves["evaluated"][0, -1] = False
    with pytest.raises(ValueError, match="evaluated leaves out an end"):
        srt.sharpness(curves)
