"""Reading and replacing the residual stream at one position: ``capture`` and ``patch``, the paper's ``F_p``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import overload

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from srtoolkit.models.checks import check_gates, check_layer, check_points, check_position, check_tokens
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here, check_method
from srtoolkit.patching.batches import Progress, named
from srtoolkit.patching.by_name import run_named
from srtoolkit.patching.choice import Chosen, choose_method, run_chosen
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.passes import stream
from srtoolkit.patching.reads import GATES, OPEN_GATES, Hold, Readout, Reads, check_reads
from srtoolkit.patching.remote_passes import capture_there, patch_there
from srtoolkit.validation import check_names, check_whole, former_spellings, listed


@former_spellings("layer")
@torch.no_grad()
def capture(
    model: Model, tokens: Int[Tensor, "prompt pos"], *, layer: int = 0, position: int = -1
) -> Float[Tensor, "prompt d_model"]:
    """Residual stream after block ``layer`` at one position, in the model's activation units.

    Args:
        model: From :func:`srtoolkit.load_model`.
        tokens: Token ids of the prompts, which have one length.
        layer: Block whose output is read; 0 is the paper's "after the first layer".
        position: Which token's activation, counted from 0, or from the end if negative; the paper's is the last.

    Raises:
        ValueError: A prompt is empty or too long, an id is outside the vocabulary, or there is no such block or token.
    """
    tokens, layer = check_tokens(model, tokens), check_layer(model, layer)
    tokens = tokens[:, : check_position(tokens.shape[1], position) + 1]  # no token sees those behind it
    at_once = max(1, METHODS["full"].points_that_fit(model, tokens.shape[1], 1, Readout((), layer)))
    with model.lock, named():
        if model.remote:
            return capture_there(model, tokens, layer, at_once)
        captured = torch.cat([stream(model, batch, layer, last=1) for batch in tokens.split(at_once)])[:, 0]
    return captured.to(model.device)  # a device_map may have put the block on another


@overload
def patch(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    *,
    layer: int = 0,
    reads: str = "final_norm",
    position: int = -1,
    read_position: int = -1,
    method: str = "auto",
    blocks: Sequence[int] | None = None,
    held: Mapping[str, Float[Tensor, "context _width"]] | None = None,
    reduce: None = None,
    progress: Progress | None = None,
) -> Shaped[Tensor, "context point width"]: ...


@overload
def patch(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    *,
    layer: int = 0,
    reads: tuple[str, ...],
    position: int = -1,
    read_position: int = -1,
    method: str = "auto",
    blocks: Sequence[int] | None = None,
    held: Mapping[str, Float[Tensor, "context _width"]] | None = None,
    reduce: Callable[[Reads], Reads] | None = None,
    progress: Progress | None = None,
) -> dict[str, Shaped[Tensor, "context point _width"]]: ...


@overload
def patch(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    *,
    layer: int = 0,
    reads: str = "final_norm",
    position: int = -1,
    read_position: int = -1,
    method: str = "auto",
    blocks: Sequence[int] | None = None,
    held: Mapping[str, Float[Tensor, "context _width"]] | None = None,
    reduce: Callable[[Reads], Reads],
    progress: Progress | None = None,
) -> dict[str, Shaped[Tensor, "context point _width"]]: ...


@former_spellings("layer", "reads", "method", "reduce", read="reads")
@torch.no_grad()
def patch(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    *,
    layer: int = 0,
    reads: str | tuple[str, ...] = "final_norm",
    position: int = -1,
    read_position: int = -1,
    method: str = "auto",
    blocks: Sequence[int] | None = None,
    held: Mapping[str, Float[Tensor, "context _width"]] | None = None,
    reduce: Callable[[Reads], Reads] | None = None,
    progress: Progress | None = None,
) -> Shaped[Tensor, "context point width"] | dict[str, Shaped[Tensor, "context point _width"]]:
    """``F_p(X)``: the model's output when ``X`` replaces the residual stream after block ``layer`` at one position.

    All earlier positions keep the context's own activations; later ones see the point, and run again for each. Janiak
    et al. 2024, Section 3, patch and read the last position; the paper's scripts read ``"final_norm"``.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the prompts p, which have one length.
        points: The points X that replace it, any number for each context.
        layer: Block whose output is replaced.
        reads: What to read: ``"resid"`` (the residual stream after the last block), ``"final_norm"``, ``"logits"``,
            ``"logprobs"``, ``"gates"`` (MLP gate pre-activations) or ``"open_gates"`` (whether each is above 0); of
            single blocks behind ``layer``, counted from 0, ``"resid.7"`` (the stream after block 7), ``"attn.7"`` and
            ``"mlp.7"`` (what its attention and its MLP add to the stream; without a number, those of the last block);
            or a tuple of several, all from one pass.
        position: Which token's activation is replaced, counted from 0, or from the end if negative.
        read_position: At which token to read, the replaced one or a later one.
        method: Patching method: ``"auto"``, ``"full"``, ``"prefix"``, ``"parallel"`` or ``"joint"``; they differ in
            speed and memory. One that is named is tried against ``"full"`` first, once for each kind of context, as
            those of ``"auto"`` are. A model that runs remotely takes ``"auto"`` and ``"full"`` only.
        blocks: Blocks whose gates are read, in the order in which they come back; where ``None``, all blocks after
            ``layer``.
        held: What parts of blocks behind ``layer`` add to the stream at the patched position, instead of what they
            compute there: by read point (``"attn.7"``, ``"mlp.7"``), one row for each context. It needs a model that
            runs here, and to be read where it is patched.
        reduce: Function that shrinks what each batch has read before it is kept, such as logits over 50,000 tokens to
            the largest. It takes and returns a dict of tensors ``[row, point, width]``, and must treat each point by
            itself.
        progress: Called after each batch with the number of points done and that of all points; what it raises ends the
            call.

    Returns:
        The tensor read, in float32 or wider (``"open_gates"`` in bool), on the model's device; a dict of tensors by
        read point where ``reads`` is a tuple; the dict that ``reduce`` returns, where it is given.

    Raises:
        ValueError: The tokens, points, block, positions, read point or held parts do not suit the model, or the method
            cannot run it, or gives something else than whole prompts do.
        RemoteError: The method cannot run remotely, or the server cannot be reached.
    """
    context, layer = check_tokens(model, context, "context"), check_layer(model, layer)
    wanted, sites = check_reads(model, reads, layer)
    context, behind = _up_to_read(model, context, layer, position, read_position)
    readout = Readout(wanted, layer, _blocks_read(model, layer, wanted, blocks), sites, behind)
    readout = readout._replace(held=_holds(model, held, layer, len(context), behind))
    chosen = method if isinstance(method, Chosen) else None
    (method,) = check_names(method, (*METHODS, "auto"), "method")
    check_method(model, method)
    points = check_points(model, points, len(context))
    with model.lock, named():
        if model.remote:
            at_once = max(1, METHODS["full"].points_that_fit(model, context.shape[1], points.shape[1], readout))
            found = patch_there(model, context, points, readout, at_once)
            out = found if reduce is None else reduce(found)
            if progress is not None:
                progress(points.shape[0] * points.shape[1], points.shape[0] * points.shape[1])
        elif method == "auto" or chosen is not None:
            chosen = chosen or choose_method(model, context, points.shape[1], behind, layer).method
            out = run_chosen(model, chosen, context, points, readout, reduce, progress)
        else:
            out = run_named(model, method, context, points, readout, reduce, progress)
    out = {name: values.to(model.device) for name, values in out.items()}
    return out[wanted[0]] if isinstance(reads, str) and reduce is None else out


def _up_to_read(
    model: Model, context: Int[Tensor, "context pos"], layer: int, position: int, read_position: int
) -> tuple[Int[Tensor, "context _pos"], int]:
    """The contexts up to the token at which is read, for none sees those behind it, and how far behind the point it is.

    Raises:
        ValueError: There is no such token, or it does not see the point.
    """
    length = context.shape[1]
    patched = check_position(length, position)
    read = check_position(length, read_position, "read_position", patched)
    if read > patched and layer == model.n_layers - 1:
        raise ValueError(
            f"position={position}, read_position={read_position}: a point that is put in after block {layer}, the last "
            f"of {model.name}, is seen by no later token; read at the same position, or put it in earlier."
        )
    return context[:, : read + 1], read - patched


def _holds(model: Model, held: Mapping[str, Tensor] | None, layer: int, contexts: int, behind: int) -> tuple[Hold, ...]:
    """The parts that are held, after a check that they are behind the patch and have a row for each context."""
    if held is None:
        return ()
    check_here(model, "held")
    if not isinstance(held, Mapping) or not held:
        raise ValueError(f"held={str(held)[:100]}: expected values by read point, such as {{'mlp.{layer + 1}': ...}}.")
    if behind:
        raise ValueError("held: parts are held at the patched position, so read there: leave read_position out.")
    _, sites = check_reads(model, list(held), layer)
    parts = [site for site in sites if site.path]
    if len(parts) < len(held):
        raise ValueError(f"held={list(held)}: only what attention or an MLP adds can be held, as 'attn.3' or 'mlp.3'.")
    for name, values in held.items():
        row_each = values[:, None] if isinstance(values, Tensor) and values.ndim == 2 else values
        check_points(model, row_each, contexts, f"held[{name!r}]")
    return tuple(Hold(site, held[site.name].to(model.device)) for site in parts)


def _blocks_read(model: Model, layer: int, reads: tuple[str, ...], blocks: Sequence[int] | None) -> tuple[int, ...]:
    """Blocks whose gates are asked for, all of them behind ``layer``; none where no gates are."""
    if not {GATES, OPEN_GATES} & set(reads):
        if blocks is not None:
            raise ValueError(
                f"blocks={blocks!r}: whose gates are read, and reads={reads} has none of {GATES, OPEN_GATES}."
            )
        return ()
    check_gates(model, layer)
    behind = range(layer + 1, model.n_layers)
    if blocks is None:
        return tuple(behind)
    chosen = tuple(check_whole(block, "blocks", behind[0], behind[-1]) for block in listed(blocks) or ())
    if not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(f"blocks={blocks!r}: expected different blocks of {behind[0]} to {behind[-1]} in a list.")
    return chosen
