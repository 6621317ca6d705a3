"""One traced forward pass: points replace the residual stream, and outputs are read at some positions.

Each trace is of the base model where it can be, so that the unembedding runs only where logits are read. None uses
``tracer.stop()``, whose exception keeps every tensor of the pass alive until Python's cyclic collector runs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import nnsight
import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.reads import GATES, OPEN_GATES, Readout, Reads, Site, wants_logits


def trace(
    model: Model,
    inputs: dict[str, Any],
    points: Float[Tensor, "row pos d_model"],
    readout: Readout,
    *,
    skip: bool,
    at: slice,
) -> Reads:
    """Run the model with points in place of the residual stream after a block, and read its outputs.

    Args:
        model: From :func:`srtoolkit.load_model`.
        inputs: Arguments of the model's forward pass.
        points: Points that replace one position, ``readout.behind`` before the last; with ``skip``, all positions.
        readout: What to read, and after which block the points go in.
        skip: Skip that block and those before it.
        at: Positions to read.
    """
    reads, layer = readout.reads, readout.layer
    whole = wants_logits(reads)
    base, blocks = model.nn.get(model.anatomy.base), model.nn.get(model.anatomy.blocks)
    root = model.nn if whole else base
    starts = [_as_block_output(points, n) for n in model.blocks_return_tuples[: layer + 1]] if skip else []
    looks, rows = looks_inside(model, readout), len(points)
    with root.trace(**inputs):
        found, gates = nnsight.save({}), {}
        for block, start in zip(blocks, starts, strict=False):
            block.skip(start)
        if not skip:
            blocks[layer].output = _with_point(blocks[layer].output, points, -1 - readout.behind)
        for look in looks:
            if look.held is not None:
                look.modules[0].output = _holding(look.modules[0].output, look.held, rows, at)
            if look.names:
                read = _in_rows(_resid(look.modules[0].output), rows)[:, at].to(points.device)
                found.update({name: read.clone() for name in look.names})
            elif look.held is None:
                gates[look.block] = _of_block([gate.input for gate in look.modules], points, at)
                if GATES not in reads:  # so that never more than one block's pre-activations are held
                    gates[look.block] = gates[look.block] > 0
        if gates:
            found[GATES if GATES in reads else OPEN_GATES] = torch.cat([gates[n] for n in readout.blocks], dim=-1)
        if "final_norm" in reads:
            # What the base model gives, whatever norm a family has there and however often that norm runs.
            found["final_norm"] = base.output[0][:, at].clone()
        if whole:
            logits = root.output.logits
            found["logits"] = logits if "logits_to_keep" in inputs else logits[:, at].clone()
    return dict(found)


class Look(NamedTuple):
    """What is read at one place inside a block.

    Attributes:
        block: Index of the block.
        stage: Place in the order in which a block computes.
        names: Read points that are the output there; none where the inputs of activation functions are read.
        modules: nnsight's view of the modules: one whose output is read or held, or the activation functions.
        held: What the module's output is held at, one row for each context of the batch.
    """

    block: int
    stage: int
    names: tuple[str, ...]
    modules: list[Any]
    held: Tensor | None = None


def looks_inside(model: Model, readout: Readout) -> list[Look]:
    """What is read and held inside the blocks, in the order in which it is computed: a trace meets modules in no other.

    Args:
        model: From :func:`srtoolkit.load_model`.
        readout: What is read and held.
    """
    blocks = model.nn.get(model.anatomy.blocks)
    held = {(site.block, site.path): values for site, values in readout.held}
    after_all = [Site("resid", model.n_layers - 1, "")] if "resid" in readout.reads else []
    names: dict[tuple[int, str], tuple[str, ...]] = {}
    stages: dict[tuple[int, str], int] = {}
    for site in (*readout.sites, *after_all):
        names[site.block, site.path] = (*names.get((site.block, site.path), ()), site.name)
    for site in (*readout.sites, *after_all, *(hold.site for hold in readout.held)):
        stages[site.block, site.path] = {"attn": 0, "mlp": 2, "resid": 3}[site.name.partition(".")[0]]
    looks = []
    for (block, path), stage in stages.items():
        modules = [_inside(blocks[block], path)]
        looks.append(Look(block, stage, names.get((block, path), ()), modules, held.get((block, path))))
    for block in readout.blocks:
        looks.append(Look(block, 1, (), [_inside(blocks[block], gate.path) for gate in model.inside[block].gates]))
    return sorted(looks, key=lambda look: look[:2])


def _inside(block: Any, path: str) -> Any:
    """A part of a block, or the block itself where the path is empty; nnsight renames parts called as its own words."""
    part = block
    for name in filter(None, path.split(".")):
        renamed = f"{part.OVERLOAD_PREFIX}{name}"
        part = getattr(part, renamed if renamed in vars(part) else name)
    return part


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


def logits_at(model: Model, readout: Readout, length: int, at: slice) -> dict[str, Any]:
    """The argument that limits logits to some positions; empty where no logits are read or the model lacks it.

    Args:
        model: From :func:`srtoolkit.load_model`.
        readout: What is read.
        length: Number of positions of the pass.
        at: Positions at which logits are needed.
    """
    if "logits_to_keep" not in model.forward_arguments or not wants_logits(readout.reads):
        return {}
    places = range(length)[at]
    last = places == range(length - len(places), length)
    return {"logits_to_keep": len(places) if last else torch.tensor(places, device=model.device)}


def _with_point(
    output: Tensor | tuple[Any, ...] | list[Any], points: Tensor, position: int
) -> Tensor | tuple[Any, ...]:
    """A block's output with a point put in: a copy, for the block may have kept the output for a later one."""
    changed = _resid(output).clone()
    changed[:, position] = points[:, 0]
    return changed if isinstance(output, Tensor) else (changed, *output[1:])


def _holding(output: Any, values: Tensor, rows: int, at: slice) -> Any:
    """A part's output with some positions of every row held: a copy, in the shape and form that it had."""
    own = _resid(output)
    changed = _in_rows(own, rows).clone()
    changed[:, at] = values.repeat_interleave(rows // len(values), dim=0)[:, None].to(changed)
    changed = changed.reshape(own.shape)
    return changed if isinstance(output, Tensor) else (changed, *output[1:])


def _resid(output: Tensor | tuple[Any, ...] | list[Any]) -> Tensor:
    """The residual stream in a block's output: GPT-Neo, GPT-J, Bloom and Falcon return it as the first of several."""
    found = output if isinstance(output, Tensor) else output[0]
    assert isinstance(found, Tensor)
    return found


def _in_rows(values: Tensor, rows: int) -> Float[Tensor, "row pos _width"]:
    """What a module gives or takes, of which OPT flattens rows and positions."""
    return values.reshape(rows, -1, values.shape[-1])


def _of_block(
    values: list[Tensor], points: Float[Tensor, "row pos d_model"], at: slice
) -> Float[Tensor, "row _pos gate"]:
    """A block's gates side by side; a block may have none."""
    rows = [_in_rows(value, len(points))[:, at].to(points.device) for value in values]
    return torch.cat(rows, dim=-1) if rows else points[:, at, :0]


def _as_block_output(points: Tensor, length: int) -> Tensor | tuple[Tensor | None, ...]:
    """``points`` in the form that a block returns: a tensor, or the first of a tuple of ``length``."""
    return (points, *(None,) * (length - 1)) if length else points
