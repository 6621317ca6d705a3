"""``"auto"`` decides again wherever the answer can be another, and falls back where its choice fails in use."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

import srtoolkit as srt
from every_decoder import small
from families import VOCAB, WIDTH, tiny
from hooks import whole_prompts
from srtoolkit.patching.choice import choose_method
from srtoolkit.patching.prefixes import Unsupported


def prompts(n, length, seed=0):
    return torch.randint(3, VOCAB, (n, length), generator=torch.Generator().manual_seed(seed))


def points(n, k, seed=1):
    return torch.randn(n, k, WIDTH, generator=torch.Generator().manual_seed(seed))


def error(model, length, layer=0, n=2, k=3, **settings):
    """Largest error of ``"auto"`` against plain hooks, relative to how far the outputs lie apart."""
    ids, given = prompts(n, length), points(n, k)
    found = srt.patch(model, ids, given, layer=layer, **settings)
    expected = torch.stack([whole_prompts(model, ids[row], layer, given[row])["final_norm"] for row in range(n)])
    return float((found - expected).norm(dim=-1).max() / torch.pdist(expected.flatten(0, 1)).max())


def with_blocks(kind, norm=lambda own: own, **settings):
    """A tiny Llama whose blocks do something besides, by settings that they share; those are in its configuration."""
    hf = tiny("llama", **settings).hf
    made = type(hf)(hf.config).eval().requires_grad_(False)
    made.load_state_dict(hf.state_dict())
    shared = SimpleNamespace(config=made.config)
    for block in made.model.layers:
        block.__class__, block.shared = kind, shared
    made.model.norm = norm(made.model.norm)
    return srt.wrap(made, None, name="stand-in"), shared


def test_rope_factors_that_change_at_a_length():
    factors = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [9.0] * 4, "rope_theta": 1e4}
    model = tiny("phi3", rope_parameters=factors, original_max_position_embeddings=16, max_position_embeddings=256)
    for length in (9, 15, 16, 17, 18, 9, 24):
        assert error(model, length) < 1e-3, length


@pytest.mark.parametrize("name", ["moshi", "mistral", "cohere2", "gpt_neo"])
@pytest.mark.slow
def test_windows_that_are_longer_than_the_first_prompt_and_shorter_than_the_next(name):
    changes = {"window_size": 8} if name == "gpt_neo" else {"sliding_window": 8}
    model = tiny(name, **changes)
    for length in (3, 7, 8, 9, 10, 17, 25, 3):
        for layer in (0, 2):
            assert error(model, length, layer) < 1e-3, (length, layer)


class LongSkip(LlamaDecoderLayer):
    """Block 3 adds what block 1 gave, and what block 1 did not see is 0."""

    def forward(self, hidden_states, **settings):
        out = super().forward(hidden_states, **settings)
        if self.self_attn.layer_idx == 1:
            self.shared.kept = out
        if self.self_attn.layer_idx == 3:
            kept = self.shared.kept.new_zeros(out.shape)
            rows, length = min(len(out), len(self.shared.kept)), min(out.shape[1], self.shared.kept.shape[1])
            kept[:rows, :length] = self.shared.kept[:rows, :length]
            out = out + kept
        return out


def test_a_block_that_reads_an_earlier_one_is_tried_in_each_block():
    model, _ = with_blocks(LongSkip)
    for layer in range(4):
        assert error(model, 7, layer) < 1e-3, layer
    assert choose_method(model, prompts(2, 7), 3, layer=0).method == "joint"
    assert choose_method(model, prompts(2, 7), 3, layer=1).method == "full"


class Temperature(LlamaDecoderLayer):
    """What comes late in a sequence is larger, by the place among the tokens that run, whatever its position is."""

    def forward(self, hidden_states, **settings):
        past = settings["past_key_values"].get_seq_length(0) if settings.get("past_key_values") is not None else 0
        place = torch.arange(past, past + hidden_states.shape[1])
        scale = 1 + (place // self.shared.config.floor_scale)
        return super().forward(hidden_states * scale[:, None].to(hidden_states), **settings)


def test_what_depends_on_the_number_of_points():
    model, _ = with_blocks(Temperature, floor_scale=16)
    for k in (3, 8, 9, 10, 15, 40, 3):
        assert error(model, 7, k=k) < 1e-3, k
    assert choose_method(model, prompts(2, 7), 3).method == "joint"
    assert choose_method(model, prompts(2, 7), 40).method not in ("joint", "parallel")
    assert error(model, 7, k=3, method="joint") < 1e-3
    with pytest.raises(Unsupported, match=r"method='joint'.* differs from whole prompts .* \['prefix', 'full'\]"):
        srt.patch(model, prompts(2, 7), points(2, 40), method="joint")


class Leak(LlamaDecoderLayer):
    """A block whose tokens see a little of the token beside them."""

    def forward(self, hidden_states, **settings):
        out = super().forward(hidden_states, **settings)
        return out + 4e-3 * torch.cat([out[:, :1], out[:, :-1]], dim=1)


def test_errors_count_against_the_movement_of_the_outputs_and_not_their_size():
    model, _ = with_blocks(Leak, Shifted)
    assert error(model, 7) < 1e-3


class Shifted(torch.nn.Module):
    """A norm whose outputs all lie far from 0, in one direction."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, hidden_states):
        return self.norm(hidden_states) + 300


class Refusing(LlamaDecoderLayer):
    """A block that does not take many rows of points behind a mask of the caller's, as some kernels do not."""

    def forward(self, hidden_states, **settings):
        if settings["attention_mask"] is not None and len(hidden_states) > self.shared.most_rows:
            raise self.shared.error
        return super().forward(hidden_states, **settings)


@pytest.mark.parametrize("error_type", [NotImplementedError, torch.OutOfMemoryError, RuntimeError])
def test_a_choice_that_fails_in_use_is_replaced_and_said_once(error_type, caplog):
    model, block = with_blocks(Refusing)
    block.most_rows, block.error = 2, error_type("the kernel takes two rows")
    assert choose_method(model, prompts(3, 7), 4).method == "joint"
    if error_type is torch.OutOfMemoryError:
        block.most_rows, model.memory_budget = 0, 2**8  # which is halved each time that memory runs out
    budget = model.memory_budget
    for _ in range(3):
        assert error(model, 7, n=3, k=4) < 1e-3
    said = [record.getMessage() for record in caplog.records if "takes its place" in record.getMessage()]
    assert len(said) == 1 and "'joint' failed" in said[0] and ("kernel" in said[0] or "memory" in said[0])
    block.most_rows = 100
    kept = error_type is NotImplementedError
    assert (choose_method(model, prompts(3, 7), 4).method == "joint") != kept
    assert model.memory_budget == budget


def test_memory_that_runs_out_in_the_trial_is_not_kept():
    model, block = with_blocks(Refusing)
    block.most_rows, block.error = 0, torch.OutOfMemoryError("no memory")
    budget = model.memory_budget = 2**8
    assert choose_method(model, prompts(2, 7), 4).method != "joint"
    assert error(model, 7, k=4) < 1e-3
    block.most_rows = 100
    assert choose_method(model, prompts(2, 7), 4).method == "joint" and model.memory_budget == budget


def test_an_error_that_ends_two_trials_ends_no_third():
    """The first time it may be passing."""
    model, block = with_blocks(Refusing)
    block.most_rows, block.error = 0, RuntimeError("shapes do not fit")
    found = [choose_method(model, prompts(2, 7), 4) for _ in range(3)]
    assert [choice.lasts for choice in found] == [False, True, True]
    block.most_rows = 100
    assert choose_method(model, prompts(2, 7), 4).method == found[0].method != "joint"


@pytest.mark.parametrize("of", ["reduce", "progress"])
def test_what_the_caller_raises_is_the_callers(of):
    model, calls = tiny("llama"), []

    def fails(*_):
        calls.append(1)
        raise NotImplementedError("mine")

    with pytest.raises(NotImplementedError, match="mine"):
        srt.patch(model, prompts(2, 7), points(2, 3), **{of: fails})
    assert len(calls) == 1
    assert choose_method(model, prompts(2, 7), 3).method == "joint"


def test_a_path_whose_method_fails_in_use_is_measured_all_the_same(caplog):
    model, block = with_blocks(Refusing)
    block.most_rows, block.error = 2, NotImplementedError("the kernel takes two rows")
    ids = list(prompts(8, 7))
    names = tuple("abcd")
    pairs = srt.PromptPairs(tuple(ids[:4]), tuple(ids[4:]), names, names, names, False, "made up")
    found = srt.interpolate(model, pairs, steps=5, progress=lambda *_: None)
    a, b = srt.capture(model, torch.stack(ids[:4])), srt.capture(model, torch.stack(ids[4:]))
    line = a[:, None] + torch.linspace(0, 1, 5)[:, None] * (b - a)[:, None]
    for row in range(4):
        plain = whole_prompts(model, ids[row], 0, line[row])["final_norm"]
        torch.testing.assert_close(torch.tensor(found["distance"].values[row]).float(), (plain - plain[0]).norm(dim=-1))
    assert found.attrs["method"] == "prefix", "what gave the numbers is named: joint and parallel put in more rows"


#: Families with blocks that keep a state instead of keys and values, or beside them.
HYBRIDS = ("falcon_h1", "olmo_hybrid", "qwen3_5_text", "qwen3_next")


@pytest.mark.parametrize("family", [*HYBRIDS, "jamba"])
@pytest.mark.slow
def test_states_of_hybrids_are_copied_for_each_point(family):
    every_other = {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2, "mamba_d_state": 4}
    model = tiny("jamba", **every_other) if family == "jamba" else srt.wrap(small(family), None, name=family)
    for layer in (0, 2):
        for length in (1, 2, 3, 5, 9):
            assert error(model, length, layer, method="prefix") < 1e-3, (layer, length)
    assert choose_method(model, prompts(2, 7), 3).method == "prefix"
