"""The number of regions of a model is one over the share of its paths without a jump."""

from __future__ import annotations

import numpy as np
import pytest

import srtoolkit as srt

PAIRS = [("the cat sat", "the dog ran"), ("a", "b"), ("short", "rather longer"), ("the cow saw", "hens saw")]


def test_paths_without_a_jump_are_counted(text_model):
    curves = srt.interpolate(text_model, PAIRS, steps=12, reads="resid")
    steps = curves.step_resid.values[:, 1:]
    speed = steps / steps.mean(axis=1, keepdims=True)
    limit = float(np.sort(speed.max(axis=1))[[1, 2]].mean())  # between those of the second and the third
    found = srt.count_regions(text_model, PAIRS, steps=12, reads="resid", jump_speed=limit)
    by_hand = [(row[row > limit].sum() < 0.1 * row.sum()) for row in speed]  # any run at all is longer
    assert found.value == pytest.approx(4 / sum(by_hand)) and sum(by_hand) == 2


def test_last_tokens_tell_which_pairs_count(text_model):
    alike = [PAIRS[3], ("one owl saw", "no one saw")]
    whole = srt.count_regions(text_model, alike, steps=5, last_token="same")
    assert whole == srt.count_regions(text_model, [*PAIRS[:3], *alike], steps=5, last_token="same")
    with pytest.raises(ValueError, match="last_token='different': none of the 2 pairs"):
        srt.count_regions(text_model, alike, last_token="different")
