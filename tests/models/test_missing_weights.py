"""Checkpoints that lack weights: refused by the tensors' names, or loaded with a flag by who knows better."""

from __future__ import annotations

import pytest
import transformers
from safetensors.torch import load_file, save_file

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from families import tiny

PAIRS = [("the cat sat", "a dog ran")]
GATE = "model.layers.1.mlp.gate_proj.weight"


def rewrite(folder, change):
    """Change the tensors in a checkpoint's file, as a lost or renamed one would be."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture
def base_model(broken_copy):
    """The tiny checkpoint as ``LlamaModel.save_pretrained`` leaves it: without an unembedding."""
    transformers.LlamaModel.from_pretrained(broken_copy).save_pretrained(broken_copy)
    assert "lm_head.weight" not in load_file(broken_copy / "model.safetensors")
    return broken_copy


def test_a_base_model_is_refused_by_its_missing_unembedding(base_model):
    with pytest.raises(ValueError, match=r"lack 1 .*lm_head\.weight.*base model or a classifier"):
        srt.load_model(str(base_model))


def test_a_classifier_is_refused(broken_copy):
    transformers.LlamaForSequenceClassification.from_pretrained(broken_copy).save_pretrained(broken_copy)
    with pytest.raises(ValueError, match=r"lm_head\.weight.*base model or a classifier.*allow_missing=True"):
        srt.load_model(str(broken_copy))


def test_a_lost_tensor_is_refused_by_name(broken_copy):
    rewrite(broken_copy, lambda tensors: tensors.pop(GATE))
    with pytest.raises(ValueError, match=rf"lack 1 .*{GATE}.*files are incomplete"):
        srt.load_model(str(broken_copy))


def test_a_renamed_tensor_is_refused_by_the_name_that_it_should_have(broken_copy):
    rewrite(broken_copy, lambda tensors: tensors.update({"model.layers.1.mlp.gate.weight": tensors.pop(GATE)}))
    with pytest.raises(ValueError, match=rf"lack 1 .*{GATE}"):
        srt.load_model(str(broken_copy))


def test_many_lost_tensors_are_counted(broken_copy):
    def lose_a_kind(tensors):
        for name in [name for name in tensors if "layers.1." in name or "layers.2." in name]:
            tensors.pop(name)

    rewrite(broken_copy, lose_a_kind)
    with pytest.raises(ValueError, match=r"lack 18 .* and 10 more"):
        srt.load_model(str(broken_copy))


@pytest.mark.parametrize("init", ["permuted", "mlp"])
def test_nulls_of_what_is_missing_are_refused_too(base_model, init):
    with pytest.raises(ValueError, match=r"lm_head\.weight"):
        srt.load_model(str(base_model), init=init)


def test_who_knows_better_gets_the_same_model_each_time_and_a_flag_in_each_result(base_model, text_model):
    models = [srt.load_model(str(base_model), allow_missing=True, seed=seed) for seed in (0, 0, 1)]
    prints = [model.fingerprint for model in models]
    assert prints[0] == prints[1] != prints[2]
    kept = {path: value for path, value in models[0].hf.state_dict().items() if path != "lm_head.weight"}
    assert all(value.equal(text_model.hf.state_dict()[path]) for path, value in kept.items())
    assert "not in the checkpoint and drawn (seed 0): lm_head.weight" in repr(models[0])
    for model in (models[0], srt.null_model(models[0], "permuted")):
        assert srt.interpolate(model, PAIRS, steps=3).attrs["missing_weights"] == "lm_head.weight"


def test_a_whole_checkpoint_has_no_flag(text_model, tiny_folder):
    for model in (text_model, srt.load_model(str(tiny_folder), allow_missing=True)):
        assert "missing_weights" not in srt.interpolate(model, PAIRS, steps=3).attrs and "drawn" not in repr(model)


def test_tied_unembeddings_are_not_missing(tmp_path):
    folder = save_tiny(tmp_path / "tied", tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    assert srt.load_model(str(folder)).fingerprint == tiny_fingerprint()


def tiny_fingerprint():
    return tiny("llama", vocab_size=259, max_position_embeddings=64, tie_word_embeddings=True).fingerprint


def test_without_a_checkpoint_nothing_can_be_missing(tiny_folder):
    with pytest.raises(ValueError, match="allow_missing=True with init='random'"):
        srt.load_model(str(tiny_folder), init="random", allow_missing=True)
