"""What is known about the paper's models without asking the hub: Table 1, and what it leaves out."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig

from srtoolkit import reference

#: How each family is called in transformers, in which number format the hub stores its weights, and its context.
FAMILIES = {"OLMo": ("olmo", torch.float32, 4096), "Qwen2": ("qwen2", torch.bfloat16, 131072)}


def names() -> list[str]:
    """Hub ids of the paper's models, in the order of Table 1."""
    return list(_rows())


def family(name: str) -> str:
    """The family of one of the paper's models; empty for any other.

    Args:
        name: Id of the model on the hub.
    """
    return _rows().get(name, ("", {}))[0]


def parameters(name: str) -> int | None:
    """Number of parameters of one of the paper's models, as its name rounds it; ``None`` for any other.

    Args:
        name: Id of the model on the hub.
    """
    rows = _rows()
    return int(rows[name][1]["params_b"] * 1e9) if name in rows else None


def configuration(name: str) -> Any:
    """The transformers configuration of one of the paper's models, from Table 1; ``None`` for any other.

    Args:
        name: Id of the model on the hub.
    """
    if name not in _rows():
        return None
    family, row = _rows()[name]
    kind, stored, context = FAMILIES[family]
    return AutoConfig.for_model(
        kind,
        hidden_size=row["hidden"],
        num_hidden_layers=row["layers"],
        num_attention_heads=row["heads"],
        num_key_value_heads=row["kv_heads"],
        intermediate_size=row["intermediate"],
        vocab_size=row["vocab"],
        max_position_embeddings=context,
        tie_word_embeddings=row["tied"],
        dtype=stored,
    )


def _rows() -> dict[str, tuple[str, dict[str, Any]]]:
    """Family and row of Table 1, by id on the hub."""
    models = reference.janiak2024()["models"]
    return {row["hf"]: (label.rpartition("-")[0], row) for label, row in models.items()}
