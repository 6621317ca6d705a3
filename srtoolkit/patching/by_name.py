"""Patching by a method that the caller names, which is held to the same trial as those that ``"auto"`` chooses."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress, is_out_of_memory
from srtoolkit.patching.choice import describe
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.prefixes import Unsupported
from srtoolkit.patching.reads import Readout, Reads
from srtoolkit.patching.trial import AGREEMENT, set_up


def run_named(
    model: Model,
    method: str,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    readout: Readout,
    reduce: Callable[[Reads], Reads] | None = None,
    progress: Progress | None = None,
) -> Reads:
    """What one method reads, once it was seen to give what whole prompts give.

    Args:
        model: From :func:`srtoolkit.load_model`.
        method: Name of the method.
        context: Token ids of the contexts.
        points: Points that replace the residual stream.
        readout: What to read, and after which block and at which position the points go in.
        reduce: Function that shrinks what each batch has read; what it raises is the caller's.
        progress: Called after each batch; what it raises is the caller's.

    Raises:
        Unsupported: The method cannot run the model, or is wrong there; the message names those that are right.
    """
    n_points = points.shape[1]
    try:
        _hold(model, method, context, n_points, readout)
        return METHODS[method].run(model, context, points, readout, reduce, progress)
    except Unsupported as refused:
        why = str(refused)
    except Exception as error:  # families each fail in their own ways, and so may the caller's functions
        if method == "full" or is_out_of_memory(error) or not _fails(model, method, context, points, readout):
            raise
        why = f"it failed ({type(error).__name__}: {str(error).partition(chr(10))[0][:200]})"
    raise _refusal(model, method, context, n_points, readout, why) from None


def check_named(
    model: Model, method: str, context: Int[Tensor, "context pos"], n_points: int, readout: Readout
) -> None:
    """Refuse a method that cannot run some contexts, or that gives something else there than whole prompts do.

    Args:
        model: From :func:`srtoolkit.load_model`.
        method: Name of the method.
        context: Token ids of the contexts.
        n_points: Number of points of each context.
        readout: What to read, and after which block and at which position the points go in.

    Raises:
        Unsupported: The method cannot run the model, or is wrong there; the message names those that are right.
    """
    try:
        _hold(model, method, context, n_points, readout)
    except Unsupported as refused:
        raise _refusal(model, method, context, n_points, readout, str(refused)) from None


def _hold(model: Model, method: str, context: Int[Tensor, "context pos"], n_points: int, readout: Readout) -> None:
    """Try a method against the full path, once for each kind of context.

    Unlike ``"auto"``, which has others to take, this lets pass what rounding alone can explain.

    Raises:
        Unsupported: The method cannot run the contexts, or differs; the message says by how much.
    """
    METHODS[method].check(model, context.shape[1], n_points, readout)
    contexts, kind = describe(model, context, n_points, readout.behind, readout.layer)
    chosen = model.methods.get(kind)
    if method == "full" or (chosen is not None and chosen.method == method):
        return
    if ("held", method, kind) not in model.methods:
        trial = set_up(model, context, contexts, readout.layer)
        if not trial.finite:
            return  # nothing can be compared
        beyond = trial.error(method).beyond
        model.methods["held", method, kind] = 0.0 if beyond <= AGREEMENT[model.dtype] else beyond
    if (difference := model.methods["held", method, kind]) != 0:
        raise Unsupported(
            f"after block {readout.layer} of prompts of {context.shape[1]} tokens, what it gives differs from whole "
            f"prompts by {difference:.1e} of how far the outputs move"
        )


def _refusal(
    model: Model, method: str, context: Int[Tensor, "context pos"], n_points: int, readout: Readout, why: str
) -> Unsupported:
    """Why a method is refused, with those named that are right."""
    right, budget = [], model.memory_budget
    for name in METHODS:
        try:
            _hold(model, name, context, n_points, readout)
        except Exception:  # whatever it is, that method is no advice
            model.memory_budget = budget
        else:
            right.append(name)
    return Unsupported(
        f"method={method!r}: {model.name} cannot be run so: {why.rstrip('.')}. Use method='auto', or one of "
        f"{[name for name in right if name != method]}."
    )


def _fails(
    model: Model,
    method: str,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    readout: Readout,
) -> bool:
    """Whether a method fails on a few points without the caller's functions: then it is the model that it fails on."""
    try:
        METHODS[method].run(model, context[:2], points[:2, :2], readout)
    except Exception:
        return True
    return False
