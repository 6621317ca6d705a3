"""A half-precision model that overflows for some prompts: flagged, counted, said, left out, never a number."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import srtoolkit as srt
from checkpoints_on_disk import byte_tokenizer
from families import tiny
from srtoolkit.patching.not_finite import first_overflow

#: The model overflows after block 2 for prompts that end in "z", and for no others.
PAIRS = [("the cat sat", "a dog ran"), ("jazz", "a dog"), ("rain", "snow falls"), ("a b", "c d")]
OVERFLOWS = np.array([False, True, False, False])


def overflowing(block):
    """One block makes half-precision infinity out of what only a "z" leaves in the residual stream."""
    model = tiny("llama", dtype=torch.float16, vocab_size=259)
    model.tokenizer = byte_tokenizer()
    own = model.hf.model.embed_tokens.weight
    direction = torch.zeros(own.shape[1], dtype=own.dtype)
    direction[0] = 1
    own[:, 0] = 0
    for layer in model.hf.model.layers:
        for part in (layer.self_attn.o_proj, layer.mlp.down_proj):
            part.weight[0] = 0  # nothing else writes there
    own[model.tokenize("z")] = 60 * direction
    mlp = model.hf.model.layers[block].mlp
    mlp.gate_proj.weight[0], mlp.up_proj.weight[0] = 90 * direction, 90 * direction
    mlp.down_proj.weight[:, 0] = 10
    return model


@pytest.fixture(scope="module")
def model():
    return overflowing(2)


@pytest.fixture
def said(caplog):
    """What every function is to say, in one place."""

    def check(count=1, of=4):
        assert f"{count} of {of} prompts have outputs that are NaN or infinite" in caplog.text
        for words in ("tiny-llama", "after block 0", "range of float16, first after block 2 of 4", "dtype='float32'"):
            assert words in caplog.text
        caplog.clear()

    return check


def test_the_fault_is_real(model):
    for (text, _), overflows in zip(PAIRS, OVERFLOWS, strict=True):
        logits = model.hf(model.tokenize(text)[None]).logits[0, -1]
        assert bool(torch.isfinite(logits).all()) != overflows, text
    assert first_overflow(model, model.tokenize("jazz")) == 2 and first_overflow(model, model.tokenize("rain")) is None


def test_curves_flag_it_and_medians_leave_it_out(model, said):
    curves = srt.interpolate(model, PAIRS, steps=9)
    said()
    assert curves["non_finite"].values.tolist() == OVERFLOWS.tolist() and not curves["degenerate"].any()
    assert np.isnan(curves["relative_distance"].values[OVERFLOWS]).all()
    assert np.isfinite(curves["relative_distance"].values[~OVERFLOWS]).all()
    undefined = ~np.isfinite(curves["top_probability"].values)
    assert undefined[OVERFLOWS].any() and not undefined[~OVERFLOWS].any()
    assert ((curves["top_token"].values == -1) == undefined).all()
    sharp = srt.sharpness(curves)
    assert sharp["excluded"].values.tolist() == OVERFLOWS.tolist() == sharp["non_finite"].values.tolist()
    summary = srt.summarise(sharp).sel(quantity="max_slope")
    others = srt.sharpness(srt.interpolate(model, [PAIRS[index] for index in np.flatnonzero(~OVERFLOWS)], steps=9))
    assert (summary["n"], summary["excluded"]) == (3, 1)
    assert float(summary["median"]) == pytest.approx(float(others["max_slope"].median()), rel=1e-3)


def test_in_float32_nothing_overflows(model, caplog):
    wide = tiny("llama", vocab_size=259)
    wide.tokenizer = model.tokenizer
    wide.hf.load_state_dict(model.hf.state_dict())
    curves = srt.interpolate(wide, PAIRS, steps=9)
    assert not curves["non_finite"].any() and not caplog.text


@pytest.mark.parametrize(
    "call",
    [
        lambda model, pairs: srt.interpolate(model, pairs, steps=5),
        lambda model, pairs: srt.count_gate_flips(model, pairs, steps=5),
        lambda model, pairs: srt.next_tokens(model, pairs),
        lambda model, pairs: srt.divergence(model, pairs, lags=(1,), steps=5),
        lambda model, pairs: srt.noise_floor(model, pairs),
        lambda model, pairs: srt.slice_plane(model, ("rain", *pairs[0]), resolution=5),
    ],
    ids=["interpolate", "count_gate_flips", "next_tokens", "divergence", "noise_floor", "slice_plane"],
)
def test_activations_that_are_not_finite_themselves_are_refused_by_name(call):
    with pytest.raises(ValueError, match=r"tiny-llama: after block 0.* range of float16; load it with dtype='float32'"):
        call(overflowing(0), PAIRS[1:2])


def test_a_gate_that_is_nan_is_not_counted_as_closed(model, said):
    flips = srt.count_gate_flips(model, PAIRS, steps=9)
    said()
    assert flips["non_finite"].values.tolist() == OVERFLOWS.tolist()
    for name in ("flips", "ends_differ"):
        assert (flips[name].values[OVERFLOWS] == -1).all() and (flips[name].values[~OVERFLOWS] >= 0).all()


def test_polytopes_of_a_gate_that_is_nan_are_left_out(model):
    flips, curves = (call(model, PAIRS, steps=9) for call in (srt.count_gate_flips, srt.interpolate))
    # Curves of a model that does not overflow say where the jumps are; the gates are what is undefined.
    curves = curves.assign(relative_distance=curves["relative_distance"].fillna(0.5))
    for found, name in (
        (srt.polytopes_by_region(flips, curves), "share_in_regions"),
        (srt.around_jumps(flips, curves), "flips"),
    ):
        assert found["excluded"].values.tolist() == OVERFLOWS.tolist()
        assert np.isnan(found[name].values[OVERFLOWS]).all() and np.isfinite(found[name].values[~OVERFLOWS]).any()
    assert (srt.polytopes_by_region(flips, curves)["flips_in_jumps"].values[OVERFLOWS] == -1).all()


def test_a_slice_of_gates_says_where_it_is_undefined(model, caplog):
    found = srt.slice_gates(model, ("rain", "jazz", "a dog ran"), 3, resolution=9)
    assert "1 of 1 prompts have outputs that are NaN or infinite" in caplog.text
    undefined, crossings = found["non_finite"].values, found["crossings"].values
    assert undefined.any() and not undefined.all()
    assert (undefined == ~np.isfinite(found["pre_activation"].values).all(-1)).all()
    assert (crossings[undefined] == -1).all() and (crossings >= 0).any()
    for beta, alpha in np.argwhere(undefined):
        assert crossings[beta, max(0, alpha - 1)] == crossings[max(0, beta - 1), alpha] == -1


def test_an_output_that_is_nan_does_not_count_towards_the_mean(model, caplog):
    found = srt.output_spread(model, PAIRS)
    assert "1 of 4 prompts have outputs that are NaN or infinite" in caplog.text
    assert found["non_finite"].values.tolist() == OVERFLOWS.tolist() == np.isnan(found["from_mean"].values).tolist()
    others = srt.output_spread(model, [PAIRS[index] for index in np.flatnonzero(~OVERFLOWS)])
    np.testing.assert_allclose(found["from_mean"].values[~OVERFLOWS], others["from_mean"], rtol=1e-3)


def test_a_next_token_that_is_nan_is_no_token(model, said):
    found = srt.next_tokens(model, PAIRS, top=3)
    said()
    undefined = ~np.isfinite(found["probability"].values)
    assert undefined[OVERFLOWS].any() and not undefined[~OVERFLOWS].any()
    assert ((found["token"].values == -1) == undefined).all() and ((found["text"].values == "") == undefined).all()


def test_predictions_that_are_nan_neither_agree_nor_differ(model, said):
    found = srt.divergence(model, PAIRS, lags=(1,), steps=9)
    said()
    assert (np.isnan(found["jsd"].values) == np.isnan(found["same_token"].values)).all()
    assert (
        np.isnan(found["jsd"].values[OVERFLOWS, 0, :-1]).any()
        and np.isfinite(found["jsd"].values[~OVERFLOWS, 0, :-1]).all()
    )


@pytest.mark.parametrize("tolerance", [None, 0.01])
def test_a_slice_says_where_it_is_undefined(model, said, tolerance):
    plane = srt.slice_plane(model, ("rain", "jazz", "a dog ran"), resolution=9, tolerance=tolerance)
    said(count=3, of=3)  # near the activation of "jazz", in whichever context
    undefined = plane["non_finite"].values
    assert undefined[1].all()  # the output that distances are from is undefined itself
    assert undefined[[0, 2]].any((1, 2)).all() and not undefined[[0, 2]].all((1, 2)).any()
    no_token = np.isnan(plane["margin"].values)
    assert (undefined == np.isnan(plane["distance"].values) | no_token).all()
    assert ((plane["top_token"].values == -1) == no_token).all()
    assert (plane["region"].values == -1).all()


def test_a_verdict_needs_a_number(model):
    sharp = srt.sharpness(srt.interpolate(model, PAIRS[1:2], steps=5))
    value = float(srt.summarise(sharp).sel(quantity="max_slope")["median"])
    with pytest.raises(ValueError, match=r"Without training there are no regions.*is NaN.*all pairs excluded"):
        srt.verdict("emerge-untrained", model=model, value=value, low=value, high=value, n=1)
