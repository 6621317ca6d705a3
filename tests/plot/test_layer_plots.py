"""The map over depth shows the medians, at the blocks that they are of."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt

mpl.use("agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_cell_a_block_patched_and_read_with_the_median_over_pairs():
    peaks = np.full((3, 2, 3), np.nan)
    peaks[:, 0] = [[9, np.nan, 2], [8, np.nan, 4], [1, np.nan, 9]]
    peaks[:, 1] = [[1, 2, 3]] * 3
    result = xr.Dataset({"peak": (("pair", "write", "read"), peaks)}, {"write": [7, 0], "read": [1, 2, 8]})
    ax = srt.plot.layer_map(result, vmax=10.0)
    (drawn,) = ax.collections
    shown = drawn.get_array()
    assert shown.filled(-1).tolist() == [[1, 2, 3], [8, -1, 4]]  # block 0 first
    assert drawn.get_clim() == (1, 10)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "8"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "7"] and ax.yaxis_inverted()


def test_deep_models_have_a_number_beside_every_few_blocks():
    peaks = np.ones((1, 29, 29))
    coords = {"write": np.arange(29), "read": np.arange(1, 30)}
    ax = srt.plot.layer_map(xr.Dataset({"peak": (("pair", "write", "read"), peaks)}, coords))
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "0",
        "3",
        "6",
        "9",
        "12",
        "15",
        "18",
        "21",
        "24",
        "27",
    ]
    assert ax.get_yticks()[1] == 3.5
