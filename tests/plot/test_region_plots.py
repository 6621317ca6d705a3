"""Pictures of regions say what the data say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from srtoolkit import plot
from srtoolkit.analysis.estimates import Estimate
from srtoolkit.analysis.regions import cluster, map_prompts


@pytest.fixture
def grouped():
    """Paths between twelve prompts in three groups."""
    group = np.arange(3).repeat(4)
    pairs = np.array(list(itertools.combinations(range(12), 2)))
    rng = np.random.default_rng(0)
    slopes = np.where(group[pairs[:, 0]] == group[pairs[:, 1]], 1.0, 4.0) + rng.uniform(0, 0.2, len(pairs))
    texts = np.array([f"prompt {number}" for number in range(12)])
    data = {"max_slope": ("pair", slopes)}
    for side, column in zip("ab", pairs.T, strict=True):
        data |= {f"prompt_{side}": ("pair", column), f"text_{side}": ("pair", texts[column])}
    return xr.Dataset(data), np.array(list("xyz"))[group]


def test_the_tree_stands_above_a_row_for_each_class(grouped):
    sharp, classes = grouped
    ax = plot.dendrogram(cluster(sharp, 3, of="max_slope"), classes.tolist())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["x", "y", "z"]
    rows = {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}
    assert set(rows) == {"x", "y", "z"}
    for line in rows.values():
        # Groups that join first stand side by side.
        assert np.ptp(line.get_xdata()) == 30 and len(line.get_xdata()) == 4
    assert "max slope" in ax.get_ylabel()


def test_the_map_shows_every_prompt_in_its_class_colour(grouped):
    sharp, classes = grouped
    places = map_prompts(sharp, of="max_slope")
    before = places.copy(deep=True)
    ax = plot.prompt_map(places, classes.tolist(), words=[f"w{index}" for index in range(12)])
    assert [len(dots.get_offsets()) for dots in ax.collections] == [4, 4, 4]
    assert {text.get_text() for text in ax.texts} == {f"w{index}" for index in range(12)}
    assert f"stress {places.attrs['stress']:.2f})" in ax.get_xlabel() and not ax.get_ylabel()
    assert not len(ax.get_xticks()) and not len(ax.get_yticks())  # only distances mean anything
    poor = plot.prompt_map(places.assign_attrs(stress=0.37), classes.tolist())
    assert "stress 0.37: the plane shows them badly" in poor.get_xlabel()
    xr.testing.assert_identical(places, before)


def test_estimates_stand_in_order_with_their_intervals():
    ax = plot.estimates({"first": Estimate(1.0, 0.5, 2.0), "second": Estimate(3.0, 2.0, 4.0)}, "ratio", none=1.0)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]
    assert ax.yaxis_inverted()
    bars = [
        line for line in ax.get_lines() if len(line.get_xdata()) == 2 and line.get_xdata()[0] != line.get_xdata()[1]
    ]
    assert [tuple(bar.get_xdata()) for bar in bars] == [(0.5, 2.0), (2.0, 4.0)]
    assert ax.get_xlabel() == "ratio"


def test_tokens_change_at_the_jump():
    alphas = np.linspace(0, 1, 50)
    tokens = np.where(alphas < 0.3, 7, 8)[None].repeat(5, axis=0)
    tokens[1] = 7  # both ends alike: left out
    curves = xr.Dataset({"top_token": (("pair", "alpha"), tokens)}, {"alpha": alphas})
    sharp = xr.Dataset({"jump_at": ("pair", np.full(5, 0.3)), "excluded": ("pair", np.zeros(5, bool))})
    ax = plot.tokens_around_jump(curves, sharp)
    of_a, of_b, other = (line.get_ydata() for line in ax.get_lines()[:3])
    places = ax.get_lines()[0].get_xdata()
    seen = np.isfinite(of_a)
    assert of_a[seen & (places < -0.05)].min() == 1 and of_b[seen & (places > 0.05)].min() == 1
    assert np.nanmax(other) == 0
