"""Where the parts of a decoder are: base model, blocks and unembedding, for any family.

transformers gives every family its own spelling (``transformer.h``, ``gpt_neox.layers``, ``model.decoder.layers``), so
the parts are found by what they are: the blocks are the outermost list of as many modules as there are hidden layers,
the base model is the outermost part that holds them, the unembedding is what transformers calls the output embedding.
The norm behind the last block need not be found: what it gives is what the base model gives. Whether the blocks do what
blocks do, and what is inside them, is seen by :mod:`srtoolkit.models.probe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn


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
        base: The model without its unembedding; it gives what the unembedding takes, after any final norm.
        blocks: The list of decoder blocks.
        unembedding: The map from the residual stream to logits.
    """

    base: str
    blocks: str
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
    base, _, inside = blocks.partition(".")
    if not inside:
        raise ValueError(
            f"{name}: {type(hf).__name__} keeps its blocks {blocks!r} beside its unembedding {unembedding!r}; "
            "srtoolkit needs a base model around the blocks, which gives what the unembedding takes."
        )
    return Anatomy(base, blocks, unembedding)


def _find_blocks(hf: nn.Module, n_layers: int, name: str) -> str:
    """The outermost list of ``n_layers`` modules, or else the longest of the outermost lists.

    The number is no block's where a configuration counts an encoder's layers (BART) or two for a block (LongCat-Flash).
    """
    lists = {path: len(module) for path, module in hf.named_modules() if isinstance(module, nn.ModuleList) and path}
    fitting = [path for path, length in lists.items() if length == n_layers] or list(lists)
    if not fitting:
        raise ValueError(f"{name}: no list of {n_layers} blocks in {type(hf).__name__}, which has no module list.")
    return min(fitting, key=lambda path: (path.count("."), -lists[path]))
