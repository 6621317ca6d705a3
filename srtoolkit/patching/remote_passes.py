"""The same passes on a server: one session for all batches, one round trip."""

from __future__ import annotations

from collections.abc import Sequence

import nnsight
import torch
from torch import Tensor

from srtoolkit.models import ndif
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import points_that_fit
from srtoolkit.patching.reads import GATES, OPEN_GATES, Reads, wants_logits


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
