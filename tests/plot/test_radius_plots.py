"""Radii lie where they are, and those that are infinite are seen."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt

mpl.use("agg")
SHAPE = ("prompt", "direction")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def rays(found, predicted):
    return xr.Dataset({"radius": (SHAPE, np.array(found)), "predicted_radius": (SHAPE, np.array(predicted))})


def test_each_ray_is_a_point_and_those_without_end_are_triangles():
    one = rays([[1.0, 2.0], [np.inf, 4.0]], [[1.5, 2.0], [3.0, np.inf]])
    ax = srt.plot.radii({"random": one, "others": rays([[0.5]], [[5.0]])})
    points, never, other, none = ax.get_lines()[1:]
    assert points.get_xdata().tolist() == [1.5, 2.0] and points.get_ydata().tolist() == [1.0, 2.0]
    assert never.get_xdata().tolist() == [3.0] and never.get_ydata()[0] > 2.0 and never.get_marker() == "^"
    assert (other.get_xdata().tolist(), other.get_ydata().tolist()) == ([5.0], [0.5]) and not len(none.get_xdata())
    assert ax.get_xscale() == ax.get_yscale() == "log" and ax.get_xlim() == ax.get_ylim()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["random", "others"]
    for drawn in (points, never, other):
        assert (drawn.get_ydata() < ax.get_ylim()[1]).all()


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="predicted_radius"):
        srt.plot.radii(rays([[1.0]], [[1.0]]).drop_vars("predicted_radius"))
    apart = xr.Dataset({"radius": ("prompt", [1.0]), "predicted_radius": ("direction", [1.0])})
    with pytest.raises(ValueError, match="same prompts and directions"):
        srt.plot.radii(apart)
