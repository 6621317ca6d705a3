"""Half precision: the path is no stair, and where rounding could be what is measured, it is said."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

import srtoolkit as srt
from families import hooked, tiny
from srtoolkit.measures.rounding import ROUNDING, rounding_share

PAIRS = [("the cat sat", "the dog ran"), ("the cow saw", "the hen hid")]


def nano(dtype, init="random"):
    return srt.load_model("nano-1m", init=init, dtype=dtype)


def curves_of(model, steps, n=10):
    return srt.interpolate(model, srt.sample_pairs(model, n), steps=steps, reads="final_norm")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_value_is_rounded_by_as_much_as_is_said(dtype):
    values = 10 ** (3 * torch.rand(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1.5)
    off = ((values.to(dtype).double() - values) / values).square().mean().sqrt()
    assert ROUNDING * torch.finfo(dtype).eps == pytest.approx(float(off), rel=0.02)


def test_points_are_made_in_float32_and_rounded_once():
    model = tiny("llama", dtype=torch.bfloat16, vocab_size=259)
    ids_a, ids_b = (torch.tensor(ids) for ids in ([5, 6, 7], [8, 9, 10]))
    pairs = srt.PromptPairs((ids_a,), (ids_b,), ("a",), ("b",), ("0",), False, "test")
    curves = srt.interpolate(model, pairs, layer=1, steps=9, reads="final_norm", method="full")
    a, b = (hooked(model, ids, 1)["own"].float() for ids in (ids_a, ids_b))
    outputs = [
        hooked(model, ids_a, 1, (a + alpha * (b - a)).bfloat16())["final_norm"].float()
        for alpha in torch.linspace(0, 1, 9)
    ]
    distance = torch.stack([(output - outputs[0]).norm() for output in outputs])
    np.testing.assert_allclose(curves.distance[0], distance, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("steps", [10, 50, 200, 500])
@pytest.mark.slow
def test_a_slope_that_rounding_made_is_flagged(dtype, steps):
    """Random weights have straight curves, with a largest slope of 1.05: what is far from it and unflagged is wrong."""
    curves = curves_of(nano(dtype), steps)
    slopes = srt.sharpness(curves).max_slope.values
    kept = ~curves.rounded.values
    assert (slopes[kept] < 1.2).all()
    assert kept.all() if (dtype, steps) in {("float16", 10), ("float16", 50)} else True
    assert not kept.any() if dtype == "bfloat16" and steps >= 50 else True


@pytest.mark.parametrize("steps", [2, 50, 500])
@pytest.mark.slow
def test_float32_is_never_near_rounding_at_usual_steps(steps):
    for init in ("random", "pretrained"):
        assert not curves_of(nano("float32", init), steps).rounded.any()


@pytest.mark.slow
def test_steps_that_are_absurdly_small_are_flagged_in_float32(text_model):
    def crawl(a, b, alphas):
        """A thousandth of the way to B."""
        return a[:, None] + (1e-3 * alphas)[None, :, None] * (b - a)[:, None]

    found = [srt.interpolate(text_model, PAIRS, steps=steps, path=crawl, reads="final_norm") for steps in (50, 8000)]
    assert [curves.degenerate.any().item() for curves in found] == [False, False]
    assert not found[0].rounded.any() and found[1].rounded.all()


def test_the_share_is_that_of_the_steepest_step(text_model):
    """At the steepest step, by hand: 0.3 eps norm over step, of path and output, over eight roundings."""
    input_step, output_step = np.full((1, 3), 0.1), np.array([[0.0, 0.5, 0.2]])
    found = rounding_share(text_model, 0, input_step, np.array([2.0]), output_step, np.array([3.0]))
    r_in, r_out = (0.3003 * 2**-23 * norm / step for norm, step in ((2, 0.1), (3, 0.5)))
    assert found[0] == pytest.approx((8 * (r_in**2 + r_out**2) / 2) ** 0.5, rel=1e-3)
    after_two = rounding_share(text_model, 0, input_step, np.array([2.0]), output_step, np.array([3.0]), read=2)
    assert after_two[0] == pytest.approx((5 * (r_in**2 + r_out**2) / 2) ** 0.5, rel=1e-3)


def test_one_warning_says_how_many_and_what_to_do(caplog):
    with caplog.at_level(logging.WARNING):
        curves = curves_of(nano("bfloat16"), 200, n=3)
    said = [record.getMessage() for record in caplog.records if "rounding" in record.getMessage()]
    assert curves.rounded.all() and len(said) == 1
    assert "200 points" in said[0] and "3 of 3 pairs" in said[0]
    assert "fewer steps" in said[0] and "dtype='float32'" in said[0]


def test_what_is_degenerate_is_not_called_rounded(text_model):
    curves = srt.interpolate(text_model, [("same", "same"), *PAIRS], steps=5)
    assert curves.degenerate.values.tolist() == [True, False, False] and not curves.rounded.any()


def test_predictions_alone_are_judged_by_their_path():
    model = nano("bfloat16")
    pairs = srt.sample_pairs(model, 3)
    rounded = [srt.interpolate(model, pairs, steps=steps, reads="logits").rounded.values for steps in (5, 200)]
    assert not rounded[0].any() and rounded[1].all()
