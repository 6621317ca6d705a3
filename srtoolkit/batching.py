"""Cutting a block of points into batches that fit in memory, and halving a batch that does not."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

Reads = dict[str, Tensor]
RunBatch = Callable[[Int[Tensor, " row"], Float[Tensor, "row point d_model"]], Reads]


def in_batches(
    run: RunBatch,
    points: Float[Tensor, "context point d_model"],
    per_batch: int,
    per_row: int,
    on_shrink: Callable[[], None] = lambda: None,
) -> Reads:
    """``run`` over all points, put together again as [context, point, width].

    The points of a context are cut into equal rows of at most ``per_row``; a batch is as many rows as hold
    ``per_batch`` points together, at least one.

    Args:
        run: Takes the context index of each row, and the rows.
        points: All points.
        per_batch: Points that fit in memory together.
        per_row: Most points of one context in one row.
        on_shrink: Called each time that a batch ran out of memory and was halved.
    """
    n, k, width = points.shape
    per_batch = max(1, per_batch)
    per_row = min(per_row, per_batch, k)
    rows_each = -(-k // per_row)
    per_row = -(-k // rows_each)
    # Rows are of equal length, so the last is filled up with copies of the last point; what they give is dropped.
    filled = torch.cat([points, points[:, -1:].expand(n, rows_each * per_row - k, width)], dim=1)
    rows = filled.reshape(n * rows_each, per_row, width)
    context_of = torch.arange(n, device=points.device).repeat_interleave(rows_each)
    step = per_batch // per_row
    parts = [
        _run_halving(run, context_of[start : start + step], rows[start : start + step], on_shrink)
        for start in range(0, len(rows), step)
    ]
    return {name: _join(parts, name, 0).reshape(n, rows_each * per_row, -1)[:, :k] for name in parts[0]}


def _run_halving(run: RunBatch, contexts: Tensor, rows: Tensor, on_shrink: Callable[[], None]) -> Reads:
    """``run`` on one batch; out of memory, on each half of it."""
    try:
        return run(contexts, rows)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error) or rows.shape[0] * rows.shape[1] == 1:
            raise
    # Outside the handler: the error's traceback holds the tensors of the pass that failed.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    on_shrink()
    axis = 0 if rows.shape[0] > 1 else 1
    halves = rows.tensor_split(2, dim=axis)
    owners = contexts.tensor_split(2) if axis == 0 else (contexts, contexts)
    parts = [_run_halving(run, owner, half, on_shrink) for owner, half in zip(owners, halves, strict=True)]
    return {name: _join(parts, name, axis) for name in parts[0]}


def _join(parts: list[Reads], name: str, axis: int) -> Tensor:
    return parts[0][name] if len(parts) == 1 else torch.cat([part[name] for part in parts], dim=axis)


def _is_out_of_memory(error: BaseException) -> bool:
    # The CPU allocator raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
