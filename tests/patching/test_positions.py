"""Points put in at any position, and outputs read there or later, are what plain PyTorch hooks give."""

from __future__ import annotations

import pytest
import torch

import srtoolkit as srt
from families import BLOCKS, FAMILIES, VOCAB, WIDTH, tiny
from hooks import hooked_everywhere
from srtoolkit.patching.choice import choose_method
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.prefixes import Unsupported
from srtoolkit.patching.reads import READS

LENGTH = 7

#: Methods that a family refuses, and must refuse rather than answer wrongly.
REFUSES = {"bloom": {"joint", "parallel"}, "mamba": {"joint", "parallel", "prefix"}}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return tiny(request.param)


def prompts(n, length=LENGTH, seed=0):
    return torch.randint(3, VOCAB, (n, length), generator=torch.Generator().manual_seed(seed))


def points(n, k, seed=1):
    return torch.randn(n, k, WIDTH, generator=torch.Generator().manual_seed(seed))


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def refuses(model, method):
    return method in REFUSES.get(model.name.removeprefix("tiny-"), ())


@pytest.mark.parametrize("position", [0, LENGTH // 2, -1])
@pytest.mark.parametrize("layer", range(BLOCKS))
def test_captures_equal_plain_hooks(model, layer, position):
    ids = prompts(2)
    found = srt.capture(model, ids, layer=layer, position=position)
    for row in range(2):
        plain = hooked_everywhere(model, ids[row], layer)
        assert relative(found[row], plain[f"resid.{layer}"][position]) < 1e-4


@pytest.mark.parametrize("position", [0, LENGTH // 2, LENGTH - 1])
@pytest.mark.parametrize("layer", range(BLOCKS))
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.slow
def test_patches_at_any_position_equal_plain_hooks(model, method, layer, position):
    ids, given = prompts(2), points(2, 3)
    # A later token sees the point in a block behind the patch, of which the last has none.
    read_positions = range(position, LENGTH if layer < BLOCKS - 1 else position + 1)
    reads = (*READS, "resid.3") if layer < BLOCKS - 1 else READS
    for read_position in {read_positions[0], read_positions[len(read_positions) // 2], read_positions[-1]}:
        if refuses(model, method) and not (method == "prefix" and position == 0):
            with pytest.raises(Unsupported, match=rf"method='{method}'.* cannot be run so: .*'full'"):
                srt.patch(model, ids, given, position=position, read_position=read_position, method=method)
            continue
        found = srt.patch(
            model, ids, given, layer=layer, reads=reads, position=position, read_position=read_position, method=method
        )
        for row in range(2):
            for k in range(3):
                plain = hooked_everywhere(model, ids[row], layer, given[row, k], position)
                for read in reads:
                    assert relative(found[read][row, k], plain[read][read_position]) < 1e-4, (read, read_position)


def test_auto_takes_the_fastest_that_agrees_at_earlier_positions_too(model):
    ids, given = prompts(2), points(2, 3)
    found = srt.patch(model, ids, given, position=2)
    assert relative(found, srt.patch(model, ids, given, position=2, method="full")) < 1e-4
    expected = next(method for method in METHODS if not refuses(model, method))
    assert choose_method(model, ids, 3, behind=LENGTH - 3).method == expected


@pytest.mark.parametrize("method", ["joint", "parallel", "prefix"])
@pytest.mark.slow
def test_many_points_with_long_tails(method):
    model, ids, given = tiny("llama"), prompts(2, 40), points(2, 70)
    found = srt.patch(model, ids, given, layer=1, position=10, method=method)
    expected = srt.patch(model, ids, given, layer=1, position=10, method="full")
    assert relative(found, expected) < 1e-4
    model.memory_budget = 1
    assert relative(srt.patch(model, ids, given, layer=1, position=10, method=method), expected) < 1e-4


@pytest.mark.parametrize("method", ["joint", "parallel"])
def test_gates_and_overflowing_points_at_earlier_positions(method):
    model, ids, given = tiny("llama"), prompts(2), points(2, 4)
    given[0, 2] = 1e38
    found = srt.patch(model, ids, given, position=3, reads=("gates", "logits"), method=method)
    expected = srt.patch(model, ids, given, position=3, reads=("gates", "logits"), method="full")
    kept = torch.ones(2, 4, dtype=torch.bool)
    kept[0, 2] = False
    for read in found:
        assert relative(found[read][kept], expected[read][kept]) < 1e-4


@pytest.mark.parametrize("name", ["mistral", "gpt_neo"])
def test_local_attention_that_tails_would_overstep(name):
    model = tiny(name, **({"window_size": 9} if name == "gpt_neo" else {"sliding_window": 9}))
    ids, given = prompts(1), points(1, 2)
    with pytest.raises(Unsupported, match="attends to 9 tokens, and prefix and points are 12"):
        srt.patch(model, ids, given, position=2, method="joint")
    plain = hooked_everywhere(model, ids[0], 0, given[0, 1], 2)
    assert relative(srt.patch(model, ids, given, position=2)[0, 1], plain["final_norm"][-1]) < 1e-4


def test_tokens_behind_what_is_read_are_not_run():
    model, lengths = tiny("llama"), []
    handle = model.hf.model.layers[-1].register_forward_pre_hook(lambda _, given: lengths.append(given[0].shape[1]))
    srt.patch(model, prompts(1), points(1, 2), position=2, read_position=4, method="full")
    handle.remove()
    assert lengths == [5]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"position": 7}, "position=7: a prompt here has 7 tokens; expected 0 to 6 .* -7 to -1"),
        ({"position": -8}, "position=-8: a prompt here has 7 tokens"),
        ({"position": 3, "read_position": 2}, "read_position=2: .* expected 3 to 6 .* -4 to -1 .* not see the point"),
        ({"position": 3, "layer": BLOCKS - 1}, "after block 3, the last of tiny-llama, is seen by no later token"),
    ],
)
def test_positions_outside_the_prompt_or_before_the_point_are_refused_by_name(settings, said):
    with pytest.raises(ValueError, match=said):
        srt.patch(tiny("llama"), prompts(1), points(1, 1), **settings)
    if "position" in settings and "read_position" not in settings and "layer" not in settings:
        with pytest.raises(ValueError, match=said):
            srt.capture(tiny("llama"), prompts(1), **settings)
