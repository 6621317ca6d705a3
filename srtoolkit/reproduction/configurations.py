"""A model's sizes from its configuration, without its weights."""

from __future__ import annotations

from typing import Any

import transformers

from srtoolkit.models import smollm2
from srtoolkit.models.hub import downloads
from srtoolkit.models.hub.cache import is_hub_id
from srtoolkit.suite.configuration import configuration, names

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
    """A model's numbers for every one of ``COLUMNS``.

    Args:
        name: As :func:`srtoolkit.load_model` takes it.

    Raises:
        HubError: The hub does not have it, or does not answer.
    """
    config = _configuration(name)
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


def _configuration(name: str) -> Any:
    if name in names():
        return configuration(name).architecture()
    if not is_hub_id(name):
        source = smollm2.packaged_directory(name) if name in smollm2.PACKAGED else name
        return transformers.AutoConfig.from_pretrained(source).get_text_config()
    snapshot = downloads.snapshot(name, None)
    snapshot.fetch_texts()
    found = transformers.AutoConfig.from_pretrained(name, revision=snapshot.commit, local_files_only=True)
    return found.get_text_config()
