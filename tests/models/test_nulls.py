"""Null models keep what they say and nothing else, in every family, and are measured like any model."""

from __future__ import annotations

import pytest
import torch

import srtoolkit as srt
from families import FAMILIES, gate_map, hooked, tiny
from srtoolkit.models.nulls import KINDS, matrices

IDS = torch.randint(3, 90, (1, 7), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return tiny(request.param)


def weights(model):
    blocks = model.hf.get_submodule(model.anatomy.blocks)
    return {path: weight.detach().double() for path, weight in matrices(blocks)}


def changed(model, null):
    before, after = weights(model), weights(null)
    return {path for path in before if not torch.equal(before[path], after[path])}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_is_kept_and_the_rest_is_gone(model, kind):
    if kind in ("mlp", "attention") and model.name == "tiny-mamba":
        return  # its blocks have one part, which a test of its own looks at
    before = {path: value.clone() for path, value in model.hf.state_dict().items()}
    null = srt.null_model(model, kind, seed=1)
    assert all(torch.equal(before[path], value) for path, value in model.hf.state_dict().items()), "the model itself"
    drawn = changed(model, null)
    old, new = weights(model), weights(null)
    everything = set(old)
    behind = {path for path in everything if not path.startswith("0.")}
    parts = {"permuted_behind": behind}
    assert drawn == parts.get(kind, drawn if kind in ("mlp", "attention") else everything) and drawn
    for path in drawn:
        if kind == "spectrum":
            assert torch.linalg.svdvals(new[path]) == pytest.approx(torch.linalg.svdvals(old[path]), rel=1e-3, abs=1e-5)
        elif kind == "gain":
            ratio = new[path].square().mean() / old[path].square().mean()
            assert float(ratio) == pytest.approx(1, abs=0.3)
        else:
            assert torch.equal(new[path].flatten().sort().values, old[path].flatten().sort().values)
    rest = set(null.hf.state_dict()) - {f"{model.anatomy.blocks}.{path}" for path in everything}
    assert all(torch.equal(null.hf.state_dict()[path], before[path]) for path in rest), "embeddings, norms and biases"


def test_the_order_is_that_of_the_seed_for_good(text_model):
    """Stored results of permuted weights are compared with new ones, so the draw must not change."""
    null, generator = srt.null_model(text_model, "permuted", seed=3), torch.Generator().manual_seed(3)
    for path, weight in weights(text_model).items():
        order = torch.randperm(weight.numel(), generator=generator)
        assert torch.equal(weights(null)[path], weight.flatten()[order].view_as(weight)), path


def test_a_null_runs_by_the_method_that_its_model_has_tried(text_model):
    pairs = [("the old house", "the red bird")]
    null = srt.null_model(text_model, "permuted", seed=1)
    own = srt.interpolate(text_model, pairs, steps=5, reads="final_norm")
    known = dict(text_model.methods)
    found = srt.interpolate(null, pairs, steps=5, reads="final_norm")
    assert known and text_model.methods == null.methods == known
    assert found.method == own.method
    full = srt.interpolate(null, pairs, steps=5, reads="final_norm", method="full")
    torch.testing.assert_close(
        torch.tensor(found.distance.values), torch.tensor(full.distance.values), rtol=1e-3, atol=1e-4
    )


def test_attention_and_mlp_are_the_two_parts_of_a_block(model):
    if model.name == "tiny-mamba":
        with pytest.raises(ValueError, match="no matrix of MambaForCausalLM's blocks is of that kind"):
            srt.null_model(model, "mlp")
        return
    mlp, attention = (changed(model, srt.null_model(model, kind)) for kind in ("mlp", "attention"))
    assert mlp and attention and not mlp & attention and mlp | attention == set(weights(model))
    gate = gate_map(model)
    assert any(path.endswith(f"{gate}.weight") for path in mlp)
    assert not any(path.endswith(f"{gate}.weight") for path in attention)


def test_a_null_is_measured_as_plain_hooks_would(model):
    null = srt.null_model(model, "permuted")
    point = torch.randn(1, 1, null.d_model, generator=torch.Generator().manual_seed(1))
    found = srt.patch(null, IDS, point, layer=1)[0, 0]
    expected = hooked(null, IDS[0], 1, point[0, 0])["final_norm"]
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-4
    assert not torch.allclose(found, srt.patch(model, IDS, point, layer=1)[0, 0])


def test_activations_before_the_shuffled_blocks_stay():
    model = tiny("llama")
    null = srt.null_model(model, "permuted_behind", layer=1)
    assert torch.equal(srt.capture(model, IDS, layer=1), srt.capture(null, IDS, layer=1))
    assert not torch.allclose(srt.capture(model, IDS, layer=2), srt.capture(null, IDS, layer=2))


def test_ties_between_matrices_stay():
    model = tiny("gemma2")
    for kind in ("permuted", "random"):
        null = srt.null_model(model, kind)
        assert null.hf.get_input_embeddings().weight is null.hf.get_output_embeddings().weight
        assert null.n_parameters == model.n_parameters


def test_the_seed_decides_and_every_null_has_a_name_and_a_fingerprint_of_its_own():
    model = tiny("llama")
    nulls = [srt.null_model(model, kind, seed) for kind in (*KINDS, "random") for seed in (0, 1)]
    assert len({null.fingerprint for null in [model, *nulls]}) == len({null.name for null in nulls}) + 1 == 15
    assert srt.null_model(model, "permuted", 1).fingerprint == nulls[1].fingerprint
    assert (nulls[1].init, nulls[1].seed) == ("permuted", 1) and "permuted weights (seed 1)" in repr(nulls[1])


@pytest.mark.slow
def test_nulls_by_name_are_those_in_memory_and_go_into_a_sweep(tmp_path):
    def slopes(model):
        return srt.sharpness(srt.interpolate(model, srt.sample_pairs(model, 3), steps=5, reads="final_norm"))

    model = srt.load_model("nano-0.4m")
    members = [{"name": "nano-0.4m", "init": "permuted", "seed": seed} for seed in (0, 1)]
    found = srt.sweep(["nano-0.4m", *members], slopes, store=tmp_path)
    fingerprints = [srt.null_model(model, "permuted", seed).fingerprint for seed in (0, 1)]
    assert found.fingerprint.values.tolist() == [model.fingerprint, *fingerprints]
    assert found["init"].values.tolist() == ["pretrained", "permuted", "permuted"]


@pytest.mark.parametrize(
    ("given", "said"), [(("shuffled",), "kind='shuffled'"), (("permuted", -1), "seed=-1"), ((3,), "kind=3")]
)
def test_bad_settings_are_refused(given, said, unchecked):
    with pytest.raises(ValueError, match=said):
        srt.null_model(tiny("llama"), *given)


@pytest.mark.smollm2
def test_shuffled_weights_fail_motion_and_not_the_papers_statistic(smollm2):
    """On 40 pairs: what separates a trained model from its own weights in another order, and what does not."""
    found = {}
    for name, model in (("trained", smollm2), ("permuted", srt.null_model(smollm2, "permuted", 0))):
        curves = srt.interpolate(model, srt.sample_pairs(model, 40), reads="final_norm")
        moved = srt.motion(curves)
        found[name] = {key: float(moved[key].median()) for key in ("peak", "calm_a", "calm_b")}
        found[name]["slope"] = float(srt.sharpness(curves).max_slope.median())
    trained, permuted = found["trained"], found["permuted"]
    assert 0.7 < permuted["slope"] / trained["slope"] < 1.4
    assert trained["peak"] > 2 * permuted["peak"]
    assert trained["calm_a"] < 0.6 * permuted["calm_a"] and trained["calm_b"] < 0.6 * permuted["calm_b"]
