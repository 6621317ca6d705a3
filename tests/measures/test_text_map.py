"""A text's map: radii and predictions of whole prompts by plain hooks, at every position; what the nulls change."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.stats import entropy

import srtoolkit as srt
from hooks import hooked_everywhere

TEXT = "the cat sat on the mat"
SETTINGS = {"alternatives": 2, "among": 30}


@pytest.fixture(scope="module")
def found(text_model):
    return srt.text_map(text_model, TEXT, delta=0.01, layer=1, **SETTINGS)


def pool(model, layer, n, seed=0):
    """Activations at the last tokens of the prompts that the alternatives come from, one prompt at a time."""
    pairs = srt.sample_pairs(model, n // 2, length=10, seed=seed)
    prompts = [*pairs.tokens_a, *pairs.tokens_b]
    return [(int(ids[-1]), hooked_everywhere(model, ids, layer)[f"resid.{layer}"][-1]) for ids in prompts]


@pytest.mark.slow
def test_alternatives_are_the_nearest_activations_of_other_tokens(text_model, found):
    ids, others = text_model.tokenize(TEXT), pool(text_model, 1, 30)
    own = hooked_everywhere(text_model, ids, 1)["resid.1"]
    for place, token in enumerate(ids.tolist()):
        nearest = {}
        for other, at in others:
            if other != token:
                nearest[other] = min(nearest.get(other, np.inf), float((at - own[place]).norm()))
        expected = sorted(nearest.items(), key=lambda item: item[1])[:2]
        assert found.alternative_token[place].values.tolist() == [other for other, _ in expected]
        np.testing.assert_allclose(found.away[place], [far for _, far in expected], rtol=1e-4)


def test_outputs_at_the_radius_have_moved_by_delta(text_model, found):
    ids, others = text_model.tokenize(TEXT), pool(text_model, 1, 30)
    for place in range(len(ids)):
        prompt = ids[: place + 1]
        start = hooked_everywhere(text_model, prompt, 1)
        before, at = start["logprobs"][-1], start["resid.1"][-1]
        for way in range(2):
            one = found.isel(pos=place, alternative=way)
            goal = min((other for token, other in others if token == one.alternative_token),
                       key=lambda other: float((other - at).norm()))  # fmt: skip
            for name, reached in (("radius", True), ("radius_below", False)):
                size = float(one[name])
                if np.isinf(size):
                    assert one.radius_below == pytest.approx(float(one.away))
                    continue
                moved = hooked_everywhere(text_model, prompt, 1, at + size * (goal - at) / (goal - at).norm())
                far = float((before.exp() * (before - moved["logprobs"][-1])).sum())
                assert far > 0.01 * 0.999 if reached else far < 0.01 * 1.001
    finite = np.isfinite(found.radius)
    assert (
        finite.any()
        and ((found.radius - found.radius_below) <= 0.02 * found.radius * (1 + 1e-9)).where(finite, True).all()
    )


@pytest.mark.parametrize("metric", ["kl", "hellinger", "l2", "l2_resid"])
@pytest.mark.slow
def test_small_distances_are_as_predicted_at_every_position(text_model, metric):
    wide = srt.wrap(copy.deepcopy(text_model.hf).double(), text_model.tokenizer, name="wide")
    delta = 1e-8 if metric == "kl" else 1e-4
    found = srt.text_map(wide, TEXT, delta=delta, metric=metric, layer=1, tolerance=1e-4, **SETTINGS)
    np.testing.assert_allclose(found.predicted_radius, found.radius, rtol=3e-3)


def test_predicted_radii_are_those_of_single_prompts(text_model, found):
    """The same prompts, one for each position, through the call for single prompts."""
    places = [3, 9, len(TEXT) - 1]
    ids, others = text_model.tokenize(TEXT), dict(pool(text_model, 1, 30)[::-1])
    for place in places:
        prompt = text_model.tokenizer.decode(ids[: place + 1])
        own = hooked_everywhere(text_model, ids[: place + 1], 1)["resid.1"][-1]
        goals = torch.stack([others[int(token)] for token in found.alternative_token[place]])
        far = (goals - own).norm(dim=-1)
        if not np.allclose(far, found.away[place], rtol=1e-4):
            continue  # that token ends two prompts
        alone = srt.predicted_radius(text_model, [prompt], (goals - own), delta=0.01, layer=1)
        np.testing.assert_allclose(found.predicted_radius[place], alone.predicted_radius[0], rtol=1e-3)


def test_entropy_and_surprisal_are_those_of_the_text(text_model, found):
    ids = text_model.tokenize(TEXT)
    logprobs = hooked_everywhere(text_model, ids, 1)["logprobs"]
    np.testing.assert_allclose(found.entropy, entropy(logprobs.exp().numpy(), axis=1), rtol=1e-4)
    expected = [-float(logprobs[place - 1, ids[place]]) for place in range(1, len(ids))]
    np.testing.assert_allclose(found.surprisal[1:], expected, rtol=1e-4)
    assert np.isnan(found.surprisal[0]) and "".join(found.token_text.values) == TEXT
    assert found.top_token.values.tolist() == logprobs.argmax(-1).tolist()
    np.testing.assert_array_equal(found.boundary, found.radius.min("alternative"))
    np.testing.assert_array_equal(found.predicted_boundary, found.predicted_radius.min("alternative"))


def test_a_text_in_random_order_has_the_same_tokens_and_is_measured_as_such(text_model, found):
    mixed = srt.text_map(text_model, TEXT, delta=0.01, layer=1, shuffle=3, **SETTINGS)
    assert sorted(mixed.token.values) == sorted(found.token.values) and mixed.attrs["shuffle"] == 3
    assert mixed.token.values.tolist() != found.token.values.tolist()
    logprobs = hooked_everywhere(text_model, torch.tensor(mixed.token.values), 1)["logprobs"]
    np.testing.assert_allclose(mixed.entropy, entropy(logprobs.exp().numpy(), axis=1), rtol=1e-4)


@pytest.mark.slow
def test_what_is_no_text_is_refused_by_name(text_model):
    with pytest.raises(ValueError, match="one token"):
        srt.text_map(text_model, "a")
    with pytest.raises(ValueError, match="metric='jsd'"):
        srt.text_map(text_model, TEXT, metric="jsd")
    with pytest.raises(ValueError, match=r"alternatives=20, among=20: those prompts end in \d+ tokens"):
        srt.text_map(text_model, TEXT, alternatives=20, among=20)


def test_a_result_is_saved_and_comes_back(text_model, found, tmp_path):
    assert srt.load(srt.save(found, tmp_path / "map.nc")).identical(found)


def test_letters_of_several_tokens_stay_whole(text_model):
    found = srt.text_map(text_model, "naïve 日本", alternatives=1, among=30)
    assert "".join(found.token_text.values) == "naïve 日本"
