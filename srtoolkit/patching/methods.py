"""The ways to put points in at the last position, whatever runs the passes.

Only the last position is ever replaced, so everything before it is the same for all points of one context. The methods
differ in how much of that they reuse:

``"full"``
    Every point runs the whole prompt. Slow, and right for every architecture: the yardstick of the others.
``"prefix"``
    Keys and values of the prefix are computed once per batch; every point is a sequence of one token that continues a
    copy of them, and starts after block ``layer``.
``"parallel"``
    Keys and values of the prefix are computed once per context, and its points are the tokens of *one* sequence, all at
    the same position; a mask lets each see the prefix and itself. No point has a copy of the prefix, and every matrix
    product has (contexts x points) rows.
``"joint"``
    The same, but the prefix goes through the blocks behind the patch in that sequence too, so that their weights are
    read once. It runs again for every 128 points, and attention over a long one costs more than its cached keys would.

``"auto"`` takes the fastest that gives what ``"full"`` gives, on the very model and context at hand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import PARALLEL_POINTS, Progress, in_batches, points_that_fit, tokens_that_fit
from srtoolkit.patching.prefixes import (
    Prefixes,
    check_side_by_side,
    copied_cache,
    sees_prefix_and_itself,
    sees_what_came_before,
)
from srtoolkit.patching.reads import Reads, derive, wants_logits

logger = logging.getLogger(__name__)

#: Methods whose points are tokens of one sequence.
SIDE_BY_SIDE = ("joint", "parallel")
METHODS = (*SIDE_BY_SIDE, "prefix", "full")


class Stream(Protocol):
    """Residual stream [row, pos, d_model] of token ids [row, pos] after a block, at the last positions."""

    def __call__(self, model: Model, tokens: Tensor, layer: int, last: int) -> Tensor: ...


class Trace(Protocol):
    """Runs the model with points [row, pos, d_model] as the residual stream after a block; reads the last positions.

    With ``skip``, that block and those before it do not run, and the points stand for all positions; else they replace
    the last one.
    """

    def __call__(
        self,
        model: Model,
        inputs: dict[str, Any],
        points: Tensor,
        layer: int,
        reads: tuple[str, ...],
        *,
        skip: bool,
        last: int,
    ) -> Reads: ...


class Passes(NamedTuple):
    """What runs the model."""

    stream: Stream
    trace: Trace


class Batch(NamedTuple):
    """Points of some contexts, and what to read of them.

    Attributes:
        context: Token ids ``[row, pos]``.
        points: What replaces the residual stream at the last position, ``[row, point, d_model]``.
        layer: After which block.
        reads: What to read.
    """

    context: Tensor
    points: Tensor
    layer: int
    reads: tuple[str, ...]


def run(
    passes: Passes,
    model: Model,
    method: str,
    context: Tensor,
    points: Tensor,
    layer: int,
    reads: tuple[str, ...],
    reduce: Callable[[Reads], Reads] | None = None,
    progress: Progress | None = None,
) -> Reads:
    """One method over all contexts and points, in batches that fit the memory budget.

    Args:
        passes: What runs the model.
        model: From :func:`srtoolkit.load_model`.
        method: One of ``METHODS``.
        context: Token ids.
        points: What replaces the residual stream at the last position.
        layer: After which block.
        reads: What to read.
        reduce: Makes less of what a batch has read.

    Raises:
        Unsupported: The model cannot be run by this method.
    """
    if layer == model.n_layers - 1 and method in SIDE_BY_SIDE:
        context = context[:, -1:]  # no block is left that would look back
    length = context.shape[1]
    if method in SIDE_BY_SIDE:
        check_side_by_side(model, length - 1 + min(points.shape[1], PARALLEL_POINTS))
    per_batch = points_that_fit(model, method, length, points.shape[1], reads)
    shared = method == "parallel" and length > 1
    prefixes = Prefixes(model, context, tokens_that_fit(model)) if shared else None

    def run_batch(rows: Tensor, some: Tensor) -> Reads:
        batch = Batch(context[rows], some, layer, reads)
        if method in SIDE_BY_SIDE:
            found = _alone_where_not_finite(passes, model, batch, prefixes.of(rows) if prefixes else None)
        else:
            found = {"full": _full, "prefix": _prefix}[method](passes, model, batch)
        found = derive(found, reads)
        return found if reduce is None else reduce(found)

    return in_batches(
        run_batch, points, per_batch, PARALLEL_POINTS, on_shrink=lambda: _shrink(model), progress=progress
    )


def _shrink(model: Model) -> None:
    model.memory_budget //= 2
    logger.warning("%s: out of memory; batches are now bounded by %.0f MB.", model.name, model.memory_budget / 1e6)


# --- the methods: a batch -> what was read, [row, point, width] ---


def _full(passes: Passes, model: Model, batch: Batch) -> Reads:
    rows, k = batch.points.shape[:2]
    inputs = {"input_ids": batch.context.repeat_interleave(k, dim=0), "use_cache": False}
    inputs |= _logits_of_last(model, batch.reads, 1)
    out = passes.trace(model, inputs, batch.points.flatten(0, 1)[:, None], batch.layer, batch.reads, skip=False, last=1)
    return {name: value[:, -1].unflatten(0, (rows, k)) for name, value in out.items()}


def _prefix(passes: Passes, model: Model, batch: Batch) -> Reads:
    rows, k = batch.points.shape[:2]
    ids = batch.context
    inputs: dict[str, Any] = {"input_ids": ids[:, -1:].repeat_interleave(k, dim=0), "use_cache": True}
    if ids.shape[1] > 1:
        each = torch.arange(rows, device=ids.device).repeat_interleave(k)
        inputs["past_key_values"] = copied_cache(model, ids[:, :-1], each)
    out = passes.trace(model, inputs, batch.points.flatten(0, 1)[:, None], batch.layer, batch.reads, skip=True, last=1)
    return {name: value[:, -1].unflatten(0, (rows, k)) for name, value in out.items()}


def _alone_where_not_finite(passes: Passes, model: Model, batch: Batch, prefixes: Cache | None) -> Reads:
    """Points side by side in one sequence, but where one overflows, that sequence's points run each by itself.

    Else it would take the others with it: what attention masks out counts 0 times, and 0 times infinity is NaN.
    """
    whole = batch._replace(reads=tuple(dict.fromkeys((*batch.reads, "resid"))))
    found = _joint(passes, model, whole) if prefixes is None else _parallel(passes, model, whole, prefixes)
    bad = ~found["resid"].isfinite().flatten(1).all(1)
    if bad.any():
        again = _prefix(passes, model, batch._replace(context=batch.context[bad], points=batch.points[bad]))
        for name, values in again.items():
            found[name][bad] = values
    return found


def _parallel(passes: Passes, model: Model, batch: Batch, prefixes: Cache) -> Reads:
    rows, k = batch.points.shape[:2]
    past = batch.context.shape[1] - 1
    inputs: dict[str, Any] = {
        "input_ids": batch.context[:, -1:].expand(rows, k),
        "position_ids": torch.full((rows, k), past, device=batch.context.device),
        "attention_mask": sees_prefix_and_itself(k, past, batch.points).expand(rows, 1, k, past + k),
        "past_key_values": prefixes,
        "use_cache": True,
    }
    return passes.trace(model, inputs, batch.points, batch.layer, batch.reads, skip=True, last=k)


def _joint(passes: Passes, model: Model, batch: Batch) -> Reads:
    rows, k = batch.points.shape[:2]
    ids, past = batch.context, batch.context.shape[1] - 1
    positions = torch.arange(past + k, device=ids.device).clamp(max=past)
    among = sees_prefix_and_itself(k, past, batch.points)
    inputs: dict[str, Any] = {
        "input_ids": torch.cat([ids[:, :-1], ids[:, -1:].expand(rows, k)], dim=1),
        "position_ids": positions.expand(rows, past + k),
        "attention_mask": torch.cat([sees_what_came_before(past, k, among), among], dim=2).expand(rows, -1, -1, -1),
        "use_cache": False,
    } | _logits_of_last(model, batch.reads, k)
    points = batch.points
    if past:
        points = torch.cat([passes.stream(model, ids[:, :-1], batch.layer, past).to(points), points], dim=1)
    return passes.trace(model, inputs, points, batch.layer, batch.reads, skip=True, last=k)


def _logits_of_last(model: Model, reads: tuple[str, ...], last: int) -> dict[str, int]:
    return {"logits_to_keep": last} if "logits_to_keep" in model.forward_arguments and wants_logits(reads) else {}
