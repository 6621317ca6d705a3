"""One traced forward pass: points replace the residual stream, and outputs are read at the last positions.

Each trace is of the base model where it can be, so that the unembedding runs only where logits are read. None uses
``tracer.stop()``, whose exception keeps every tensor of the pass alive until Python's cyclic collector runs.
"""

from __future__ import annotations

from typing import Any

import nnsight
import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.reads import GATES, OPEN_GATES, Readout, Reads, wants_logits


def trace(
    model: Model,
    inputs: dict[str, Any],
    points: Float[Tensor, "row pos d_model"],
    readout: Readout,
    *,
    skip: bool,
    last: int,
) -> Reads:
    """Run the model with points in place of the residual stream after a block, and read its outputs.

    Args:
        model: From :func:`srtoolkit.load_model`.
        inputs: Arguments of the model's forward pass.
        points: Points that replace the last position; with ``skip``, all positions.
        readout: What to read, and after which block the points go in.
        skip: Skip that block and those before it.
        last: Number of last positions to read.
    """
    reads, layer = readout.reads, readout.layer
    whole = wants_logits(reads)
    base, blocks = model.nn.get(model.anatomy.base), model.nn.get(model.anatomy.blocks)
    root = model.nn if whole else base
    starts = [_as_block_output(points, n) for n in model.blocks_return_tuples[: layer + 1]] if skip else []
    # A trace meets modules in the order in which they run.
    in_order = sorted(readout.blocks) if {GATES, OPEN_GATES} & set(reads) else []
    gates = [[blocks[block].get(gate.path) for gate in model.inside[block].gates] for block in in_order]
    places = [in_order.index(block) for block in readout.blocks] if in_order else []
    tail = slice(-last, None)
    with root.trace(**inputs):
        found = nnsight.save({})
        for block, start in zip(blocks, starts, strict=False):
            block.skip(start)
        if not skip:
            _resid(blocks[layer].output)[:, -1:] = points
        if GATES in reads:
            read = [_of_block([gate.input for gate in some], points, tail) for some in gates]
            found[GATES] = torch.cat([read[place] for place in places], dim=-1)
        elif OPEN_GATES in reads:
            # Block by block, so that never more than one block's pre-activations are held.
            signs = [_of_block([gate.input for gate in some], points, tail) > 0 for some in gates]
            found[OPEN_GATES] = torch.cat([signs[place] for place in places], dim=-1)
        if "resid" in reads:
            found["resid"] = _resid(blocks[-1].output)[:, tail].clone()
        if "final_norm" in reads:
            # What the base model gives, whatever norm a family has there and however often that norm runs.
            found["final_norm"] = base.output[0][:, tail].clone()
        if whole:
            logits = root.output.logits
            found["logits"] = logits if logits.shape[1] == last else logits[:, tail].clone()
    return dict(found)


def stream(
    model: Model, tokens: Int[Tensor, "prompt pos"], layer: int, last: int
) -> Float[Tensor, "prompt _pos d_model"]:
    """Residual stream after block ``layer`` at the last positions; later blocks are skipped.

    Args:
        model: From :func:`srtoolkit.load_model`.
        tokens: Token ids of the prompts.
        layer: Block whose output is read.
        last: Number of last positions to read.
    """
    blocks = model.nn.get(model.anatomy.blocks)
    lengths = model.blocks_return_tuples
    with model.nn.get(model.anatomy.base).trace(input_ids=tokens, use_cache=False):
        reached = _resid(blocks[layer].output)
        found = nnsight.save(reached[:, -last:].clone())
        for index in range(layer + 1, len(lengths)):
            blocks[index].skip(_as_block_output(reached, lengths[index]))
    return found


def logits_of_last(model: Model, readout: Readout, last: int) -> dict[str, int]:
    """The argument that limits logits to the last positions; empty where no logits are read or the model lacks it.

    Args:
        model: From :func:`srtoolkit.load_model`.
        readout: What is read.
        last: Number of last positions at which logits are needed.
    """
    takes = "logits_to_keep" in model.forward_arguments
    return {"logits_to_keep": last} if takes and wants_logits(readout.reads) else {}


def _resid(output: Tensor | tuple[Tensor | None, ...]) -> Tensor:
    """The residual stream in a block's output: GPT-Neo, GPT-J, Bloom and Falcon return it as the first of a tuple."""
    found = output if isinstance(output, Tensor) else output[0]
    assert found is not None
    return found


def _of_block(
    values: list[Tensor], points: Float[Tensor, "row pos d_model"], tail: slice
) -> Float[Tensor, "row _last gate"]:
    """A block's gates side by side, of which OPT flattens rows and positions; a block may have none."""
    rows = [value.reshape(len(points), -1, value.shape[-1])[:, tail].to(points.device) for value in values]
    return torch.cat(rows, dim=-1) if rows else points[:, tail, :0]


def _as_block_output(points: Tensor, length: int) -> Tensor | tuple[Tensor | None, ...]:
    """``points`` in the form that a block returns: a tensor, or the first of a tuple of ``length``."""
    return (points, *(None,) * (length - 1)) if length else points
