"""What the bootstrap draws: pairs, groups of pairs that share prompts, clusters by name, or prompts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from slopes import sharp
from srtoolkit.analysis.bootstrap import Bootstrap, summarise
from srtoolkit.analysis.estimates import median
from srtoolkit.analysis.resampling import bootstrap_weights, groups_of


def test_groups_are_the_parts_of_the_graph_of_prompts():
    rng = np.random.default_rng(0)
    prompts = rng.integers(0, 60, (2, 40))
    expected = [{pair} for pair in range(40)]
    for one, other in itertools.combinations(range(40), 2):
        if set(prompts[:, one]) & set(prompts[:, other]):
            joined = expected[one] | expected[other]
            for pair in joined:
                expected[pair] = joined
    groups = groups_of(prompts)
    assert [set(np.flatnonzero(groups == group).tolist()) for group in groups] == expected
    assert 2 < len(np.unique(groups)) < 40


def test_words_of_one_frame_are_drawn_together():
    frames = np.repeat(np.arange(30), 4)
    weights = bootstrap_weights(frames, np.arange(120) + 1000, 50, 0).reshape(50, 30, 4)
    assert (weights == weights[:, :, :1]).all()
    assert (weights[:, :, 0].sum(axis=1) == 30).all() and weights.max() > 1


def test_one_large_group_among_many_small_ones_is_not_drawn_as_a_whole():
    a = np.r_[np.zeros(200, int), np.arange(1, 31)]  # 31 groups, of which one holds nearly all
    weights = bootstrap_weights(a, np.arange(230) + 1000, 50, 0)
    assert len(np.unique(weights[0, :200])) > 1


def test_a_cluster_is_drawn_as_a_whole_and_makes_intervals_as_wide_as_it_is_alike():
    rng = np.random.default_rng(1)
    kind = np.repeat(np.arange(40), 10)
    result = sharp(rng.normal(size=40)[kind]).assign(kind=("pair", kind.astype(str)))
    alone, clustered = (median(result, bootstrap=Bootstrap(cluster=name)) for name in (None, "kind"))
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)
    assert summarise(result, bootstrap=Bootstrap(cluster="kind")).attrs["bootstrap_cluster"] == "kind"


def test_a_cluster_of_two_sides_draws_both():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 9, (2, 300))
    worth = rng.normal(size=9)
    result = sharp(worth[a] + worth[b]).assign(document_a=("pair", a.astype(str)), document_b=("pair", b.astype(str)))
    alone, clustered = (median(result, bootstrap=Bootstrap(cluster=name)) for name in (None, "document"))
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)


def test_a_cluster_that_is_none_is_refused():
    with pytest.raises(ValueError, match="topic_a"):
        median(sharp([1.0, 2.0]), bootstrap=Bootstrap(cluster="topic"))


def test_what_a_dataset_has_is_summarised():
    result = sharp([1.0, 2.0, 3.0]).assign(peak=("pair", [4.0, 5.0, 6.0]), other=("pair", [7.0, 8.0, 9.0]))
    assert summarise(result)["quantity"].values.tolist() == ["max_slope", "peak"]
    with pytest.raises(ValueError, match="expected one or more names"):
        summarise(result.drop_vars(["max_slope", "peak"]))
