"""Patching by points that each continue a copy of the model's cache of their prefix."""

from __future__ import annotations

import functools
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers.cache_utils import DynamicCache

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import bytes_per_key, bytes_per_token, tokens_that_fit
from srtoolkit.patching.methods.method import Batch, Method, Pass, Run
from srtoolkit.patching.passes import trace
from srtoolkit.patching.prefixes import check_copied, copied_cache
from srtoolkit.patching.reads import Readout, Reads


class Prefix(Method):
    """Every point is a sequence of one token behind its own copy of the prefix's keys and values."""

    name = "prefix"
    needs = frozenset({"past_key_values"})

    def check(self, model: Model, length: int, n_points: int, layer: int) -> None:
        """Refuse a model that keeps something of a prefix which cannot be copied for each point."""
        if length > 1:  # else there is no prefix
            super().check(model, length, n_points, layer)
            check_copied(DynamicCache(config=model.hf.config.get_text_config()))

    def points_that_fit(self, model: Model, length: int, n_points: int, readout: Readout) -> int:
        """Number of points that fit in memory together, with a copy of the prefix for each."""
        each = bytes_per_token(model, readout) + length * bytes_per_key(model)
        return min(tokens_that_fit(model), model.memory_budget // each)

    def start(self, model: Model, context: Int[Tensor, "context pos"]) -> Run:
        """What runs one batch; batches share nothing."""
        return functools.partial(each_alone, model)

    def passes(self, n_layers: int, contexts: int, length: int, points: int, layer: int, *, logits: bool) -> list[Pass]:
        """One pass of the prefixes, and one of the points."""
        n, past = contexts * points, length - 1
        before = [Pass(contexts * past, past, 0, n_layers)] if past else []
        return [*before, Pass(n, length, layer + 1, n_layers, n * logits)]


def each_alone(model: Model, batch: Batch) -> Reads:
    """What is read in a batch in which each point is a sequence of its own.

    Args:
        model: From :func:`srtoolkit.load_model`.
        batch: The points and their contexts.
    """
    rows, k = batch.points.shape[:2]
    ids = batch.context
    inputs: dict[str, Any] = {"input_ids": ids[:, -1:].repeat_interleave(k, dim=0), "use_cache": True}
    if ids.shape[1] > 1:
        each = torch.arange(rows, device=ids.device).repeat_interleave(k)
        inputs["past_key_values"] = copied_cache(model, ids[:, :-1], each)
    out = trace(model, inputs, batch.points.flatten(0, 1)[:, None], batch.readout, skip=True, last=1)
    return {name: value[:, -1].unflatten(0, (rows, k)) for name, value in out.items()}
