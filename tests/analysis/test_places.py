"""Whether two places on a path belong together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt


def placed(x, of, excluded=None):
    """Places of disjoint pairs."""
    n = len(x)
    texts = {"text_a": ("pair", [f"a{k}" for k in range(n)]), "text_b": ("pair", [f"b{k}" for k in range(n)])}
    prompts = {"prompt_a": ("pair", np.arange(n)), "prompt_b": ("pair", np.arange(n) + n)}
    flags = {"excluded": ("pair", np.zeros(n, bool) if excluded is None else np.array(excluded))}
    return xr.Dataset({"x": ("pair", np.array(x, float)), "y": ("pair", np.array(of, float))} | texts | prompts | flags)


def test_the_shares_by_hand():
    found = srt.same_place(placed([0.2, 0.5, 0.8], [0.3, 0.5, 0.1]), "x", "y")
    assert found.own.value == pytest.approx(2 / 3)  # 0.1 apart counts; 0.7 does not
    # Others: 0.2 beside 0.5 and 0.1, 0.5 beside 0.3 and 0.1, 0.8 beside 0.3 and 0.5.
    assert found.another.value == pytest.approx(1 / 6)
    assert found.excess.value == pytest.approx(1 / 2)


def test_another_pair_is_every_other_one_as_all_derangements_have_it():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(2, 6))
    orders = [order for order in itertools.permutations(range(6)) if all(a != b for a, b in enumerate(order))]
    expected = np.mean([np.abs(x - y[list(order)]) <= 0.2 for order in orders])
    assert srt.same_place(placed(x, y), "x", "y", within=0.2).another.value == pytest.approx(expected)


@pytest.mark.parametrize(
    "places",
    [
        ([0.1, 0.5, 0.9, np.nan, 0.3], [0.1, 0.5, 0.2, 0.4, 0.9]),
        ([0.1, 0.5, 0.9, 0.4, 0.3], [0.1, 0.5, 0.2, np.nan, 0.9]),
    ],
)
def test_pairs_without_either_place_and_excluded_ones_are_left_out(places):
    found = srt.same_place(placed(*places, [0, 0, 0, 0, 1]), "x", "y")
    assert found.own.value == pytest.approx(2 / 3)
    assert found.another.value == pytest.approx(1 / 6)


def test_places_that_have_nothing_to_do_with_each_other_have_no_excess():
    """Of intervals of 95%, no more miss 0 than chance has it: of 60 draws up to 7, at a level of one in a hundred."""
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(60):
        excess = srt.same_place(
            placed(rng.normal(0.5, 0.1, 80), rng.normal(0.5, 0.1, 80)), "x", "y", bootstrap=srt.Bootstrap(resamples=400)
        ).excess
        missed += not excess.low <= 0 <= excess.high
    assert missed <= 7


def test_seeds_are_averaged_and_widen_the_interval():
    rng = np.random.default_rng(2)
    x = rng.uniform(size=100)
    one, other = placed(x, x), placed(x, rng.permutation(x))
    both = srt.same_place([one, other], "x", "y").own
    single = srt.same_place(one, "x", "y").own
    assert single == (1, 1, 1)
    assert both.value == pytest.approx((1 + srt.same_place(other, "x", "y").own.value) / 2)
    assert both.high - both.low > 1  # two seeds that differ by nearly all there is
    with pytest.raises(ValueError, match="same pairs"):
        srt.same_place([one, placed(x[:50], x[:50])], "x", "y")
