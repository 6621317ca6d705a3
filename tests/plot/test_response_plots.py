"""Pictures of responses show medians worked out by hand, and contours of a norm lie on the line of that norm."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt

mpl.use("agg")
SIZES, ANGLES = np.geomspace(0.1, 30, 120), np.arange(16) * np.pi / 8


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def mixed(p, a=1.0, b=1.0):
    norm = np.linalg.norm(np.stack([a * np.cos(ANGLES), b * np.sin(ANGLES)]), p, axis=0)
    values = np.stack([scale * SIZES * norm[:, None] for scale in (1.0, 2.0, 0.5)])
    coords = {"size": SIZES, "angle": ("direction", ANGLES), "text": ("prompt", list("abc"))}
    coords |= {name: ("direction", [way] * 16) for name, way in (("first", "u"), ("second", "v"))}
    return xr.Dataset({"distance": (("prompt", "direction", "size"), values)}, coords)


@pytest.mark.parametrize(("p", "index"), [(1, 0), (2, 1), (4, 2), (np.inf, 3)])
def test_a_contour_of_a_norm_lies_on_its_line_whatever_the_scales(p, index):
    ax = srt.plot.contour(mixed(p, 1.3, 1.0), "u", "v", at=1.0)
    lines = {line.get_label(): line for line in ax.get_lines()}
    x, y = lines["measured"].get_data()
    assert len(x) == 17 and (x[0], y[0]) == (x[-1], y[-1])
    names = ["p = 1", "p = 2, a quadratic form", "p = 4", "p = ∞"]
    line = np.stack(lines[names[index]].get_data())
    apart = np.hypot(x[:, None] - line[0], y[:, None] - line[1]).min(axis=1)
    assert apart.max() < 0.01
    others = [np.stack(lines[name].get_data()) for name in names if name != names[index]]
    assert all(np.hypot(x[:, None] - it[0], y[:, None] - it[1]).min(axis=1).max() > 0.02 for it in others)
    assert ax.get_xlabel() == "push along u" and ax.get_ylabel() == "push along v"


def test_a_response_is_a_median_with_quartiles_and_a_line_at_half():
    result = mixed(2).assign(apart=("prompt", [2.0, 4.0, 9.0]))
    ax = srt.plot.response({"one": result, "two": result * 2})
    one, two, half = ax.get_lines()
    np.testing.assert_allclose(one.get_ydata(), SIZES, rtol=1e-6)
    np.testing.assert_allclose(two.get_ydata(), 2 * SIZES, rtol=1e-6)
    assert list(half.get_ydata()) == [2.0, 2.0]
    assert ax.get_xscale() == ax.get_yscale() == "log" and ax.get_ylabel() == "output's distance from where it was, L2"


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no mixtures of these two"):
        srt.plot.contour(mixed(2), "v", "u", at=1.0)
    with pytest.raises(ValueError, match="of='kl'"):
        srt.plot.response(mixed(2), "kl")
