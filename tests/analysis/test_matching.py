"""Matched sets and what they are for: an effect that is only the matched variable's vanishes."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from srtoolkit.analysis.couples import contrast, share_below
from srtoolkit.analysis.matching import match


def pairs(slopes, distance, kind=None, start=0):
    n = len(slopes)
    data = {
        "max_slope": ("pair", np.array(slopes, float)),
        "input_distance": ("pair", np.array(distance, float)),
        "kind": ("pair", np.zeros(n, int) if kind is None else np.array(kind)),
        "excluded": ("pair", np.zeros(n, bool)),
        "text_a": ("pair", [f"a{start + index}" for index in range(n)]),
        "text_b": ("pair", [f"b{start + index}" for index in range(n)]),
    }
    return xr.Dataset(data, {"pair": [str(start + index) for index in range(n)]})


def test_couples_are_near_and_no_pair_is_used_twice():
    first, second = pairs([1, 2, 3], [10, 20, 30]), pairs([4, 5, 6, 7], [31, 10.2, 500, 20.1], start=10)
    a, b = match(first, second, within={"input_distance": 0.05})
    assert a.input_distance.values.tolist() == [10, 20, 30]
    assert b.input_distance.values.tolist() == [10.2, 20.1, 31]
    a, b = match(first, second, within={"input_distance": 0.5}, relative=())
    assert b.max_slope.values.tolist() == [5, 7]
    a, b = match(first, pairs([8, 9], [20, 20], start=10), within={"input_distance": 0.05})
    assert a.sizes["pair"] == b.sizes["pair"] == 1


def test_the_most_couples_are_made():
    """The nearest of the first would take the only partner of the second."""
    a, b = match(
        pairs([1, 2], [10, 11]), pairs([3, 4], [10.4, 9.5], start=5), within={"input_distance": 1.0}, relative=()
    )
    assert a.sizes["pair"] == 2
    assert b.input_distance.values.tolist() == [9.5, 10.4]


def test_what_must_be_equal_is():
    first, second = pairs([1, 2], [10, 10], kind=[0, 1]), pairs([3, 4], [10, 10], kind=[1, 2], start=5)
    a, b = match(first, second, within={"input_distance": 0.1}, equal=["kind"])
    assert a.kind.values.tolist() == b.kind.values.tolist() == [1]


def test_an_effect_of_distance_alone_vanishes_when_distance_is_matched():
    rng = np.random.default_rng(0)
    near, far = rng.uniform(10, 30, 300), rng.uniform(15, 45, 300)
    first = pairs(near / 10 * rng.lognormal(0, 0.05, 300), near)
    second = pairs(far / 10 * rng.lognormal(0, 0.05, 300), far, start=1000)
    raw = contrast(first, second)
    assert raw.high < 0.9
    a, b = match(first, second, within={"input_distance": 0.05})
    assert a.sizes["pair"] > 80
    held = contrast(a, b)
    assert held.low < 1 < held.high
    assert 0.4 < share_below(a, b).value < 0.6


def test_an_effect_beyond_distance_stays():
    rng = np.random.default_rng(1)
    distance = rng.uniform(10, 30, 200)
    first, second = pairs(np.full(200, 1.0), distance), pairs(np.full(200, 2.0), distance * 1.01, start=1000)
    a, b = match(first, second, within={"input_distance": 0.05})
    assert contrast(a, b) == pytest.approx((0.5, 0.5, 0.5))
    assert share_below(a, b) == pytest.approx((1, 1, 1))
    assert share_below(b, a).value == 0


def test_intervals_are_wider_when_pairs_share_a_prompt():
    rng = np.random.default_rng(2)
    per_prompt = rng.normal(3, 1, 10).repeat(20)
    second = pairs(np.full(200, 3.0), np.ones(200), start=1000)
    alone = pairs(per_prompt, np.ones(200))
    shared = alone.assign(text_a=("pair", np.arange(10).repeat(20).astype(str)))
    widths = [found.high - found.low for found in (contrast(one, second) for one in (alone, shared))]
    assert widths[1] > 2 * widths[0]


def test_what_cannot_be_matched_is_said():
    first, second = pairs([1], [10]), pairs([2], [20], start=5)
    with pytest.raises(ValueError, match="none of 1 and 1 pairs match"):
        match(first, second, within={"input_distance": 0.1})
    with pytest.raises(ValueError, match=r"cannot match on \['zipf'\]"):
        match(first, second, within={"zipf": 0.1})
    with pytest.raises(ValueError, match="no couples"):
        share_below(first, pairs([1, 2], [1, 1]))
