"""What a curve says of its two ends: norms, cosines, predictions, and how far B's own output is from the far end."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine, jensenshannon

import srtoolkit as srt
from families import hooked
from srtoolkit.measures import walk

PAIRS = [("the cat sat", "the dog ran"), ("a", "b"), ("short", "rather longer"), ("the cow saw", "the hen hid")]


def by_hooks(model, pair, layer, steps):
    """Activations A and B, the outputs along the straight line in A's context, and B's own output."""
    ids_a, ids_b = (model.tokenize(text) for text in pair)
    own_a, own_b = hooked(model, ids_a, layer), hooked(model, ids_b, layer)
    a, b = own_a["own"], own_b["own"]
    return a, b, [hooked(model, ids_a, layer, a + alpha * (b - a)) for alpha in torch.linspace(0, 1, steps)], own_b


def test_norms_and_cosines_are_those_of_plain_hooks(text_model):
    curves = srt.interpolate(text_model, PAIRS, layer=1, steps=3)
    for index, pair in enumerate(PAIRS):
        a, b, outputs, _ = by_hooks(text_model, pair, 1, 3)
        row = curves.isel(pair=index)
        assert (row.norm_a, row.norm_b) == pytest.approx((float(a.norm()), float(b.norm())), rel=1e-5)
        assert float(row.cosine) == pytest.approx(1 - cosine(a.double(), b.double()), abs=1e-5)
        for read, suffix in (("final_norm", ""), ("resid", "_resid")):
            first, last = outputs[0][read].double(), outputs[-1][read].double()
            assert float(row[f"output_norm{suffix}"]) == pytest.approx(float(first.norm()), rel=1e-4)
            assert float(row[f"output_norm_b{suffix}"]) == pytest.approx(float(last.norm()), rel=1e-4)
            assert float(row[f"output_cosine{suffix}"]) == pytest.approx(1 - cosine(first, last), abs=1e-5)


def test_divergences_from_the_end_and_from_the_point_before_are_scipy_s(text_model):
    curves = srt.interpolate(text_model, PAIRS, layer=1, steps=6, jsd_steps=True)
    for index, pair in enumerate(PAIRS):
        said = [run["logprobs"].double().exp().numpy() for run in by_hooks(text_model, pair, 1, 6)[2]]
        row = curves.isel(pair=index)
        assert row.jsd_b.values == pytest.approx([jensenshannon(p, said[-1]) ** 2 for p in said], rel=1e-2, abs=1e-6)
        steps = [0, *(jensenshannon(*two) for two in itertools.pairwise(said))]
        assert row.step_jsd.values == pytest.approx(steps, rel=1e-2, abs=1e-4)
        assert row.jsd_b.values[-1] == 0 and row.step_jsd.values[0] == 0


def test_b_s_own_output_is_that_of_its_own_context(text_model):
    curves = srt.interpolate(text_model, PAIRS, layer=1, steps=4, own_b=True)
    for index, pair in enumerate(PAIRS):
        _, _, outputs, own = by_hooks(text_model, pair, 1, 4)
        row = curves.isel(pair=index)
        for read, suffix in (("final_norm", ""), ("resid", "_resid")):
            expected = [float((output[read] - own[read]).norm()) for output in outputs]
            assert row[f"own_b{suffix}"].values == pytest.approx(expected, rel=1e-3, abs=1e-4)
        roots = [run["logprobs"].double().exp().sqrt() for run in (*outputs, own)]
        expected = [float((root - roots[-1]).norm()) / 2**0.5 for root in roots[:-1]]
        assert row.own_b_hellinger.values == pytest.approx(expected, rel=1e-3, abs=1e-4)
        in_context = len(text_model.tokenize(pair[0])) > 1  # a prompt of one token has none
        assert (row.own_b.values[-1] > 0.01 * float(row.distance[-1])) == in_context


def test_b_s_own_output_is_measured_on_request_and_changes_nothing_else(text_model):
    plain, asked = (srt.interpolate(text_model, PAIRS, steps=4, own_b=own) for own in (False, True))
    own = {"own_b", "own_b_resid", "own_b_hellinger"}
    assert set(asked) - set(plain) == own
    assert asked.drop_vars(own).identical(plain)
    assert set(srt.interpolate(text_model, PAIRS, steps=3, reads="resid", own_b=True)) & own == {"own_b_resid"}
    assert all("long_name" in asked[name].attrs for name in own)


def test_one_context_has_the_same_output_for_both():
    """Prompts of one token have no context: B in A's is B in its own."""
    model = srt.load_model("nano-0.4m")
    pairs = srt.sample_pairs(model, 3, length=1)
    curves = srt.interpolate(model, pairs, steps=4, own_b=True)
    np.testing.assert_allclose(curves.own_b, curves.distance_b, atol=1e-4)
    np.testing.assert_allclose(curves.own_b_hellinger, curves.hellinger_b, atol=1e-4)


def test_a_cut_path_compares_with_the_same_output(text_model, monkeypatch):
    whole = srt.interpolate(text_model, PAIRS[:1], steps=30, own_b=True, jsd_steps=True)
    monkeypatch.setattr(walk, "LOGPROB_BYTES", 7 * 4 * text_model.vocab_size)
    cut = srt.interpolate(text_model, PAIRS[:1], steps=30, own_b=True, jsd_steps=True)
    for name in ("own_b", "own_b_hellinger", "jsd_b", "step_jsd", "output_cosine", "output_norm_b"):
        assert cut[name].values == pytest.approx(whole[name].values, rel=1e-3, abs=1e-4), name


def test_b_s_own_output_is_refused_where_no_path_goes_to_b(text_model):
    with pytest.raises(ValueError, match=r"own_b=True .* path='random direction .*' does not end at B"):
        srt.interpolate(text_model, PAIRS, steps=3, path=srt.paths.random_direction(), own_b=True)
    assert "own_b" in srt.interpolate(text_model, PAIRS, steps=3, path="slerp", own_b=True)
