"""A model's sizes from its configuration, without its weights."""

from __future__ import annotations

from typing import Any

from srtoolkit.models.sources import find_source

#: Columns of Table 1, as the reference names them, in words.
COLUMNS = {
    "hidden": "width",
    "layers": "blocks",
    "heads": "heads",
    "kv_heads": "key-value heads",
    "intermediate": "MLP width",
    "vocab": "vocabulary",
    "tied": "embeddings tied",
}


def read_configuration(name: str) -> dict[str, Any]:
    """A model's sizes, for each of ``COLUMNS``.

    Args:
        name: Name of the model, as :func:`srtoolkit.load_model` takes it.

    Raises:
        HubError: The hub does not have the model, or does not answer.
    """
    config = find_source(name).configuration().get_text_config()
    heads = int(config.num_attention_heads)
    return {
        "hidden": int(config.hidden_size),
        "layers": int(config.num_hidden_layers),
        "heads": heads,
        "kv_heads": int(getattr(config, "num_key_value_heads", None) or heads),
        "intermediate": int(config.intermediate_size),
        "vocab": int(config.vocab_size),
        "tied": bool(config.tie_word_embeddings),
    }
