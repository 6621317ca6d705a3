"""Responses to a push are those of plain hooks, in the unit that was asked for, and scale as their outputs do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

import srtoolkit as srt
from families import hooked

PROMPTS = ["the cat sat", "a dog", "rain fell on us", "the cow saw"]
SIZES = (0.3, 1.0, 2.5)


def by_hooks(model, prompt, points, layer, read):
    """Outputs at some points, one after the other, by plain hooks."""
    tokens = model.tokenize(prompt, False)
    return torch.stack([hooked(model, tokens, layer, point)[read] for point in points]).double()


@pytest.mark.parametrize("layer", [0, 2])
def test_responses_are_those_of_plain_hooks(text_model, layer):
    ways = srt.directions.random(text_model, 3, seed=4)
    reads = ("final_norm", "resid", "logits")
    found = srt.perturb(text_model, PROMPTS, ways, SIZES, layer=layer, reads=reads)
    for row, prompt in enumerate(PROMPTS):
        at = srt.capture(text_model, text_model.tokenize(prompt, False)[None], layer=layer)[0]
        for column, way in enumerate(ways.vectors):
            points = torch.stack([at, *(at + size * at.norm() * way for size in SIZES)])
            for read, suffix in (("final_norm", ""), ("resid", "_resid")):
                outputs = by_hooks(text_model, prompt, points, layer, read)
                expected = (outputs[1:] - outputs[0]).norm(dim=-1)
                np.testing.assert_allclose(found[f"distance{suffix}"][row, column], expected, rtol=1e-3, atol=1e-4)
            predicted = by_hooks(text_model, prompt, points, layer, "logits").softmax(-1).numpy()
            kl = [rel_entr(predicted[0], one).sum() for one in predicted[1:]]
            np.testing.assert_allclose(found["kl"][row, column], kl, rtol=1e-2, atol=1e-5)
            jsd = [jensenshannon(predicted[0], one) ** 2 for one in predicted[1:]]
            np.testing.assert_allclose(found["jsd"][row, column], jsd, rtol=1e-2, atol=1e-5)
            assert (found["top_token"][row, column].values == predicted[1:].argmax(-1)).all()
    assert found.attrs["layer"] == layer and found.attrs["unit"] == "norm" and "random" in found.attrs["directions"]


def test_a_size_counts_in_the_unit_that_was_asked_for(text_model):
    ways = srt.directions.random(text_model, 2)
    by_norm = srt.perturb(text_model, PROMPTS[:1], ways, SIZES)
    norm = float(by_norm["norm"][0])
    absolute = srt.perturb(text_model, PROMPTS[:1], ways, [size * norm for size in SIZES], unit="absolute")
    np.testing.assert_allclose(by_norm["distance"], absolute["distance"], rtol=1e-4)
    assert norm == pytest.approx(
        float(srt.capture(text_model, text_model.tokenize(PROMPTS[0], False)[None])[0].norm()), rel=1e-5
    )


def test_towards_another_prompt_ends_at_its_activation(text_model):
    """A push of the whole way puts B in A's context, which is the far end of the path from A to B."""
    a, b = "the cat sat", "a dog"
    curve = srt.interpolate(text_model, [(a, b)], steps=2, reads="final_norm")
    way = srt.directions.towards(text_model, [b])
    found = srt.perturb(text_model, [a], way, [float(curve["input_distance"][0])], unit="absolute")
    assert found["distance"].item() == pytest.approx(float(curve["distance"][0, -1]), rel=1e-4)


def test_both_signs_are_those_of_the_opposite_direction(text_model):
    matrix = srt.directions.random(text_model, 2).vectors
    both = srt.perturb(text_model, PROMPTS, srt.directions.rows(matrix), SIZES, both_signs=True)
    back = srt.perturb(text_model, PROMPTS, srt.directions.rows(-matrix), SIZES)
    assert both["direction"].values.tolist() == ["0", "1", "-0", "-1"]
    np.testing.assert_allclose(both["distance"][:, 2:], back["distance"], rtol=1e-4)
    assert not np.allclose(both["distance"][:, :2], back["distance"], rtol=1e-2)


def test_outputs_lie_apart_as_measured_one_by_one(text_model):
    found = srt.perturb(text_model, PROMPTS, srt.directions.random(text_model), SIZES, reads=("final_norm", "resid"))
    for read, name in (("final_norm", "apart"), ("resid", "apart_resid")):
        at = [srt.capture(text_model, text_model.tokenize(text, False)[None]) for text in PROMPTS]
        outputs = torch.stack(
            [by_hooks(text_model, text, one, 0, read)[0] for text, one in zip(PROMPTS, at, strict=True)]
        )
        for row in range(len(PROMPTS)):
            others = [float((outputs[row] - one).norm()) for other, one in enumerate(outputs) if other != row]
            assert float(found[name][row]) == pytest.approx(np.median(others), rel=1e-3)
    alone = srt.perturb(text_model, PROMPTS[:1], srt.directions.random(text_model), SIZES)
    assert np.isnan(alone["apart"]).all()


def test_points_that_memory_cannot_hold_are_cut_and_give_the_same(text_model, monkeypatch):
    ways, seen = srt.directions.random(text_model, 5), []
    whole = srt.perturb(text_model, PROMPTS, ways, SIZES, reads=("final_norm", "logits"))
    monkeypatch.setattr("srtoolkit.measures.perturb.LOGPROB_BYTES", 4 * 4 * (text_model.vocab_size + 64))
    cut = srt.perturb(
        text_model, PROMPTS, ways, SIZES, reads=("final_norm", "logits"), progress=lambda done, _: seen.append(done)
    )
    for name in ("distance", "kl", "apart"):
        np.testing.assert_allclose(cut[name], whole[name], rtol=1e-3, atol=1e-6)
    assert seen == sorted(seen) and len(set(seen)) > 10


def test_pairs_give_their_prompts_a_and_mixtures_their_angles(text_model, tmp_path):
    pairs = srt.from_text(text_model, [(PROMPTS[0], "x"), (PROMPTS[1], "y")])
    mixed = srt.directions.mixtures(srt.directions.random(text_model, 2))
    found = srt.perturb(text_model, pairs, mixed, SIZES)
    assert found["text"].values.tolist() == PROMPTS[:2]
    assert found["angle"].values.tolist() == list(mixed.angle) and set(found["first"].values) == {"random 0"}
    assert srt.load(srt.save(found, tmp_path / "response.nc")).identical(found)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m, _: srt.perturb(m, PROMPTS, srt.directions.rows(torch.eye(3)), SIZES), "width 3, .*32.*transpose"),
        (lambda m, w: srt.perturb(m, PROMPTS, w, (1, 1)), "each larger than the one before"),
        (lambda m, w: srt.perturb(m, PROMPTS, w, (2, 1)), "each larger than the one before"),
        (lambda m, w: srt.perturb(m, PROMPTS, w, (0, 1)), "positive"),
        (lambda m, w: srt.perturb(m, PROMPTS, w, ()), "positive"),
        (lambda m, w: srt.perturb(m, [], w, SIZES), "one text or more"),
        (lambda m, w: srt.perturb(m, PROMPTS, w, SIZES, layer=4), "blocks 0 to 3"),
        (lambda m, w: srt.perturb(m, PROMPTS, w, SIZES, reads="gates"), "reads='gates'"),
        (
            lambda m, _: srt.perturb(m, PROMPTS, srt.directions.towards(m, PROMPTS[1:2]), SIZES),
            "length 0 from prompt 1, 'a dog'",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_patched(text_model, monkeypatch, call, said):
    ways = srt.directions.random(text_model)
    monkeypatch.setattr("srtoolkit.measures.perturb.patch", None)
    with pytest.raises(ValueError, match=said):
        call(text_model, ways)
