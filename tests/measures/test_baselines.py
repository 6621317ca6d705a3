"""Embeddings of last tokens and cosines of paths, against plain transformers."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial import distance

import srtoolkit as srt

PAIRS = [("the cat sat", "the dog ran"), ("a", "b"), ("short", "rather longer"), ("one end", "two ends ")]
OTHERS = [("the dog ran", "the cat sat"), ("c", "d"), ("short", "rather longer"), ("one end", "one end")]


def after_block(model, text, layer):
    """The residual stream at the last position, as transformers tells it."""
    with torch.no_grad():
        found = model.hf(model.tokenize(text)[None], output_hidden_states=True)
    return found.hidden_states[layer + 1][0, -1].double().numpy()


def test_token_distances_are_those_of_rows_of_the_embedding_matrix(text_model):
    found = srt.token_distance(text_model, PAIRS)
    rows = text_model.hf.model.embed_tokens.weight.double().numpy()
    last = [[rows[text_model.tokenize(text)[-1]] for text in pair] for pair in PAIRS]
    assert found.token_distance.values == pytest.approx([distance.euclidean(*pair) for pair in last])
    assert found.token_cosine.values == pytest.approx([1 - distance.cosine(*pair) for pair in last])
    assert found.token_distance.attrs["long_name"] and found.attrs["fingerprint"] == text_model.fingerprint


def test_the_context_of_a_token_does_not_matter_to_its_embedding(text_model):
    found = srt.token_distance(text_model, [("a cat", "quite another hat"), ("xt", "yzt")])
    assert found.token_distance.values == pytest.approx(0) and found.token_cosine.values == pytest.approx(1)


def test_prompts_are_clustered_by_their_tokens_alone(text_model):
    prompts = ["we saw a", "he ate a", "you are b", "it is b", "she is c", "no c"]
    found = srt.cluster(srt.token_distance(text_model, srt.all_pairs(text_model, prompts)), 3, of="token_distance")
    assert srt.agreement(found.cluster, ["a", "a", "b", "b", "c", "c"]).value == 1


@pytest.mark.parametrize("layer", [0, 2])
def test_the_cosine_of_paths_is_that_of_their_directions(text_model, layer):
    found = srt.path_cosine(text_model, PAIRS[:3], OTHERS[:3], layer=layer)
    for row, (pair, other) in enumerate(zip(PAIRS, OTHERS[:3], strict=False)):
        a, b, c, d = (after_block(text_model, text, layer) for text in (*pair, *other))
        one = found.isel(pair=row)
        assert one.path_cosine.item() == pytest.approx(1 - distance.cosine(b - a, d - c), abs=1e-5)
        lengths = [distance.euclidean(*ends) for ends in ((a, b), (c, d), (a, c), (b, d))]
        names = ("input_distance", "other_distance", "start_distance", "end_distance")
        assert [one[name].item() for name in names] == pytest.approx(lengths, rel=1e-4, abs=1e-5)
    assert found.path_cosine.values[[0, 2]] == pytest.approx([-1, 1], abs=1e-5)  # the way back, and the same way


def test_a_path_without_length_has_no_direction(text_model):
    assert srt.path_cosine(text_model, PAIRS[3:], OTHERS[3:]).path_cosine.isnull().all()


def test_others_are_one_for_each_pair(text_model):
    with pytest.raises(ValueError, match="4 pairs and 2 others"):
        srt.path_cosine(text_model, PAIRS, OTHERS[:2])
