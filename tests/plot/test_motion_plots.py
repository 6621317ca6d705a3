"""Pictures of motion show peak, calm and speed as they are, worked out by hand."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt
from srtoolkit.plot.style import spread_out

mpl.use("agg")
ALPHAS = np.linspace(0, 1, 11)
#: A pair that moves evenly, one that moves in the middle alone, and one that does not move.
STEPS = np.array([[0.0, *[2.0] * 10], [0.0, *[0.0] * 4, 3.0, 3.0, *[0.0] * 4], [0.0] * 11])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def curves():
    data = {"step": (("pair", "alpha"), STEPS), "degenerate": ("pair", [False, False, True])}
    return xr.Dataset(data, {"pair": list("abc"), "alpha": ALPHAS})


@pytest.fixture
def motion():
    data = {
        "peak": [1.0, 4.0, 2.0, np.nan],
        "calm_a": [1.0, 0.2, 0.5, np.nan],
        "calm_b": [1.0, 0.4, 0.7, np.nan],
        "excluded": [False, False, False, True],
        "prompt_a": [0, 2, 4, 6],
        "prompt_b": [1, 3, 5, 7],
    }
    return xr.Dataset({name: ("pair", values) for name, values in data.items()})


def test_a_dot_a_pair_and_the_median_marked(motion):
    before = motion.copy(deep=True)
    ax = srt.plot.peak_against_calm({"trained": motion, "half": motion.assign(peak=motion.peak / 2)})
    dots, other = (drawn.get_offsets() for drawn in ax.collections[:2])
    assert np.asarray(dots) == pytest.approx(np.array([[1, 1], [0.3, 4], [0.6, 2]]))
    assert np.asarray(other)[:, 1] == pytest.approx([0.5, 2, 1])
    marks = {
        line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_ls() == "None"
    }
    (trained,) = (place for label, place in marks.items() if label.startswith("trained"))
    assert trained == pytest.approx((0.6, 2))
    assert "n = 3, 1 left out" in ax.get_legend().get_texts()[0].get_text()
    assert ax.get_yscale() == "log" and "even motion: 1" in ax.get_xlabel()
    assert any("stable regions" in words.get_text() for words in ax.texts)
    low, high = ax.get_ylim()
    assert low < 0.5 and high > 4 and motion.identical(before)


def test_intervals_are_those_of_summarise(motion):
    many = motion.isel(pair=[0, 1, 2] * 9).assign(
        prompt_a=("pair", np.arange(27)), prompt_b=("pair", np.arange(27, 54))
    )
    row = srt.summarise(many, ["peak", "calm_a"]).sel(quantity="peak")
    ax = srt.plot.peak_against_calm(many)
    (line,) = {tuple(line.get_ydata()) for line in ax.lines if line.get_label() == "_peak"}
    assert line == pytest.approx((row["low"].item(), row["high"].item()))


def test_no_pair_is_said_so(motion):
    ax = srt.plot.peak_against_calm({"none": motion.isel(pair=[3])})
    assert ax.get_legend().get_texts()[0].get_text() == "none: no pairs"
    with pytest.raises(ValueError, match="calm_a"):
        srt.plot.peak_against_calm(motion.drop_vars("calm_a"))


def test_speed_is_the_step_over_the_mean_step_of_the_pairs_that_move(curves):
    ax = srt.plot.speed(curves)
    places, middle = ax.lines[0].get_data()
    assert places == pytest.approx((ALPHAS[1:] + ALPHAS[:-1]) / 2)
    assert middle == pytest.approx([0.5] * 4 + [3.0, 3.0] + [0.5] * 4)  # medians of 1 and 0, and of 1 and 5
    assert ax.lines[1].get_ydata()[0] == 1 and "even motion" in {words.get_text() for words in ax.texts}
    alone = srt.plot.speed(curves.assign(rounded=("pair", [True, False, False])))
    assert alone.lines[0].get_ydata().max() == pytest.approx(5)


def test_speed_does_not_depend_on_the_spacing_of_points(curves):
    """Uneven alphas, an output that moves evenly: its steps are as long as those of alpha."""
    uneven = ALPHAS**2
    steps = np.diff(uneven, prepend=0.0)[None].repeat(3, axis=0) * 7
    ax = srt.plot.speed(curves.assign(step=(("pair", "alpha"), steps)).assign_coords(alpha=uneven))
    assert ax.lines[0].get_ydata() == pytest.approx(np.ones(10))


def test_ordered_series_go_from_dark_to_light_with_two_bands(curves):
    series = {f"{step} steps": curves for step in (0, 10, 20, 40)}
    ax = srt.plot.speed(series, ordered=True)
    light = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (line.get_color() for line in ax.lines[:4])]
    assert (np.diff(light) > 0.1).all() and len(ax.collections) == 2
    assert set(series) <= {words.get_text() for words in ax.texts}
    assert len(srt.plot.speed(series).collections) == 4
    with pytest.raises(ValueError, match="step_resid"):
        srt.plot.speed(curves, reads="resid")


def test_labels_at_line_ends_do_not_overlap(curves):
    ax = srt.plot.speed({f"{step} steps": curves for step in (0, 10, 20, 40)})
    ax.figure.canvas.draw()
    boxes = sorted((words.get_window_extent() for words in ax.texts), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))


def test_heights_move_apart_no_more_than_need_be():
    assert spread_out([0.0, 1.0, 3.0], 0.5) == [0, 1, 3]
    assert spread_out([0.0, 0.0], 1.0) == [-0.5, 0.5]
    assert spread_out([0.0, 0.9, 1.0], 1.0) == pytest.approx([-0.366667, 0.633333, 1.633333], abs=1e-5)
