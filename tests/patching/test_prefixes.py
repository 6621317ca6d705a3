"""Prefixes run once a context, to the last block's keys and no further, and what patching reads can be made less."""

from __future__ import annotations

import pytest
import torch

import srtoolkit as srt
from families import BLOCKS, VOCAB, WIDTH, tiny
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.prefixes import Prefixes, Unsupported, keys_and_values
from srtoolkit.patching.reads import GATES, OPEN_GATES


@pytest.fixture(scope="module")
def model():
    made = tiny("llama")
    srt.patch(made, prompts(1, 3), points(1, 1))  # what is probed once is not counted below
    return made


def prompts(n, length):
    return torch.randint(3, VOCAB, (n, length), generator=torch.Generator().manual_seed(0))


def points(n, k):
    return torch.randn(n, k, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def tokens_seen(model):
    """Number of tokens that went into the first and into the last block's MLP."""
    seen = {0: 0, BLOCKS - 1: 0}

    def count(block):
        return lambda _module, inputs, _output: seen.update({block: seen[block] + inputs[0].shape[:2].numel()})

    handles = [model.hf.model.layers[block].mlp.register_forward_hook(count(block)) for block in seen]
    yield seen
    for handle in handles:
        handle.remove()


def by_parallel(model, seen, ids, given):
    """Patch twice, and count the second time: at first the method is tried."""
    srt.patch(model, ids, given, method="parallel")
    seen.update(dict.fromkeys(seen, 0))
    srt.patch(model, ids, given, method="parallel")


def test_a_prefix_runs_once_however_many_points_its_context_has(model, tokens_seen, monkeypatch):
    monkeypatch.setattr("srtoolkit.patching.batches.CPU_TOKENS", 100)  # several batches for each context
    by_parallel(model, tokens_seen, prompts(3, 12), points(3, 400))
    assert tokens_seen[0] == 3 * 11  # points start behind block 0


def test_the_last_block_runs_for_points_alone(model, tokens_seen):
    by_parallel(model, tokens_seen, prompts(2, 12), points(2, 5))
    assert tokens_seen[BLOCKS - 1] == 2 * 5


def test_contexts_that_differ_in_the_last_token_share_a_prefix(model, tokens_seen):
    ids = prompts(1, 12).repeat(4, 1)
    ids[:, -1] = torch.arange(3, 7)
    by_parallel(model, tokens_seen, ids, points(4, 3))
    assert tokens_seen[0] == 11


@torch.no_grad()
def test_keys_and_values_are_those_of_a_whole_pass(model):
    ids = prompts(3, 9)
    expected = model.hf.model(ids, use_cache=True).past_key_values.layers
    found = keys_and_values(model, ids)
    assert len(found) == len(expected) == BLOCKS
    for (keys, values), layer in zip(found, expected, strict=True):
        assert torch.equal(keys, layer.keys) and torch.equal(values, layer.values)


@torch.no_grad()
def test_rows_look_back_on_their_own_context_whatever_came_before(model):
    ids = prompts(5, 9)
    every = keys_and_values(model, ids[:, :-1])
    prefixes = Prefixes(model, ids, tokens_at_once=16)
    for rows in ([0, 1], [1, 1, 2], [4, 3, 1], [3], [3, 3], [0, 4]):
        cache = prefixes.of(torch.tensor(rows))
        for layer, (keys, values) in zip(cache.layers, every, strict=True):
            torch.testing.assert_close(layer.keys, keys[rows])
            torch.testing.assert_close(layer.values, values[rows])


@torch.no_grad()
def test_a_prefix_to_which_batches_come_back_is_computed_once_where_it_is_kept(model, tokens_seen):
    ids = prompts(4, 9)
    every = keys_and_values(model, ids[:, :-1])
    for keep, expected in ((0, 8), (3, 6), (4, 4)):
        tokens_seen[0] = 0
        prefixes = Prefixes(model, ids, tokens_at_once=64, keep=keep)
        for rows in ([0, 1], [2, 3], [1, 0], [2, 3, 0]):
            cache = prefixes.of(torch.tensor(rows))
            for layer, (keys, values) in zip(cache.layers, every, strict=True):
                torch.testing.assert_close(layer.keys, keys[rows])
                torch.testing.assert_close(layer.values, values[rows])
        assert tokens_seen[0] == 8 * expected


@torch.no_grad()
def test_a_model_that_keeps_other_things_is_unsupported():
    with pytest.raises(Unsupported, match="LinearAttentionLayer"):
        keys_and_values(tiny("mamba"), prompts(1, 5))
    with pytest.raises(Unsupported, match="keys and values of all"):
        keys_and_values(tiny("mistral", sliding_window=3), prompts(1, 9))


@pytest.mark.parametrize("method", METHODS)
def test_open_gates_are_gates_above_0(model, method):
    ids, given = prompts(2, 6), points(2, 7)
    found = srt.patch(model, ids, given, layer=1, reads=(GATES, OPEN_GATES), method=method)
    assert found[OPEN_GATES].dtype == torch.bool
    assert torch.equal(found[OPEN_GATES], found[GATES] > 0)
    assert torch.equal(srt.patch(model, ids, given, layer=1, reads=OPEN_GATES, method=method), found[OPEN_GATES])


def test_what_is_read_can_be_made_less(model, monkeypatch):
    monkeypatch.setattr("srtoolkit.patching.batches.CPU_TOKENS", 64)
    ids, given = prompts(2, 6), points(2, 150)
    largest = []

    def best(found):
        largest.append(found["logits"].shape[:2].numel())
        return {"token": found["logits"].argmax(-1, keepdim=True), "norm": found["resid"].norm(dim=-1, keepdim=True)}

    found = srt.patch(model, ids, given, layer=0, reads=("logits", "resid"), reduce=best)
    whole = srt.patch(model, ids, given, layer=0, reads=("logits", "resid"))
    assert max(largest) <= 64 and list(found) == ["token", "norm"]
    assert torch.equal(found["token"][..., 0], whole["logits"].argmax(-1))
    torch.testing.assert_close(found["norm"][..., 0], whole["resid"].norm(dim=-1))
