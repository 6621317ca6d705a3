"""The floor of rounding against plain hooks in the same number format."""

from __future__ import annotations

import pytest
import torch

import srtoolkit as srt
from checkpoints_on_disk import byte_tokenizer
from families import tiny
from hooks import whole_prompts

PAIRS = [("the cat sat", "a dog ran"), ("rain falls", "snow falls"), ("one two", "three four")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 2])
def test_the_floor_of_a_mixture_of_experts_covers_what_rounding_does_along_the_path(seed):
    """Between prompts, the router stands on the edge more often than at one: the floor is taken there, too."""
    model = tiny("mixtral", seed, torch.float16, vocab_size=259, num_local_experts=4, num_experts_per_tok=2)
    model.tokenizer = byte_tokenizer()
    curves, floor = srt.interpolate(model, PAIRS, steps=25, reads="final_norm"), srt.noise_floor(model, PAIRS)
    pairs = srt.prompts.from_text(model, PAIRS)
    for row in range(len(PAIRS)):
        a, b = (srt.capture(model, ids[row][None])[0].float() for ids in (pairs.tokens_a, pairs.tokens_b))
        points = [(a + share * (b - a)).half() for share in torch.linspace(0, 1, 25)]
        outputs = whole_prompts(model, pairs.tokens_a[row], 0, torch.stack(points))["final_norm"].float()
        plain = (outputs - outputs[0]).norm(dim=-1)
        off = (plain - torch.from_numpy(curves["distance"].values[row])).abs().max() / plain[-1]
        assert float(off) < 2 * float(floor["relative_noise"][row])


def test_the_floor_is_the_largest_difference_of_any_point_of_the_path(text_model, monkeypatch):
    """Where one way of patching is made to be off in the middle of the path alone, the floor says by how much."""
    patch = srt.measures.noise.patch

    def off_in_the_middle(model, context, points, **settings):
        found = patch(model, context, points, **settings)
        if points.shape[1] > 1:
            found[:, 4] += 1.0
        return found

    before = srt.noise_floor(text_model, PAIRS)["noise"].values
    monkeypatch.setattr(srt.measures.noise, "patch", off_in_the_middle)
    after = srt.noise_floor(text_model, PAIRS)["noise"].values
    assert (before < 1e-3).all()
    assert after == pytest.approx(text_model.d_model**0.5, rel=1e-3)
