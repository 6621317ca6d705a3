"""Where the parts of a decoder are: blocks, final norm and unembedding, for any family.

transformers gives every family its own spelling (``transformer.h``, ``gpt_neox.layers``, ``model.decoder.layers``), so
the parts are found by what they are: the blocks are the outermost list with one entry per hidden layer, the final norm
stands beside that list, the unembedding is what transformers calls the output embedding. What is inside a block is
found by :mod:`srtoolkit.models.probe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

#: Names under which families keep the norm that follows the last block.
FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f", "norm_final")


def narrowest_attention(config: Any) -> int | None:
    """Number of tokens in the narrowest attention window of any block; ``None`` where attention is global.

    Args:
        config: The decoder's transformers configuration.
    """
    windows = [getattr(config, name, None) for name in ("sliding_window", "window_size", "attention_chunk_size")]
    return min((int(window) for window in windows if window), default=None)


def mlp_width(config: Any) -> int:
    """Width of the MLP's hidden layer: as configured, or else four times the width of the residual stream.

    Args:
        config: The transformers configuration of the model, or of its decoder alone.
    """
    text = config.get_text_config()
    width = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    return int(max(width) if isinstance(width, list | tuple) else width)  # or one for each block


@dataclass(frozen=True)
class Anatomy:
    """Module paths inside a causal language model, as ``hf.get_submodule`` takes them.

    Attributes:
        base: The model without its unembedding.
        blocks: The list of decoder blocks.
        final_norm: The norm between the last block and the unembedding.
        unembedding: The map from the residual stream to logits.
    """

    base: str
    blocks: str
    final_norm: str
    unembedding: str


def find_anatomy(hf: nn.Module, n_layers: int, name: str) -> Anatomy:
    """Module paths of the parts of a model that srtoolkit reads and writes.

    Args:
        hf: A transformers causal language model.
        n_layers: Number of decoder blocks, from the model's configuration.
        name: Name of the model, for error messages.

    Raises:
        ValueError: The model has no blocks, or a part cannot be found; the message lists what is there.
    """
    if n_layers < 1:
        raise ValueError(
            f"{name}: its configuration says num_hidden_layers={n_layers}, so there is no block after which a point "
            "could be put in; srtoolkit needs a model with at least one."
        )
    blocks = _find_blocks(hf, n_layers, name)
    head = hf.get_output_embeddings()  # type: ignore[operator]
    unembedding = next((path for path, module in hf.named_modules() if module is head), None)
    if unembedding is None:
        raise ValueError(f"{name}: {type(hf).__name__} has no output embedding, so it predicts no next token.")
    return Anatomy(
        base=_find_base(hf, blocks),
        blocks=blocks,
        final_norm=_find_final_norm(hf, blocks, name),
        unembedding=unembedding,
    )


def _find_blocks(hf: nn.Module, n_layers: int, name: str) -> str:
    lists = {path: len(module) for path, module in hf.named_modules() if isinstance(module, nn.ModuleList)}
    fitting = [path for path, length in lists.items() if length == n_layers]
    if not fitting:
        raise ValueError(
            f"{name}: no list of {n_layers} blocks in {type(hf).__name__}; its module lists are {lists or 'none'}."
        )
    return min(fitting, key=lambda path: path.count("."))


def _find_base(hf: nn.Module, blocks: str) -> str:
    """Where transformers keeps the model without its unembedding, or else what holds the blocks (Llama 4)."""
    prefix = str(hf.base_model_prefix)
    return prefix if prefix in dict(hf.named_modules()) else blocks.partition(".")[0]


def _find_final_norm(hf: nn.Module, blocks: str, name: str) -> str:
    parent = blocks.rpartition(".")[0]
    beside = dict(hf.get_submodule(parent).named_children())
    for candidate in FINAL_NORMS:
        if candidate in beside:
            return f"{parent}.{candidate}" if parent else candidate
    raise ValueError(f"{name}: no final norm beside {blocks!r}; there are {sorted(beside)}.")
