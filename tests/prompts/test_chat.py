"""Conversations in the format of a tokenizer, against frames written by hand."""

from __future__ import annotations

import warnings

import pytest
from tokenizers import AddedToken

import srtoolkit as srt
from families import tiny
from srtoolkit.suite.shipped import END, load_suite_tokenizer

FORMAT = (
    "{% if messages[-1].role == 'system' %}{{ raise_exception('nobody asks') }}{% endif %}"
    "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}</{{ turn.role }}>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where did he live?"}]
BEGUN = [{"role": "user", "content": "And she?"}, {"role": "assistant", "content": "She lived in"}]


@pytest.fixture
def talker():
    """A tiny model whose tokenizer has a chat format."""
    model = tiny("llama", vocab_size=4098)
    model.tokenizer = load_suite_tokenizer()
    model.tokenizer.chat_template = FORMAT
    return model


def test_what_ran_is_the_frame_by_hand_and_stands_in_the_result(talker):
    pairs = srt.from_text(talker, [("Who?", ASKED), (BEGUN, "Who?")], ["one", "two"], chat=True)
    who = "<user>Who?</user><assistant>"
    asked = "<system>Be brief.</system><user>Where did he live?</user><assistant>"
    begun = "<user>And she?</user><assistant>She lived in"
    assert (pairs.text_a, pairs.text_b) == ((who, begun), (asked, who))
    assert pairs.labels == ("one", "two") and not pairs.bos
    read = [talker.tokenizer(text, add_special_tokens=False).input_ids for text in (who, begun, asked, who)]
    assert [ids.tolist() for ids in (*pairs.tokens_a, *pairs.tokens_b)] == read
    found = srt.interpolate(talker, pairs, steps=3)
    assert found.text_a.values.tolist() == [who, begun] and "chat format" in found.attrs["prompts"]
    assert found.tokens_a.values[0][: len(read[0])].tolist() == read[0]


def test_another_format_has_another_name_in_the_result(talker):
    one, again = (srt.from_text(talker, [("a", "b")], chat=True).source for _ in range(2))
    talker.tokenizer.chat_template = FORMAT + " "
    assert one == again != srt.from_text(talker, [("a", "b")], chat=True).source
    assert "chat" not in srt.from_text(talker, [("a", "b")]).source


@pytest.mark.parametrize("writes_bos", [True, False])
def test_there_is_one_bos_token_or_none(talker, writes_bos):
    if writes_bos:
        talker.tokenizer.chat_template = "{{ bos_token }}" + FORMAT
    first = talker.tokenizer.bos_token_id
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for bos in (True, False):
            pairs = srt.from_text(talker, [("Who?", ASKED), (BEGUN, "Who?")], bos=bos, chat=True)
            prompts = [ids.tolist() for ids in (*pairs.tokens_a, *pairs.tokens_b)]
            expected = [int(bos or writes_bos)] * 4
            assert [ids.count(first) for ids in prompts] == expected == [int(ids[0] == first) for ids in prompts]
            assert pairs.bos == (bos or writes_bos) and pairs.text_a[0].startswith(END) == pairs.bos


def test_without_a_format_a_tokenizer_or_a_bos_token_it_is_refused(talker):
    pairs = [("a", "b")]
    talker.tokenizer.bos_token = None
    with pytest.raises(ValueError, match=r"bos=True, but the tokenizer has no BOS token"):
        srt.from_text(talker, pairs, bos=True, chat=True)
    assert not srt.from_text(talker, pairs, chat=True).bos
    talker.tokenizer.chat_template = None
    with pytest.raises(ValueError, match=r"has no chat format.*Choose one that was, as smollm2-135m, or give"):
        srt.from_text(talker, pairs, chat=True)
    talker.tokenizer = None
    with pytest.raises(ValueError, match="was given without a tokenizer"):
        srt.from_text(talker, pairs, chat=True)


def test_what_the_format_does_not_take_is_refused_with_its_own_words(talker):
    with pytest.raises(ValueError, match=r"does not take these turns \(system\).*nobody asks"):
        srt.from_text(talker, [("a", ASKED[:1])], chat=True)


def test_a_text_that_has_its_frame_already_is_refused(talker):
    with pytest.raises(ValueError, match=rf"a turn holds '{END}'.*without chat=True".replace("|", r"\|")):
        srt.from_text(talker, [("a", f"{END}b")], chat=True)
    talker.tokenizer.add_tokens([AddedToken("<user>", special=True)])
    with pytest.raises(ValueError, match="a turn holds '<user>'"):
        srt.from_text(talker, [("a", "<user>b</user>")], chat=True)
    talker.tokenizer.add_tokens([AddedToken("<b>", special=False)])
    assert srt.from_text(talker, [("a", "<b>")], chat=True).text_b == ("<user><b></user><assistant>",)


@pytest.mark.parametrize(
    "said", [3, None, [], {"role": "user", "content": "a"}, [{"role": "user"}], [{"role": "user", "content": 3}], ["a"]]
)
def test_what_is_neither_text_nor_turns_is_refused(talker, unchecked, said):
    with pytest.raises(TypeError, match="expected of each prompt a text, which is the user's turn, or a list of turns"):
        srt.from_text(talker, [("a", said)], chat=True)


def test_turns_without_chat_are_refused(talker, unchecked):
    with pytest.raises(TypeError, match=r"a prompt must be a string.*chat=True"):
        srt.from_text(talker, [("a", ASKED)])


def test_smollm2_reads_its_own_frame(smollm2):
    pairs = srt.from_text(smollm2, [("Who?", BEGUN)], chat=True)
    assert pairs.text_a[0].endswith("<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n")
    assert pairs.text_b[0].endswith("<|im_start|>assistant\nShe lived in")
    first = smollm2.tokenizer.bos_token_id
    again = srt.from_text(smollm2, [("Who?", BEGUN)], bos=True, chat=True)
    assert again.bos and [ids.tolist() for ids in again.tokens_a] == [ids.tolist() for ids in pairs.tokens_a]
    assert again.tokens_a[0][0] == first != again.tokens_a[0][1]
