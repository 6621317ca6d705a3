"""Patching by whole prompts: slow, and right for every architecture."""

from __future__ import annotations

import functools

from jaxtyping import Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import bytes_per_token, tokens_that_fit
from srtoolkit.patching.methods.method import Batch, Method, Pass, Run
from srtoolkit.patching.passes import logits_at, trace
from srtoolkit.patching.reads import Readout, Reads


class Full(Method):
    """The method that runs the whole prompt for every point."""

    name = "full"

    def points_that_fit(self, model: Model, length: int, n_points: int, readout: Readout) -> int:
        """Number of points whose whole prompts fit in memory together."""
        return min(tokens_that_fit(model) // length, model.memory_budget // (bytes_per_token(model, readout) * length))

    def start(self, model: Model, context: Int[Tensor, "context pos"], behind: int, keep: int = 0) -> Run:
        """What runs one batch; batches share nothing."""
        return functools.partial(_run, model)

    def passes(self, n_layers: int, contexts: int, length: int, points: int, layer: int, *, logits: bool) -> list[Pass]:
        """One pass, of all tokens of the prompt for every point."""
        n = contexts * points
        return [Pass(n * length, length, 0, n_layers, n * logits)]


def _run(model: Model, batch: Batch) -> Reads:
    rows, k = batch.points.shape[:2]
    inputs = {"input_ids": batch.context.repeat_interleave(k, dim=0), "use_cache": False}
    last = slice(-1, None)
    inputs |= logits_at(model, batch.readout, batch.context.shape[1], last)
    out = trace(model, inputs, batch.points.flatten(0, 1)[:, None], batch.readout, skip=False, at=last)
    return {name: value[:, -1].unflatten(0, (rows, k)) for name, value in out.items()}
