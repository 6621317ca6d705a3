"""Shortfalls are medians of geometric means, worked out by hand, with intervals over prompts."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import gmean

import srtoolkit as srt

SHAPE = ("prompt", "direction")


def rays(predicted, found):
    text = [f"prompt {number}" for number in range(len(found))]
    return xr.Dataset(
        {"radius": (SHAPE, np.array(found)), "predicted_radius": (SHAPE, np.array(predicted))},
        {"text": ("prompt", text)},
    )


def drawn(seed=0, n=31):
    rng = np.random.default_rng(seed)
    return rays(np.exp(rng.normal(1, 0.3, (n, 3))), np.exp(rng.normal(0, 0.3, (n, 3))))


def test_it_is_the_median_of_geometric_means():
    one, other = drawn(), drawn(1)
    each = [gmean(two.predicted_radius / two.radius, axis=1) for two in (one, other)]
    found = srt.shortfall(one)
    assert found.value == pytest.approx(np.median(each[0])) and found.low < found.value < found.high
    assert srt.shortfall(one, other).value == pytest.approx(np.median(each[0] / each[1]))
    same = srt.shortfall(one, one)
    assert same == pytest.approx((1, 1, 1))


def test_rays_without_end_are_left_out():
    found = rays([[2.0, 9.0], [3.0, 3.0], [4.0, 4.0]], [[1.0, np.inf], [1.0, 1.0], [np.inf, np.inf]])
    assert srt.shortfall(found).value == pytest.approx(2.5, abs=0.51)  # of 2 and 3
    assert srt.shortfall(found.isel(prompt=[0])).value == pytest.approx(2)
    with pytest.raises(ValueError, match="no prompt has finite radii"):
        srt.shortfall(found.isel(prompt=[2]))


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="same prompts"):
        srt.shortfall(drawn(), drawn().isel(prompt=slice(None, None, -1)))
    with pytest.raises(ValueError, match=r"over: .*predicted_radius"):
        srt.shortfall(drawn(), drawn().drop_vars("predicted_radius"))
    with pytest.raises(TypeError, match="radii"):
        srt.shortfall(None)
