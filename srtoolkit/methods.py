"""The ways to put points in at the last position, whatever runs the passes.

Only the last position is ever replaced, so everything before it is the same for all points of one context. The three
methods differ in how much of that they reuse:

``"full"``
    Every point runs the whole prompt. Slow, and right for every architecture: the yardstick of the other two.
``"prefix"``
    Keys and values of the prefix are computed once per batch; every point is a sequence of one token that continues a
    copy of them, and starts after block ``layer``.
``"parallel"``
    Keys and values of the prefix are computed once per context, and its points are the tokens of *one* sequence, all at
    the same position; a mask lets each see the prefix and itself. No point has a copy of the prefix, and every matrix
    product has (contexts x points) rows.

``"auto"`` takes the fastest that gives what ``"full"`` gives, on the very model and context at hand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from srtoolkit.batching import PARALLEL_POINTS, in_batches, points_that_fit, tokens_that_fit
from srtoolkit.models import Model
from srtoolkit.prefixes import Prefixes, Unsupported, copied_cache, sees_prefix_and_itself
from srtoolkit.reads import Reads, derive, wants_logits

logger = logging.getLogger(__name__)

METHODS = ("parallel", "prefix", "full")

#: Runs the model on some inputs, with points [row, pos, d_model] as the residual stream after a block, and reads it.
#: The last argument says whether that block and those before it are skipped, and the points stand for all positions, or
#: they replace the last one.
Trace = Callable[[Model, dict[str, Any], Tensor, int, tuple[str, ...], bool], Reads]


def run(
    trace: Trace,
    model: Model,
    method: str,
    context: Tensor,
    points: Tensor,
    layer: int,
    reads: tuple[str, ...],
    reduce: Callable[[Reads], Reads] | None = None,
) -> Reads:
    """One method over all contexts and points, in batches that fit the memory budget.

    Args:
        trace: Runs a pass and reads it.
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
    length = context.shape[1]
    per_batch = points_that_fit(model, method, length, points.shape[1], reads)
    if method == "parallel" and "position_ids" not in model.forward_arguments:
        raise Unsupported("the model derives positions itself, so points cannot share one")
    shared = method == "parallel" and length > 1
    prefixes = Prefixes(model, context, tokens_that_fit(model)) if shared else None

    def run_batch(rows: Tensor, batch: Tensor) -> Reads:
        if method == "parallel":
            shared_by = prefixes.of(rows) if prefixes else None
            found = _alone_where_not_finite(trace, model, context[rows], batch, layer, reads, shared_by)
        else:
            found = {"full": _full, "prefix": _prefix}[method](trace, model, context[rows], batch, layer, reads)
        found = derive(found, reads)
        return found if reduce is None else reduce(found)

    return in_batches(run_batch, points, per_batch, PARALLEL_POINTS, on_shrink=lambda: _shrink(model))


def _shrink(model: Model) -> None:
    model.memory_budget //= 2
    logger.warning("%s: out of memory; batches are now bounded by %.0f MB.", model.name, model.memory_budget / 1e6)


# --- the three methods: contexts [row, pos], points [row, point, d_model] -> what was read, [row, point, width] ---


def _full(trace: Trace, model: Model, context: Tensor, points: Tensor, layer: int, reads: tuple[str, ...]) -> Reads:
    rows, k = points.shape[:2]
    ids = context.repeat_interleave(k, dim=0)
    options = {"logits_to_keep": 1} if "logits_to_keep" in model.forward_arguments and wants_logits(reads) else {}
    out = trace(
        model,
        {"input_ids": ids, "use_cache": False, **options},
        points.flatten(0, 1)[:, None],
        layer,
        reads,
        False,
    )
    return {name: value[:, -1].unflatten(0, (rows, k)) for name, value in out.items()}


def _prefix(trace: Trace, model: Model, context: Tensor, points: Tensor, layer: int, reads: tuple[str, ...]) -> Reads:
    rows, k = points.shape[:2]
    inputs: dict[str, Any] = {"input_ids": context[:, -1:].repeat_interleave(k, dim=0), "use_cache": True}
    if context.shape[1] > 1:
        each = torch.arange(rows, device=context.device).repeat_interleave(k)
        inputs["past_key_values"] = copied_cache(model, context[:, :-1], each)
    out = trace(model, inputs, points.flatten(0, 1)[:, None], layer, reads, True)
    return {name: value[:, -1].unflatten(0, (rows, k)) for name, value in out.items()}


def _alone_where_not_finite(
    trace: Trace,
    model: Model,
    context: Tensor,
    points: Tensor,
    layer: int,
    reads: tuple[str, ...],
    prefixes: Cache | None,
) -> Reads:
    """``_parallel``, but where a point of a sequence overflows, that sequence's points run each by itself.

    Else it would take the others with it: what attention masks out counts 0 times, and 0 times infinity is NaN.
    """
    found = _parallel(trace, model, context, points, layer, tuple(dict.fromkeys((*reads, "resid"))), prefixes)
    bad = ~found["resid"].isfinite().flatten(1).all(1)
    if bad.any():
        again = _prefix(trace, model, context[bad], points[bad], layer, reads)
        for name, values in again.items():
            found[name][bad] = values
    return found


def _parallel(
    trace: Trace,
    model: Model,
    context: Tensor,
    points: Tensor,
    layer: int,
    reads: tuple[str, ...],
    prefixes: Cache | None,
) -> Reads:
    rows, k = points.shape[:2]
    past = context.shape[1] - 1
    inputs: dict[str, Any] = {
        "input_ids": context[:, -1:].expand(rows, k),
        "position_ids": torch.full((rows, k), past, device=context.device),
        "attention_mask": sees_prefix_and_itself(k, past, points).expand(rows, 1, k, past + k),
        "use_cache": past > 0,
    }
    if prefixes is not None:
        inputs["past_key_values"] = prefixes
    return trace(model, inputs, points, layer, reads, True)
