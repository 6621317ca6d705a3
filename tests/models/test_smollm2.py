"""The paper's protocol on the packaged model: numbers that must stay where they were measured."""

from __future__ import annotations

import pytest

import srtoolkit as srt


@pytest.fixture(scope="module")
def paper(smollm2):
    return srt.sharpness(srt.interpolate(smollm2, srt.paper_pairs(smollm2))).max_slope.to_series()


def test_the_tokenizer_is_the_models_own(smollm2):
    assert smollm2.tokenize(" The house at the end of the street was very").tolist() == [
        378, 2291, 418, 260, 1112, 282, 260, 7280, 436, 1035,
    ]  # fmt: skip
    assert smollm2.token_text(1035) == " very"


def test_the_papers_pairs(paper):
    assert paper["S3"] <= 1.5 and paper["D1"] >= 4
    assert paper[["S1", "S3"]].max() < paper[["D1", "D2", "D3"]].min()


def test_exchanged_words_are_one_token(smollm2):
    for table, columns in ((srt.stimuli.last_words(), "ab"), (srt.stimuli.classes(), None)):
        names = [("text", "word")] if columns is None else [(f"text_{side}", f"word_{side}") for side in columns]
        for text, word in (row for pair in names for row in table[list(pair)].itertuples(index=False)):
            frame = smollm2.tokenize(text.removesuffix(f" {word}")).tolist()
            (last,) = smollm2.tokenize(f" {word}").tolist()
            assert smollm2.tokenize(text).tolist() == [*frame, last], text


def test_random_pairs_are_sharp(smollm2):
    curves = srt.interpolate(smollm2, srt.sample_pairs(smollm2, 30), reads="final_norm")
    summary = srt.summarise(srt.sharpness(curves)).sel(quantity="max_slope")
    assert summary["median"] >= 3 and summary.low > 1.5


def test_the_random_twin_is_not(smollm2):
    twin = srt.load_model("smollm2-135m", init="random")
    assert twin.fingerprint != smollm2.fingerprint
    curves = srt.interpolate(twin, srt.sample_pairs(twin, 30), reads="final_norm")
    assert srt.summarise(srt.sharpness(curves)).sel(quantity="max_slope")["median"] <= 1.3


def test_fast_and_portable_paths_agree(smollm2):
    pairs = srt.sample_pairs(smollm2, 4)
    fast, portable = (
        srt.interpolate(smollm2, pairs, steps=5, reads="final_norm", method=method) for method in ("auto", "full")
    )
    assert fast.attrs["method"] == "joint"
    assert fast.distance.values == pytest.approx(portable.distance.values, rel=1e-4, abs=1e-3)
