"""Patching by one sequence that holds the prefix and all points of a context."""

from __future__ import annotations

import functools
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import bytes_per_token, tokens_that_fit
from srtoolkit.patching.methods.method import Batch, Contexts, Pass, Run, rows_for
from srtoolkit.patching.methods.prefix import branches, streams_around
from srtoolkit.patching.methods.side_by_side import SideBySide
from srtoolkit.patching.passes import logits_at, trace
from srtoolkit.patching.prefixes import sees_prefix_and_itself, sees_what_came_before
from srtoolkit.patching.reads import Readout, Reads

#: Longest prefix that goes through the blocks beside its points. Attention through a mask looks at all of it for each
#: of its tokens: on SmolLM2 a gain at 256 tokens, now a gain and now a loss at 512, and a loss at 1,024.
JOINT_TOKENS = 256


class Joint(SideBySide):
    """The prefix and the points go through the blocks after the patch together, so that weights are read once."""

    name = "joint"

    def unsuited(self, contexts: Contexts) -> str:
        """Why ``"auto"`` should not try it: it is slow for long prefixes, and for those that run several times."""
        past, (sequences, _) = contexts.past, rows_for(contexts.n_points, contexts.behind)
        if sequences > 1 or past > JOINT_TOKENS:
            return f"it is slow for {past} tokens before {contexts.n_points} points"
        return super().unsuited(contexts) or ("contexts share their prefixes" if contexts.prefixes_shared else "")

    def points_that_fit(self, model: Model, length: int, n_points: int, readout: Readout) -> int:
        """Number of points that fit in memory together, with one prefix for each sequence."""
        _, row = rows_for(n_points, readout.behind)
        past, each = length - 1 - readout.behind, 1 + readout.behind
        fitting = min(tokens_that_fit(model), model.memory_budget // bytes_per_token(model, readout))
        return fitting // (past + row * each) * row or (fitting - past) // each

    def start_together(self, model: Model, context: Int[Tensor, "context pos"], behind: int, keep: int = 0) -> Run:
        """What runs one batch; batches share nothing."""
        return functools.partial(prefix_and_points, model)

    def passes(self, n_layers: int, contexts: int, length: int, points: int, layer: int, *, logits: bool) -> list[Pass]:
        """One pass of the prefixes up to the patch, and one of prefixes and points after it."""
        n, (sequences, beside) = contexts * points, rows_for(points)
        before = contexts * sequences * (length - 1)
        starts = [Pass(before, length - 1, 0, layer + 1)] if before else []
        return [*starts, Pass(before + n, length - 1 + beside, layer + 1, n_layers, n * logits, again=before)]


def prefix_and_points(model: Model, batch: Batch) -> Reads:
    """What is read in a batch whose sequences hold the prefix and the points.

    Args:
        model: From :func:`srtoolkit.load_model`.
        batch: The points and their contexts.
    """
    rows, k, each = *batch.points.shape[:2], 1 + batch.readout.behind
    ids, past, length = batch.context, batch.past, batch.past + k * each
    positions = [torch.arange(past, device=ids.device), torch.arange(past, past + each, device=ids.device).repeat(k)]
    among, ends = sees_prefix_and_itself(k, past, batch.points, each), slice(past + each - 1, None, each)
    inputs: dict[str, Any] = {
        "input_ids": torch.cat([ids[:, :past], ids[:, past:].repeat(1, k)], dim=1),
        "position_ids": torch.cat(positions).expand(rows, length),
        "attention_mask": torch.cat([sees_what_came_before(past, k * each, among), among], dim=2).expand(
            rows, -1, -1, -1
        ),
        "use_cache": False,
    } | logits_at(model, batch.readout, length, ends)
    before, behind = streams_around(model, batch, before=True)
    points = torch.cat([before, branches(batch.points, behind).flatten(1, 2)], dim=1)
    return trace(model, inputs, points, batch.readout, skip=True, at=ends)
