"""Texts from points of a path: greedy, drawn, ended, and refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import srtoolkit as srt
from hooks import hooked_everywhere

PAIRS = [("the cat sat", "one dog ran"), ("short", "rather longer")]


def test_greedy_texts_are_those_of_plain_hooks(text_model, tmp_path):
    found = srt.continuation(text_model, PAIRS, alphas=(0, 0.5, 1), tokens=6, layer=1)
    assert found.token.dims == ("pair", "alpha", "written") and found["written"].values.tolist() == [1, 2, 3, 4, 5, 6]
    for pair, texts in enumerate(PAIRS):
        a, b = (text_model.tokenize(text) for text in texts)
        ends = [hooked_everywhere(text_model, ids, 1)["resid.1"][-1] for ids in (a, b)]
        for place, alpha in enumerate((0, 0.5, 1)):
            grown = a
            for _ in range(6):
                plain = hooked_everywhere(text_model, grown, 1, torch.lerp(*ends, alpha), len(a) - 1)
                grown = torch.cat([grown, plain["logits"][-1].argmax()[None]])
            assert found.token[pair, place].values.tolist() == grown[len(a) :].tolist()
            whole = text_model.tokenizer.decode(grown.tolist())
            assert (texts[0] + str(found.text[pair, place].values)).rstrip("\N{REPLACEMENT CHARACTER}") in whole + whole
    assert srt.load(srt.save(found, tmp_path / "texts.nc")).text.equals(found.text)


def test_alpha_0_is_what_transformers_itself_writes():
    model = srt.load_model("nano-1m")
    found = srt.continuation(model, [("The king of the", "Once upon a time")], alphas=[0], tokens=12)
    ids = model.tokenize("The king of the")[None]
    expected = model.hf.generate(ids, max_new_tokens=12, do_sample=False)
    assert found.token[0, 0].values.tolist() == expected[0, ids.shape[1] :].tolist()
    assert str(found.text[0, 0].values) == model.tokenizer.decode(expected[0])[len("The king of the") :]


def test_draws_are_the_seeds_and_the_same_at_every_point(text_model):
    draw = {"alphas": [0, 0, 1], "tokens": 8, "temperature": 1.0}
    first = srt.continuation(text_model, PAIRS, **draw)
    assert first.identical(srt.continuation(text_model, PAIRS, **draw))
    assert (first.token[:, 0] == first.token[:, 1]).all()
    other = srt.continuation(text_model, PAIRS, seed=1, **draw)
    assert (first.token != other.token).any() and (first.token[0, 0] != first.token[1, 0]).any()
    assert other.attrs["draw_seed"] == 1 and other.attrs["temperature"] == 1


def test_draws_are_as_frequent_as_probable(text_model):
    pairs = [PAIRS[0]] * 600
    said = srt.next_tokens(text_model, pairs[:1], alphas=[0], top=8)
    drawn = srt.continuation(text_model, pairs, alphas=[0], tokens=1, temperature=1.0).token.values.ravel()
    for token, probability in zip(said.token.values.ravel(), said.probability.values.ravel(), strict=True):
        error = np.sqrt(probability * (1 - probability) / 600)
        assert abs((drawn == token).mean() - probability) < 4 * error


def test_a_text_ends_at_its_end_token(text_model):
    greedy = srt.continuation(text_model, PAIRS[:1], alphas=[0], tokens=6)
    end = int(greedy.token[0, 0, 2])
    before, text_model.hf.generation_config.eos_token_id = text_model.hf.generation_config.eos_token_id, [end]
    try:
        found = srt.continuation(text_model, PAIRS[:1], alphas=[0], tokens=6)
    finally:
        text_model.hf.generation_config.eos_token_id = before
    stop = greedy.token[0, 0].values.tolist().index(end) + 1
    assert found.token[0, 0].values.tolist() == greedy.token[0, 0, :stop].values.tolist() + [-1] * (6 - stop)
    assert np.isnan(found.logprob[0, 0, stop:]).all() and np.isfinite(found.logprob[0, 0, :stop]).all()
    assert str(greedy.text[0, 0].values).startswith(str(found.text[0, 0].values))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"alphas": [0, float("nan")]}, "alphas=nan: expected a finite number"),
        ({"alphas": [float("inf")]}, "alphas=inf"),
        ({"alphas": []}, "alphas: expected one or more"),
        ({"tokens": 10**5}, "tokens=100000: the longest prompt has 11 tokens, and .* takes at most"),
        ({"temperature": -1.0}, "temperature=-1"),
        ({"position": 11}, "position=11: a prompt here has 5 tokens"),
    ],
)
def test_settings_without_a_text_are_refused_by_name(text_model, settings, said):
    with pytest.raises(ValueError, match=said):
        srt.continuation(text_model, PAIRS, **settings)
