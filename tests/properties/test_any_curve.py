"""Sharpness of any curve is what its definition says in plain loops, and broken curves are flagged."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, rel_entr

import srtoolkit as srt
from oracles import cases, jsd, refused
from srtoolkit.analysis.jumps import JUMP_SHARE, JUMP_SPEED
from srtoolkit.measures import distances, likely_tokens
from strategies import curves, odd, ordinary


def by_hand(alphas, curve):
    """The five measures of one finite curve that ends at 1, from their definitions."""
    steps = range(len(alphas) - 1)
    slopes = [(curve[k + 1] - curve[k]) / (alphas[k + 1] - alphas[k]) for k in steps]
    steepest = max(steps, key=lambda k: slopes[k])

    def crossing(level):
        k = next(k for k, value in enumerate(curve) if value >= level)
        if not k:
            return alphas[0]
        return alphas[k - 1] + (level - curve[k - 1]) / (curve[k] - curve[k - 1]) * (alphas[k] - alphas[k - 1])

    # A curve without companions is a place on a line: how far from either end, and how fast it moves along its way.
    fine = np.linspace(alphas[0], alphas[-1], 200_001)
    apart = abs(curve[-1] - curve[0])
    from_a, from_b = (np.interp(fine, alphas, np.abs(np.array(curve) - end)) for end in (curve[0], curve[-1]))
    share = ((from_a <= 0.1 * apart) | (from_b <= 0.1 * apart)).mean()
    ways = [abs(curve[k + 1] - curve[k]) for k in steps]
    whole = sum(ways)
    fast = [whole > 0 and ways[k] / whole / (alphas[k + 1] - alphas[k]) > JUMP_SPEED for k in steps]
    jumps, covered = 0, 0.0
    for k in steps:
        covered = covered + ways[k] if fast[k] else 0.0
        ends = k + 1 == len(fast) or not fast[k + 1]
        jumps += bool(ends and fast[k] and covered / whole >= JUMP_SHARE)
    return {
        "max_slope": max(slopes),
        "jump_at": (alphas[steepest] + alphas[steepest + 1]) / 2,
        "width_10_90": crossing(0.9) - crossing(0.1),
        "plateau_fraction": share,
        "jumps": jumps,
    }


@cases(200)
@given(curves(elements=ordinary))
def test_sharpness_is_its_definition(given_curves):
    found = srt.sharpness(given_curves)
    for pair in range(given_curves.sizes["pair"]):
        curve = given_curves["relative_distance"].values[pair]
        for name, value in by_hand(given_curves["alpha"].values.tolist(), curve.tolist()).items():
            loose = {"abs": 1e-3} if name == "plateau_fraction" else {"rel": 1e-6, "abs": 1e-9}
            assert found[name].values[pair] == pytest.approx(value, **loose), name
    assert not found["excluded"].any()


@cases(200)
@given(curves())
def test_no_broken_curve_has_a_sharpness_and_every_other_has(given_curves):
    found, values = srt.sharpness(given_curves), given_curves["relative_distance"].values
    with np.errstate(all="ignore"):
        relative = values / values[:, -1:]
        slopes = np.diff(relative, axis=1) / np.diff(given_curves["alpha"].values)
    broken = ~(np.isfinite(relative).all(axis=1) & np.isfinite(slopes).all(axis=1))
    np.testing.assert_array_equal(found["excluded"], broken | given_curves["degenerate"].values)
    assert not (found["degenerate"] & found["non_finite"]).any()
    np.testing.assert_array_equal(np.isfinite(found["max_slope"]), ~found["excluded"])
    kept = ~found["excluded"].values
    np.testing.assert_allclose(found["max_slope"].values[kept], slopes[kept].max(axis=1))
    assert found["pair"].equals(given_curves["pair"])


@cases(60)
@given(curves(elements=ordinary), st.data())
def test_sharpness_does_not_depend_on_scale_order_or_company(given_curves, data):
    n = given_curves.sizes["pair"]
    order = data.draw(st.permutations(range(n)))
    factor = data.draw(st.sampled_from([1e-6, 0.3, 7.0, 1e6]))
    whole = srt.sharpness(given_curves)
    moved = given_curves.isel(pair=list(order)).assign(relative_distance=factor * given_curves["relative_distance"])
    for name in ("max_slope", "jump_at", "width_10_90"):
        np.testing.assert_allclose(srt.sharpness(moved)[name], whole[name].isel(pair=list(order)), rtol=1e-6, atol=1e-9)


def _made(alphas, values):
    return xr.Dataset(
        {"relative_distance": (("pair", "alpha"), values), "degenerate": ("pair", [False] * len(values))},
        {"alpha": alphas, "pair": list("abcdef"[: len(values)])},
    )


LINE = _made([0.0, 0.5, 1.0], [[0.0, 0.5, 1.0]])
#: What is no set of curves.
NO_CURVES = [
    *(
        LINE.drop_vars("degenerate"),
        LINE.drop_vars("relative_distance"),
        LINE.isel(alpha=[0]),
        LINE.isel(alpha=[2, 1, 0]),
    ),
    *(LINE.isel(alpha=[0, 0, 2]), LINE.isel(pair=0), LINE.expand_dims(model=2), LINE.transpose("alpha", "pair")),
    *(LINE.assign_coords(alpha=[0, np.nan, 1]), LINE.assign(relative_distance=LINE["relative_distance"].astype(str))),
    # Without places the steps would be taken for one unit of alpha each.
    *(
        LINE.drop_vars("alpha"),
        LINE["relative_distance"],
        {"relative_distance": [0, 1]},
        LINE.to_dataframe(),
        None,
        "curves",
    ),
]


@cases(16)
@given(st.sampled_from(range(16)))
def test_what_are_no_curves_is_refused(index):
    assert refused(lambda: srt.sharpness(NO_CURVES[index]))


@cases(50)
@given(odd)
def test_an_odd_curve_is_refused(of):
    assert refused(lambda: srt.sharpness(LINE, of=of))


@cases(120)
@given(curves(), st.booleans())
def test_the_token_changes_where_a_loop_says(given_curves, single):
    found = srt.token_change_at(given_curves).values
    alphas = given_curves["alpha"].values
    for pair, row in enumerate(given_curves["top_token"].values):
        if row[0] == row[-1]:
            assert math.isnan(found[pair])
        else:
            last = max(k for k in range(len(row)) if row[k] == row[0])
            assert found[pair] == pytest.approx((alphas[last] + alphas[last + 1]) / 2)


logits = arrays(
    np.float32, st.tuples(st.integers(2, 5), st.integers(2, 9)), elements=st.floats(-60, 60, width=32) | st.just(0.0)
)


@cases(150)
@given(logits)
@example(np.zeros((2, 3), np.float32))
@example(np.array([[0, 0, 60], [60, 0, 0]], np.float32))
def test_measures_are_scipys(values):
    wide = log_softmax(values.astype(np.float64), axis=1)
    logprobs = torch.log_softmax(torch.from_numpy(values), dim=-1)
    p = np.exp(wide)
    np.testing.assert_allclose(distances.kl_from_first(logprobs), rel_entr(p[0], p).sum(1), rtol=1e-3, atol=2e-5)
    np.testing.assert_allclose(distances.jsd_from_first(logprobs), jsd(p[:1], p), rtol=1e-3, atol=2e-5)
    assert (distances.jsd_from_first(logprobs) <= math.log(2)).all()
    tokens, probabilities = likely_tokens.top_token(logprobs)
    np.testing.assert_allclose(probabilities, p.max(1), rtol=1e-4)
    np.testing.assert_allclose(p[range(len(p)), tokens], p.max(1), rtol=1e-5)
    expected = np.linalg.norm(values.astype(np.float64) - values[0], axis=1)
    np.testing.assert_allclose(distances.l2_from_first(torch.from_numpy(values)), expected, rtol=1e-5, atol=1e-5)
    share = distances.logit_difference(logprobs).numpy()
    a, b = logprobs[0].argmax(), logprobs[1].argmax()
    if a == b:
        assert np.isnan(share).all()
    elif np.ptp(values[:2]) > 1e-3 and abs(float(share[1]) - 1) > 1e-6:
        raise AssertionError(share)


@cases(40)
@given(logits, st.data())
def test_a_prediction_that_is_not_a_number_has_no_top_token(values, data):
    broken = data.draw(st.integers(0, len(values) - 1))
    logprobs = torch.log_softmax(torch.from_numpy(values), dim=-1)
    logprobs[broken] = torch.nan
    tokens, probabilities = likely_tokens.top_token(logprobs)
    assert tokens[broken] == -1 and torch.isnan(probabilities[broken])
    assert (tokens >= 0).sum() == len(values) - 1
