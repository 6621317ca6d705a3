"""Patching by points that each continue a copy of the model's cache of their prefix."""

from __future__ import annotations

import functools
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.cache_utils import DynamicCache

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import bytes_per_key, bytes_per_token, tokens_that_fit
from srtoolkit.patching.methods.method import Batch, Method, Pass, Run
from srtoolkit.patching.passes import logits_at, stream, trace
from srtoolkit.patching.prefixes import check_copied, check_one_rope, copied_cache
from srtoolkit.patching.reads import Readout, Reads


class Prefix(Method):
    """Every point, with the tokens behind it, is a sequence after its own copy of the prefix's keys and values."""

    name = "prefix"
    needs = frozenset({"past_key_values"})

    def check(self, model: Model, length: int, n_points: int, readout: Readout) -> None:
        """Refuse a model that keeps something of a prefix which cannot be copied for each point."""
        if length - readout.behind > 1:  # else there is no prefix
            super().check(model, length, n_points, readout)
            check_one_rope(model, length - 1 - readout.behind, length)
            check_copied(DynamicCache(config=model.hf.config.get_text_config()))

    def points_that_fit(self, model: Model, length: int, n_points: int, readout: Readout) -> int:
        """Number of points that fit in memory together, with a copy of the prefix for each."""
        tokens = 1 + readout.behind
        each = tokens * bytes_per_token(model, readout) + length * bytes_per_key(model)
        return min(tokens_that_fit(model) // tokens, model.memory_budget // each)

    def start(self, model: Model, context: Int[Tensor, "context pos"], behind: int, keep: int = 0) -> Run:
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
    ids, past, last = batch.context, batch.past, slice(-1, None)
    inputs: dict[str, Any] = {"input_ids": ids[:, past:].repeat_interleave(k, dim=0), "use_cache": True}
    if past:
        each = torch.arange(rows, device=ids.device).repeat_interleave(k)
        inputs["past_key_values"] = copied_cache(model, ids[:, :past], each)
    inputs |= logits_at(model, batch.readout, ids.shape[1] - past, last)
    _, behind = streams_around(model, batch)
    out = trace(model, inputs, branches(batch.points, behind).flatten(0, 1), batch.readout, skip=True, at=last)
    return {name: value[:, -1].unflatten(0, (rows, k)) for name, value in out.items()}


def streams_around(
    model: Model, batch: Batch, before: bool = False
) -> tuple[Float[Tensor, "row _pos d_model"], Float[Tensor, "row _pos d_model"]]:
    """The contexts' own residual streams after the patched block, before and behind the patched token.

    Args:
        model: From :func:`srtoolkit.load_model`.
        batch: The points and their contexts.
        before: Whether that of the tokens before it is wanted; if not, it is empty.
    """
    past, behind = batch.past * before, batch.readout.behind
    if not past + behind:
        return batch.points[:, :0], batch.points[:, :0]
    ids = batch.context if behind else batch.context[:, :-1]
    last = ids.shape[1] - (0 if before else batch.past + 1)
    own = stream(model, ids, batch.readout.layer, last).to(batch.points)
    return own[:, :past], own[:, own.shape[1] - behind :]


def branches(
    points: Float[Tensor, "row point d_model"], behind: Float[Tensor, "row _pos d_model"]
) -> Float[Tensor, "row point _pos d_model"]:
    """Points, each followed by the streams of the tokens behind it.

    Args:
        points: The points of each row.
        behind: The residual streams of the tokens behind the patched one.
    """
    return torch.cat([points[:, :, None], behind[:, None].expand(-1, points.shape[1], -1, -1)], dim=2)
