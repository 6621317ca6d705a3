"""Twenty architecture families as tiny random models, and a plain-PyTorch ``F_p`` to hold the library against."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor

from srtoolkit.models.anatomy import find_anatomy
from srtoolkit.models.model import Model

VOCAB, WIDTH, BLOCKS = 97, 32, 4

_COMMON: dict[str, Any] = {"vocab_size": VOCAB, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_LLAMA: dict[str, Any] = {
    **_COMMON,
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
_GPT: dict[str, Any] = {**_COMMON, "n_embd": WIDTH, "n_layer": BLOCKS, "n_head": 4, "n_positions": 256}
_OPT: dict[str, Any] = {
    **_COMMON,
    "hidden_size": WIDTH,
    "ffn_dim": 64,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "word_embed_proj_dim": WIDTH,
}

#: model_type -> configuration.
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": _GPT,
    "gpt_neo": {
        **_COMMON,
        "hidden_size": WIDTH,
        "num_layers": BLOCKS,
        "num_heads": 4,
        "max_position_embeddings": 256,
        "attention_types": [[["global", "local"], BLOCKS // 2]],
        "window_size": 64,
    },
    "gptj": {**_GPT, "rotary_dim": 4},
    "gpt_neox": {key: value for key, value in _LLAMA.items() if key != "num_key_value_heads"},
    "llama": _LLAMA,
    "mistral": {**_LLAMA, "sliding_window": 64},
    "qwen2": _LLAMA,
    "qwen3": {**_LLAMA, "head_dim": 8},
    "gemma2": {**_LLAMA, "head_dim": 8, "sliding_window": 64, "query_pre_attn_scalar": 8},
    "gemma3_text": {**_LLAMA, "head_dim": 8, "sliding_window": 64, "query_pre_attn_scalar": 8},
    "olmo": _LLAMA,
    "olmo2": _LLAMA,
    "phi": {**_LLAMA, "num_key_value_heads": 4},
    "phi3": _LLAMA,
    "stablelm": _LLAMA,
    "smollm3": _LLAMA,
    "opt": _OPT,
    "bloom": {**_COMMON, "hidden_size": WIDTH, "n_layer": BLOCKS, "n_head": 4},
    "falcon": {**_COMMON, "hidden_size": WIDTH, "num_hidden_layers": BLOCKS, "num_attention_heads": 4},
    "mamba": {**_COMMON, "hidden_size": WIDTH, "num_hidden_layers": BLOCKS, "state_size": 4},
}

#: The map whose output is the gate, of families that do not call it mlp.gate_proj.
GATES: dict[str, str | None] = {
    "mixtral": None,
    "gpt2": "mlp.c_fc",
    "gpt_neo": "mlp.c_fc",
    "gptj": "mlp.fc_in",
    "gpt_neox": "mlp.dense_h_to_4h",
    "phi": "mlp.fc1",
    "phi3": "mlp.gate_up_proj",
    "opt": "fc1",
    "bloom": "mlp.dense_h_to_4h",
    "falcon": "mlp.dense_h_to_4h",
    "mamba": None,
}

#: Families whose gate is the first half of that map's output.
FUSED = ("phi3",)


def gate_map(model: Model) -> str | None:
    """Path, inside each block of a tiny model, of the map whose output is the gate; ``None`` where there is none."""
    return GATES.get(model.hf.config.model_type, "mlp.gate_proj")


def tiny(family: str, seed: int = 0, dtype: torch.dtype = torch.float32, **changes: Any) -> Model:
    """A random model of ``family`` with larger weights than usual, so that every part of it matters to the output."""
    config = transformers.AutoConfig.for_model(family, **{**FAMILIES.get(family, _LLAMA), **changes})
    torch.manual_seed(seed)
    hf = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval().requires_grad_(False)
    for parameter in hf.parameters():
        if parameter.ndim == 2 and parameter.shape[0] != VOCAB:
            parameter.mul_(4)
    return Model(
        name=f"tiny-{family}",
        hf=hf,
        tokenizer=None,
        revision=None,
        commit=None,
        init="random",
        seed=seed,
        dtype=str(dtype).removeprefix("torch."),
        anatomy=find_anatomy(hf, config.get_text_config().num_hidden_layers, family),
    )


@torch.no_grad()
def hooked(model: Model, ids: Tensor, layer: int, point: Tensor | None = None) -> dict[str, Tensor]:
    """``F_p`` by forward hooks on the whole prompt, one point at a time, without nnsight: what the library must equal.

    Args:
        model: Only its transformers model is used.
        ids: One prompt, [pos].
        layer: Block whose output is replaced or read.
        point: Put in at the last position; ``None`` leaves the run as it is.

    Returns:
        ``own`` (the block's output at the last position), ``resid``, ``final_norm``, ``logits``, ``logprobs``, and, of
        every block with a known one, ``gate<n>``.
    """
    blocks = model.hf.get_submodule(model.anatomy.blocks)
    seen: dict[str, Tensor] = {}

    def stream(output: Any) -> Tensor:
        return output if isinstance(output, Tensor) else output[0]

    def replace(module: Any, inputs: Any, output: Any) -> Any:
        seen["own"] = stream(output)[:, -1].clone()
        if point is None:
            return None
        changed = stream(output).clone()
        changed[:, -1] = point
        return changed if isinstance(output, Tensor) else (changed, *output[1:])

    def read(module: Any, inputs: Any, output: Any) -> None:
        seen["resid"] = stream(output)[:, -1]

    def read_gate(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            own = output.reshape(1, -1, output.shape[-1])[:, -1]  # OPT flattens rows and positions
            seen[name] = own[:, : output.shape[-1] // (1 + (model.hf.config.model_type in FUSED))]

        return hook

    handles = [blocks[layer].register_forward_hook(replace), blocks[-1].register_forward_hook(read)]
    if (path := gate_map(model)) is not None:
        gates = [block.get_submodule(path) for block in blocks]
        handles += [gate.register_forward_hook(read_gate(f"gate{index}")) for index, gate in enumerate(gates)]
    try:
        # The base model's last hidden state is what transformers itself hands to the unembedding.
        seen["final_norm"] = model.hf.base_model(ids[None]).last_hidden_state[:, -1]
        seen["logits"] = model.hf(ids[None]).logits[:, -1]
    finally:
        for handle in handles:
            handle.remove()
    seen["logprobs"] = torch.log_softmax(seen["logits"].float(), dim=-1)
    return {name: value[0] for name, value in seen.items()}
