"""Patching by one sequence of points that follows cached keys and values of their prefix."""

from __future__ import annotations

import functools
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers.cache_utils import Cache

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import bytes_per_key, bytes_per_token, tokens_that_fit
from srtoolkit.patching.methods.joint import prefix_and_points
from srtoolkit.patching.methods.method import Batch, Pass, Run, rows_for
from srtoolkit.patching.methods.prefix import branches, streams_around
from srtoolkit.patching.methods.side_by_side import SideBySide
from srtoolkit.patching.passes import logits_at, trace
from srtoolkit.patching.prefixes import Prefixes, sees_prefix_and_itself
from srtoolkit.patching.reads import Readout, Reads


class Parallel(SideBySide):
    """Keys and values of a prefix are computed once, however many points and contexts share it."""

    name = "parallel"

    def points_that_fit(self, model: Model, length: int, n_points: int, readout: Readout) -> int:
        """Number of points that fit in memory together, with the prefixes of their contexts."""
        budget, token, key = model.memory_budget, bytes_per_token(model, readout), bytes_per_key(model)
        sequences, row = rows_for(n_points, readout.behind)
        past, token = length - 1 - readout.behind, token * (1 + readout.behind)
        # The prefixes of a batch are held once, and for a moment twice: while they are put in the order of its rows.
        rows = budget // (row * token + 2 * past * key // sequences)
        return min(tokens_that_fit(model) // (1 + readout.behind), rows * row or budget // token)

    def start_together(self, model: Model, context: Int[Tensor, "context pos"], behind: int, keep: int = 0) -> Run:
        """What runs one batch; consecutive batches share prefixes, where there are tokens before the patched one."""
        if context.shape[1] == 1 + behind:
            return functools.partial(prefix_and_points, model)
        prefixes = Prefixes(model, context[:, : context.shape[1] - behind], tokens_that_fit(model), keep)
        return lambda batch: _points_behind(model, batch, prefixes.of(batch.rows))

    def passes(self, n_layers: int, contexts: int, length: int, points: int, layer: int, *, logits: bool) -> list[Pass]:
        """One pass of the prefixes up to the last block's keys and values, and one of the points."""
        n, past, (_, beside) = contexts * points, length - 1, rows_for(points)
        before = [Pass(contexts * past, past, 0, n_layers - 1, then_keys=True)] if past else []
        return [*before, Pass(n, past + beside, layer + 1, n_layers, n * logits)]


def _points_behind(model: Model, batch: Batch, prefixes: Cache) -> Reads:
    rows, k, each = *batch.points.shape[:2], 1 + batch.readout.behind
    past, ends = batch.past, slice(each - 1, None, each)
    _, behind = streams_around(model, batch)
    among = sees_prefix_and_itself(k, past, batch.points, each)
    inputs: dict[str, Any] = {
        "input_ids": batch.context[:, past:].repeat(1, k),
        "position_ids": (past + torch.arange(each, device=batch.context.device)).repeat(rows, k),
        "attention_mask": among.expand(rows, -1, -1, -1),
        "past_key_values": prefixes,
        "use_cache": True,
    } | logits_at(model, batch.readout, k * each, ends)
    return trace(model, inputs, branches(batch.points, behind).flatten(1, 2), batch.readout, skip=True, at=ends)
