"""One traced forward pass: points put in, and what is read at the last positions."""

from __future__ import annotations

from typing import Any

import nnsight
import torch
from jaxtyping import Float
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching import methods
from srtoolkit.patching.reads import GATES, OPEN_GATES, Reads, wants_logits


def _trace(
    model: Model, inputs: dict[str, Any], points: Tensor, layer: int, reads: tuple[str, ...], *, skip: bool, last: int
) -> Reads:
    """Run ``inputs`` with ``points`` [row, pos, d_model] as the residual stream after block ``layer``.

    With ``skip`` blocks 0 to ``layer`` do not run and ``points`` stand for all positions; else they replace the last
    one. Read are the ``last`` positions.
    """
    whole = wants_logits(reads)
    root = model.nn if whole else model.nn.get(model.anatomy.base)
    blocks, norm = model.nn.get(model.anatomy.blocks), model.nn.get(model.anatomy.final_norm)
    starts = [_as_block_output(points, n) for n in model.blocks_return_tuples[: layer + 1]] if skip else []
    behind = list(blocks)[layer + 1 :] if {GATES, OPEN_GATES} & set(reads) else []
    maps = [block.get(model.anatomy.gate) for block in behind]
    tail = slice(-last, None)
    with root.trace(**inputs):
        found = nnsight.save({})
        for block, start in zip(blocks, starts, strict=False):
            block.skip(start)
        if not skip:
            _resid(blocks[layer].output)[:, -1:] = points
        if GATES in reads:
            read = [_gate(model, gate.output, len(points))[:, tail].to(points.device) for gate in maps]
            found[GATES] = torch.cat(read, dim=-1)
        elif OPEN_GATES in reads:
            # Block by block, so that never more than one block's pre-activations are held.
            signs = [(_gate(model, gate.output, len(points))[:, tail] > 0).to(points.device) for gate in maps]
            found[OPEN_GATES] = torch.cat(signs, dim=-1)
        if "resid" in reads:
            found["resid"] = _resid(blocks[-1].output)[:, tail].clone()
        if "final_norm" in reads:
            found["final_norm"] = norm.output[:, tail].clone()
        if whole:
            logits = root.output.logits
            found["logits"] = logits if logits.shape[1] == last else logits[:, tail].clone()
    return dict(found)


def _stream(model: Model, tokens: Tensor, layer: int, last: int) -> Float[Tensor, "prompt pos d_model"]:
    """Residual stream after block ``layer`` at the ``last`` positions; blocks behind it are skipped."""
    blocks = model.nn.get(model.anatomy.blocks)
    lengths = model.blocks_return_tuples
    with model.nn.get(model.anatomy.base).trace(input_ids=tokens, use_cache=False):
        reached = _resid(blocks[layer].output)
        stream = nnsight.save(reached[:, -last:].clone())
        for index in range(layer + 1, len(lengths)):
            blocks[index].skip(_as_block_output(reached, lengths[index]))
    return stream


PASSES = methods.Passes(_stream, _trace)


def _resid(output: Tensor | tuple[Tensor | None, ...]) -> Tensor:
    """The residual stream in a block's output: GPT-Neo, GPT-J, Bloom and Falcon return it as the first of a tuple."""
    stream = output if isinstance(output, Tensor) else output[0]
    assert stream is not None
    return stream


def _gate(model: Model, output: Tensor, rows: int) -> Float[Tensor, "row pos gate"]:
    """The gate in the output of its map, which OPT flattens over rows and positions."""
    width = output.shape[-1] // (2 if model.anatomy.gate_is_fused else 1)
    return output.reshape(rows, -1, output.shape[-1])[..., :width]


def _as_block_output(points: Tensor, length: int) -> Tensor | tuple[Tensor | None, ...]:
    """``points`` in the form that a block returns: a tensor, or the first of a tuple of ``length``."""
    return (points, *(None,) * (length - 1)) if length else points
