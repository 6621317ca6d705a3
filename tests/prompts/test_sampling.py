"""Random pairs: which windows of the prose they are, and that none comes twice."""

from __future__ import annotations

import copy
from importlib.resources import files

import pytest
from tokenizers import normalizers

import srtoolkit as srt


def ids_of(side):
    return [tuple(ids.tolist()) for ids in side]


@pytest.mark.slow
def test_pairs_are_disjoint_exact_and_follow_the_seed(text_model):
    pairs = srt.sample_pairs(text_model, 200, length=4, seed=3)  # four letters: the text says many of them twice
    ids = ids_of((*pairs.tokens_a, *pairs.tokens_b))
    assert {len(prompt) for prompt in ids} == {4}
    assert len(set(ids)) == 400
    again, other = (srt.sample_pairs(text_model, 200, length=4, seed=seed) for seed in (3, 4))
    assert again.text_a == pairs.text_a != other.text_a


def test_fewer_pairs_are_the_first_of_more(text_model):
    few, many = (srt.sample_pairs(text_model, n, length=12) for n in (5, 50))
    assert few.text_a == many.text_a[:5] and few.text_b == many.text_b[:5]


def test_prose_is_read_anew_by_a_tokenizer_that_is_no_longer_the_same(text_model):
    before = srt.sample_pairs(text_model, 3)
    tokenizer = copy.deepcopy(text_model.tokenizer)
    changed = srt.wrap(text_model.hf, tokenizer, name="changed")
    assert srt.sample_pairs(changed, 3).text_a == before.text_a
    backend = tokenizer.backend_tokenizer
    backend.normalizer = normalizers.Lowercase()
    lower = srt.sample_pairs(changed, 3)
    assert any(text != text.lower() for text in before.text_a)
    assert all(text == text.lower() for text in (*lower.text_a, *lower.text_b))
    assert srt.sample_pairs(text_model, 3).text_a == before.text_a


@pytest.mark.slow
def test_a_chain_shares_each_prompt_with_the_next_pair(text_model):
    pairs = srt.sample_pairs(text_model, 20, length=12, seed=3, consecutive=True)
    assert {len(ids) for ids in (*pairs.tokens_a, *pairs.tokens_b)} == {12}
    assert ids_of(pairs.tokens_b[:-1]) == ids_of(pairs.tokens_a[1:])
    assert len(set(ids_of(pairs.tokens_a))) == 20
    with pytest.raises(ValueError, match="consecutive and same_last_token"):
        srt.sample_pairs(text_model, 2, same_last_token=True, consecutive=True)


def test_the_papers_settings_draw_the_papers_chain(text_model):
    asked = {**srt.preset("janiak2024")["sample_pairs"], "n": 5, "source": "prose"}
    pairs = srt.sample_pairs(text_model, **asked)
    assert pairs.text_b[:-1] == pairs.text_a[1:]


def test_too_little_text_is_said_with_what_there_is(text_model):
    with pytest.raises(ValueError, match=r"n=10000 pairs of prompts of 30 tokens: .* has \d+ in which no prompt comes"):
        srt.sample_pairs(text_model, 10_000, length=30)


def test_documents_are_those_that_hold_the_prompts(text_model):
    pairs = srt.sample_pairs(text_model, 60, length=24)
    folder = files("srtoolkit.prompts").joinpath("data/prose")
    for texts, documents in ((pairs.text_a, pairs.document_a), (pairs.text_b, pairs.document_b)):
        assert len(set(documents)) > 4
        for text, document in zip(texts, documents, strict=True):
            assert text in folder.joinpath(f"{document}.txt").read_text(encoding="utf-8")
    swapped, cut = pairs.swapped(), pairs[3:7]
    assert swapped.document_a == pairs.document_b and cut.document_b == pairs.document_b[3:7]
    curves = srt.interpolate(text_model, cut, steps=3, reads="final_norm")
    assert tuple(curves["document_a"].values) == cut.document_a
    assert tuple(srt.motion(curves)["document_b"].values) == cut.document_b
    assert "document_a" not in srt.interpolate(text_model, [("ab", "cd")], steps=3, reads="final_norm")
