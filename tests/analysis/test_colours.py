"""Colours of slices: jointly or one by one, and only of slices."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from srtoolkit.analysis.colours import slice_colours


def test_colours_are_one_less_the_share_of_the_largest_distance():
    distance = np.arange(2 * 3 * 2 * 2, dtype=float).reshape(2, 3, 2, 2)
    planes = xr.Dataset({"distance": (("model", "anchor", "beta", "alpha"), distance)})
    planes["largest_distance"] = planes["distance"].max(("alpha", "beta"))
    together, each = slice_colours(planes), slice_colours(planes, jointly=False)
    assert together.dims == each.dims == ("model", "beta", "alpha", "anchor")
    assert together.isel(model=0, anchor=0).max() == 1 and together.isel(model=1).min() == 0
    assert together.isel(model=0, anchor=0, beta=1, alpha=1).item() == pytest.approx(1 - 3 / 15)
    assert each.isel(beta=1, alpha=1).values.tolist() == [[0, 0, 0]] * 2


def test_what_is_no_slice_is_refused():
    with pytest.raises(ValueError, match="reads='final_norm'"):
        slice_colours(xr.Dataset({"margin": ("alpha", [1.0])}))


def test_a_part_of_a_slice_is_refused_by_its_axes():
    planes = xr.Dataset({"distance": (("anchor", "beta", "alpha"), np.ones((3, 2, 2)))})
    planes["largest_distance"] = planes["distance"].max(("alpha", "beta"))
    for part in (planes.isel(anchor=0), planes.isel(alpha=1)):
        with pytest.raises(ValueError, match=r"srtoolkit\.slice_plane.*has axes.*before any selection"):
            slice_colours(part)
