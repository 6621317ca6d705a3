"""The stream after any block, and what attention and MLP add to it, are what plain PyTorch hooks see."""

from __future__ import annotations

import pytest
import torch

import srtoolkit as srt
from families import BLOCKS, FAMILIES, VOCAB, WIDTH, tiny
from hooks import hooked_everywhere
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.prefixes import Unsupported


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return tiny(request.param)


def prompts(n, length, seed=0):
    return torch.randint(3, VOCAB, (n, length), generator=torch.Generator().manual_seed(seed))


def points(n, k, seed=1):
    return torch.randn(n, k, WIDTH, generator=torch.Generator().manual_seed(seed))


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def parts_of(model):
    """``tiny-mamba`` has no attention and no MLP."""
    return ("resid",) if model.name == "tiny-mamba" else ("attn", "mlp", "resid")


@pytest.mark.parametrize("layer", range(BLOCKS - 1))
@pytest.mark.parametrize("method", METHODS)
def test_reads_of_every_block_equal_plain_hooks(model, method, layer):
    names = [f"{part}.{block}" for block in range(layer + 1, BLOCKS) for part in parts_of(model)]
    ids, given = prompts(2, 7), points(2, 3)
    try:
        found = srt.patch(model, ids, given, layer=layer, reads=(*names[::-1], "resid"), method=method)
    except Unsupported:
        assert method != "full"
        return
    assert list(found) == [*names[::-1], "resid"]
    assert torch.equal(found["resid"], found[f"resid.{BLOCKS - 1}"])
    for row in range(2):
        for k in range(3):
            plain = hooked_everywhere(model, ids[row], layer, given[row, k])
            for name in names:
                assert relative(found[name][row, k], plain[name][-1]) < 1e-4, name


def test_attention_and_mlp_are_what_a_block_adds(model):
    if "attn" not in parts_of(model):
        with pytest.raises(ValueError, match=r"mlp\.2: block 2 of tiny-mamba \(MambaBlock\) has no MLP .*'mixer'"):
            srt.patch(model, prompts(1, 4), points(1, 1), reads="mlp.2")
        return
    found = srt.patch(model, prompts(2, 7), points(2, 3), reads=("resid.1", "attn.2", "mlp.2", "resid.2"))
    added = found["resid.1"] + found["attn.2"] + found["mlp.2"]
    assert relative(added, found["resid.2"]) < 1e-5


def test_reads_come_with_gates_and_predictions_from_one_pass():
    model, ids, given = tiny("llama"), prompts(1, 6), points(1, 2)
    block, passes = model.hf.model.layers[2], []
    reads = ("logits", "mlp.2", "gates", "attn", "mlp", "final_norm")
    expected = {read: srt.patch(model, ids, given, reads=read) for read in reads}
    expected["attn.3"] = expected["attn"]
    handle = block.register_forward_hook(lambda *_: passes.append(1))
    found = srt.patch(model, ids, given, reads=(*reads, "attn.3"), method="full")
    handle.remove()
    assert len(passes) == 1
    for read, values in expected.items():
        assert relative(found[read], values) < 1e-5, read


def test_a_method_that_a_point_overflows_reads_blocks_all_the_same():
    model, ids, given = tiny("llama"), prompts(1, 6), points(1, 3)
    given[0, 1] = 1e38
    found = srt.patch(model, ids, given, reads=("mlp.1", "resid.2"), method="joint")
    alone = srt.patch(model, ids, given[:, :1], reads=("mlp.1", "resid.2"), method="full")
    for read in found:
        assert relative(found[read][:, :1], alone[read]) < 1e-4


@pytest.mark.parametrize(
    ("reads", "layer", "said"),
    [
        ("resid.4", 0, "reads='resid.4': tiny-llama has blocks 0 to 3"),
        (("final_norm", "mlp.1"), 1, "reads='mlp.1': .* after block 1 changes nothing that block 1 computes; read one"),
        ("resid.0", 2, "reads='resid.0': .* read one of blocks 3 to 3"),
        ("attn", 3, "reads='attn': .* block 3 computes; put it in earlier"),
        ("mlp.-1", 0, "unknown .*'mlp.-1'.* 'mlp.3' and so on"),
        ("norm.1", 0, "unknown .*'norm.1'"),
        (("mlp.2", "mlp.2"), 0, "stands twice"),
        ((), 0, "empty"),
    ],
)
def test_a_read_that_does_not_exist_or_cannot_change_is_refused_by_name(reads, layer, said):
    with pytest.raises(ValueError, match=said):
        srt.patch(tiny("llama"), prompts(1, 4), points(1, 1), layer=layer, reads=reads)
