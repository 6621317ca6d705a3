"""Reading and replacing the residual stream at the last position: ``capture`` and ``patch``, the paper's ``F_p``.

The methods of putting points in are in :mod:`srtoolkit.patching.methods`; here nnsight's traces run, and its sessions
on a server. Only this module and :mod:`srtoolkit.models.model` know nnsight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import nnsight
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from srtoolkit.models import ndif
from srtoolkit.models.checks import check_gates, check_layer, check_names, check_points, check_tokens
from srtoolkit.models.model import Model
from srtoolkit.patching import methods
from srtoolkit.patching.batches import named, points_that_fit
from srtoolkit.patching.choice import Choice, choose
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.reads import GATES, OPEN_GATES, READS, Reads, derive, wants_logits


@torch.no_grad()
def capture(model: Model, tokens: Int[Tensor, "prompt pos"], layer: int = 0) -> Float[Tensor, "prompt d_model"]:
    """Residual stream after block ``layer`` at the last position, in the model's activation units.

    Args:
        model: From :func:`srtoolkit.load_model`.
        tokens: Token ids, prompts of one length.
        layer: Block whose output is read; 0 is the paper's "after the first layer".

    Raises:
        ValueError: Empty or too long prompts, ids outside the vocabulary, no such block.
    """
    tokens, layer = check_tokens(model, tokens), check_layer(model, layer)
    rows = points_that_fit(model, "full", tokens.shape[1], 1, ())
    with model.lock, named():
        if model.remote:
            return torch.cat(ndif.ask(model, _captured_there, tokens.split(max(1, rows)), layer))
        parts = [_stream(model, batch, layer, last=1) for batch in tokens.split(max(1, rows))]
        captured = torch.cat(parts)[:, 0]
    return captured.to(model.device)  # a device_map may have put the block on another


@torch.no_grad()
def patch(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    layer: int = 0,
    read: str | tuple[str, ...] = "final_norm",
    method: str = "auto",
    reduce: Callable[[Reads], Reads] | None = None,
) -> Shaped[Tensor, "context point width"] | dict[str, Shaped[Tensor, "context point _width"]]:
    """``F_p(X)``: what the model makes of ``X`` in place of the residual stream after block ``layer``, last position.

    All earlier positions keep the context's own activations. Janiak et al. 2024, Section 3; the paper's scripts read
    ``"final_norm"``.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the prompts p, of one length; the last token's own activation is what gets replaced.
        points: The X to put in, any number for each context.
        layer: Block whose output is replaced.
        read: One of ``READS``, ``GATES`` and ``OPEN_GATES``, or several: all come from one pass.
        method: One of ``METHODS``, or ``"auto"``; ``"full"`` is all there is for a model that runs remotely.
        reduce: Makes less of what a batch has read, before it is kept: takes and gives a dict of tensors ``[row, point,
            width]``, whose points each stand for themselves. So logits over 50,000 tokens need not be held for all
            points when only the largest matter.

    Returns:
        The tensor read, float32 or wider (``OPEN_GATES``: bool), on the model's device; a dict of them when ``read`` is
        a tuple; what ``reduce`` makes of it, as a dict, where there is one.

    Raises:
        ValueError: Bad tokens, block, points, read point or method; said before the model runs.
        RemoteError: A method that cannot run remotely, or a server that cannot be reached.
    """
    context, layer = check_tokens(model, context, "context"), check_layer(model, layer)
    reads = check_names(read, (*READS, GATES, OPEN_GATES), "read")
    if {GATES, OPEN_GATES} & set(reads):
        check_gates(model, layer)
    (method,) = check_names(method, (*METHODS, "auto"), "method")
    ndif.check_method(model, method)
    points = check_points(model, points, len(context))
    with model.lock, named():
        if method == "auto":
            method = choose_method(model, context, points.shape[1]).method
        if model.remote:
            found = derive(_patch_there(model, context, points, layer, reads), reads)
            out = found if reduce is None else reduce(found)
        else:
            out = methods.run(PASSES, model, method, context, points, layer, reads, reduce)
    out = {name: values.to(model.device) for name, values in out.items()}
    return out[reads[0]] if isinstance(read, str) and reduce is None else out


def choose_method(model: Model, context: Int[Tensor, "context pos"], n_points: int = 1) -> Choice:
    """The fastest method that agrees with the full path on three points of ``context``; checked once per kind of
    context.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids, of which the first prompt is tried.
        n_points: Points of each context.
    """
    first = context[:1]

    def run(method: str, points: Tensor) -> Tensor:
        return methods.run(PASSES, model, method, first, points, 0, ("final_norm",))["final_norm"]

    with model.lock:
        return choose(model, context, n_points, lambda: _stream(model, first, 0, last=1)[:, 0], run)


# --- here: each trace is of the base model where it can be, so the unembedding runs only for those who read logits, and
# never uses tracer.stop(), whose exception keeps every tensor of the pass alive until Python's cyclic collector runs.


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


# --- on a server: one session for all batches, one round trip. It ships whole, so that its traces are local to the
# server, and may be of the base model; inside it nothing of srtoolkit can be named, which the server does not have.


def _patch_there(model: Model, context: Tensor, points: Tensor, layer: int, reads: tuple[str, ...]) -> Reads:
    """``F_p`` by whole prompts, as many points at a time as fit."""
    n, k = points.shape[:2]
    at_once = max(1, points_that_fit(model, "full", context.shape[1], k, reads))
    rows = torch.arange(n).repeat_interleave(k).split(at_once)
    batches = list(zip(rows, points.flatten(0, 1).split(at_once), strict=True))
    asked = tuple(dict.fromkeys(GATES if name == OPEN_GATES else name for name in reads))
    parts = ndif.ask(model, _patched_there, context, batches, layer, asked)
    return {name: torch.cat([part[name] for part in parts]).unflatten(0, (n, k)) for name in parts[0]}


def _captured_there(model: Model, batches: Sequence[Tensor], layer: int) -> list[Tensor]:
    """As ``_stream`` at the last position, on a server."""
    base, blocks = model.nn.get(model.anatomy.base), list(model.nn.get(model.anatomy.blocks))
    block, behind = blocks[layer], blocks[layer + 1 :]
    with model.nn.session(remote=model.remote):
        found = nnsight.save([])
        with torch.no_grad():
            for ids in batches:
                with base.trace(input_ids=ids, use_cache=False):
                    output = block.output
                    stream = output if torch.is_tensor(output) else output[0]
                    found.append(stream[:, -1].to("cpu", copy=True))
                    for later in behind:
                        later.skip(output)
    return list(found)


def _patched_there(
    model: Model, context: Tensor, batches: Sequence[tuple[Tensor, Tensor]], layer: int, reads: Sequence[str]
) -> list[Reads]:
    """As ``_trace`` of whole prompts, on a server."""
    nn, anatomy = model.nn, model.anatomy
    whole = wants_logits(reads)
    root = nn if whole else nn.get(anatomy.base)
    options = {"logits_to_keep": 1} if whole and "logits_to_keep" in model.forward_arguments else {}
    blocks, norm = list(nn.get(anatomy.blocks)), nn.get(anatomy.final_norm)
    block, last = blocks[layer], blocks[-1]
    gates = [one.get(anatomy.gate) for one in blocks[layer + 1 :]] if "gates" in reads else []
    halves = 2 if anatomy.gate_is_fused else 1
    resid, final_norm = "resid" in reads, "final_norm" in reads
    with nn.session(remote=model.remote):
        found = nnsight.save([])
        with torch.no_grad():
            for rows, points in batches:
                with root.trace(input_ids=context[rows], use_cache=False, **options):
                    read = {}
                    output = block.output
                    stream = output if torch.is_tensor(output) else output[0]
                    stream[:, -1] = points.to(stream)
                    open_at = []
                    for gate in gates:
                        values = gate.output
                        values = values.reshape(len(rows), -1, values.shape[-1])[:, -1]  # OPT flattens rows
                        open_at.append(values[:, : values.shape[-1] // halves].cpu())
                    if open_at:
                        read["gates"] = torch.cat(open_at, dim=-1)
                    if resid:
                        output = last.output
                        stream = output if torch.is_tensor(output) else output[0]
                        read["resid"] = stream[:, -1].to("cpu", copy=True)
                    if final_norm:
                        read["final_norm"] = norm.output[:, -1].to("cpu", copy=True)
                    if whole:
                        read["logits"] = root.output.logits[:, -1].to("cpu", copy=True)
                    found.append(read)
    return list(found)
