"""Models in memory: what is given is measured as it is, and gives the numbers that loading it gives."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers
import xarray as xr
from torch import nn

import srtoolkit as srt
from families import FAMILIES, tiny

PAIRS = [("the house was very", "the house was in"), ("a cat", "two dogs")]


@pytest.fixture
def given(tiny_folder):
    """The tiny model's parts, as a user has them: in training mode and with gradients."""
    hf = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).train()
    return hf, transformers.AutoTokenizer.from_pretrained(tiny_folder)


def test_a_model_in_memory_gives_the_curves_of_the_same_weights_loaded(given, text_model):
    model = srt.wrap(*given, name="mine", revision="merged")
    assert model.fingerprint == text_model.fingerprint
    curves = srt.interpolate(model, PAIRS, steps=5)
    xr.testing.assert_equal(curves, srt.interpolate(text_model, PAIRS, steps=5))
    said = {key: curves.attrs[key] for key in ("model", "revision", "init", "commit", "dtype")}
    assert said == {"model": "mine", "revision": "merged", "init": "given", "commit": "", "dtype": "float32"}


def test_it_is_the_given_model_itself_at_rest(given):
    hf, tokenizer = given
    model = srt.wrap(hf, tokenizer, name="mine")
    assert model.hf is hf and model.tokenizer is tokenizer
    assert not hf.training and not any(parameter.requires_grad for parameter in hf.parameters())
    assert "given in memory" in repr(model)


def test_weights_that_are_edited_later_are_never_under_the_former_fingerprint(given):
    model = srt.wrap(*given, name="mine")
    before = srt.interpolate(model, PAIRS, steps=3)
    weight = model.hf.model.layers[2].mlp.down_proj.weight
    weight.data.mul_(2)  # torch counts no version of an edit of .data
    after = srt.interpolate(model, PAIRS, steps=3)
    assert before.attrs["fingerprint"] != after.attrs["fingerprint"] == model.fingerprint
    assert not before.distance.equals(after.distance)
    weight.data.div_(2)
    assert model.fingerprint == before.attrs["fingerprint"]


def test_weights_that_quantisation_keeps_as_buffers_are_in_the_fingerprint(given):
    class Quantised(nn.Module):
        def __init__(self, linear):
            super().__init__()
            self.register_buffer("scale", linear.weight.detach().abs().amax() / 127)
            self.register_buffer("packed", (linear.weight.detach() / self.scale).round().to(torch.int8))

        def forward(self, x):
            return x @ (self.packed.to(x.dtype) * self.scale).T

    hf, tokenizer = given
    for layer in hf.model.layers:
        layer.mlp.down_proj = Quantised(layer.mlp.down_proj)
    other = copy.deepcopy(hf)
    other.model.layers[1].mlp.down_proj.packed.neg_()
    models = [srt.wrap(each, tokenizer, name="mine") for each in (hf, other)]
    assert models[0].fingerprint != models[1].fingerprint
    curves = [srt.interpolate(model, PAIRS, steps=3).distance for model in models]
    assert not curves[0].equals(curves[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_its_number_format_is_found_and_kept(given, dtype):
    hf, tokenizer = given
    model = srt.wrap(hf.to(dtype), tokenizer, name="mine")
    assert model.dtype == str(dtype).removeprefix("torch.") and model.hf.dtype == dtype
    assert srt.noise_floor(model, PAIRS[:1]).attrs["dtype"] == model.dtype


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_found_as_loading_finds_it(family):
    loaded = tiny(family)
    model = srt.wrap(loaded.hf, None, name=family)
    assert model.anatomy == loaded.anatomy and model.fingerprint == loaded.fingerprint


def test_without_a_tokenizer_ids_work_and_text_is_refused_in_words(given):
    model = srt.wrap(given[0], None, name="mine")
    ids = torch.tensor([[5, 6, 7]])
    assert srt.capture(model, ids).shape == (1, 32)
    for needs_text in (lambda: model.tokenize("a"), lambda: model.token_text(5), lambda: srt.interpolate(model, PAIRS)):
        with pytest.raises(ValueError, match="mine was given without a tokenizer"):
            needs_text()


def test_what_cannot_be_measured_is_refused_by_name(given, unchecked, text_model):
    hf, tokenizer = given
    bert = transformers.BertLMHeadModel(transformers.BertConfig(hidden_size=32, num_attention_heads=4))
    t5 = transformers.T5ForConditionalGeneration(transformers.T5Config(d_model=32, num_layers=1, d_ff=32, d_kv=8))
    for model, words in ((bert, "is an encoder"), (t5, "encoder-decoder"), (hf.model, "no output embedding")):
        with pytest.raises(ValueError, match=f"mine: .*{words}"):
            srt.wrap(model, tokenizer, name="mine")
    for model, words in (
        (text_model, "is wrapped already"),
        (nn.Linear(2, 2), "torch.nn"),
        ("gpt2", "got a builtins.str"),
    ):
        with pytest.raises(TypeError, match=words):
            srt.wrap(model, tokenizer, name="mine")
    with pytest.raises(TypeError, match="expected a transformers tokenizer, or None"):
        srt.wrap(hf, "gpt2", name="mine")
    with pytest.raises(TypeError, match="what results are to call the model"):
        srt.wrap(hf, tokenizer, name="")


def test_a_sweep_which_loads_by_name_refuses_it_in_words(given, unchecked, tmp_path):
    model = srt.wrap(*given, name="mine")
    with pytest.raises(ValueError, match="a model of a sweep is a name"):
        srt.sweep([model], srt.noise_floor, store=tmp_path / "store")
