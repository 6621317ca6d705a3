"""Which models can be measured: decoders that predict the next token from those before it."""

from __future__ import annotations

from typing import Any


def check_decoder(config: Any, name: str) -> None:
    """Refuse a model that is no causal decoder.

    Args:
        config: The model's transformers configuration.
        name: Name of the model, for error messages.

    Raises:
        ValueError: The model is an encoder, an encoder-decoder, or no language model.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    kind = config.model_type
    text_kind = config.get_text_config().model_type
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"{name}: {kind!r} is an encoder-decoder; srtoolkit needs a decoder that predicts the next token."
        )
    own_class = "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    if kind not in CAUSAL and text_kind not in CAUSAL and not own_class:
        raise ValueError(
            f"{name}: {kind!r} is not a causal language model; srtoolkit needs a decoder that predicts the next token."
        )
    if kind in MASKED and not getattr(config, "is_decoder", False):
        raise ValueError(
            f"{name}: {kind!r} is an encoder: its tokens see those after them. "
            "srtoolkit needs a decoder that predicts the next token."
        )
