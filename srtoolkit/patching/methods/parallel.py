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
from srtoolkit.patching.methods.method import Batch, Pass, Run
from srtoolkit.patching.methods.side_by_side import SideBySide, rows_for
from srtoolkit.patching.passes import trace
from srtoolkit.patching.prefixes import Prefixes, sees_prefix_and_itself
from srtoolkit.patching.reads import Readout, Reads


class Parallel(SideBySide):
    """Keys and values of a prefix are computed once, however many points and contexts share it."""

    name = "parallel"

    def points_that_fit(self, model: Model, length: int, n_points: int, readout: Readout) -> int:
        """Number of points that fit in memory together, with the prefixes of their contexts."""
        budget, token, key = model.memory_budget, bytes_per_token(model, readout), bytes_per_key(model)
        sequences, row = rows_for(n_points)
        # The prefixes of a batch are held once, and for a moment twice: while they are put in the order of its rows.
        rows = budget // (row * token + 2 * (length - 1) * key // sequences)
        return min(tokens_that_fit(model), rows * row or budget // token)

    def start_together(self, model: Model, context: Int[Tensor, "context pos"]) -> Run:
        """What runs one batch; consecutive batches share prefixes, where prompts have more than one token."""
        if context.shape[1] == 1:
            return functools.partial(prefix_and_points, model)
        prefixes = Prefixes(model, context, tokens_that_fit(model))
        return lambda batch: _points_behind(model, batch, prefixes.of(batch.rows))

    def passes(self, n_layers: int, contexts: int, length: int, points: int, layer: int, *, logits: bool) -> list[Pass]:
        """One pass of the prefixes up to the last block's keys and values, and one of the points."""
        n, past, (_, beside) = contexts * points, length - 1, rows_for(points)
        before = [Pass(contexts * past, past, 0, n_layers - 1, then_keys=True)] if past else []
        return [*before, Pass(n, past + beside, layer + 1, n_layers, n * logits)]


def _points_behind(model: Model, batch: Batch, prefixes: Cache) -> Reads:
    rows, k = batch.points.shape[:2]
    past = batch.context.shape[1] - 1
    inputs: dict[str, Any] = {
        "input_ids": batch.context[:, -1:].expand(rows, k),
        "position_ids": torch.full((rows, k), past, device=batch.context.device),
        "attention_mask": sees_prefix_and_itself(k, past, batch.points).expand(rows, 1, k, past + k),
        "past_key_values": prefixes,
        "use_cache": True,
    }
    return trace(model, inputs, batch.points, batch.readout, skip=True, last=k)
