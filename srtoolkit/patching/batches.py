"""Cutting a block of points into batches that fit in memory, and halving a batch that does not."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.reads import Reads

#: Points of one context that stand side by side in a sequence: attention among them is masked out but paid for.
PARALLEL_POINTS = 128

#: Tokens in one pass on a CPU: enough rows for its matrix products, few enough for activations to stay in its caches.
CPU_TOKENS = 1536

#: Called after each batch with the number of points done and that of all; whatever it raises ends the measurement.
Progress = Callable[[int, int], None]

RunBatch = Callable[[Int[Tensor, " row"], Float[Tensor, "row point d_model"]], Reads]


def points_that_fit(model: Model, method: str, length: int, n_points: int, reads: tuple[str, ...]) -> int:
    """Number of points that fit in the model's memory budget together, and on a CPU in its caches.

    Args:
        model: Whose widths and budget count.
        method: Patching method: what a point costs beside itself.
        length: Tokens of the context.
        n_points: Points of each context.
        reads: What is read of each point; logits are the widest.
    """
    budget, token, key = model.memory_budget, _bytes_per_token(model, reads), _bytes_per_key(model)
    fastest = tokens_that_fit(model)
    if method == "full":
        return min(fastest // length, budget // (token * length))
    if method == "prefix":
        return min(fastest, budget // (token + length * key))
    rows_a_context = -(-n_points // PARALLEL_POINTS)
    row = -(-n_points // rows_a_context)
    if method == "joint":
        fitting = min(fastest, budget // token)
        return fitting // (length - 1 + row) * row or fitting - (length - 1)
    # The prefixes of a batch are held once, and for a moment twice: while they are put in the order of its rows.
    rows = budget // (row * token + 2 * (length - 1) * key // rows_a_context)
    return min(fastest, rows * row or budget // token)


def tokens_that_fit(model: Model) -> int:
    """Tokens of one pass that reads nothing: within the model's memory budget, and on a CPU within its caches.

    Args:
        model: Whose widths and budget count.
    """
    fitting = max(1, model.memory_budget // _bytes_per_token(model, ()))
    return min(CPU_TOKENS, fitting) if model.device.type == "cpu" and not model.remote else fitting


def _bytes_per_token(model: Model, reads: tuple[str, ...]) -> int:
    """Rough peak of one token's activations inside a block, and of its logits where they are read."""
    config = model.hf.config.get_text_config()
    mlp = int(getattr(config, "intermediate_size", None) or 4 * model.d_model)
    logits = model.vocab_size if {"logits", "logprobs"} & set(reads) else 0
    gates = {"gates": 2 * model.hf.dtype.itemsize, "open_gates": 2}
    each_gate = sum(size for name, size in gates.items() if name in reads)
    inside = model.hf.dtype.itemsize * (6 * model.d_model + 3 * mlp)
    return int(inside + each_gate * mlp * model.n_layers + 8 * logits)


def _bytes_per_key(model: Model) -> int:
    """Keys and values of one token over all blocks."""
    config = model.hf.config.get_text_config()
    query_heads = int(getattr(config, "num_attention_heads", 1))
    heads = int(getattr(config, "num_key_value_heads", None) or query_heads)
    width = int(getattr(config, "head_dim", None) or model.d_model // query_heads)
    return 2 * model.n_layers * heads * width * model.hf.dtype.itemsize


def in_batches(
    run: RunBatch,
    points: Float[Tensor, "context point d_model"],
    per_batch: int,
    per_row: int,
    on_shrink: Callable[[], None] = lambda: None,
    progress: Progress | None = None,
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
    out: Reads = {}
    # No larger than fits, and all about as large: a small last batch would read all weights for little.
    start, step = 0, -(-len(rows) // -(-len(rows) // (per_batch // per_row)))
    while start < len(rows):
        some = slice(start, start + step)
        found = _try(run, context_of[some], rows[some])
        if found is not None and progress is not None:
            progress(min(n * k, (start + step) * per_row), n * k)
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
            return in_batches(run, points, per_row // 2, per_row // 2, on_shrink, progress)
        else:
            raise MemoryError("out of memory on a batch of one point; free memory, or use another device or dtype.")
    return {name: values.reshape(n, rows_each * per_row, -1)[:, :k] for name, values in out.items()}


def _try(run: RunBatch, contexts: Tensor, rows: Tensor) -> Reads | None:
    """``run`` on one batch, or ``None`` where memory ran out."""
    try:
        return run(contexts, rows)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
    # Outside the handler: the error's traceback holds the tensors of the pass that failed, and so do the cycles that an
    # exception leaves behind in a trace.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


@contextlib.contextmanager
def named() -> Iterator[None]:
    """Within this, memory that runs out beside the batches is a MemoryError that says what to do."""
    try:
        yield
        return
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error) or (type(error) is MemoryError and str(error).startswith("out of memory")):
            raise
        said = " ".join(str(error).split())[-120:]
    gc.collect()  # as in _try
    raise MemoryError(
        f"out of memory beside the batches ({said}); ask for fewer pairs, points or reads at a time, free memory, or "
        "use another device or dtype."
    )


def _is_out_of_memory(error: BaseException) -> bool:
    # The CPU allocator raises a plain RuntimeError, and so does what C++ could not allocate beside tensors.
    no_memory = ("can't allocate memory", "std::bad_alloc")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in no_memory)
