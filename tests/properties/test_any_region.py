"""Graphs, groups, agreement and polytope counts of any paths are what plain loops and scikit-learn say."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

import srtoolkit as srt
from oracles import cases, refused
from srtoolkit.analysis.jumps import JUMP_SHARE, JUMP_SPEED
from strategies import all_paths, flipped_curves, or_missing, sharp, sharps

FAST = {"bootstrap": srt.Bootstrap(resamples=20)}


@cases(120)
@given(sharps(), st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_a_graph_is_what_loops_find(result, threshold):
    if not result.sizes["pair"]:
        assert refused(lambda: srt.region_graph(result, threshold, "max_slope"))
        return
    found = srt.region_graph(result, threshold, "max_slope")
    numbers = sorted({*result["prompt_a"].values.tolist(), *result["prompt_b"].values.tolist()})
    assert found.sizes["prompt"] == len(numbers)
    values = srt.path_matrix(result, "max_slope").values
    edges, measured_pairs = set(), set()
    for i, a in enumerate(numbers):
        assert found["text"].values[i] == f"prompt {a}" and values[i, i] == 0 and not found["edge"][i, i]
        for j, b in enumerate(numbers[:i]):
            chosen = [
                {a, b} == {p, q} for p, q in zip(result["prompt_a"].values, result["prompt_b"].values, strict=True)
            ]
            slopes = result["max_slope"].values[chosen]
            expected = slopes.mean() if len(slopes) else math.inf
            assert values[i, j] == pytest.approx(expected, nan_ok=True) == pytest.approx(values[j, i], nan_ok=True)
            if len(slopes):
                measured_pairs.add((i, j))
            if math.isnan(expected) or expected <= threshold:
                edges |= {(i, j), (j, i)}
    assert {tuple(place) for place in np.argwhere(found["edge"].values).tolist()} == edges
    group = list(range(len(numbers)))
    for _ in numbers:
        for i, j in edges:
            group[i] = min(group[i], group[j])
    together = np.equal.outer(group, group)
    np.testing.assert_array_equal(np.equal.outer(found["component"].values, found["component"].values), together)
    assert found["largest"] == together.sum(0).max() and found["components"] == len(set(group))
    if measured_pairs:
        assert found["density"].item() == pytest.approx(len(edges) / 2 / len(measured_pairs))
    else:
        assert math.isnan(found["density"])


@cases(100)
@given(all_paths(), st.data(), st.sampled_from(["average", "complete", "ward"]))
@example(sharp([1.0, 1.0, 1.0], [[0, 0, 1], [1, 2, 2]]), None, "average").via("discovered failure")
def test_there_are_as_many_groups_as_asked_for(result, data, linkage):
    matrix = srt.path_matrix(result, "input_distance").values
    prompts = len(matrix)
    n = 2 if data is None else data.draw(st.integers(2, prompts))
    centred = -(matrix**2) / 2
    centred = centred - centred.mean(axis=0) - centred.mean(axis=1, keepdims=True) + centred.mean()
    lowest, *_, highest = np.linalg.eigvalsh(centred)
    if linkage == "ward" and lowest < -0.01 * highest:
        assert refused(lambda: srt.cluster(result, n, "input_distance", linkage))
        return
    found = srt.cluster(result, n, "input_distance", linkage)
    groups = found["cluster"].values
    assert sorted(set(groups.tolist())) == list(range(n))
    assert sorted(found["place"].values.tolist()) == list(range(prompts))
    merges = hierarchy.linkage(squareform(matrix, checks=False), linkage)
    cut = hierarchy.fcluster(merges, n, "maxclust")
    if (np.diff(merges[:, 2]) > 1e-6).all():  # no ties
        np.testing.assert_array_equal(np.equal.outer(groups, groups), np.equal.outer(cut, cut))


@cases(40)
@given(all_paths(or_missing), st.integers(0, 3))
@example(sharp([np.nan], [[0], [1]]), 0).via("discovered failure")
@example(sharp([0.0, 0.0, 0.0], [[0, 0, 1], [1, 2, 2]]), 0).via("discovered failure")
def test_a_map_says_how_badly_its_distances_fit(result, seed):
    result = result.assign(gap=result["max_slope"])
    wanted = np.nan_to_num(srt.path_matrix(result, "gap").values)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        places = srt.map_prompts(result, "gap", seed=seed)
    assert bool([one for one in warned if "stress" in str(one.message)]) == (places.attrs["stress"] > 0.2)
    drawn = np.linalg.norm(places.values[:, None] - places.values[None], axis=-1)
    if not wanted.any():
        assert places.attrs["stress"] == 0 and not drawn.any()
    else:
        off = math.sqrt(((drawn - wanted) ** 2).sum() / (wanted**2).sum())
        assert places.attrs["stress"] == pytest.approx(off, abs=2e-2)


labels = st.one_of(
    st.lists(st.integers(0, 3), max_size=8),
    st.lists(st.sampled_from(["a", "b", "ü", ""]), max_size=8),
    st.lists(st.sampled_from([0.5, 1.5, np.nan]), max_size=8),
    st.lists(st.sampled_from(["a", 1, None]), max_size=4),
)


@cases(120)
@given(labels, labels, st.sampled_from(["adjusted_rand", "mutual_information"]), st.booleans())
@example([0.5, 0.5, 1.5, 1.5], [0, 0, 1, 1], "adjusted_rand", True).via("discovered failure")
@example([0, 1], [None, None], "adjusted_rand", True).via("discovered failure")
def test_agreement_is_scikit_learns(groups, classes, measure, chance):
    groups, classes = (side[: min(len(groups), len(classes))] for side in (groups, classes))
    call = srt.chance_agreement if chance else srt.agreement

    def missing(side):
        return any(isinstance(label, float) and math.isnan(label) for label in side)

    bad = not classes or missing(groups) or missing(classes) or 1 in [classes.count(label) for label in classes]
    mixed = any(len({type(label) for label in side}) > 1 and None in side for side in (groups, classes))
    refuses = refused(lambda: call(groups, classes, measure, **FAST))
    assert refuses if bad or mixed else True
    if refuses:
        return
    found = call(groups, classes, measure, **FAST)
    score = {"adjusted_rand": adjusted_rand_score, "mutual_information": normalized_mutual_info_score}[measure]
    codes = [np.unique(np.asarray(side).astype(str), return_inverse=True)[1] for side in (classes, groups)]
    if not chance:
        assert found.value == pytest.approx(score(*codes))
    assert found.low <= found.high


@cases(80)
@given(flipped_curves())
def test_polytopes_are_told_apart_by_the_jumps(both):
    flips, curve = both
    found = srt.polytopes_by_region(flips, curve)
    alphas, n = curve["alpha"].values, curve.sizes["pair"]
    rises = np.abs(np.diff(curve["relative_distance"].values, axis=1))
    rises = rises / np.maximum(rises.sum(axis=1, keepdims=True), 1e-300)  # an output that stays has speed 0
    inside = np.zeros(rises.shape, bool)
    for pair in range(n):
        steep, k = rises[pair] / np.diff(alphas) > JUMP_SPEED, 0
        while k < len(steep):
            end = k
            while end < len(steep) and steep[end]:
                end += 1
            inside[pair, k:end] = end > k and rises[pair, k:end].sum() >= JUMP_SHARE
            k = end + 1
    counts = flips["flips"].values[:, 1:]
    np.testing.assert_array_equal(found["flips_in_jumps"], (counts * inside[:, :, None]).sum(1))
    np.testing.assert_array_equal(found["flips_in_jumps"] + found["flips_in_regions"], found["flips"])
    regions = 1 + (inside & ~np.pad(inside, ((0, 0), (1, 0)))[:, :-1]).sum(1)
    np.testing.assert_array_equal(found["regions"], regions)
    if n == 1:
        assert np.isnan(found["density_ratio_elsewhere"]).all()  # there is no other pair
    summary = srt.summarise(found, ["flips_per_region", "share_in_regions"], bootstrap=srt.Bootstrap(resamples=10))
    assert (summary["n"] + summary["excluded"] == n).all()


@cases(60)
@given(flipped_curves(), st.sampled_from([0.0, 0.2, 0.4, 1.0]))
def test_around_a_jump_lies_what_lies_there(both, reach):
    flips, curve = both
    steps = np.diff(curve["alpha"].values)
    if not np.allclose(steps, steps[0], atol=1e-6):
        assert refused(lambda: srt.around_jumps(flips, curve, reach=reach))
        return
    found = srt.around_jumps(flips, curve, reach=reach)
    rises = np.abs(np.diff(curve["relative_distance"].values, axis=1))
    rises = rises / np.maximum(rises.sum(axis=1, keepdims=True), 1e-300)  # an output that stays has speed 0
    for pair, peak in enumerate(rises.argmax(axis=1)):
        if (rises[pair] > rises[pair, peak] - 1e-9).sum() > 1:
            continue  # several steps are the fastest, and rounding decides
        for place, offset in enumerate(np.round(found["offset"].values / steps[0]).astype(int)):
            k = peak + offset
            value = found["slope"].values[pair, place]
            assert value == pytest.approx(rises[pair, k] / steps[0]) if 0 <= k < len(steps) else math.isnan(value)


@cases(40)
@given(flipped_curves(), st.sampled_from(["pair", "alpha", "block", "scalar", "no", "path"]))
def test_flips_of_other_paths_are_refused(both, harm):
    flips, curve = both
    flips = {
        "pair": lambda: flips.isel(pair=[]),
        "alpha": lambda: flips.isel(alpha=slice(1, None)),
        "block": lambda: flips.drop_vars("flips"),
        "scalar": lambda: flips.isel(block=0),
        "no": lambda: None,
        "path": lambda: flips.assign_attrs(path="other"),
    }[harm]()
    assert refused(lambda: srt.polytopes_by_region(flips, curve))
    assert refused(lambda: srt.around_jumps(flips, curve))


@cases(60)
@given(sharps(least=1), st.floats(0.01, 0.99))
def test_a_null_threshold_is_a_quantile(result, share):
    values = result["max_slope"].values
    values = values[np.isfinite(values)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if not len(values):
            assert refused(lambda: srt.null_threshold(result, share))
            return
        assert srt.null_threshold(result, share) == pytest.approx(np.quantile(values, share))
