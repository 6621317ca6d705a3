"""Where the parts of a decoder are: blocks, final norm, unembedding and MLP gate, for any family.

transformers gives every family its own spelling (``transformer.h``, ``gpt_neox.layers``, ``model.decoder.layers``), so
the parts are found by what they are: the blocks are the outermost list with one entry per hidden layer, the final norm
stands beside that list, the unembedding is what transformers calls the output embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

#: Names under which families keep the norm that follows the last block.
FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f", "norm_final")

#: Names of the linear map whose output is the pre-activation of the MLP nonlinearity; a fused map holds the gate in its
#: first half.
GATES = ("gate_proj", "gate_up_proj", "c_fc", "fc_in", "dense_h_to_4h", "fc1", "up_proj", "w1")
FUSED_GATES = ("gate_up_proj",)


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
    return int(getattr(text, "intermediate_size", None) or 4 * text.hidden_size)


@dataclass(frozen=True)
class Anatomy:
    """Module paths inside a causal language model, as ``hf.get_submodule`` takes them.

    Attributes:
        base: The model without its unembedding.
        blocks: The list of decoder blocks.
        final_norm: The norm between the last block and the unembedding.
        unembedding: The map from the residual stream to logits.
        gate: Path, inside one block, of the map whose output is the MLP's gate pre-activations; ``None`` where the
            blocks have no MLP (Mamba) or one that is not known.
        gate_is_fused: Whether only the first half of the gate map's output is the gate (Phi-3).
    """

    base: str
    blocks: str
    final_norm: str
    unembedding: str
    gate: str | None
    gate_is_fused: bool


def find_anatomy(hf: nn.Module, n_layers: int, name: str) -> Anatomy:
    """Module paths of the parts of a model that srtoolkit reads and writes.

    Args:
        hf: A transformers causal language model.
        n_layers: Number of decoder blocks, from the model's configuration.
        name: Name of the model, for error messages.

    Raises:
        ValueError: A part cannot be found; the message lists what is there.
    """
    blocks = _find_blocks(hf, n_layers, name)
    gate = _find_gate(hf.get_submodule(f"{blocks}.0"))
    head = hf.get_output_embeddings()  # type: ignore[operator]
    unembedding = next((path for path, module in hf.named_modules() if module is head), None)
    if unembedding is None:
        raise ValueError(f"{name}: {type(hf).__name__} has no output embedding, so it predicts no next token.")
    return Anatomy(
        base=str(hf.base_model_prefix),
        blocks=blocks,
        final_norm=_find_final_norm(hf, blocks, name),
        unembedding=unembedding,
        gate=gate,
        gate_is_fused=gate is not None and gate.split(".")[-1] in FUSED_GATES,
    )


def _find_blocks(hf: nn.Module, n_layers: int, name: str) -> str:
    lists = {path: len(module) for path, module in hf.named_modules() if isinstance(module, nn.ModuleList)}
    fitting = [path for path, length in lists.items() if length == n_layers]
    if not fitting:
        raise ValueError(
            f"{name}: no list of {n_layers} blocks in {type(hf).__name__}; its module lists are {lists or 'none'}."
        )
    return min(fitting, key=lambda path: path.count("."))


def _find_final_norm(hf: nn.Module, blocks: str, name: str) -> str:
    parent = blocks.rpartition(".")[0]
    beside = dict(hf.get_submodule(parent).named_children())
    for candidate in FINAL_NORMS:
        if candidate in beside:
            return f"{parent}.{candidate}" if parent else candidate
    raise ValueError(f"{name}: no final norm beside {blocks!r}; there are {sorted(beside)}.")


def _find_gate(block: nn.Module) -> str | None:
    paths = [path for path, _ in block.named_modules()]
    for candidate in GATES:
        for path in paths:
            if path.split(".")[-1] == candidate:
                return path
    return None
