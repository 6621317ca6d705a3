"""Growth of a disturbance is what derivatives say where it is small, and exactly one where blocks do nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import srtoolkit as srt
from hooks import directional

PAIRS = [("the cat sat", "the dog ran"), ("a", "b"), ("short", "rather longer")]


def test_growth_over_all_blocks_is_the_root_mean_square_of_derivatives(text_model):
    found = srt.noise_growth(text_model, PAIRS, steps=2, draws=3, size=1e-3, seed=4)
    for pair, texts in enumerate(PAIRS):
        ids, other = (text_model.tokenize(text)[None] for text in texts)
        ends = [srt.capture(text_model, side) for side in (ids, other)]
        drawn = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(4 + pair))
        drawn /= drawn.norm(dim=-1, keepdim=True)
        for place, point in enumerate(ends):
            out = directional(
                text_model, ids.repeat(3, 1), point.repeat(3, 1), drawn[place], reads="resid"
            )  # fmt: skip
            grown = float(out[1].norm(dim=-1).square().mean().sqrt())
            row = found.isel(pair=pair, alpha=place)
            assert float(row.growth.prod()) == pytest.approx(grown, rel=2e-3)
            norms = float(out[0][0].norm() / point.norm())
            assert float(row.relative[-1]) == pytest.approx(grown / norms, rel=2e-3)


def test_blocks_that_add_nothing_keep_a_disturbance_as_it_is(text_model):
    still = copy.deepcopy(text_model.hf)
    with torch.no_grad():
        for block in still.model.layers[1:]:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
    found = srt.noise_growth(srt.wrap(still, text_model.tokenizer, name="still"), PAIRS, steps=3)
    np.testing.assert_allclose(found.growth, 1, atol=1e-3)
    np.testing.assert_allclose(found.relative, 1, atol=1e-3)


def test_directions_do_not_depend_on_the_batch_and_a_still_pair_has_none(text_model):
    found = srt.noise_growth(text_model, [*PAIRS, ("same", "same"), ("the cow saw", "the hen hid")], steps=3)
    alone = srt.noise_growth(text_model, PAIRS[:1], steps=3)
    np.testing.assert_allclose(found.growth[0], alone.growth[0], rtol=1e-3)
    assert found.excluded.values.tolist() == [False, False, False, True, False]
    assert np.isnan(found.growth[3]).all() and np.isfinite(found.growth[:3]).all()
    with pytest.raises(ValueError, match="layer=3 is the last block"):
        srt.noise_growth(text_model, PAIRS, layer=3)
