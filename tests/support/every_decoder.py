"""Small random models of as many of transformers' decoders as can be made small by one rule."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

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
    **dict.fromkeys(("sliding_window", "attention_chunk_size", "window_size"), 16),
    "moe_layer_start_index": 1, "index_topk": 4, "index_n_heads": 2, "mamba_dt_rank": 4, "mamba_d_ssm": 64,
    "moe_shared_expert_intermediate_size": 48, "linear_head_dim": 8, "linear_num_heads": 4, "mamba_chunk_size": 8,
}  # fmt: skip

#: Entries that some families leave open and cannot do without.
_NEEDED = ("num_experts_per_tok", "head_dim")

_PLAIN: dict[str, Any] = {
    "vocab_size": 97, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "hidden_size": 32,
    "intermediate_size": 64, "num_hidden_layers": BLOCKS, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}  # fmt: skip
_FOUR_HEADS = {**_PLAIN, "num_key_value_heads": 4}
_DECODER: dict[str, Any] = {
    "vocab_size": 97, "d_model": 32, "encoder_layers": 1, "decoder_layers": BLOCKS, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "decoder_start_token_id": 1,
}  # fmt: skip
_TWO_KINDS = ["sliding_attention", "full_attention"] * (BLOCKS // 2)
_GEMMA = {
    **_PLAIN, "head_dim": 8, "sliding_window": 16, "layer_types": _TWO_KINDS, "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": 97,
}  # fmt: skip
_MAMBAS = ["linear_attention", "hybrid"] * (BLOCKS // 2)

#: Whole configurations of families whose sizes hang together in a way of their own.
_OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        ("bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "marian", "mbart", "mvp", "pegasus", "plbart"),
        _DECODER,
    ),
    "whisper": {**_DECODER, "max_target_positions": 64, "max_source_positions": 8, "suppress_tokens": None},
    "trocr": {**_DECODER, "is_decoder": True},
    "prophetnet": {
        **{key: _DECODER[key] for key in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")},
        "hidden_size": 32, "num_encoder_layers": 1, "num_decoder_layers": BLOCKS, "num_encoder_attention_heads": 4,
        "num_decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64,
        "is_decoder": True, "is_encoder_decoder": False,
    },
    "longcat_flash": {
        **{key: value for key, value in _FOUR_HEADS.items() if key not in ("num_hidden_layers", "intermediate_size")},
        "num_layers": BLOCKS, "ffn_hidden_size": 64, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 8, "head_dim": 8, "v_head_dim": 8, "moe_topk": 2, "n_routed_experts": 4,
        "zero_expert_num": 2, "expert_ffn_hidden_size": 16,
    },
    "mamba2": {
        "vocab_size": 97, "hidden_size": 32, "num_hidden_layers": BLOCKS, "num_heads": 8, "head_dim": 8,
        "state_size": 8, "n_groups": 1, "chunk_size": 8,
    },
    "xlstm": {
        "vocab_size": 97, "hidden_size": 32, "num_hidden_layers": BLOCKS, "num_heads": 4, "chunk_size": 8,
        "ffn_round_up_to_multiple_of": 8, "autocast_kernel_dtype": "float32",
    },
    "zamba": {
        **_FOUR_HEADS, "layers_block_type": _MAMBAS, "mamba_d_state": 8, "mamba_dt_rank": 4,
        "use_mamba_kernels": False,
    },
    "zamba2": {
        **_FOUR_HEADS, "layers_block_type": _MAMBAS, "mamba_d_state": 8, "n_mamba_heads": 4, "chunk_size": 8,
        "adapter_rank": 4, "use_mamba_kernels": False,
    },
    "nemotron": _PLAIN,
    "lfm2_moe": {
        **_PLAIN, "layer_types": ["conv", "full_attention"] * (BLOCKS // 2), "moe_intermediate_size": 16,
        "num_dense_layers": 1, "num_experts": 4, "num_experts_per_tok": 2,
    },
    "dots1": {
        **_PLAIN, "n_shared_experts": 1, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
        "first_k_dense_replace": 1, "sliding_window": 16,
    },
    "dbrx": {
        "vocab_size": 97, "d_model": 32, "n_heads": 4, "n_layers": BLOCKS, "max_seq_len": 64,
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 64, "hidden_size": 32, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "gemma4_text": {**_GEMMA, "global_head_dim": 16, "num_kv_shared_layers": 2},
    "gemma4_unified_text": {**_GEMMA, "global_head_dim": 16},
    "gemma3n_text": {
        **_GEMMA, "intermediate_size": [64] * BLOCKS, "num_kv_shared_layers": 0, "laurel_rank": 4,
        "activation_sparsity_pattern": [0.0] * BLOCKS,
    },
    "recurrent_gemma": {
        **{key: value for key, value in _PLAIN.items() if key != "max_position_embeddings"},
        "lru_width": 32, "attention_window_size": 16, "block_types": ["recurrent", "attention"],
    },
    "roc_bert": {
        **_FOUR_HEADS, "is_decoder": True, "pronunciation_embed_dim": 8, "pronunciation_vocab_size": 97,
        "shape_embed_dim": 8, "shape_vocab_size": 97,
    },
    "reformer": {
        "vocab_size": 97, "hidden_size": 32, "num_attention_heads": 4, "attention_head_size": 8,
        "feed_forward_size": 64, "attn_layers": ["local", "lsh"] * (BLOCKS // 2), "axial_pos_shape": [8, 8],
        "axial_pos_embds_dim": [16, 16], "max_position_embeddings": 64, "is_decoder": True, "num_buckets": 4,
        "hash_seed": 0,
    },
    "xlnet": {"vocab_size": 97, "d_model": 32, "n_layer": BLOCKS, "n_head": 4, "d_inner": 64},
    "cohere_compass_text": {
        **_PLAIN, "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}},
    },
    "gpt_neo": {
        "vocab_size": 97, "hidden_size": 32, "num_layers": BLOCKS, "num_heads": 4, "max_position_embeddings": 64,
        "attention_types": [[["global", "local"], BLOCKS // 2]], "window_size": 16,
    },
}  # fmt: skip

#: Entries of families whose first few blocks are all of one kind, or that are of one kind if nothing is said: as their
#: published models do, these have two.
_MIXED: dict[str, dict[str, Any]] = {
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "bamba": {"attn_layer_indices": [1, 3]},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"] * (BLOCKS // 2)},
    "kimi_linear": {"layer_types": ["linear_attention", "full_attention"] * (BLOCKS // 2)},
    "lfm2": {"layer_types": ["conv", "full_attention"] * (BLOCKS // 2)},
}


def small(kind: str) -> Any:
    """A random model of four blocks with a configuration that is the family's own, but for its sizes.

    Args:
        kind: The ``model_type`` of a configuration.

    Raises:
        Exception: What transformers raises where a family's sizes hang together in another way.
    """
    config = transformers.AutoConfig.for_model(kind, **_OWN.get(kind, {}))
    if config.get_text_config() is not config:
        raise ValueError(f"more than a language model; its text part is {config.get_text_config().model_type}")
    if kind not in _OWN:
        _shrink(config)
    for name, value in _MIXED.get(kind, {}).items():
        setattr(config, name, value)
    if kind in (*MASKED, "bert-generation"):  # encoders, which are decoders on request
        config.is_decoder = True
    if kind == "xmod":
        config.default_language = "en_XX"
    with torch.device("meta"):
        size = sum(each.numel() for each in transformers.AutoModelForCausalLM.from_config(config).parameters())
    if size > 10**7:
        raise ValueError(f"{size:,} parameters with sizes that are small elsewhere")
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
