"""Curves with parts held are those of plain PyTorch hooks that hold them, and jump no more than what is left can."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import srtoolkit as srt
from families import FAMILIES, VOCAB, tiny
from hooks import PARTS
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.prefixes import Unsupported

PAIRS = [("the cat sat", "the dog ran"), ("a", "b"), ("short", "rather longer")]
NUMBER = {"attention": 0, "mlp": 1}


@torch.no_grad()
def run(model, ids, layer, point, paths, values=None):
    """Output of one prompt at the last position with a point put in, and what modules of later blocks give there."""
    blocks, seen = model.hf.get_submodule(model.anatomy.blocks), {}

    def put_in(module, inputs, output):
        changed = (output if isinstance(output, torch.Tensor) else output[0]).clone()
        changed[:, -1] = point
        return changed if isinstance(output, torch.Tensor) else (changed, *output[1:])

    def hold(name):
        def hook(module, inputs, output):
            own = output if isinstance(output, torch.Tensor) else output[0]
            flat = own.clone().view(-1, own.shape[-1])
            if values is not None:
                flat[-1] = values[name]
            seen[name] = flat[-1].clone()
            return flat.view(own.shape) if isinstance(output, torch.Tensor) else (flat.view(own.shape), *output[1:])

        return hook

    handles = [blocks[layer].register_forward_hook(put_in)]
    handles += [blocks[name[0]].get_submodule(name[1]).register_forward_hook(hold(name)) for name in paths]
    try:
        output = model.hf.base_model(ids[None], use_cache=False).last_hidden_state[0, -1]
    finally:
        for handle in handles:
            handle.remove()
    return output, seen


def held_curve(model, ids, a, b, parts, blocks, layer, share, steps):
    """The outputs along the straight line with modules held at their values at one place of it, by hooks."""
    of_family = PARTS.get(model.hf.config.model_type, ("self_attn", "mlp"))
    paths = [(block, of_family[NUMBER[part]]) for block in blocks for part in parts]
    _, values = run(model, ids, layer, torch.lerp(a, b, share), paths)
    points = [torch.lerp(a, b, alpha) for alpha in torch.linspace(0, 1, steps)]
    return torch.stack([run(model, ids, layer, point, paths, values)[0] for point in points])


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"mamba"}))
@pytest.mark.parametrize(("what", "at", "blocks"), [("mlp", "middle", [2]), ("attention", "a", [1, 3])])
@pytest.mark.slow
def test_held_outputs_are_those_of_plain_hooks_by_every_method(family, what, at, blocks):
    model = tiny(family)
    ids = torch.randint(3, VOCAB, (2, 6), generator=torch.Generator().manual_seed(3))
    a, b = srt.capture(model, ids), srt.capture(model, ids.flip(0))
    points = torch.stack([torch.lerp(a, b, alpha) for alpha in torch.linspace(0, 1, 4)], dim=1)
    share = {"a": 0.0, "middle": 0.5}[at]
    expected = torch.stack([held_curve(model, ids[i], a[i], b[i], [what], blocks, 0, share, 4) for i in (0, 1)])
    names = tuple(f"{ {'mlp': 'mlp', 'attention': 'attn'}[what] }.{block}".replace(" ", "") for block in blocks)
    own = srt.patch(model, ids, torch.lerp(a, b, share)[:, None], reads=names)
    held = {name: values[:, 0] for name, values in own.items()}
    for method in METHODS:
        try:
            found = srt.patch(model, ids, points, held=held, method=method)
        except Unsupported:
            assert method != "full"
            continue
        assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max()), method
    assert float((srt.patch(model, ids, points) - expected).abs().max()) > 1e-2 * float(expected.abs().max())


@pytest.mark.parametrize(
    ("what", "at", "blocks"),
    [("mlp", "middle", None), ("attention", "a", None), (("mlp", "attention"), "b", [3]), ("mlp", "middle", [2, 1])],
)
def test_a_curve_is_that_of_plain_hooks(text_model, what, at, blocks):
    found = srt.freeze(text_model, PAIRS, what=what, at=at, blocks=blocks, steps=7)
    parts = (what,) if isinstance(what, str) else what
    for pair, texts in enumerate(PAIRS):
        ids, other = (text_model.tokenize(text) for text in texts)
        a, b = (srt.capture(text_model, side[None])[0] for side in (ids, other))
        share = {"a": 0.0, "middle": 0.5, "b": 1.0}[at]
        outputs = held_curve(text_model, ids, a, b, parts, blocks or [1, 2, 3], 0, share, 7)
        row, scale = found.isel(pair=pair), float(outputs.norm(dim=-1).max())
        np.testing.assert_allclose(row.distance, (outputs - outputs[0]).norm(dim=-1), atol=1e-4 * scale)
        np.testing.assert_allclose(row.distance_b, (outputs - outputs[-1]).norm(dim=-1), atol=1e-4 * scale)
        np.testing.assert_allclose(row.step[1:], outputs.diff(dim=0).norm(dim=-1), atol=1e-4 * scale)
    assert found.attrs["frozen_blocks"] == ", ".join(map(str, sorted(blocks or [1, 2, 3])))


def test_each_batch_holds_the_values_of_its_own_contexts(text_model, monkeypatch):
    ids = torch.stack([text_model.tokenize(text) for text in ("one", "two", "six")])
    points = srt.capture(text_model, ids.flip(0))[:, None]
    held = {"mlp.2": srt.patch(text_model, ids, points, reads="mlp.2")[:, 0].flip(0)}
    together = srt.patch(text_model, ids, points, held=held, method="full")
    monkeypatch.setattr("srtoolkit.patching.batches.CPU_TOKENS", 3)  # one prompt in a batch
    alone = srt.patch(text_model, ids, points, held=held, method="full")
    assert torch.allclose(alone, together, atol=1e-5)
    assert (together - srt.patch(text_model, ids, points)).abs().max() > 1e-2


def test_what_is_held_at_an_end_leaves_that_end_where_it_was(text_model):
    whole = srt.interpolate(text_model, PAIRS, steps=5, top=1)
    held = srt.freeze(text_model, PAIRS, at="a", steps=5)
    np.testing.assert_allclose(held.output_norm, whole.output_norm, rtol=1e-5)
    np.testing.assert_array_equal(held.top_token[:, 0], whole.top_token[:, 0])
    assert (abs(held.output_norm_b_resid / whole.output_norm_b_resid - 1) > 1e-3).any()


def test_with_everything_held_the_stream_moves_evenly(text_model):
    held = srt.freeze(text_model, PAIRS, what=("attention", "mlp"), steps=9, reads="resid")
    np.testing.assert_allclose(srt.motion(held, "resid").peak, 1, atol=1e-3)
    np.testing.assert_allclose(held.distance_resid[:, -1], held.input_distance, rtol=1e-4)
    assert (srt.motion(srt.interpolate(text_model, PAIRS, steps=9, reads="resid"), "resid").peak > 1.04).all()


def test_what_cannot_be_held_is_refused_by_name(text_model):
    with pytest.raises(ValueError, match=r"blocks=0"):
        srt.freeze(text_model, PAIRS, blocks=[0])
    with pytest.raises(ValueError, match="layer=3 is the last block"):
        srt.freeze(text_model, PAIRS, layer=3)
    with pytest.raises(ValueError, match="has no MLP that is known"):
        srt.patch(tiny("mamba"), torch.full((1, 3), 5), torch.ones(1, 1, 32), held={"mlp.2": torch.ones(1, 32)})
    ids, points, held = torch.full((2, 3), 5), torch.ones(2, 1, 32), {"mlp.2": torch.ones(2, 32)}
    with pytest.raises(ValueError, match=r"only what attention or an MLP adds can be held"):
        srt.patch(text_model, ids, points, held={"resid.2": torch.ones(2, 32)})
    with pytest.raises(ValueError, match=r"held\['mlp.2'\]: expected shape \[2, point, 32\]"):
        srt.patch(text_model, ids, points, held={"mlp.2": torch.ones(2, 31)})
    with pytest.raises(ValueError, match="held at the patched position"):
        srt.patch(text_model, ids, points, position=0, held=held)
