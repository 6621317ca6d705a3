"""Pictures of effects hold the numbers and intervals that they were given."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from srtoolkit import plot
from srtoolkit.analysis.estimates import Estimate

mpl.use("agg")


class Parts(NamedTuple):
    total: Estimate
    structure: Estimate
    gain: Estimate


ROW = Parts(Estimate(0.7, 0.6, 0.9), Estimate(0.4, 0.3, 0.45), Estimate(0.3, 0.2, 0.4))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def bars(ax):
    """Both ends of every bar, in the data's coordinates."""
    drawn = [segment for lines in ax.collections for segment in lines.get_segments() if len(segment)]
    return {tuple(np.round(segment[:, 1], 6).tolist()) for segment in drawn}


def test_estimates_have_their_null_and_their_number():
    rows = {"words": Estimate(2.0, 1.6, 2.4), "verses": Estimate(1.1, 0.9, 1.3)}
    ax = plot.estimates(rows, "ratio", null={"words": Estimate(1.0, 0.8, 1.1)}, n={"words": 1034})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["words  (n = 1,034)", "verses"]
    (band,) = ax.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.8, 1.1))
    assert band.get_y() < 0 < band.get_y() + band.get_height() < 0.5  # of the first row
    assert ax.get_xlim()[0] < 0.8
    ax.set_title("How often two places lie near each other")
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert not any(legend.overlaps(one.get_window_extent()) for one in (ax.title, *ax.patches, *ax.lines))
    with pytest.raises(ValueError, match="verse"):
        plot.estimates(rows, "ratio", null={"verse": Estimate(1, 1, 1)})


def test_estimates_side_by_side_go_from_top_to_bottom():
    rows = {"first": Estimate(2.0, 1.6, 2.4), "second": Estimate(1.1, 0.9, 1.3)}
    for ax in plt.subplots(1, 2, sharey=True)[1]:
        plot.estimates(rows, "ratio", null=rows, ax=ax)
    bottom, top = ax.get_ylim()
    assert top < 0 and bottom > 1


@pytest.mark.parametrize("settings", [(0, 2e6, 4e6), ("a", "b", "c")])
def test_both_parts_and_their_sum_have_intervals(settings):
    ax = plot.decomposition(dict.fromkeys(settings, ROW), "tokens")
    assert {line.get_label() for line in ax.get_legend_handles_labels()[0]} == {"total", "structure", "gain"}
    assert bars(ax) == {(0.6, 0.9), (0.3, 0.45), (0.2, 0.4)}
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    assert low < 0 and high > 0.9
    (factor,) = ax.child_axes
    assert factor.get_ylim() == pytest.approx((np.exp(low), np.exp(high)))
    x = ax.transData.transform(
        [(place if isinstance(place, float | int) else index, 0.5) for index, place in enumerate(settings)]
    )
    assert (np.diff(x[:, 0]) > 20).all()


def test_other_rows_are_refused():
    with pytest.raises(ValueError, match="decompose"):
        plot.decomposition({"a": Estimate(1, 0, 2)})


def test_matched_bins_are_ratios():
    table = xr.Dataset(
        {
            "jsd_same": ("bin", [0.1, 0.2, 0.0]),
            "jsd_different": ("bin", [0.15, 0.2, 0.1]),
            "output_distance": ("bin", [10.0, 20.0, 30.0]),
        }
    )
    ax = plot.matched_bins(table)
    places, ratio = ax.lines[1].get_data()
    assert list(places) == [10, 20, 30] and ratio[:2] == pytest.approx([1.5, 1.0]) and np.isnan(ratio[2])
    ends = {"ratio_low": ("bin", [1.2, 0.8, np.nan]), "ratio_high": ("bin", [1.9, 1.3, np.nan])}
    assert {(1.2, 1.9), (0.8, 1.3)} <= bars(plot.matched_bins(table.assign(ends)))
    with pytest.raises(ValueError, match="'bin' alone"):
        plot.matched_bins(table.expand_dims(model=2))


def test_above_one_a_small_excess_has_its_place():
    ax = plt.subplots()[1]
    ax.plot([1.05, 1.5, 14.0])
    plot.scale_above_one(ax)
    places = ax.transAxes.inverted().transform(ax.transData.transform([(0, value) for value in (1.05, 1.5, 6, 14.0)]))[
        :, 1
    ]
    assert np.diff(places)[:2] == pytest.approx(np.log([10, 10]) / np.log(10) * np.diff(places)[0])  # one decade each
    assert 0 < places[0] < 0.2 and 0.8 < places[-1] < 1
    assert {"1.05", "1.5", "10"} <= {label.get_text() for label in ax.get_yticklabels()}
