"""What attention and MLP of a block add to the residual stream: in which module's output it stands.

The stream after a block is the stream before it, plus what attention adds, plus what the MLP adds. Mostly that is the
output of the module of that name. Some blocks put a norm between the module and the stream (Gemma, OLMo 2), some
modules add the stream themselves (Bloom, MPT), and some families have no module for the MLP (OPT).
"""

from __future__ import annotations

import inspect

from torch import nn

from srtoolkit.models.model import Model

#: Names of the children of a block whose output it adds to the stream, by part; the first that is there counts.
PARTS = {
    "attn": ("post_self_attn_layernorm", "self_attn", "attn", "attention", "self_attention"),
    "mlp": (
        "post_mlp_layernorm",
        "post_feedforward_layernorm",
        "mlp",
        "feed_forward",
        "block_sparse_moe",
        "ffn",
        "fc2",
    ),
}


def path_of_part(model: Model, part: str, block: int) -> str:
    """Path, inside a block, of the module whose output the block adds to the residual stream for one of its parts.

    Args:
        model: From :func:`srtoolkit.load_model`.
        part: ``"attn"`` or ``"mlp"``.
        block: Index of the block.

    Raises:
        ValueError: The block has no such part that is known; the message says what it has.
    """
    module = model.hf.get_submodule(f"{model.anatomy.blocks}.{block}")
    children = dict(module.named_children())
    names = PARTS[part]
    if part == "attn" and "post_feedforward_layernorm" in children:
        names = ("post_attention_layernorm", *names)  # where it follows attention, and does not precede the MLP
    name = next((name for name in names if name in children), None)
    if name is None:
        what = {"attn": "attention", "mlp": "MLP"}[part]
        raise ValueError(
            f"{part}.{block}: block {block} of {model.name} ({type(module).__name__}) has no {what} that is known; it "
            f"has {sorted(children)}. Read the residual stream, 'resid.{block}', instead."
        )
    if "residual" not in inspect.signature(children[name].forward).parameters:
        return name
    maps = [path for path, inner in children[name].named_children() if isinstance(inner, nn.Linear)]
    return f"{name}.{maps[-1]}"  # the module adds the stream to what its last map gives
