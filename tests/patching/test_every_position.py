"""Points at every position of a text give what whole prompts give by plain hooks, and so do their derivatives."""

from __future__ import annotations

import pytest
import torch

from families import FAMILIES, VOCAB, WIDTH, tiny
from hooks import directional, hooked_everywhere
from srtoolkit.patching import every_position
from srtoolkit.patching.every_position import EveryPosition

#: Families whose blocks do not see what a mask says, or whose positions are the model's own affair.
ALONE = {"bloom", "mamba"}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return tiny(request.param)


def drawn(n, seed=0):
    return torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(seed))


IDS = torch.randint(3, VOCAB, (9,), generator=torch.Generator().manual_seed(1))
POSITION = torch.tensor([8, 0, 3, 3, 5, 1, 8])


@pytest.mark.parametrize("layer", [0, 2, 3])
def test_outputs_equal_plain_hooks(model, layer):
    text = EveryPosition(model, IDS, layer)
    own, points = hooked_everywhere(model, IDS, layer)[f"resid.{layer}"], drawn(len(POSITION))
    torch.testing.assert_close(text.own, own, rtol=1e-4, atol=1e-5)
    found = text(POSITION, points, ("final_norm", "logprobs"))
    for row, place in enumerate(POSITION.tolist()):
        expected = hooked_everywhere(model, IDS[: place + 1], layer, points[row])
        for name, values in found.items():
            torch.testing.assert_close(values[row], expected[name][-1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("reads", ["final_norm", "logits"])
def test_derivatives_equal_those_of_whole_prompts(model, reads):
    text = EveryPosition(model, IDS, 1)
    points, ways, weights = drawn(len(POSITION)), drawn(len(POSITION), 1), torch.linspace(1, 2, VOCAB)
    found = text.derive(POSITION, points, ways, reads, lambda value, moved: (value + moved) @ weights[: value.shape[1]])
    for row, place in enumerate(POSITION.tolist()):
        value, moved = directional(
            model, IDS[None, : place + 1], points[row : row + 1], ways[row : row + 1], layer=1, reads=reads
        )
        expected = float(((value + moved) @ weights[: value.shape[1]])[0])
        assert float(found[row]) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_it_is_known_which_families_stand_side_by_side(model):
    alone = EveryPosition(model, IDS, 0).why_alone
    assert bool(alone) == (model.hf.config.model_type in ALONE), alone


def test_a_sequence_is_no_longer_than_the_narrowest_attention_sees():
    model, position = tiny("mistral", sliding_window=12), torch.arange(9).repeat(4)
    points = drawn(36)
    text, rows = EveryPosition(model, IDS, 0), []
    block = model.hf.get_submodule(model.anatomy.blocks)[1]
    handle = block.register_forward_pre_hook(lambda _, args: rows.append(args[0].shape[1]))
    found = text(position, points, ("final_norm",))["final_norm"]
    handle.remove()
    assert not text.why_alone and max(rows) <= 4
    for row in (0, 8, 35):
        expected = hooked_everywhere(model, IDS[: position[row] + 1], 0, points[row])["final_norm"][-1]
        torch.testing.assert_close(found[row], expected, rtol=1e-3, atol=1e-3)
    assert "attends to 6 tokens" in EveryPosition(tiny("mistral", sliding_window=6), IDS, 0).why_alone


def test_a_text_goes_through_once_and_all_points_in_one_sequence():
    model = tiny("llama")
    text, rows = EveryPosition(model, IDS, 0), []
    block = model.hf.get_submodule(model.anatomy.blocks)[1]
    handle = block.register_forward_pre_hook(lambda _, args: rows.append(tuple(args[0].shape[:2])))
    text(POSITION, drawn(len(POSITION)), ("final_norm",))
    handle.remove()
    assert rows == [(1, len(POSITION))]


def test_many_points_in_small_batches_are_the_same(monkeypatch):
    model, position = tiny("llama"), torch.arange(9).repeat(30)
    points = drawn(270)
    whole = EveryPosition(model, IDS, 0)(position, points, ("final_norm",))["final_norm"]
    monkeypatch.setattr("srtoolkit.patching.batches.CPU_TOKENS", 16)
    index = []

    def reduce(some, found):
        index.append(some)
        return {"sum": found["final_norm"].sum(-1, keepdim=True)}

    parts = EveryPosition(model, IDS, 0)(position, points, ("final_norm",), reduce)["sum"]
    assert len(index) > 5
    torch.testing.assert_close(parts[:, 0], whole.sum(-1), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_a_point_that_overflows_spoils_no_other():
    model = tiny("gpt2")
    points = drawn(len(POSITION))
    expected = EveryPosition(model, IDS, 0)(POSITION, points, ("final_norm",))["final_norm"]
    points[2] = 3e38
    found = EveryPosition(model, IDS, 0)(POSITION, points, ("final_norm",))["final_norm"]
    assert not found[2].isfinite().any()
    kept = torch.arange(len(POSITION)) != 2
    torch.testing.assert_close(found[kept], expected[kept], rtol=1e-4, atol=1e-4)


def test_where_points_side_by_side_are_wrong_every_position_runs_alone(monkeypatch):
    model, real = tiny("llama"), every_position.sees_prefix_and_itself
    monkeypatch.setattr(every_position, "sees_prefix_and_itself", lambda *given: torch.zeros_like(real(*given)))
    text = EveryPosition(model, IDS, 0)
    assert "differ from whole prompts'" in text.why_alone
    points = drawn(len(POSITION))
    found = text(POSITION, points, ("final_norm",))["final_norm"]
    for row, place in enumerate(POSITION.tolist()):
        expected = hooked_everywhere(model, IDS[: place + 1], 0, points[row])["final_norm"][-1]
        torch.testing.assert_close(found[row], expected, rtol=1e-3, atol=1e-3)
