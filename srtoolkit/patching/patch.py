"""Reading and replacing the residual stream at the last position: ``capture`` and ``patch``, the paper's ``F_p``.

The methods of putting points in are in :mod:`srtoolkit.patching.methods`; here nnsight's traces run, and its sessions
on a server. Only this module and :mod:`srtoolkit.models.model` know nnsight.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from srtoolkit.models import ndif
from srtoolkit.models.checks import check_gates, check_layer, check_names, check_points, check_tokens
from srtoolkit.models.model import Model
from srtoolkit.patching import methods
from srtoolkit.patching.batches import Progress, named, points_that_fit
from srtoolkit.patching.choice import Choice, choose
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.passes import PASSES, _stream
from srtoolkit.patching.reads import GATES, OPEN_GATES, READS, Reads, derive
from srtoolkit.patching.remote_passes import _captured_there, _patch_there
from srtoolkit.validation import former_spellings


@former_spellings("layer")
@torch.no_grad()
def capture(model: Model, tokens: Int[Tensor, "prompt pos"], *, layer: int = 0) -> Float[Tensor, "prompt d_model"]:
    """Residual stream after block ``layer`` at the last position, in the model's activation units.

    Args:
        model: From :func:`srtoolkit.load_model`.
        tokens: Token ids, prompts of one length.
        layer: Block whose output is read; 0 is the paper's "after the first layer".

    Raises:
        ValueError: Empty or too long prompts, ids outside the vocabulary, no such block.
    """
    tokens, layer = check_tokens(model, tokens), check_layer(model, layer)
    rows = points_that_fit(model, "full", tokens.shape[1], 1, ())
    with model.lock, named():
        if model.remote:
            return torch.cat(ndif.ask(model, _captured_there, tokens.split(max(1, rows)), layer))
        parts = [_stream(model, batch, layer, last=1) for batch in tokens.split(max(1, rows))]
        captured = torch.cat(parts)[:, 0]
    return captured.to(model.device)  # a device_map may have put the block on another


@former_spellings("layer", "reads", "method", "reduce", read="reads")
@torch.no_grad()
def patch(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    *,
    layer: int = 0,
    reads: str | tuple[str, ...] = "final_norm",
    method: str = "auto",
    blocks: Sequence[int] | None = None,
    reduce: Callable[[Reads], Reads] | None = None,
    progress: Progress | None = None,
) -> Shaped[Tensor, "context point width"] | dict[str, Shaped[Tensor, "context point _width"]]:
    """``F_p(X)``: what the model makes of ``X`` in place of the residual stream after block ``layer``, last position.

    All earlier positions keep the context's own activations. Janiak et al. 2024, Section 3; the paper's scripts read
    ``"final_norm"``.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the prompts p, of one length; the last token's own activation is what gets replaced.
        points: The X to put in, any number for each context.
        layer: Block whose output is replaced.
        reads: One of ``READS``, ``GATES`` and ``OPEN_GATES``, or several: all come from one pass.
        method: One of ``METHODS``, or ``"auto"``; ``"full"`` is all there is for a model that runs remotely.
        reduce: Makes less of what a batch has read, before it is kept: takes and gives a dict of tensors ``[row, point,
            width]``, whose points each stand for themselves. So logits over 50,000 tokens need not be held for all
            points when only the largest matter.

    Returns:
        The tensor read, float32 or wider (``OPEN_GATES``: bool), on the model's device; a dict of them when ``reads`` is
        a tuple; what ``reduce`` makes of it, as a dict, where there is one.

    Raises:
        ValueError: Bad tokens, block, points, read point or method; said before the model runs.
        RemoteError: A method that cannot run remotely, or a server that cannot be reached.
    """
    context, layer = check_tokens(model, context, "context"), check_layer(model, layer)
    wanted = check_names(reads, (*READS, GATES, OPEN_GATES), "reads")
    if {GATES, OPEN_GATES} & set(wanted):
        check_gates(model, layer)
    (method,) = check_names(method, (*METHODS, "auto"), "method")
    ndif.check_method(model, method)
    points = check_points(model, points, len(context))
    if blocks is not None:
        chosen, then = list(blocks), reduce

        def reduce(found: Reads) -> Reads:
            n = model.n_layers - layer - 1
            cut = {
                k: (
                    v.unflatten(-1, (n, -1))[..., [b - layer - 1 for b in chosen], :].flatten(-2)
                    if k in (GATES, OPEN_GATES)
                    else v
                )
                for k, v in found.items()
            }
            return cut if then is None else then(cut)

    with model.lock, named():
        if method == "auto":
            method = choose_method(model, context, points.shape[1]).method
        if model.remote:
            found = derive(_patch_there(model, context, points, layer, wanted), wanted)
            out = found if reduce is None else reduce(found)
        else:
            out = methods.run(PASSES, model, method, context, points, layer, wanted, reduce, progress)
    out = {name: values.to(model.device) for name, values in out.items()}
    return (
        out[wanted[0]] if isinstance(reads, str) and (reduce is None or (blocks is not None and then is None)) else out
    )


def choose_method(model: Model, context: Int[Tensor, "context pos"], n_points: int = 1) -> Choice:
    """The fastest method that agrees with the full path on three points of ``context``; checked once per kind of
    context.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids, of which the first prompt is tried.
        n_points: Points of each context.
    """
    first = context[:1]

    def run(method: str, points: Tensor) -> Tensor:
        return methods.run(PASSES, model, method, first, points, 0, ("final_norm",))["final_norm"]

    with model.lock:
        return choose(model, context, n_points, lambda: _stream(model, first, 0, last=1)[:, 0], run)


# --- here: each trace is of the base model where it can be, so the unembedding runs only for those who read logits, and
# never uses tracer.stop(), whose exception keeps every tensor of the pass alive until Python's cyclic collector runs.


# --- on a server: one session for all batches, one round trip. It ships whole, so that its traces are local to the
# server, and may be of the base model; inside it nothing of srtoolkit can be named, which the server does not have.
