"""Surprisal of tokens, against plain transformers, one prompt at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import srtoolkit as srt

PROMPTS = ["the cat sat on the mat", "ab", "the cat sat on the hat", "a rather longer prompt than that"]


@torch.no_grad()
def by_hand(model, ids):
    logits = model.hf(ids[None]).logits[0].double()
    return [-torch.log_softmax(logits[place - 1], dim=0)[ids[place]].item() for place in range(1, len(ids))]


def test_surprisal_is_minus_the_log_of_the_last_tokens_probability(text_model):
    found = srt.surprisal(text_model, PROMPTS)
    for row, text in enumerate(PROMPTS):
        expected = by_hand(text_model, text_model.tokenize(text))
        one = found.isel(prompt=row)
        assert one.surprisal.item() == pytest.approx(expected[-1], abs=1e-5)
        n = len(expected) + 1
        assert one.token_surprisal.values[1:n] == pytest.approx(expected, abs=1e-5)
        assert np.isnan(one.token_surprisal.values[[0, *range(n, found.sizes["pos"])]]).all()
        assert one.tokens.values[:n].tolist() == text_model.tokenize(text).tolist()
        assert (one.tokens.values[n:] == -1).all()
    assert list(found.text.values) == PROMPTS and found.surprisal.attrs["units"] == "nats"


def test_many_prompts_of_any_kind_of_list_and_small_memory_give_the_same(text_model, monkeypatch):
    many = [f"prompt number {number:03}" for number in range(40)]
    expected = srt.surprisal(text_model, many)
    monkeypatch.setattr(type(text_model), "memory_budget", 1, raising=False)
    found = srt.surprisal(text_model, pd.Series(many))
    assert found.surprisal.values == pytest.approx(expected.surprisal.values, abs=1e-5)
    assert len(set(np.round(expected.surprisal.values, 4))) > 5


def test_a_first_token_gives_the_second_something_to_follow(text_model):
    found = srt.surprisal(text_model, ["a"], bos=True)
    ids = text_model.tokenize("a", bos=True)
    assert found.surprisal.values == pytest.approx(by_hand(text_model, ids), abs=1e-5)


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        (["ab", "a"], "prompt 1 has one token"),
        ([], "one text or more"),
        (["ab", "x" * 3000], "prompt 1"),
    ],
)
def test_what_has_no_surprisal_is_refused(text_model, prompts, words):
    with pytest.raises(ValueError, match=words):
        srt.surprisal(text_model, prompts)


@pytest.mark.slow
def test_a_word_that_fits_is_less_surprising(smollm2):
    frame = " The capital of France is the city of"
    fits, odd = srt.surprisal(smollm2, [f"{frame} Paris", f"{frame} sentence"]).surprisal.values
    assert fits < 3 < 8 < odd
