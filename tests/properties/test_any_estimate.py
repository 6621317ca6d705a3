"""Summaries, comparisons and matches of any measured numbers are what plain loops and scipy say, or are refused."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st

import srtoolkit as srt
from oracles import cases, refused
from srtoolkit.analysis.bootstrap import weighted_quantile
from srtoolkit.analysis.resampling import bootstrap_weights
from srtoolkit.analysis.verdicts import Verdict
from strategies import or_missing, sharp, sharps

#: Few, for speed: no property here is about how many are enough.
FAST = {"bootstrap": srt.Bootstrap(resamples=20)}


def of(result, name="max_slope"):
    """The values of a quantity that count."""
    values = result[name].values[~result["excluded"].values]
    return values[np.isfinite(values)]


@cases(100)
@given(sharps())
@example(sharp([], np.zeros((2, 0), int)))
@example(sharp([1.0], [[0], [0]]))
def test_a_summary_has_the_quantiles_that_numpy_has(result):
    found = srt.summarise(result, **FAST)
    for row in (found.sel(quantity=name) for name in found["quantity"].values):
        values = of(result, str(row["quantity"].values))
        assert (row["n"], row["n"] + row["excluded"]) == (len(values), result.sizes["pair"])
        expected = np.quantile(values, [0.25, 0.5, 0.75]) if len(values) else [np.nan] * 3
        np.testing.assert_allclose([row["q25"], row["median"], row["q75"]], expected)
        if len(values) and np.isfinite(row["low"]):
            assert values.min() <= row["low"] <= row["high"] <= values.max()


@cases(100)
@given(st.lists(st.tuples(or_missing, st.integers(0, 4)), min_size=1, max_size=8), st.sampled_from([0.25, 0.5, 0.75]))
def test_a_weighted_quantile_is_that_of_repeated_values(weighted, share):
    values, weights = (np.array(side) for side in zip(*weighted, strict=True))
    repeated = np.sort(np.repeat(values, weights))
    repeated = repeated[np.isfinite(repeated)]
    found = weighted_quantile(values, weights[None], share)[0]
    if not len(repeated):
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.quantile(repeated, share, method="averaged_inverted_cdf"))


@cases(80)
@given(sharps(least=1), st.integers(0, 3))
def test_resamples_count_pairs_as_often_as_their_prompts_were_drawn(result, seed):
    a, b = result["prompt_a"].values, result["prompt_b"].values
    weights = bootstrap_weights(a, b, 30, seed)
    assert weights.shape == (30, len(a)) and (weights >= 0).all()
    of_prompts = [set(pair) for pair in zip(a.tolist(), b.tolist(), strict=True)]
    shared = any(one & other for one, other in itertools.combinations(of_prompts, 2))
    if not shared:
        assert (weights.sum(axis=1) == len(a)).all()
    else:
        names = sorted({*a.tolist(), *b.tolist()})
        share = np.full(len(names), 1 / len(names))
        for row, drawn in zip(weights, np.random.default_rng(seed).multinomial(len(names), share, 30), strict=True):
            times = dict(zip(names, drawn, strict=True))
            expected = [times[x] if x == y else times[x] * times[y] for x, y in zip(a, b, strict=True)]
            assert row.tolist() == expected
    np.testing.assert_array_equal(weights, bootstrap_weights(a, b, 30, seed))


@cases(120)
@given(sharps(), st.data())
@example(sharp([0.0, 0.0], [[0, 2], [1, 3]]), None).via("discovered failure")
@example(sharp([np.nan], [[0], [1]]), None).via("discovered failure")
def test_ratios_are_of_medians(result, data):
    n = result.sizes["pair"]
    slopes = (
        result["max_slope"].values[::-1] if data is None else data.draw(st.lists(or_missing, min_size=n, max_size=n))
    )
    other = result.assign(max_slope=("pair", np.array(slopes, float)))
    one, two = (np.median(of(part)) if len(of(part)) else np.nan for part in (result, other))
    with np.errstate(all="ignore"):
        expected = np.float64(one) / two
    for call in (srt.ratio, srt.contrast):
        found = call(result, other, **FAST)
        assert found.value == pytest.approx(expected, nan_ok=True)
        assert math.isnan(found.low) == math.isnan(found.high)
        assert not found.low > found.high
    middle = srt.median(result, **FAST)
    assert middle.value == pytest.approx(one, nan_ok=True)
    spread = srt.interquartile_range(result, "max_slope", **FAST)
    assert math.isnan(spread.value) if not len(of(result)) else 0 <= spread.value <= np.ptp(of(result))


@cases(80)
@given(st.data(), st.integers(3, 6), st.booleans())
def test_a_trend_is_spearmans_rank_correlation(data, settings, missing):
    n = data.draw(st.integers(1, 5))
    numbers = np.arange(2 * n).reshape(2, n)
    keys = data.draw(
        st.lists(st.integers(-5, 10**9) | st.floats(-1e3, 1e9), min_size=settings, max_size=settings, unique=True)
    )
    values = st.lists(or_missing if missing else st.floats(0.1, 5), min_size=n, max_size=n)
    series = {key: sharp(data.draw(values), numbers) for key in keys}
    found = srt.trend(series, **FAST)
    medians = [np.median(of(part)) if len(of(part)) else np.nan for part in series.values()]
    if np.isnan(medians).any():
        assert math.isnan(found.value)
    elif len(set(medians)) == 1:
        assert found.value == 0
    else:
        assert found.value == pytest.approx(scipy.stats.spearmanr(keys, medians).statistic)
    assert math.isnan(found.low) or -1 <= found.low <= found.high <= 1


@cases(100)
@given(sharps(least=1))
@example(sharp([1.0, 1.0, 1.0], [[0, 1, 2], [3, 4, 5]])).via("discovered failure")
@example(sharp([1.0, 2.0, 3.0], [[0, 0, 0], [1, 1, 2]]))
def test_a_correlation_is_scipys(result):
    x, y = result["max_slope"].values, result["jump_at"].values
    both = np.isfinite(x) & np.isfinite(y) & ~result["excluded"].values
    if both.sum() < 3:
        assert refused(lambda: srt.correlation(result, "max_slope", "jump_at", **FAST))
        return
    found = srt.correlation(result, "max_slope", "jump_at", **FAST)
    constant = np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0
    expected = np.nan if constant else scipy.stats.spearmanr(x[both], y[both]).statistic
    assert found.value == pytest.approx(expected, nan_ok=True)


@cases(80)
@given(sharps(), st.data())
def test_a_share_of_couples_is_counted(result, data):
    n = result.sizes["pair"]
    other = result.assign(max_slope=("pair", np.array(data.draw(st.lists(or_missing, min_size=n, max_size=n)), float)))
    one, two = (part["max_slope"].where(~part["excluded"]).values for part in (result, other))
    couples = [(a, b) for a, b in zip(one, two, strict=True) if np.isfinite(a) and np.isfinite(b)]
    found = srt.share_below(result, other, **FAST)
    if not couples:
        assert math.isnan(found.value)
    else:
        assert found.value == pytest.approx(sum((a < b) + (a == b) / 2 for a, b in couples) / len(couples))
        assert math.isnan(found.low) or 0 <= found.low <= found.high <= 1


@cases(120)
@given(
    st.lists(or_missing | st.sampled_from([np.inf, -1.0]), min_size=1, max_size=4),
    st.lists(or_missing | st.sampled_from([np.inf, -1.0]), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.1, 1.0, 1e6]),
    st.booleans(),
    st.sampled_from([np.float64, np.int8]),
)
@example([0.0], [0.0], 0.05, True, np.float64).via("discovered failure")
@example([1.0], [1.0], 0.0, False, np.float64).via("discovered failure")
@example([100.0], [104.0], 0.05, True, np.int8).via("discovered failure")
def test_matches_are_the_best_of_all(ones, others, width, relative, kind):
    ones, others = (np.nan_to_num(side, posinf=90) if kind is np.int8 else side for side in (ones, others))
    first, second = (
        xr.Dataset({"x": ("pair", np.array(side).astype(kind)), "number": ("pair", range(len(side)))})
        for side in (ones, others)
    )

    def gap(a, b):
        a, b = float(a), float(b)
        if a == b:
            return 0.0 if math.isfinite(a) else math.inf
        return abs(a - b) / ((abs(a) + abs(b)) / 2 if relative and a - b else 1) if math.isfinite(a - b) else math.inf

    gaps = [[gap(a, b) for b in second["x"].values] for a in first["x"].values]
    best = (0, 0.0)
    few, many = sorted((range(len(ones)), range(len(others))), key=len)
    for chosen in itertools.permutations(many, len(few)):
        couples = zip(few, chosen, strict=True) if len(ones) <= len(others) else zip(chosen, few, strict=True)
        good = [gaps[a][b] for a, b in couples if gaps[a][b] <= width]
        best = max(best, (len(good), -sum(good)))

    def call():
        return srt.match(first, second, {"x": width}, relative=("x",) if relative else ())

    if not best[0]:
        assert refused(call)
        return
    a, b = call()
    found = [gaps[one][other] for one, other in zip(a["number"].values, b["number"].values, strict=True)]
    assert len(set(a["number"].values)) == len(set(b["number"].values)) == len(found) == best[0]
    assert max(found) <= width and sum(found) == pytest.approx(-best[1], rel=1e-6, abs=1e-9)


number = st.floats() | st.integers(-5, 5)


@cases(60)
@given(number, number, number, number | st.none(), st.integers(1, 10**6))
def test_a_verdict_is_valid_json_whatever_was_measured(value, low, high, null, n):
    def call():
        return srt.verdict("words-unrelated", model="c < d", value=value, low=low, high=high, null=null, n=n)

    if null is None or any(math.isnan(given) for given in (value, low, high, null)) or low > high:
        assert refused(call)
        return
    found = call()
    shown = srt.scorecard(found, found)._repr_mimebundle_()
    kept = json.loads(json.dumps(shown, allow_nan=False))
    (claims,) = (cells for kind, cells in kept.items() if kind.endswith("json"))
    assert Verdict.from_json(claims[0]) == Verdict.from_json(claims[1]) == found
    assert claims[0]["holds"] is (low > 0.5 and low > null)
    assert "c &lt; d" in shown["text/html"]
