"""Forward passes on a server: one session, and so one round trip, for all batches.

A session is sent as a whole, so its traces are local to the server and may be of the base model. Inside it, nothing of
srtoolkit can be used: the server does not have it.
"""

from __future__ import annotations

from collections.abc import Sequence

import nnsight
import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models import ndif
from srtoolkit.models.model import Model
from srtoolkit.patching.passes import looks_inside
from srtoolkit.patching.reads import GATES, OPEN_GATES, Readout, Reads, derive, wants_logits


def capture_there(
    model: Model, tokens: Int[Tensor, "prompt pos"], layer: int, at_once: int
) -> Float[Tensor, "prompt d_model"]:
    """Residual stream after block ``layer`` at the last position, captured on a server.

    Args:
        model: A model that runs on a server.
        tokens: Token ids of the prompts.
        layer: Block whose output is read.
        at_once: Number of prompts in one batch.

    Raises:
        RemoteError: The server cannot be reached, or failed.
    """
    return torch.cat(ndif.ask(model, _captured_there, tokens.split(at_once), layer))


def patch_there(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    readout: Readout,
    at_once: int,
) -> Reads:
    """``F_p`` on a server, by whole prompts.

    Args:
        model: A model that runs on a server.
        context: Token ids of the prompts.
        points: Points that replace the residual stream at the patched position.
        readout: What to read, and after which block and at which position the points go in.
        at_once: Number of points in one batch.

    Raises:
        RemoteError: The server cannot be reached, or failed.
    """
    n, k = points.shape[:2]
    rows = torch.arange(n).repeat_interleave(k).split(at_once)
    batches = list(zip(rows, points.flatten(0, 1).split(at_once), strict=True))
    asked = tuple(dict.fromkeys(GATES if name == OPEN_GATES else name for name in readout.reads))
    parts = ndif.ask(model, _patched_there, context, batches, readout._replace(reads=asked))
    found = {name: torch.cat([part[name] for part in parts]).unflatten(0, (n, k)) for name in parts[0]}
    return derive(found, readout.reads)


def _captured_there(model: Model, batches: Sequence[Tensor], layer: int) -> list[Tensor]:
    """Residual stream after a block at the last position, for each batch, in one session on a server."""
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
    model: Model, context: Tensor, batches: Sequence[tuple[Tensor, Tensor]], readout: Readout
) -> list[Reads]:
    """What is read of patched passes of whole prompts, for each batch, in one session on a server."""
    nn, anatomy, reads, chosen = model.nn, model.anatomy, readout.reads, readout.blocks
    whole = wants_logits(reads)
    base = nn.get(anatomy.base)
    root = nn if whole else base
    options = {"logits_to_keep": 1} if whole and "logits_to_keep" in model.forward_arguments else {}
    block, final_norm = nn.get(anatomy.blocks)[readout.layer], "final_norm" in reads
    looks = [(look.block, look.names, look.modules) for look in looks_inside(model, readout)]
    patched = -1 - readout.behind
    with nn.session(remote=model.remote):
        found = nnsight.save([])
        with torch.no_grad():
            for rows, points in batches:
                with root.trace(input_ids=context[rows], use_cache=False, **options):
                    read = {}
                    output = block.output
                    stream = output if torch.is_tensor(output) else output[0]
                    stream[:, patched] = points.to(stream)
                    gates = {}
                    for index, names, modules in looks:
                        values = [points.cpu()[:, :0]]  # a block may have no gates
                        for module in modules:
                            value = module.output if names else module.input
                            value = value if torch.is_tensor(value) else value[0]
                            value = value.reshape(len(rows), -1, value.shape[-1])[:, -1]  # OPT flattens rows
                            values.append(value.to("cpu", copy=True))
                        if names:
                            read.update(dict.fromkeys(names, values[-1]))
                        else:
                            gates[index] = torch.cat(values, dim=-1)
                    if gates:
                        read["gates"] = torch.cat([gates[index] for index in chosen], dim=-1)
                    if final_norm:
                        read["final_norm"] = base.output[0][:, -1].to("cpu", copy=True)
                    if whole:
                        read["logits"] = root.output.logits[:, -1].to("cpu", copy=True)
                    found.append(read)
    return list(found)
