"""The skeleton of measurements: one pass, one way of progress and cancelling, and what a result says of itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

import srtoolkit as srt
from srtoolkit.measures import walk
from srtoolkit.measures.paths import name_of
from srtoolkit.measures.walk import Rows

PAIRS = [("the cat sat", "the dog ran"), ("a", "b"), ("short", "rather longer"), ("the cow saw", "the hen hid")]
TRIPLE = ("the cat sat", "a dog", "rain fell on us")

#: Every measurement that shows how far it is, with the number of points that it puts in.
CALLS = {
    "interpolate": (lambda model, **more: srt.interpolate(model, PAIRS, steps=5, **more), 20),
    "interpolate adaptive": (
        lambda model, **more: srt.interpolate(model, PAIRS, steps=30, where="adaptive", **more),
        120,
    ),
    "boundary": (lambda model, **more: srt.boundary(model, PAIRS, steps=5, **more), 20),
    "next_tokens": (lambda model, **more: srt.next_tokens(model, PAIRS, alphas=(0, 0.5, 1), **more), 12),
    "divergence": (lambda model, **more: srt.divergence(model, PAIRS, steps=6, **more), 24),
    "count_gate_flips": (lambda model, **more: srt.count_gate_flips(model, PAIRS, steps=5, **more), 20),
    "count_regions": (
        lambda model, **more: xr.Dataset(srt.count_regions(model, PAIRS, steps=5, **more)._asdict()),
        20,
    ),
    "continuation": (lambda model, **more: srt.continuation(model, PAIRS, tokens=2, **more), 20),
    "layer_map": (lambda model, **more: srt.layer_map(model, PAIRS, steps=5, **more), 60),
    "freeze": (lambda model, **more: srt.freeze(model, PAIRS, steps=5, **more), 20),
    "noise_growth": (lambda model, **more: srt.noise_growth(model, PAIRS, steps=5, **more), 20),
    "perturb": (
        lambda model, **more: srt.perturb(
            model, [a for a, _ in PAIRS], srt.directions.random(model, 3), (0.5, 1), **more
        ),
        24,
    ),
    "noise_floor": (lambda model, **more: srt.noise_floor(model, PAIRS, **more), 36),
    "slice_plane": (lambda model, **more: srt.slice_plane(model, TRIPLE, resolution=5, **more), 75),
    "slice_gates": (lambda model, **more: srt.slice_gates(model, TRIPLE, 2, resolution=5, **more), 25),
}


@pytest.fixture
def n_put_in(text_model, monkeypatch):
    """Number of activations that were put into blocks 1 and behind, one entry a forward pass."""
    counted = []
    block = text_model.hf.get_submodule(f"{text_model.anatomy.blocks}.1")
    hook = block.register_forward_pre_hook(lambda _, args: counted.append(args[0].shape[0] * args[0].shape[1]))
    yield counted
    hook.remove()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.slow
def test_progress_rises_from_nothing_to_all_points(text_model, name):
    call, points = CALLS[name]
    seen = []
    call(text_model, progress=lambda done, total: seen.append((done, total)))
    done = [one for one, _ in seen]
    assert {total for _, total in seen} == {points}
    assert done == sorted(done) and done[0] == 0 and done[-1] == points and len(set(done)) > 1


class Enough(Exception):
    """Raised by a caller who wants no more."""


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.slow
def test_what_progress_raises_ends_the_measurement_and_the_next_is_whole(text_model, name):
    call, _ = CALLS[name]

    def stop_at_once(done, total):
        if done:
            raise Enough

    with pytest.raises(Enough):
        call(text_model, progress=stop_at_once)
    whole, again = call(text_model), call(text_model)
    assert whole.identical(again)


def test_a_long_measurement_ends_in_the_middle(text_model, monkeypatch):
    monkeypatch.setattr("srtoolkit.patching.batches.CPU_TOKENS", 8)
    seen = []

    def stop(done, total):
        seen.append(done)
        if done > 50:
            raise Enough

    with pytest.raises(Enough):
        srt.interpolate(text_model, PAIRS, steps=50, progress=stop)
    assert 50 < seen[-1] < 100, "not only between lengths of prompts or pairs"


def test_the_likeliest_tokens_come_from_the_same_pass_as_the_curves(text_model, n_put_in):
    srt.interpolate(text_model, PAIRS[:1], steps=9)
    alone = list(n_put_in)
    n_put_in.clear()
    curves = srt.interpolate(text_model, PAIRS[:1], steps=9, top=3)
    assert n_put_in == alone
    said = srt.next_tokens(text_model, PAIRS[:1], alphas=np.linspace(0, 1, 9).tolist(), top=3)
    assert curves.token.dims == ("pair", "alpha", "rank") and curves["rank"].values.tolist() == [1, 2, 3]
    assert (curves.token.values == said.token.values).all() and (curves.text.values == said.text.values).all()
    np.testing.assert_allclose(curves.probability, said.probability, rtol=1e-5)
    assert (curves.token[..., 0].values == curves.top_token.values).all()


def test_tokens_of_a_plane_come_from_the_same_passes(text_model, n_put_in):
    plain = srt.slice_plane(text_model, TRIPLE, resolution=5)
    alone = list(n_put_in)
    n_put_in.clear()
    plane = srt.slice_plane(text_model, TRIPLE, resolution=5, top=2)
    assert n_put_in == alone
    assert plane.token.dims == ("anchor", "beta", "alpha", "rank")
    assert (plane.token[..., 0].values == plain.top_token.values).all()
    for anchor in "ABC":
        said = srt.slice_predictions(text_model, TRIPLE, anchor=anchor, top=2, resolution=5)
        assert (plane.token.sel(anchor=anchor).values == said.token.values).all()
        np.testing.assert_allclose(plane.probability.sel(anchor=anchor), said.probability, rtol=1e-5)


def test_tokens_are_unknown_where_a_plane_is_interpolated(text_model):
    plane = srt.slice_plane(text_model, TRIPLE, resolution=9, tolerance=0.5, top=2)
    measured = plane.measured.values
    assert measured.any() and not measured.all()
    assert ((plane.token.values >= 0).all(-1) == measured).all()
    assert (np.isfinite(plane.probability.values).all(-1) == measured).all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda model: srt.interpolate(model, PAIRS, reads="final_norm", top=2), "top=2: .* logits"),
        (lambda model: srt.interpolate(model, PAIRS, top=260), "top=260: .* from 0 to 259"),
        (lambda model: srt.slice_plane(model, TRIPLE, reads="final_norm", top=2), "top=2: .* logits"),
        (lambda model: srt.next_tokens(model, PAIRS, top=0), "top=0: .* from 1 to 259"),
    ],
)
def test_tokens_that_cannot_be_had(text_model, n_put_in, call, said):
    with pytest.raises(ValueError, match=said):
        call(text_model)
    assert not n_put_in


@pytest.mark.parametrize("name", ["next_tokens", "divergence", "noise_floor"])
def test_pairs_run_together_as_each_alone(text_model, n_put_in, name):
    call = {
        "next_tokens": lambda pairs: srt.next_tokens(text_model, pairs, top=2),
        "divergence": lambda pairs: srt.divergence(text_model, pairs, steps=8),
        "noise_floor": lambda pairs: srt.noise_floor(text_model, pairs, neighbours=3),
    }[name]
    pairs = [("the cat sat", "the dog ran"), ("the cow saw", "the hen hid"), ("the fox ate", "the owl fed")]
    together, passes = call(pairs), len(n_put_in)
    for place in range(3):
        alone = call(pairs[place : place + 1]).isel(pair=0)
        for variable in ("probability", "jsd", "d1"):
            if variable in together:
                np.testing.assert_allclose(together[variable][place], alone[variable], rtol=1e-3, atol=1e-5)
    assert passes < len(n_put_in) - passes, "three pairs of one length share their passes"


def test_a_plane_that_is_laid_out_once_is_captured_once(text_model, monkeypatch):
    layout = srt.lay_out(text_model, TRIPLE, layer=1, resolution=5, margin=0.5)
    expected = srt.slice_plane(text_model, TRIPLE, layer=1, resolution=5, margin=0.5)
    captured = []
    monkeypatch.setattr("srtoolkit.measures.walk.capture", lambda *given, **_: captured.append(given))
    assert srt.slice_plane(text_model, layout).identical(expected)
    assert srt.slice_gates(text_model, layout, 2).attrs["layer"] == 1
    assert srt.slice_predictions(text_model, layout).sizes["alpha"] == 5
    assert "alpha 0.5" in srt.line_on_plane(text_model, layout, 0.5, 0.5).__name__
    assert not captured


def test_a_plane_of_another_model_is_refused(text_model):
    layout = srt.lay_out(text_model, TRIPLE, resolution=5)
    with pytest.raises(ValueError, match=r"a plane of .*, and the model is nano-0.4m"):
        srt.slice_plane(srt.load_model("nano-0.4m"), layout)


def test_a_result_says_what_ran(text_model):
    curves = srt.interpolate(text_model, PAIRS, steps=3, reads=("resid", "final_norm"))
    assert curves.attrs["reads"] == "resid, final_norm" and curves.attrs["method"] in srt_methods()
    plane = srt.slice_plane(text_model, TRIPLE, resolution=3)
    assert plane.attrs["reads"] == "final_norm, logits" and set(plane.attrs["method"].split(", ")) <= srt_methods()
    assert srt.noise_floor(text_model, PAIRS, seed=7).attrs["draw_seed"] == 7
    assert srt.noise_floor(text_model, PAIRS, seed=7).attrs["seed"] == text_model.seed


def srt_methods():
    return {"joint", "parallel", "prefix", "full"}


def test_paths_that_differ_have_names_that_differ():
    def bent(power):
        return lambda a, b, alphas: a[:, None] + alphas[:, None] ** power * (b - a)[:, None]

    names = [name_of(path) for path in (bent(2), bent(3), lambda *ends: ends[0], lambda *ends: ends[1])]
    assert len(set(names)) == 4
    assert name_of(bent(2)) == names[0], "and the same one keeps its name"


def test_rows_are_filled_in_whatever_order_they_come():
    rows = Rows(3)
    rows.put([2, 0], {"value": torch.tensor([[2.0], [0.0]])})
    rows.put([1], {"value": torch.tensor([[1.0]])})
    assert rows["value"].tolist() == [[0.0], [1.0], [2.0]]


def test_a_prompt_of_many_pairs_is_captured_once(text_model, monkeypatch):
    texts, rows = ["the cat sat", "a dog", "rain", "snow falls"], []

    def counted(model, tokens, **more):
        rows.append(len(tokens))
        return srt.capture(model, tokens, **more)

    monkeypatch.setattr(walk, "capture", counted)
    every = srt.interpolate(text_model, srt.all_pairs(text_model, texts), steps=3, reads="final_norm")
    assert sum(rows) == 6  # three prompts A, three prompts B
    alone = srt.interpolate(text_model, [(texts[1], texts[3])], steps=3, reads="final_norm")
    np.testing.assert_allclose(every.distance.sel(pair="1-3"), alone.distance[0], rtol=1e-4)
