"""Paths that are straight for a dull reason are told so in the result; others are not."""

from __future__ import annotations

import pytest
import torch

import srtoolkit as srt


@pytest.fixture(scope="module")
def model():
    return srt.load_model("nano-1m")


PAIRS = [
    (" The ship was in", " The king was in"),
    (" The ship was very", " The king was in"),
    (" I sit in", " We sit in"),
]


def test_pairs_that_end_in_the_same_token_are_named_with_how_near_they_are(model):
    note = srt.interpolate(model, PAIRS, steps=5, reads="final_norm").attrs["note"]
    assert note.startswith("2 of 3 pairs (0, 2) end in the same token. After block 0, B is only ")
    ends = [[srt.capture(model, model.tokenize(text)[None], layer=0)[0] for text in PAIRS[row]] for row in (0, 2)]
    share = sum(float((b - a).norm() / a.norm()) for a, b in ends) / 2
    assert f"only {share:.0%} of A's length" in note


def test_such_a_path_is_straight_and_the_other_is_not(model):
    """What the note says is so."""
    peak = srt.motion(srt.interpolate(model, PAIRS, reads="final_norm"))["peak"].values
    assert peak[0] < 1.2 and peak[2] < 1.2 and peak[1] > 1.5


def test_other_pairs_and_paths_that_do_not_lead_to_b_have_no_note(model):
    assert "note" not in srt.interpolate(model, PAIRS[1:2], steps=5, reads="final_norm").attrs
    drawn = srt.paths.random_direction(seed=0)
    assert "note" not in srt.interpolate(model, PAIRS, steps=5, path=drawn, reads="final_norm").attrs
    assert "note" not in srt.interpolate(model, PAIRS, steps=5, position=1, reads="final_norm").attrs


def test_ends_that_lie_side_by_side_are_named_whatever_their_tokens(model):
    hf = model.hf
    ids = [int(model.tokenize(text)[-1]) for text in (" very", " in")]
    table = hf.get_input_embeddings().weight
    kept = table[ids[0]].clone()
    try:
        with torch.no_grad():
            table[ids[0]] = table[ids[1]] * 1.001
        alike = [(" The king was very", " The king was in")]
        note = srt.interpolate(model, alike, steps=5, reads="final_norm").attrs["note"]
    finally:
        with torch.no_grad():
            table[ids[0]] = kept
    assert note.startswith("1 of 1 pairs (0) have ends within 5% of A's length after block 0.")


def test_the_note_stays_with_what_is_made_of_the_curves_and_with_the_file(model, tmp_path):
    moved = srt.motion(srt.interpolate(model, PAIRS, steps=9, reads="final_norm"))
    assert srt.load(srt.save(moved, tmp_path / "moved.nc")).attrs["note"] == moved.attrs["note"]
