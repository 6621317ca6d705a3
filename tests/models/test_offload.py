"""Models in pieces: weights on a disk, fetched by accelerate for each pass, give the numbers of a model in memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from srtoolkit.models.weights import weight_fingerprint
from srtoolkit.patching.methods import METHODS

PAIRS = [("the house was very", "the house was in"), ("a cat", "two dogs")]
READS = ("resid", "final_norm", "logits", "gates")

#: What lies on the disk, by module path; the rest is in memory.
ON_DISK = {
    "nothing": (),
    "every other block": ("model.layers.1", "model.layers.3"),
    "blocks before and behind the patch": ("model.layers.0", "model.layers.2", "model.layers.3", "lm_head"),
    "everything": ("model.embed_tokens", *(f"model.layers.{index}" for index in range(4)), "model.norm", "lm_head"),
}
PARTS = (
    "model.embed_tokens",
    *(f"model.layers.{index}" for index in range(4)),
    "model.norm",
    "model.rotary_emb",
    "lm_head",
)


@pytest.fixture(scope="module", params=ON_DISK)
def pieces(request, tiny_folder):
    places = {part: "disk" if part in ON_DISK[request.param] else "cpu" for part in PARTS}
    model = srt.load_model(str(tiny_folder), device_map=places)
    on_disk = sum(parameter.is_meta for parameter in model.hf.parameters())
    assert (on_disk > 0) == bool(ON_DISK[request.param])
    return model


def tokens():
    return torch.randint(3, 259, (3, 5), generator=torch.Generator().manual_seed(0))


def points():
    return torch.randn(3, 4, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.slow
def test_patches(text_model, pieces, method, layer):
    expected, found = (
        srt.patch(model, tokens(), points(), layer=layer, reads=READS, method=method) for model in (text_model, pieces)
    )
    for read in READS:
        assert found[read].device == pieces.device
        assert torch.allclose(found[read], expected[read], atol=1e-5), read


def test_captures_and_measures(text_model, pieces):
    for layer in range(4):
        expected, found = (srt.capture(model, tokens(), layer=layer) for model in (text_model, pieces))
        assert torch.allclose(found, expected, atol=1e-5)
    curves, expected = (srt.interpolate(model, PAIRS, steps=5) for model in (pieces, text_model))
    assert curves.attrs["method"] == "joint"
    for name in ("distance", "distance_resid", "kl", "top_token"):
        np.testing.assert_allclose(curves[name], expected[name], atol=1e-5)
    flips, expected = (srt.count_gate_flips(model, PAIRS, steps=7) for model in (pieces, text_model))
    assert expected.flips.sum() > 0 and np.array_equal(flips.flips, expected.flips)
    losses, expected = (srt.text_loss(model, PAIRS) for model in (pieces, text_model))
    np.testing.assert_allclose(losses.loss, expected.loss, atol=1e-5)


def test_fingerprint_device_and_size_are_those_of_the_whole_model(text_model, pieces):
    assert pieces.fingerprint == text_model.fingerprint
    assert pieces.device == torch.device("cpu") and pieces.n_parameters == text_model.n_parameters
    before = {name for name, parameter in pieces.hf.named_parameters() if parameter.is_meta}
    assert weight_fingerprint(pieces.hf) == text_model.fingerprint
    assert before == {name for name, parameter in pieces.hf.named_parameters() if parameter.is_meta}  # gone again


def test_blocks_that_are_tuples(tmp_path):
    folder = str(save_tiny(tmp_path / "neo", "gpt_neo"))
    whole = srt.load_model(folder)
    places = {"transformer.wte": "cpu", "lm_head": "cpu", "transformer.wpe": "disk", "transformer.ln_f": "disk"}
    places |= {f"transformer.h.{index}": "disk" for index in range(4)}
    model = srt.load_model(folder, device_map=places, offload_folder=tmp_path / "offloaded")
    for method in METHODS:
        expected, found = (
            srt.patch(one, tokens(), points(), layer=1, reads=READS, method=method) for one in (whole, model)
        )
        assert all(torch.allclose(found[read], expected[read], atol=1e-5) for read in READS)


def test_auto_fills_memory_up_to_its_bound(tiny_folder, text_model):
    model = srt.load_model(str(tiny_folder), device_map="auto", max_memory={"cpu": "100KB"})
    assert any(parameter.is_meta for parameter in model.hf.parameters())
    assert model.fingerprint == text_model.fingerprint
    assert torch.allclose(srt.patch(model, tokens(), points()), srt.patch(text_model, tokens(), points()), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device_map": "auto", "device": "cpu"}, "give one of them"),
        ({"device_map": "auto", "init": "random"}, "init='random' is made on one device"),
        ({"device_map": "auto", "name": "nano-0.4m"}, "'nano-0.4m' is made on one device"),
        ({"max_memory": {"cpu": "1GB"}}, "max_memory: only device_map"),
        ({"offload_folder": "here"}, "offload_folder: only device_map"),
    ],
)
def test_what_would_be_in_vain_is_refused(tiny_folder, options, words):
    with pytest.raises(ValueError, match=words):
        srt.load_model(**{"name": str(tiny_folder), **options})


def test_tied_weights_in_two_places_are_refused(tmp_path):
    folder = save_tiny(tmp_path / "neo", "gpt_neo")
    places = {"transformer": "cpu", "lm_head": "disk"}
    with pytest.raises(ValueError, match=r"'transformer.wte' and 'lm_head' are one tensor"):
        srt.load_model(str(folder), device_map=places, offload_folder=tmp_path / "offloaded")
