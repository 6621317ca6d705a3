"""Plain PyTorch hooks on a whole prompt, one point at a time, at any position: what patching must equal."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.derivatives import directional_batches

#: Modules whose outputs a block adds to its stream, of families that do not call them self_attn and mlp.
PARTS = {
    "gpt2": ("attn", "mlp"),
    "gpt_neo": ("attn", "mlp"),
    "gptj": ("attn", "mlp"),
    "gpt_neox": ("attention", "mlp"),
    "gemma2": ("post_attention_layernorm", "post_feedforward_layernorm"),
    "gemma3_text": ("post_attention_layernorm", "post_feedforward_layernorm"),
    "olmo2": ("post_attention_layernorm", "post_feedforward_layernorm"),
    "opt": ("self_attn", "fc2"),
    "bloom": ("self_attention.dense", "mlp.dense_4h_to_h"),
    "falcon": ("self_attention", "mlp"),
    "mamba": ("mixer", None),
}


@torch.no_grad()
def hooked_everywhere(
    model: Model, ids: Tensor, layer: int, point: Tensor | None = None, position: int = -1
) -> dict[str, Tensor]:
    """What every block computes at every position of a prompt, ``[pos, width]``, with a point put in.

    Args:
        model: Only its transformers model is used.
        ids: One prompt, [pos].
        layer: Block whose output is replaced.
        point: Put in at ``position``; ``None`` leaves the run as it is.
        position: Which token's activation is replaced.

    Returns:
        ``resid.<n>``, ``attn.<n>`` and ``mlp.<n>`` of every block, ``resid``, ``final_norm``, ``logits``, ``logprobs``.
    """
    blocks = model.hf.get_submodule(model.anatomy.blocks)
    seen: dict[str, Tensor] = {}

    def replace(module: Any, inputs: Any, output: Any) -> Any:
        if point is None:
            return None
        changed = (output if isinstance(output, Tensor) else output[0]).clone()
        changed[:, position] = point
        return changed if isinstance(output, Tensor) else (changed, *output[1:])

    def read(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            own = output if isinstance(output, Tensor) else output[0]
            seen[name] = own.reshape(len(ids), -1).clone()

        return hook

    handles = [blocks[layer].register_forward_hook(replace)]
    for index, block in enumerate(blocks):
        handles.append(block.register_forward_hook(read(f"resid.{index}")))
        for part, path in zip(
            ("attn", "mlp"), PARTS.get(model.hf.config.model_type, ("self_attn", "mlp")), strict=True
        ):
            if path is not None:
                handles.append(block.get_submodule(path).register_forward_hook(read(f"{part}.{index}")))
    try:
        # The base model's last hidden state is what transformers itself hands to the unembedding.
        seen["final_norm"] = model.hf.base_model(ids[None]).last_hidden_state[0]
        seen["logits"] = model.hf(ids[None]).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    seen["logprobs"] = torch.log_softmax(seen["logits"].float(), dim=-1)
    return {**seen, "resid": seen[f"resid.{len(blocks) - 1}"]}


@torch.no_grad()
def whole_prompts(model: Model, ids: Tensor, layer: int, points: Tensor) -> dict[str, Tensor]:
    """What a model gives at the last position of a prompt, ``[point, width]``, with each of some points put in there.

    Args:
        model: Only its transformers model is used.
        ids: One prompt, [pos]; it runs whole, once for each point.
        layer: Block whose output is replaced.
        points: Put in at the last position, [point, width].

    Returns:
        ``resid`` after the last block, ``final_norm``, and ``logits``.
    """
    blocks = model.hf.get_submodule(model.anatomy.blocks)
    seen: dict[str, Tensor] = {}

    def replace(module: Any, inputs: Any, output: Any) -> Any:
        changed = (output if isinstance(output, Tensor) else output[0]).clone()
        changed[:, -1] = points
        return changed if isinstance(output, Tensor) else (changed, *output[1:])

    def read(module: Any, inputs: Any, output: Any) -> None:
        seen["resid"] = (output if isinstance(output, Tensor) else output[0])[:, -1].clone()

    handles = [blocks[layer].register_forward_hook(replace), blocks[-1].register_forward_hook(read)]
    each = ids.expand(len(points), -1)
    try:
        # The base model's last hidden state is what transformers itself hands to the unembedding.
        seen["final_norm"] = model.hf.base_model(each, use_cache=False)[0][:, -1]
        seen["logits"] = model.hf(each, use_cache=False).logits[:, -1]
    finally:
        for handle in handles:
            handle.remove()
    return seen


def directional(*arguments: Any, **settings: Any) -> tuple[Tensor, Tensor]:
    """All outputs and derivatives of the library's ``directional_batches``."""
    values, derivatives = zip(*directional_batches(*arguments, **settings), strict=True)
    return torch.cat(values), torch.cat(derivatives)
