"""Small random models of as many of transformers' decoders as can be made small by one rule."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

#: Every ``model_type`` that transformers knows a causal language model of.
EVERY = sorted(CAUSAL)

BLOCKS = 4

#: What an entry of a configuration becomes, by its name; entries that a configuration lacks are not added.
_SMALL: dict[str, Any] = {
    "vocab_size": 97, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "word_embed_proj_dim", "embedding_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), BLOCKS),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "swa_num_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "swa_num_key_value_heads"), 2),
    **dict.fromkeys(("head_dim", "v_head_dim", "qk_rope_head_dim", "qk_nope_head_dim", "rotary_dim"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "global_head_dim", "qk_head_dim"), 8),
    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 4),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "moe_intermediate_size"), 64),
    **dict.fromkeys(("shared_expert_intermediate_size", "shared_intermediate_size", "intermediate_size_mlp"), 48),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "o_lora_rank", "index_head_dim"), 16),
    **dict.fromkeys(("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k", "top_k_experts"), 2),
    **dict.fromkeys(("n_group", "topk_group", "num_expert_group", "n_shared_experts", "moe_num_shared_experts"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 64),
    **dict.fromkeys(("vocab_size_per_layer_input",), 97),
    **dict.fromkeys(("hidden_size_per_layer_input", "mamba_d_head", "mamba_head_dim", "state_size"), 8),
    **dict.fromkeys(("mamba_d_state", "ssm_state_size"), 16),
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads"), 8),
    **dict.fromkeys(("mamba_n_groups", "n_groups", "first_k_dense_replace", "num_dense_layers"), 1),
    "moe_layer_start_index": 1, "index_topk": 4, "index_n_heads": 2, "mamba_dt_rank": 4, "sliding_window": 64,
    "moe_shared_expert_intermediate_size": 48, "mamba_d_ssm": 64,
}  # fmt: skip

#: Entries that some families leave open and cannot do without.
_NEEDED = ("num_experts_per_tok", "head_dim")


def small(kind: str) -> Any:
    """A random model of four blocks with a configuration that is the family's own, but for its sizes.

    Args:
        kind: The ``model_type`` of a configuration.

    Raises:
        Exception: What transformers raises where a family's sizes hang together in another way.
    """
    config = transformers.AutoConfig.for_model(kind)
    if config.get_text_config() is not config:
        raise ValueError(f"{kind} is more than a language model; its text part is a kind of its own")
    _shrink(config)
    with torch.device("meta"):
        size = sum(each.numel() for each in transformers.AutoModelForCausalLM.from_config(config).parameters())
    if size > 10**7:
        raise ValueError(f"{kind} has {size:,} parameters with sizes that are small elsewhere")
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval().requires_grad_(False)


def _shrink(config: Any) -> None:
    if getattr(config, "num_hidden_layers", 0) > BLOCKS:
        for name, value in vars(config).items():  # one entry a block: kinds of attention and the like
            if isinstance(value, list) and len(value) == config.num_hidden_layers:
                setattr(config, name, value[:BLOCKS])
    for name, value in _SMALL.items():
        with contextlib.suppress(AttributeError):  # some are computed, some differ from block to block
            given = getattr(config, name, "")
            if isinstance(given, int) or (given is None and name in _NEEDED):
                setattr(config, name, value)
    if getattr(config, "kv_lora_rank", None):  # latent attention makes keys and values for every head
        config.num_key_value_heads = config.num_attention_heads
