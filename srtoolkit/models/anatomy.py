"""Where the parts of a decoder are: base model, blocks and unembedding, for any family.

transformers gives every family its own spelling (``transformer.h``, ``gpt_neox.layers``, ``model.decoder.layers``), so
the parts are found by what they are: the blocks are the outermost list of as many modules as there are hidden layers,
the base model is the outermost part around them that runs, the unembedding is what transformers calls the output
embedding. The norm behind the last block need not be found: what it gives is what the base model gives. Whether the
blocks do what blocks do, and what is inside them, is seen by :mod:`srtoolkit.models.probe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


def of_each_block(config: Any, name: str) -> list[Any]:
    """The values of an entry of a configuration, one or one for each block: of Gemma 4 and others, blocks differ.

    Args:
        config: The decoder's transformers configuration.
        name: Name of the entry; ``None`` stands for what a configuration lacks.
    """
    try:
        value = getattr(config, name, None)
        return list(value) if isinstance(value, list | tuple) else [value]
    except RuntimeError:  # transformers' own refusal to name one value for all blocks
        return [getattr(block, name, None) for block in config.per_layer_config]


def narrowest_attention(config: Any) -> int | None:
    """Number of tokens in the narrowest attention window of any block; ``None`` where attention is global.

    Args:
        config: The decoder's transformers configuration.
    """
    names = ("sliding_window", "window_size", "attention_chunk_size", "attention_window_size")
    windows = [window for name in names for window in of_each_block(config, name)]
    return min((int(window) for window in windows if window), default=None)


def mlp_width(config: Any) -> int:
    """Width of the MLP's hidden layer: as configured, or else four times the width of the residual stream.

    Args:
        config: The transformers configuration of the model, or of its decoder alone.
    """
    text = config.get_text_config()
    widths = [width for width in of_each_block(text, "intermediate_size") if width] or [4 * text.hidden_size]
    return int(max(widths))


def attention_widths(config: Any) -> tuple[int, int]:
    """Width of a block's queries and of its keys, over all heads, in the widest block; zeros without attention.

    Args:
        config: The transformers configuration of the model, or of its decoder alone.
    """
    text = config.get_text_config()
    heads = max(int(number or 0) for number in of_each_block(text, "num_attention_heads"))
    keys = max(int(number or 0) for number in of_each_block(text, "num_key_value_heads")) or heads
    width = max(int(one or 0) for one in of_each_block(text, "head_dim")) or text.hidden_size // max(1, heads)
    return heads * width, keys * width


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
    return Anatomy(_find_base(hf, blocks, name), blocks, unembedding)


def _find_blocks(hf: nn.Module, n_layers: int, name: str) -> str:
    """The outermost list of ``n_layers`` modules, or else the longest of the outermost lists.

    The number is no block's where a configuration counts an encoder's layers (BART) or two for a block (LongCat-Flash).
    """
    lists = {path: len(module) for path, module in hf.named_modules() if isinstance(module, nn.ModuleList) and path}
    fitting = [path for path, length in lists.items() if length == n_layers] or list(lists)
    if not fitting:
        raise ValueError(f"{name}: no list of {n_layers} blocks in {type(hf).__name__}, which has no module list.")
    return min(fitting, key=lambda path: (path.count("."), -lists[path]))


@torch.no_grad()
def _find_base(hf: nn.Module, blocks: str, name: str) -> str:
    """The outermost part around the blocks that a pass runs: OPT and BART pass by one of two, to the decoder inside."""
    names = blocks.split(".")
    around = [".".join(names[:count]) for count in range(1, len(names))]
    if not around:
        raise ValueError(
            f"{name}: {type(hf).__name__} keeps its blocks {blocks!r} beside its unembedding; srtoolkit needs a base "
            "model around the blocks, which gives what the unembedding takes."
        )
    if len(around) == 1:
        return around[0]
    ran: list[str] = []
    handles = [
        hf.get_submodule(path).register_forward_pre_hook(lambda *_, path=path: ran.append(path)) for path in around
    ]
    embedding = hf.get_input_embeddings()  # type: ignore[operator]
    token = torch.full((1, 1), embedding.num_embeddings - 1, device=embedding.weight.device)
    try:
        hf(input_ids=token, use_cache=False)
    except Exception:  # what fails here is said in words by the probe, once the model is whole
        ran = ran or around
    finally:
        for handle in handles:
            handle.remove()
    return next(path for path in around if path in ran)
