"""``F_p`` by every method equals plain PyTorch forward hooks, for twenty families."""

from __future__ import annotations

import gc
import threading

import pytest
import torch

import srtoolkit as srt
from families import BLOCKS, FAMILIES, VOCAB, WIDTH, gate_map, hooked, tiny
from srtoolkit.patching.choice import choose_method
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.passes import stream
from srtoolkit.patching.prefixes import Unsupported
from srtoolkit.patching.reads import GATES as READ_GATES
from srtoolkit.patching.reads import READS

#: Methods whose points are tokens of one sequence.
SIDE_BY_SIDE = [name for name, method in METHODS.items() if method.side_by_side]

#: Methods that a family refuses, and must refuse rather than answer wrongly.
REFUSES = {"bloom": {"joint", "parallel"}, "mamba": {"joint", "parallel", "prefix"}}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return tiny(request.param)


def family(model):
    return model.name.removeprefix("tiny-")


def prompts(n, length, seed=0):
    return torch.randint(3, VOCAB, (n, length), generator=torch.Generator().manual_seed(seed))


def points(n, k, seed=1):
    return torch.randn(n, k, WIDTH, generator=torch.Generator().manual_seed(seed))


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("method", METHODS)
def test_gates_behind_the_patch_equal_plain_hooks(model, method):
    if gate_map(model) is None:
        with pytest.raises(ValueError, match="no MLP"):
            srt.patch(model, prompts(1, 7), points(1, 2), layer=0, reads=READ_GATES)
        return
    if method in REFUSES.get(family(model), ()):
        return
    ids, given = prompts(2, 7), points(2, 3)
    found = srt.patch(model, ids, given, layer=1, reads=READ_GATES, method=method)
    for row in range(2):
        for k in range(3):
            plain = hooked(model, ids[row], 1, given[row, k])
            expected = torch.cat([plain[f"gate{block}"] for block in range(2, BLOCKS)])
            assert relative(found[row, k], expected) < 1e-4
    with pytest.raises(ValueError, match="last block"):
        srt.patch(model, ids, given, layer=BLOCKS - 1, reads=READ_GATES)


def test_anatomy_reads_what_the_unembedding_reads(model):
    (ids,) = prompts(1, 7)
    plain = hooked(model, ids, 0)
    own = srt.capture(model, ids[None], layer=0)[:, None]
    assert (
        relative(
            srt.patch(model, ids[None], own, layer=0, reads="final_norm", method="full")[0, 0], plain["final_norm"]
        )
        < 1e-5
    )


@pytest.mark.parametrize("layer", [0, BLOCKS // 2, BLOCKS - 1])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_equals_plain_hooks(model, method, layer):
    if method in REFUSES.get(family(model), ()):
        with pytest.raises(Unsupported, match=rf"method='{method}'.* cannot be run so: .*'full'"):
            srt.patch(model, prompts(1, 7), points(1, 2), layer=0, reads="final_norm", method=method)
        return
    ids, given = prompts(3, 7), points(3, 4)
    found = srt.patch(model, ids, given, layer=layer, reads=READS, method=method)
    for row in range(3):
        for k in range(4):
            expected = hooked(model, ids[row], layer, given[row, k])
            for read in READS:
                assert relative(found[read][row, k], expected[read]) < 1e-4, (read, row, k)


@pytest.mark.parametrize("layer", [0, BLOCKS // 2, BLOCKS - 1])
def test_own_activation_changes_nothing(model, layer):
    ids = prompts(3, 7)
    own = srt.capture(model, ids, layer=layer)
    found = srt.patch(model, ids, own[:, None], layer=layer, reads="final_norm")
    for row in range(3):
        clean = hooked(model, ids[row], layer)
        assert relative(own[row], clean["own"]) < 1e-5
        assert relative(found[row, 0], clean["final_norm"]) < 1e-4


def test_prompts_that_differ_in_the_last_token_share_f(model):
    ids = prompts(1, 7).repeat(2, 1)
    ids[1, -1] = (ids[0, -1] + 1) % VOCAB
    b = srt.capture(model, ids[1:], layer=0)
    found = srt.patch(model, ids, b[None].expand(2, 1, -1), layer=0)
    assert relative(found[0], found[1]) < 1e-5


def test_auto_takes_the_fastest_that_agrees_and_says_so_once(model, caplog):
    model.methods.clear()
    with caplog.at_level("INFO", logger="srtoolkit"):
        for _ in range(3):
            srt.patch(model, prompts(1, 7), points(1, 2))
    (choice,) = model.methods.values()
    refused = REFUSES.get(family(model), set())
    assert choice.method == next(method for method in METHODS if method not in refused)
    (said,) = [record.getMessage() for record in caplog.records if "patching by" in record.getMessage()]
    assert repr(choice.method) in said and ("full path" in said)
    assert all(repr(method) in said for method in refused)


@pytest.mark.parametrize(
    ("length", "n_points", "expected"),
    [(7, 128, "joint"), (7, 129, "parallel"), (257, 3, "joint"), (258, 3, "parallel")],
)
def test_auto_takes_one_pass_while_prefix_and_points_are_few(length, n_points, expected):
    model = tiny("llama")
    assert choose_method(model, prompts(2, length), n_points).method == expected


def test_auto_computes_prefixes_that_contexts_share_once():
    model, ids = tiny("llama"), prompts(4, 7)
    ids[1:3, :-1] = ids[0, :-1]
    ids[:, -1] = torch.arange(3, 7)
    assert choose_method(model, ids, 3).method == "parallel"  # two prefixes for four contexts
    assert choose_method(model, ids[1:], 3).method == "joint"  # two for three


def test_one_token_prompts(model):
    ids, given = prompts(2, 1), points(2, 3)
    found = srt.patch(model, ids, given)
    for row in range(2):
        assert relative(found[row, 1], hooked(model, ids[row], 0, given[row, 1])["final_norm"]) < 1e-4


def test_neighbours_order_and_batch_size_do_not_matter(model):
    ids, given = prompts(5, 6), points(5, 7)
    together = srt.patch(model, ids, given)
    order = torch.tensor([3, 0, 4, 1, 2])
    assert relative(srt.patch(model, ids[order], given[order].flip(1)), together[order].flip(1)) < 1e-5
    assert relative(srt.patch(model, ids[:1], given[:1, :1]), together[:1, :1]) < 1e-5
    budget, model.memory_budget = model.memory_budget, 1
    try:
        assert relative(srt.patch(model, ids, given), together) < 1e-5
    finally:
        model.memory_budget = budget


@pytest.mark.parametrize("name", ["mistral", "gemma2", "gemma3_text", "gpt_neo"])
def test_local_attention_shorter_than_the_prompt(name):
    changes = {"window_size": 5} if name == "gpt_neo" else {"sliding_window": 5}
    model = tiny(name, **changes)
    ids, given = prompts(2, 12), points(2, 3)
    found = srt.patch(model, ids, given)
    for row in range(2):
        assert relative(found[row, 2], hooked(model, ids[row], 0, given[row, 2])["final_norm"]) < 1e-4


@pytest.mark.parametrize("method", SIDE_BY_SIDE)
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mistral", {"sliding_window": 8}),
        ("gpt_neo", {"window_size": 8}),
        ("gemma3_text", {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"] * (BLOCKS // 2)}),
        ("jamba", {"attn_layer_period": 2, "attn_layer_offset": 1}),
    ],
)
def test_points_side_by_side_are_refused_where_a_block_sees_something_else(name, changes, method):
    model = tiny(name, **changes)
    with pytest.raises(
        Unsupported, match=r"attends to 8 tokens, and prefix and points are 10|a block is linear_attention"
    ):
        srt.patch(model, prompts(2, 7), points(2, 4), method=method)
    expected = srt.patch(model, prompts(2, 7), points(2, 4), method="full")
    assert relative(srt.patch(model, prompts(2, 7), points(2, 4)), expected) < 1e-4


def test_captures_hold_the_last_position_alone():
    held = stream(tiny("llama"), prompts(3, 9), 1, last=1)
    assert held.shape == (3, 1, WIDTH) and held.untyped_storage().nbytes() == held.nbytes


@pytest.mark.parametrize("method", SIDE_BY_SIDE)
def test_behind_the_last_block_no_prefix_runs(method):
    model, seen = tiny("llama"), []
    srt.patch(model, prompts(2, 7), points(2, 3), layer=BLOCKS - 1, method=method)  # what is tried once is not counted
    handle = model.hf.model.layers[0].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].shape))
    srt.patch(model, prompts(2, 7), points(2, 3), layer=BLOCKS - 1, method=method)
    handle.remove()
    assert not [shape for shape in seen if shape[1] > 3]


@pytest.mark.parametrize("method", SIDE_BY_SIDE)
def test_more_points_than_one_sequence_holds(method):
    model = tiny("llama")
    ids, given = prompts(2, 6), points(2, 301)
    found = srt.patch(model, ids, given, method=method)
    assert relative(found, srt.patch(model, ids, given, method="full")) < 1e-5


def test_threads_share_a_model():
    model = tiny("qwen2")
    ids, given = prompts(4, 6), points(4, 5)
    expected = srt.patch(model, ids, given)
    found, errors = {}, []

    def work(index):
        try:
            for _ in range(5):
                found[index] = srt.patch(model, ids[index : index + 1], given[index : index + 1])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for index in range(4):
        assert relative(found[index], expected[index : index + 1]) < 1e-5


@pytest.mark.slow
def test_nothing_is_kept_alive_over_a_thousand_calls():
    """Peak memory of a leak would only show when Python's cyclic collector is off, as it effectively is on a GPU."""
    model = tiny("llama")
    ids, given = prompts(1, 6), points(1, 3)

    def tensors():
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    for method in METHODS:
        srt.patch(model, ids, given, method=method)
    gc.collect()
    before = tensors()
    gc.disable()
    try:
        for index in range(1000):
            srt.patch(
                model,
                ids,
                given,
                layer=0,
                reads="logits" if index % 2 else "final_norm",
                method=list(METHODS)[index // 2 % len(METHODS)],
            )
            srt.capture(model, ids, layer=0)
        assert tensors() - before < 20
    finally:
        gc.enable()
