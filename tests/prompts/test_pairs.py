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


def test_pairs_are_shown_in_a_line_and_as_a_table_of_escaped_texts(reader):
    pairs = srt.from_text(reader, [("<b>a", "x & y in"), ("it is in", "w" * 90 + " in")], labels=["<i>", "two"])
    assert "\n" not in repr(pairs) and len(repr(pairs)) < 200 and "tensor" not in repr(pairs)
    assert repr(pairs).startswith("PromptPairs(2 pairs of ") and "'<b>a' to 'x & y in'" in repr(pairs)
    assert "1 with the same last token" in repr(pairs)
    table = pairs._repr_html_()
    assert "<td>&lt;b&gt;a</td><td>x &amp; y in</td>" in table and "<td>&lt;i&gt;</td>" in table and "<b>" not in table
    assert table.count("same last token") == 2  # of the pair, and in the caption
    assert "…" + "w" * 57 + " in" in table and "w" * 58 not in table
    many = srt.sample_pairs(reader, 40, length=5)
    assert many._repr_html_().count("<tr>") == 1 + 12 + 1 and "and 28 more" in many._repr_html_()
    assert repr(many[:0]) == f"PromptPairs(0 pairs of no tokens; source: {many.source})"


@pytest.mark.parametrize(
    "two", [(["a", "b", "c"], ["d", "e", "f"]), [["a", "b", "c"], ["d", "e"]], (["a", "b"], ["c", "d"])]
)
def test_all_prompts_a_and_all_prompts_b_in_two_lists_are_noticed(reader, unchecked, two):
    with pytest.raises(ValueError, match=r"got two lists of \d and \d texts.*list\(zip\(a, b"):
        srt.from_text(reader, two)
    with pytest.raises(ValueError, match=r"list\(zip\(a, b"):
        srt.interpolate(reader, two, steps=3)


@pytest.mark.parametrize("pairs", [[["a", "b"], ["c", "d"]], [("a", "b"), ("c", "d")], (("a", "b"), ("c", "d"))])
def test_two_pairs_are_two_pairs(reader, unchecked, pairs):
    assert srt.from_text(reader, pairs).text_a == ("a", "c")


def test_one_text_is_no_list_of_prompts(reader, unchecked):
    with pytest.raises(TypeError, match="expected a list of strings, got one text: 'one string'"):
        srt.all_pairs(reader, "one string")
