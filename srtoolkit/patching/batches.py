"""Cutting a block of points into batches that fit in memory, and halving a batch that does not."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.anatomy import attention_widths, mlp_width
from srtoolkit.models.model import Model
from srtoolkit.patching.reads import GATES, OPEN_GATES, Readout, Reads, wants_logits

#: Points of one context that stand side by side in a sequence: attention among them is masked out but paid for.
PARALLEL_POINTS = 128

#: Tokens in one pass on a CPU: enough rows for its matrix products, few enough for activations to stay in its caches.
CPU_TOKENS = 1536

#: Called after each batch with the number of points done and that of all; whatever it raises ends the measurement.
Progress = Callable[[int, int], None]

RunBatch = Callable[[Int[Tensor, " row"], Float[Tensor, "row point d_model"]], Reads]


def tokens_that_fit(model: Model) -> int:
    """Number of tokens of one forward pass that fit in the model's memory budget, and on a CPU in its caches.

    Args:
        model: The model, which has widths and a memory budget.
    """
    fitting = max(1, model.memory_budget // bytes_per_token(model, Readout((), 0)))
    return min(CPU_TOKENS, fitting) if model.device.type == "cpu" and not model.remote else fitting


def bytes_per_token(model: Model, readout: Readout) -> int:
    """Bytes that one token takes at the peak, roughly: its activations inside a block, and what is read of it.

    Args:
        model: The model, whose widths count.
        readout: What is read of the token; logits take most memory.
    """
    mlp = mlp_width(model.hf.config)
    logits = model.vocab_size if wants_logits(readout.reads) else 0
    gates = {GATES: 2 * model.hf.dtype.itemsize, OPEN_GATES: 2}
    each_gate = sum(size for name, size in gates.items() if name in readout.reads)
    inside = model.hf.dtype.itemsize * ((6 + len(readout.sites)) * model.d_model + 3 * mlp)
    return int(inside + each_gate * mlp * len(readout.blocks) + 8 * logits)


def bytes_per_key(model: Model) -> int:
    """Bytes of one token's keys and values over all blocks.

    Args:
        model: The model, whose widths count.
    """
    _, width = attention_widths(model.hf.config)
    return 2 * model.n_layers * (width or model.d_model) * model.hf.dtype.itemsize


def in_batches(
    run: RunBatch,
    points: Float[Tensor, "context point d_model"],
    per_batch: int,
    per_row: int,
    on_shrink: Callable[[], None] = lambda: None,
    progress: Progress | None = None,
) -> Reads:
    """Run all points in batches, and put what was read together again as ``[context, point, width]``.

    The points of a context are cut into equal rows of at most ``per_row``; a batch is as many rows as hold
    ``per_batch`` points together, at least one.

    Args:
        run: Function that runs one batch; it takes the context index of each row, and the rows of points.
        points: All points of all contexts.
        per_batch: Number of points that fit in memory together.
        per_row: Most points of one context in one row.
        on_shrink: Called each time that a batch ran out of memory and is halved.
        progress: Called after each batch with the number of points done and that of all points.
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
    out: Reads = {}
    # No larger than fits, and all about as large: a small last batch would read all weights for little.
    start, step = 0, -(-len(rows) // -(-len(rows) // (per_batch // per_row)))
    while start < len(rows):
        some = slice(start, start + step)
        found = _try(run, context_of[some], rows[some])
        if found is not None and progress is not None:
            whole, part = divmod(min(start + step, len(rows)), rows_each)
            progress(whole * k + min(part * per_row, k), n * k)
        if found is not None and step == len(rows):
            out, start = found, step
        elif found is not None:
            for name, values in found.items():
                # Filled in place: a list of parts would be held a second time while it is joined.
                if name not in out:
                    out[name] = values.new_empty(len(rows), *values.shape[1:])
                out[name][some] = values
            start += step
            del found, values  # not to be held through the next batch
        elif step > 1:
            step //= 2
            on_shrink()
        elif per_row > 1:
            on_shrink()
            behind = None if progress is None else _beyond(progress, start // rows_each * k)
            return in_batches(run, points, per_row // 2, per_row // 2, on_shrink, behind)
        else:
            raise MemoryError("out of memory on a batch of one point; free memory, or use another device or dtype.")
    return {name: values.reshape(n, rows_each * per_row, -1)[:, :k] for name, values in out.items()}


def _beyond(progress: Progress, before: int) -> Progress:
    """Says nothing of points that are done a second time."""
    return lambda done, total: progress(done, total) if done > before else None


def _try(run: RunBatch, contexts: Tensor, rows: Tensor) -> Reads | None:
    """``run`` on one batch, or ``None`` where memory ran out."""
    try:
        return run(contexts, rows)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    # Outside the handler: the error's traceback holds the tensors of the pass that failed, and so do the cycles that an
    # exception leaves behind in a trace.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


@contextlib.contextmanager
def named() -> Iterator[None]:
    """A context in which memory that runs out, other than in a batch, raises a MemoryError that says what to do."""
    try:
        yield
        return
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error) or (type(error) is MemoryError and str(error).startswith("out of memory")):
            raise
        said = " ".join(str(error).split())[-120:]
    gc.collect()  # as in _try
    raise MemoryError(
        f"out of memory beside the batches ({said}); ask for fewer pairs, points or reads at a time, free memory, or "
        "use another device or dtype."
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out.

    Args:
        error: An error of any type.
    """
    # The CPU allocator raises a plain RuntimeError, and so does what C++ could not allocate beside tensors.
    no_memory = ("can't allocate memory", "std::bad_alloc")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in no_memory)
