"""Prompts with one BOS token, and the paper's pairs under tokenizers that cut their last words in two."""

from __future__ import annotations

import warnings

import pytest

import srtoolkit as srt
from families import tiny
from srtoolkit.suite.shipped import load_suite_tokenizer

CHAT = "{{ bos_token }}{% for turn in messages %}{{ turn['content'] }}{% endfor %}"


@pytest.fixture(scope="module")
def reader():
    """A tiny model that reads with the nano suite's tokenizer."""
    model = tiny("llama", vocab_size=4096)
    model.tokenizer = load_suite_tokenizer()
    return model


def test_a_text_that_starts_with_bos_gets_no_second(reader):
    own = reader.tokenizer
    chat = own.apply_chat_template([{"role": "user", "content": "hello"}], chat_template=CHAT, tokenize=False)
    for text in (own.bos_token + "hello", chat):
        with pytest.warns(UserWarning, match=r"starts with '<\|endoftext\|>' already.*gets no second"):
            ids = reader.tokenize(text, bos=True).tolist()
        assert ids == [own.bos_token_id, *own("hello", add_special_tokens=False).input_ids]
        with pytest.warns(UserWarning):
            found = srt.interpolate(reader, srt.prompts.from_text(reader, [(text, "good day")], bos=True), steps=3)
        assert found["tokens_a"].values[0].tolist().count(own.bos_token_id) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reader.tokenize("hello", bos=True).tolist() == ids
        assert reader.tokenize(own.bos_token + "hello").tolist() == ids


def test_the_papers_pairs_say_where_more_than_the_last_token_differs(reader):
    with pytest.warns(UserWarning, match=r"do not in S1 \(12 and 13 tokens\), S3 \(16 and 17 tokens\)\."):
        pairs = srt.paper_pairs(reader)
    found = srt.interpolate(reader, pairs, steps=3, reads="final_norm")
    said = dict(zip(found["pair"].values.tolist(), found["last_token_only"].values.tolist(), strict=True))
    assert said == {"S1": False, "S2": True, "S3": False, "D1": True, "D2": True, "D3": True}


def test_pairs_that_differ_earlier_or_not_at_all_are_no_pairs_of_the_last_token(reader):
    texts = [(" a b", " a c"), (" b a", " c a"), (" a", " a"), (" a", " a b"), (" a", " b")]
    assert srt.prompts.from_text(reader, texts).last_token_only == (True, False, False, False, True)
