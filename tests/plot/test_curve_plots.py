"""Pictures draw what they are given, on the Axes they are given, and leave the results alone."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import seaborn as sns
import xarray as xr

import srtoolkit as srt
from srtoolkit.analysis.sharpness import sharpness

mpl.use("agg")
ALPHAS = np.linspace(0, 1, 11)


@pytest.fixture
def curves():
    values = np.stack([ALPHAS, ALPHAS**2, ALPHAS**3, np.full(11, np.nan)])
    return xr.Dataset(
        {
            "relative_distance": (("pair", "alpha"), values),
            "degenerate": ("pair", [False, False, False, True]),
            "lengths_differ": ("pair", [False] * 4),
            "input_distance": ("pair", [1.0, 2.0, 3.0, 4.0]),
            "prompt_a": ("pair", [0, 1, 2, 3]),
            "prompt_b": ("pair", [4, 5, 6, 7]),
        },
        {"pair": list("abcd"), "alpha": ALPHAS},
    )


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_median_curve_is_the_median_of_the_pairs_that_count(curves, ax):
    before = curves.copy(deep=True)
    assert srt.plot.median_curve(curves, ax=ax, paper="Qwen2-0.5B") is ax
    assert ax.lines[0].get_ydata() == pytest.approx(ALPHAS**2)
    paper = srt.reference.janiak2024()["digitised"]["fig3_median_curve"]["Qwen2-0.5B"]
    assert list(ax.lines[1].get_ydata()) == paper
    assert "α" in ax.get_xlabel() and "d(α) / d(1)" in ax.get_ylabel()
    assert curves.identical(before)


def test_several_results_have_a_colour_and_a_name_each(curves, ax):
    srt.plot.median_curve({"one": curves, "two": curves.assign(relative_distance=1 - curves.relative_distance)}, ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    assert ax.lines[0].get_color() != ax.lines[1].get_color()
    assert ax.lines[1].get_ydata() == pytest.approx(1 - ALPHAS**2)


def test_every_curve_is_drawn_and_few_are_named(curves, ax):
    srt.plot.curves(curves, ax=ax)
    assert len(ax.lines) == 4
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list("abcd")


def test_the_histogram_counts_every_pair_that_counts(curves, ax):
    srt.plot.slope_histogram(sharpness(curves), ax=ax, paper=True)
    assert sum(patch.get_height() for patch in ax.patches) == 3
    assert "median 1.90" in ax.get_legend().get_texts()[-1].get_text() + ax.get_legend().get_texts()[0].get_text()


def test_dots_are_the_pairs(curves, ax):
    sharp = sharpness(curves)
    srt.plot.slope_against(sharp, "input_distance", ax=ax)
    drawn = ax.collections[0].get_offsets()
    assert drawn[:3, 0].tolist() == [1, 2, 3]
    assert drawn[:3, 1].tolist() == pytest.approx(sharp.max_slope.values[:3])


def test_medians_carry_their_quartiles(curves, ax):
    row = srt.summarise(sharpness(curves)).sel(quantity="max_slope")
    srt.plot.medians({1: row, 2: row}, "tokens", ax=ax)
    assert ax.lines[0].get_ydata().tolist() == [row["median"].item()] * 2
    segment = ax.collections[0].get_segments()[0]
    assert segment[:, 1].tolist() == pytest.approx([row.q25.item(), row.q75.item()])
    assert ax.get_xlabel() == "tokens" and "largest slope" in ax.get_ylabel()


def test_the_thick_bar_is_the_interval_and_a_shift_moves_what_is_drawn(curves, ax):
    row = srt.summarise(sharpness(curves)).sel(quantity="max_slope").assign(low=1.5, high=2.5)
    srt.plot.medians({1: row, 2: row}, "tokens", ax=ax)
    thin, thick = ax.collections
    assert thick.get_segments()[0][:, 1].tolist() == [1.5, 2.5]
    assert thick.get_linewidth()[0] > 2 * thin.get_linewidth()[0]
    assert "95% interval" in ax.get_ylabel()
    at = ax.lines[0].get_transform().transform((1, 2))
    srt.plot.medians({1: row, 2: row}, "tokens", ax=ax, shift=7.2)
    moved = ax.lines[1].get_transform().transform((1, 2)) - ax.transData.transform((1, 2))
    assert moved == pytest.approx([ax.figure.dpi / 10, 0]) and at[0] > 0
    assert ax.get_ylim()[0] < 1.5 and ax.get_ylim()[1] > 2.5


def test_the_paper_s_slopes_are_not_drawn_beside_another_quantity(curves, ax):
    row = srt.summarise(sharpness(curves)).sel(quantity="max_slope").assign_coords(quantity="peak")
    srt.plot.growth({"one": {1e6: row, 2e6: row}}, ax=ax)
    srt.plot.scaling({"one": {1e6: row, 2e6: row}}, ax=ax)
    assert not any("paper" in words.get_text() for words in ax.get_legend().get_texts())


def test_ordered_curves_have_bands_at_the_ends_only(curves, ax):
    srt.plot.median_curve({"0": curves, "1": curves, "2": curves}, ordered=True, ax=ax)
    assert len(ax.collections) == 2 and len({line.get_color() for line in ax.lines[:3]}) == 3


def test_notebook_style_sets_resolution_and_colours(tmp_path):
    with mpl.rc_context():
        srt.plot.notebook_style()
        figure = plt.figure(figsize=(3, 2))
        assert figure.get_dpi() == 100, "as large on a page as matplotlib draws by itself"
        figure.savefig(tmp_path / "figure.png")
        assert plt.imread(tmp_path / "figure.png").shape[:2] == (400, 600)
        drawn = [line.get_color() for line in plt.plot(np.eye(3))]
        assert drawn == list(sns.color_palette("colorblind"))[:3]
    plt.close("all")


@pytest.mark.parametrize(("draw", "key"), [("growth", "fig4c"), ("scaling", "fig3c")])
def test_settings_have_their_axis_and_the_paper_its_lines(curves, ax, draw, key):
    row = srt.summarise(sharpness(curves)).sel(quantity="max_slope")
    settings = (0.0, 2e6, 4e6) if draw == "growth" else (1e6, 2e6, 4e6)
    assert getattr(srt.plot, draw)({"one": dict.fromkeys(settings, row)}, ax=ax) is ax
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[-1].startswith("one") or labels[0].startswith("one")
    assert sum(label.startswith("paper: ") for label in labels) == 2
    drawn = [value for line in ax.lines for value in np.asarray(line.get_ydata()).tolist()]
    digitised = srt.reference.janiak2024()["digitised"]
    assert (
        {14.2} <= set(drawn)
        if key == "fig4c"
        else {digitised["fig3c_max_slope_q25_q50_q75"]["OLMo-7B"][1]} <= set(drawn)
    )
    x = ax.transData.transform([(value, 1.0) for value in settings])[:, 0]
    assert (np.diff(x) > 0).all() and np.isfinite(x).all()  # 0 tokens have a place


def test_without_axes_a_new_figure_is_made(curves):
    ax = srt.plot.median_curve(curves)
    assert ax.figure.get_size_inches().tolist() == list(srt.plot.SIZE)
    plt.close(ax.figure)
