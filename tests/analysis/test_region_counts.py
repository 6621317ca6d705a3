"""Numbers of regions: right on draws from a known number of them, and by hand on small cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from scipy.stats import beta

import srtoolkit as srt
from srtoolkit.analysis import negative_binomial


def moved(labels, pairs):
    """A result of motion in which prompts of equal labels share a region."""
    a, b = np.array(pairs).T
    texts = np.array([f"prompt {number}" for number in range(len(labels))])
    labels, flag = np.array(labels), np.zeros(len(pairs), dtype=bool)
    data = {
        "same_region": ("pair", labels[a] == labels[b]),
        "excluded": ("pair", flag),
        "degenerate": ("pair", flag.copy()),
        "prompt_a": ("pair", a),
        "prompt_b": ("pair", b),
    }
    return xr.Dataset(data, {"text_a": ("pair", texts[a]), "text_b": ("pair", texts[b])})


def disjoint(labels):
    return moved(labels, np.arange(len(labels)).reshape(-1, 2))


def test_effective_number_is_within_a_tenth_in_nine_of_ten_draws_from_known_regions():
    rng = np.random.default_rng(1)
    found = [srt.effective_regions(disjoint(rng.integers(3, size=1200))) for _ in range(300)]
    values = np.array([one.value for one in found])
    assert np.mean(np.abs(values / 3 - 1) < 0.1) > 0.9
    assert 0.92 < np.mean([one.low <= 3 <= one.high for one in found]) < 0.99


def test_unequal_regions_count_by_the_chance_of_a_collision():
    share = np.array([0.6, 0.2, 0.1, 0.1])
    drawn = np.random.default_rng(2).choice(4, size=20_000, p=share)
    assert srt.effective_regions(disjoint(drawn)).value == pytest.approx(1 / (share**2).sum(), rel=0.03)


def test_the_interval_is_the_binomials_exact_one():
    labels = [0, 0, 1, 1, *range(2, 18)]  # two of ten pairs share a region
    found = srt.effective_regions(disjoint(labels))
    ends = 1 / beta.ppf([0.975, 0.025], [3, 2], [8, 9])
    assert found == pytest.approx((5, *ends), rel=1e-6)
    none = srt.effective_regions(disjoint(range(8)))
    assert none.value == none.high == np.inf and none.low > 1


def test_pairs_of_one_output_share_a_region_and_other_excluded_ones_do_not_count():
    result = disjoint([0, 0, 1, 2, 3, 4, 5, 6])
    result["excluded"][[1, 2]] = True
    result["degenerate"][1] = True
    result["same_region"][1] = True
    assert srt.effective_regions(result).value == pytest.approx(3 / 2)


def test_prompts_in_several_pairs_and_missing_pairs_are_refused():
    with pytest.raises(ValueError, match="a prompt is in several pairs"):
        srt.effective_regions(moved([0, 1, 2], [(0, 1), (1, 2)]))
    with pytest.raises(ValueError, match="some pairs of its prompts were not measured"):
        srt.region_labels(moved([0, 1, 2], [(0, 1), (1, 2)]))


def test_labels_are_those_that_were_put_in():
    truth = [3, 1, 1, 0, 3, 3, 2]
    found = srt.region_labels(moved(truth, list(itertools.combinations(range(7), 2))))
    assert (found.values[:, None] == found.values).tolist() == (np.equal.outer(truth, truth)).tolist()
    assert found.values.tolist()[0] == 0 and list(found.text.values[:2]) == ["prompt 0", "prompt 1"]


def test_groups_hold_no_two_prompts_that_a_jump_separates():
    chain = moved([0, 0, 0, 0], list(itertools.combinations(range(4), 2)))
    chain["same_region"][:] = [abs(a - b) == 1 for a, b in itertools.combinations(range(4), 2)]
    found = srt.region_labels(chain).values
    assert max(found) == 1 and sorted(np.bincount(found)) == [2, 2]


def test_unseen_regions_are_counted_from_those_seen_once_and_twice():
    labels = [0, 0, 0, 1, 1, 2, 2, 3, 4, 5]  # six seen, three once, two twice
    assert srt.count_unseen(labels).value == pytest.approx(6 + 0.9 * 3 * 2 / (2 * 3))
    assert srt.count_unseen([1, 1, 2, 2]) == (2, 2, 2)
    with pytest.warns(UserWarning, match="every prompt is a region of its own"):
        assert srt.count_unseen([0, 1, 2]).value == np.inf


def test_the_number_of_regions_is_within_a_tenth_in_nine_of_ten_draws():
    rng = np.random.default_rng(3)
    found = [srt.count_unseen(rng.integers(15, size=75).tolist()) for _ in range(300)]
    assert np.mean([abs(one.value / 15 - 1) <= 0.1 for one in found]) > 0.9
    assert all(one.low <= one.value <= one.high for one in found)


def test_a_negative_binomial_is_the_number_that_its_likelihood_is_largest_at():
    rng = np.random.default_rng(1)
    draws = [rng.integers(15, size=60).tolist() for _ in range(30)]
    found = [srt.count_unseen(labels, by="negative_binomial") for labels in draws]
    assert np.mean([abs(one.value / 15 - 1) <= 0.1 for one in found]) > 0.85
    assert np.mean([one.low <= 15 <= one.high for one in found]) > 0.85
    assert all(len(set(labels)) <= one.value + 1e-9 for labels, one in zip(draws, found, strict=True))
    counts = np.unique(draws[0], return_counts=True)[1]
    near = [negative_binomial._profile(counts, number) for number in (found[0].low, found[0].value, found[0].high)]
    half = scipy.stats.chi2.ppf(0.95, 1) / 2
    assert near[1] - near[2] == pytest.approx(half, abs=0.01) and near[1] - near[0] <= half + 0.01


def test_shares_that_fall_make_the_negative_binomial_too_high():
    """As the docstring says; Chao's is too low there."""
    rng, shares = np.random.default_rng(2), 1 / np.arange(1, 41)
    labels = [rng.choice(40, 200, p=shares / shares.sum()).tolist() for _ in range(10)]
    mean = {by: np.mean([srt.count_unseen(one, by=by).value for one in labels]) for by in ("negative_binomial", "chao")}
    assert mean["negative_binomial"] > 80 and mean["chao"] < 44
