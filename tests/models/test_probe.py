"""What a probe sees of every decoder that transformers knows: gates are an MLP's own, and streams are vectors."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
import transformers

import srtoolkit as srt
from checkpoints_on_disk import edit_config
from every_decoder import EVERY, small

A, B = torch.tensor([[3, 4, 5]]), torch.tensor([[6, 7, 8]])
PAIR = srt.PromptPairs(tuple(A), tuple(B), ("a",), ("b",), ("p",), False, "made up")
STEPS = 5

#: Families whose gates a name in block 0 does not tell; these must not be left out.
HARD = {
    "afmoe", "beam", "bailing_hybrid", "deepseek_v2", "deepseek_v3", "ernie4_5_moe", "exaone_moe", "falcon_h1", "flint",
    "glm4_moe", "jamba", "laguna", "mimo_v2_flash", "moshi", "nemotron_h", "olmo_hybrid", "qwen2_moe", "qwen3_next",
}  # fmt: skip

#: Families whose blocks share one activation module, of which no reading would be one block's.
SHARED_ACTIVATION = ("openai-gpt",)

#: How families call a module that is an MLP's activation, and what does not belong to the MLP or is routed.
ACTIVATION = re.compile(
    r"(^|\.)(act|act_fn|activation|activation_fn|gelu_impl|intermediate_act_fn|adapter_act_fn|ffn\.1)$"
)
ELSEWHERE = re.compile(
    r"(^|\.)(\w*attn|\w*attention|mamba|linear_attn|conv|experts|router|gate|shared_transf|shared_transformer)(\.|$)"
)


def measured(kind):
    """The family's small model, or ``None`` where it cannot be made small, or is refused in the library's words."""
    try:
        hf = small(kind)
    except Exception as error:
        assert kind not in HARD, error
        pytest.skip(f"not small: {error}"[:100])
    try:
        return srt.wrap(hf, None, name=kind)
    except ValueError as refused:
        assert kind not in HARD, refused
        assert str(refused).startswith(f"{kind}: ")
        return None


def flips_by_hooks(model):
    """Sign changes of each block's activation inputs along the line from A to B, by hooks on whole prompts."""
    blocks = model.hf.get_submodule(model.anatomy.blocks)
    seen, inputs = {}, {}

    def keep(name):
        def hook(_, args):
            inputs[name] = args[0].reshape(3, -1)[-1] > 0

        return hook

    handles = [
        part.register_forward_pre_hook(keep((index, path)))
        for index, block in enumerate(blocks)
        for path, part in block.named_modules()
        if ACTIVATION.search(path)
        and (path, model.name) != ("act_fn", "gemma4_text")
        and not ELSEWHERE.search(path)
        and _in_an_mlp(block, path)
    ]
    first, last = (srt.capture(model, ids)[0] for ids in (A, B))

    def put_in(point):
        def hook(_, args, output):
            whole = output if isinstance(output, torch.Tensor) else output[0]
            whole = whole.clone()
            whole[:, -1] = point
            return whole if isinstance(output, torch.Tensor) else (whole, *output[1:])

        return hook

    for alpha in torch.linspace(0, 1, STEPS):
        inputs.clear()
        handle = blocks[0].register_forward_hook(put_in(first + alpha * (last - first)))
        model.hf.base_model(input_ids=A, use_cache=False)
        handle.remove()
        for name, signs in inputs.items():
            seen.setdefault(name, []).append(signs)
    for handle in handles:
        handle.remove()
    changes = {name: sum(int((a != b).sum()) for a, b in itertools.pairwise(rows)) for name, rows in seen.items()}
    width = {name: len(rows[0]) for name, rows in seen.items()}
    return [
        (sum(width[name] for name in seen if name[0] == index), sum(changes[name] for name in seen if name[0] == index))
        for index in range(1, len(blocks))
    ]


def _in_an_mlp(block, path):
    """Whether the activation stands in a part without a sequence mixer's tensors, beside matrices and no stacks."""
    home = block.get_submodule(path.rpartition(".")[0])
    kinds = {parameter.ndim for parameter in home.parameters()}
    return max(kinds, default=0) == 2 and not hasattr(home, "A_log")


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY)
def test_counted_is_the_input_of_each_blocks_own_activation_or_it_is_refused_in_words(kind):
    model = measured(kind)
    if model is None:
        return
    try:
        found = srt.count_gate_flips(model, PAIR, steps=STEPS)
    except ValueError as refused:
        assert "no MLP whose pre-activations are known" in str(refused)
        assert kind in SHARED_ACTIVATION or not any(width for width, _ in flips_by_hooks(model))
        return
    expected = flips_by_hooks(model)
    assert list(zip(found.gates.values, found.flips.sum("alpha").values[0], strict=True)) == expected
    for said, gates in zip(found.counted.values, found.gates.values, strict=True):
        assert said.startswith("none") == (gates == 0)


def test_hyper_connections_are_refused_by_the_shape_of_the_stream():
    with pytest.raises(
        ValueError, match=r"block 0 of DeepseekV4ForCausalLM gives \[1, 4, 4, 32\].*not one vector a token"
    ):
        srt.wrap(small("deepseek_v4"), None, name="v4")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_whose_tokens_see_those_after_them_is_refused_by_what_it_does(dtype):
    """Its name is that of a decoder; with the setting, it is one."""
    config = small("bert-generation").config
    for causal in (True, False):
        config.is_decoder = causal
        torch.manual_seed(0)
        hf = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
        for map_ in (part for part in hf.modules() if isinstance(part, torch.nn.Linear)):
            map_.weight.data *= 3  # so that attention matters
        if causal:
            assert srt.wrap(hf, None, name="causal").n_layers == 4
            continue
        with pytest.raises(ValueError, match=r"^both ways: .* tokens see those after them"):
            srt.wrap(hf, None, name="both ways")


def test_a_list_of_attentions_is_not_taken_for_the_blocks():
    """XLM has no modules for its blocks, but a list of attentions, one of MLPs, and others, as long as each other."""
    config = small("xlm").config
    config.causal = True
    hf = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(
        ValueError, match=r"attentions\.1 of XLM\w+ does not take what transformer\.attentions\.0 gives"
    ):
        srt.wrap(hf, None, name="parts")


def test_four_streams_beside_each_other_are_refused_by_their_shape(tmp_path):
    """Gemma 3n keeps four streams in a dimension before the prompts; it is refused as it is loaded from a folder."""
    sizes = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": [64] * 4, "num_hidden_layers": 4}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
    own = {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 97, "num_kv_shared_layers": 0}
    more = {"laurel_rank": 4, "activation_sparsity_pattern": [0.0] * 4, "layer_types": ["full_attention"] * 4}
    config = transformers.AutoConfig.for_model("gemma3n_text", **sizes, **heads, **own, **more)
    with pytest.raises(ValueError, match=r"gives \[4, 1, 4, 32\] for one prompt of 4 tokens"):
        srt.wrap(transformers.AutoModelForCausalLM.from_config(config), None, name="3n")


def test_a_model_without_blocks_is_refused_in_words(broken_copy):
    edit_config(broken_copy, num_hidden_layers=0, layer_types=[])
    for init in ("pretrained", "random"):
        with pytest.raises(ValueError, match=r"num_hidden_layers=0.*at least one"):
            srt.load_model(str(broken_copy), init=init)


def test_a_model_that_does_not_run_on_a_plain_prompt_is_refused_in_words(text_model):
    hf = small("llama")
    hf.model.layers[2].mlp.down_proj = torch.nn.Linear(3, 32)
    with pytest.raises(ValueError, match=r"broken: LlamaForCausalLM does not run on a plain prompt.*RuntimeError"):
        srt.wrap(hf, None, name="broken")


def test_the_probe_leaves_the_model_as_it_was():
    hf = small("qwen2_moe")
    ids = torch.tensor([[3, 4, 5]])
    before, weights = hf(ids).logits, {path: value.clone() for path, value in hf.state_dict().items()}
    srt.wrap(hf, None, name="m")
    assert torch.equal(hf(ids).logits, before)
    assert all(torch.equal(value, weights[path]) for path, value in hf.state_dict().items())
    assert not any(part._forward_hooks for part in hf.model.layers.modules())
