"""2-D slices against plain hooks, and their colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

import srtoolkit as srt
from families import hooked
from srtoolkit.measures import slices
from srtoolkit.measures.planes import Layout, Plane

TRIPLE = ("the cat sat", "a dog", "rain fell on us")


@pytest.fixture(scope="module")
def plane(text_model):
    return srt.slice_plane(text_model, TRIPLE, resolution=7, margin=0.5)


def test_distances_are_those_of_plain_hooks_in_each_context(text_model, plane):
    tokens = [text_model.tokenize(text) for text in TRIPLE]
    a, b, c = (hooked(text_model, ids, 0)["own"] for ids in tokens)
    foot = a + ((b - a) @ (c - a)) / ((b - a) @ (b - a)) * (b - a)
    for row, beta in enumerate(plane["beta"].values):
        for column, alpha in enumerate(plane["alpha"].values):
            point = a + float(alpha) * (b - a) + float(beta) * (c - foot)
            for anchor, (ids, own) in enumerate(zip(tokens, (a, b, c), strict=True)):
                at_anchor, moved = (hooked(text_model, ids, 0, here)["final_norm"] for here in (own, point))
                expected = (moved - at_anchor).norm().item()
                assert plane["distance"].values[anchor, row, column] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_anchors_lie_where_the_dataset_says(text_model, plane):
    fine = srt.slice_plane(text_model, TRIPLE, resolution=5, margin=0.0)
    assert float(fine["distance"].sel(anchor="A", alpha=0, beta=0)) == pytest.approx(0, abs=1e-5)
    assert float(fine["distance"].sel(anchor="B", alpha=1, beta=0)) == pytest.approx(0, abs=1e-5)
    c = srt.capture(text_model, text_model.tokenize(TRIPLE[2])[None])[0]
    a, b = (srt.capture(text_model, text_model.tokenize(text)[None])[0] for text in TRIPLE[:2])
    foot = a + float(plane["c_alpha"]) * (b - a)
    assert abs(float((c - foot) @ (b - a))) < 1e-4 * float((b - a).norm() * c.norm())
    assert plane["alpha"].values[0] == -0.5 and plane["beta"].values[-1] == 1.5


def test_a_side_of_the_plane_is_the_curve_of_interpolate(text_model):
    plane = srt.slice_plane(text_model, TRIPLE, resolution=9, margin=0.0)
    curve = srt.interpolate(text_model, [TRIPLE[:2]], steps=9, reads="final_norm")["distance"].values[0]
    np.testing.assert_allclose(plane["distance"].sel(anchor="A", beta=0).values, curve, rtol=1e-3, atol=1e-5)


def test_token_ids_give_what_their_text_gives(text_model, plane):
    ids = [text_model.tokenize(text) for text in TRIPLE]
    again = srt.slice_plane(text_model, ids, resolution=7, margin=0.5)
    np.testing.assert_array_equal(again["distance"], plane["distance"])
    assert again["text"].values.tolist() == list(TRIPLE)


def test_colours_per_picture_reach_0_and_joint_ones_share_a_scale(plane):
    other = plane.assign(distance=plane["distance"] * 2, largest_distance=plane["largest_distance"] * 2)
    both = xr.concat([plane, other], "model")
    apart, jointly = srt.slice_colours(both, jointly=False), srt.slice_colours(both)
    np.testing.assert_allclose(apart.min(("alpha", "beta")), 0, atol=1e-6)
    np.testing.assert_allclose(apart[0], apart[1], atol=1e-6)
    np.testing.assert_allclose(1 - jointly[1], 2 * (1 - jointly[0]), atol=1e-6)
    assert jointly.dims == ("model", "beta", "alpha", "anchor") and float(jointly.max()) <= 1


@pytest.mark.parametrize(
    ("triple", "settings", "said"),
    [
        (TRIPLE[:2], {}, "expected three prompts, got 2"),
        ("abc", {}, "expected three prompts"),
        (("a", "b", ""), {}, "prompt C: an empty prompt"),
        (("the cat", "a dog", "the cat"), {}, "span no plane"),
        (("the cat", "the cat", "a dog"), {}, "span no plane"),
        (TRIPLE, {"resolution": 1}, "resolution=1"),
        (TRIPLE, {"margin": -1.0}, "margin=-1"),
        (TRIPLE, {"layer": 99}, "layer=99"),
        (TRIPLE, {"method": "fast"}, "method"),
    ],
)
def test_bad_input_is_refused(text_model, triple, settings, said):
    with pytest.raises(ValueError, match=said):
        srt.slice_plane(text_model, triple, **settings)


def test_predictions_are_those_of_plain_hooks(text_model, plane):
    tokens = [text_model.tokenize(text) for text in TRIPLE]
    a, b, c = (hooked(text_model, ids, 0)["own"] for ids in tokens)
    foot = a + ((b - a) @ (c - a)) / ((b - a) @ (b - a)) * (b - a)
    for row, column in ((0, 0), (3, 2), (6, 6)):
        point = a + float(plane["alpha"][column]) * (b - a) + float(plane["beta"][row]) * (c - foot)
        for anchor, ids in enumerate(tokens):
            best = hooked(text_model, ids, 0, point)["logprobs"].topk(2)
            here = plane.isel(anchor=anchor, beta=row, alpha=column)
            assert here["top_token"] == best.indices[0]
            assert float(here["margin"]) == pytest.approx(float(best.values[0] - best.values[1]), abs=1e-4)
    own = [int(hooked(text_model, ids, 0)["logits"].argmax()) for ids in tokens]
    assert plane["anchor_token"].values.tolist() == own


def test_regions_are_the_nearest_anchor_or_none():
    """On a made-up picture: distances that grow from each anchor, in units in which the anchors are 1 apart."""
    plane = Plane(torch.zeros(2), torch.zeros(2), torch.zeros(2), (0.5, 1.0))
    layout = Layout([], ["a", "b", "c"], torch.zeros(3, 2), plane, torch.linspace(0, 1, 3), 0, {})
    own = [np.full((3, 3), value) for value in (0.4, 0.3, 0.9)]
    own[1][0, 0], own[0][0, 0], own[2][0, 0] = 0.8, 0.9, 0.7  # far from all
    own[2][2, 2] = 0.1
    pictures = [{"distance": distance} for distance in own]
    ends = [{"distance": np.where(np.arange(3) == index, 0.0, 1.0)} for index in range(3)]
    found = slices._to_dataset(layout, pictures, ends)
    assert found["region"].values.tolist() == [[-1, 1, 1], [1, 1, 1], [1, 1, 2]]
    assert found["rgb"].dims == ("beta", "alpha", "anchor")
    assert float(found["rgb"].min()) == 0


def test_an_orthonormal_picture_keeps_lengths_and_holds_all_anchors(text_model):
    found = srt.slice_plane(text_model, TRIPLE, resolution=5, orthonormal=True, reads="final_norm")
    a, b, c = (srt.capture(text_model, text_model.tokenize(text)[None])[0] for text in TRIPLE)
    unit = float((b - a).norm())
    assert float(found["c_alpha"] ** 2 + found["c_beta"] ** 2) ** 0.5 * unit == pytest.approx(
        float((c - a).norm()), rel=1e-4
    )
    assert found["beta"].values[-1] >= float(found["c_beta"]) + 0.25 - 1e-6
    assert "top_token" not in found and found.attrs["orthonormal"] == 1


def test_a_tolerance_saves_points_and_says_where(text_model):
    full = srt.slice_plane(text_model, TRIPLE, resolution=41)
    some = srt.slice_plane(text_model, TRIPLE, resolution=41, tolerance=0.02)
    assert full["measured"].all() and 0.02 < float(some["measured"].mean()) < 0.8
    assert float(np.abs(some["rgb"] - full["rgb"]).max()) < 0.1
    same = some["measured"].values
    np.testing.assert_allclose(some["distance"].values[same], full["distance"].values[same], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_paper_s_resolution_takes_a_third_of_the_passes():
    """On a trained model at the paper's resolution, the difference measured."""
    model = srt.load_model("nano-1m")
    prompts = srt.sample_pairs(model, 3).text_a
    full, some = (srt.slice_plane(model, prompts, tolerance=tolerance) for tolerance in (None, 0.01))
    assert float(some["measured"].mean()) < 1 / 3
    assert float(np.abs(some["rgb"] - full["rgb"]).max()) < 0.03
    assert float((some["top_token"] == full["top_token"]).mean()) > 0.98
    assert float((some["region"] == full["region"]).mean()) > 0.98


@pytest.fixture(scope="module")
def gates(text_model):
    return srt.slice_gates(text_model, TRIPLE, 2, resolution=7, margin=0.5, anchor="B")


def test_gates_are_those_of_plain_hooks_in_the_anchor_s_context(text_model, plane, gates):
    tokens = [text_model.tokenize(text) for text in TRIPLE]
    a, b, c = (hooked(text_model, ids, 0)["own"] for ids in tokens)
    foot = a + ((b - a) @ (c - a)) / ((b - a) @ (b - a)) * (b - a)
    for row, column in ((0, 0), (3, 2), (6, 6), (1, 5)):
        point = a + float(gates["alpha"][column]) * (b - a) + float(gates["beta"][row]) * (c - foot)
        expected = hooked(text_model, tokens[1], 0, point)["gate2"]
        found = gates["pre_activation"].values[row, column]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert gates["pre_activation"].dtype == np.float32 and gates.sizes["gate"] == 64
    assert (gates["alpha"] == plane["alpha"]).all() and gates["c_alpha"] == plane["c_alpha"]
    assert gates.attrs["block"] == 2 and gates.attrs["context"] == "B"
    assert gates.attrs["counted"] == "gate pre-activations"


def test_crossings_count_sign_changes_to_the_next_point(gates):
    signs = gates["pre_activation"].values > 0
    expected = np.zeros((7, 7), dtype=int)
    for row in range(7):
        for column in range(7):
            changed = np.zeros(64, dtype=bool)
            if row < 6:
                changed |= signs[row, column] != signs[row + 1, column]
            if column < 6:
                changed |= signs[row, column] != signs[row, column + 1]
            expected[row, column] = changed.sum()
    assert gates["crossings"].values.tolist() == expected.tolist() and expected.sum() > 20
    by_hand = np.array([[1, -1, 1], [1, 1, 1], [-1, 1, 1]])[..., None] > 0
    assert slices._crossings(by_hand).tolist() == [[1, 1, 0], [1, 0, 0], [1, 0, 0]]


def test_gates_in_a_context_are_on_the_path_of_count_gate_flips(text_model):
    """The row beta = 0 in A's context is the path from A to B."""
    row = srt.slice_gates(text_model, TRIPLE, 3, resolution=11, margin=0.0).sel(beta=0)["pre_activation"].values > 0
    flips = srt.count_gate_flips(text_model, [TRIPLE[:2]], steps=11, blocks=[3])["flips"].squeeze().values
    assert (row[1:] != row[:-1]).sum(1).tolist() == flips[1:].tolist()


@pytest.mark.parametrize(
    ("block", "settings", "said"),
    [
        (2, {"anchor": "D"}, "anchor='D'"),
        (0, {}, "blocks 1 to 3"),
        (1, {"layer": 1}, "blocks 2 to 3"),
        (1, {"layer": 3}, "no block behind it"),
        (2, {"resolution": 1}, "resolution=1"),
    ],
)
def test_bad_gate_slices_are_refused(text_model, block, settings, said):
    with pytest.raises(ValueError, match=said):
        srt.slice_gates(text_model, TRIPLE, block, **settings)


def test_prompts_may_come_from_an_iterator(text_model, plane):
    assert srt.slice_plane(text_model, iter(TRIPLE), resolution=7, margin=0.5).identical(plane)
    with pytest.raises(ValueError, match=r"three prompts, got 2: \"\['abc', 'bcd'\]"):
        srt.slice_plane(text_model, (text for text in ("abc", "bcd")))
