"""How the output moves with an activation: derivatives of a patch, through the blocks behind it.

Along one direction these are forward-mode derivatives (Jacobian-vector products): one pass carries value and
derivative, and needs no memory for a way back. The gradient of one number by the whole activation is a way back. Plain
PyTorch hooks put the point in, for a derivative cannot go through a trace.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from srtoolkit.models.checks import check_layer, check_points, check_tokens
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.reads import Readout
from srtoolkit.validation import check_names

#: What can be differentiated.
DIFFERENTIABLE = ("resid", "final_norm", "logits")


def directional(
    model: Model,
    context: Int[Tensor, "row pos"],
    points: Float[Tensor, "row d_model"],
    directions: Float[Tensor, "row d_model"],
    *,
    layer: int = 0,
    reads: str = "logits",
) -> tuple[Float[Tensor, "row width"], Float[Tensor, "row width"]]:
    """Output at each point, and its derivative along one direction, in units of output per unit of activation.

    Memory does not grow with the number of rows but for what is returned.

    Args:
        model: From :func:`srtoolkit.load_model`; it must run here.
        context: Token ids of each row's prompt.
        points: Activation that replaces the residual stream at the last position.
        directions: Direction in which it moves; its length counts.
        layer: Block whose output is replaced.
        reads: ``"resid"``, ``"final_norm"`` or ``"logits"``.

    Raises:
        ValueError: The tokens, points, directions, block or read point do not suit the model.
        RemoteError: The model runs elsewhere.
    """
    check_here(model, "directional derivatives")
    context, layer = check_tokens(model, context, "context"), check_layer(model, layer)
    (reads,) = check_names(reads, DIFFERENTIABLE, "reads")
    points = check_points(model, points[:, None], len(context))[:, 0]
    directions = check_points(model, directions[:, None], len(context), "directions")[:, 0]
    fitting = METHODS["full"].points_that_fit(model, context.shape[1], 1, Readout((reads,), layer))
    found = [
        _both_ways(model, layer, reads, *part)
        for part in zip(*(each.split(max(1, fitting // 2)) for each in (context, points, directions)), strict=True)
    ]
    values, derivatives = (torch.cat(parts) for parts in zip(*found, strict=True))
    wide = torch.promote_types(values.dtype, torch.float32)
    return values.to(wide), derivatives.to(wide)


def gradient(
    model: Model,
    context: Int[Tensor, "row pos"],
    points: Float[Tensor, "row d_model"],
    value_of: Callable[[Int[Tensor, " row"], Float[Tensor, "row width"]], Float[Tensor, " row"]],
    *,
    layer: int = 0,
    reads: str = "logits",
) -> Float[Tensor, "row d_model"]:
    """Gradient of one number of each output by the activation that is put in, in units of that number.

    Args:
        model: From :func:`srtoolkit.load_model`; it must run here.
        context: Token ids of each row's prompt.
        points: Activation that replaces the residual stream at the last position.
        value_of: The number, of indices of rows and their outputs; by operations that PyTorch differentiates.
        layer: Block whose output is replaced.
        reads: ``"resid"``, ``"final_norm"`` or ``"logits"``.

    Raises:
        ValueError: The tokens, points, block or read point do not suit the model.
        RemoteError: The model runs elsewhere.
    """
    check_here(model, "a gradient")
    context, layer = check_tokens(model, context, "context"), check_layer(model, layer)
    (reads,) = check_names(reads, DIFFERENTIABLE, "reads")
    points = check_points(model, points[:, None], len(context))[:, 0]
    fitting = METHODS["full"].points_that_fit(model, context.shape[1], 1, Readout((reads,), layer))
    at_once = max(1, fitting // (2 * (model.n_layers - layer)))  # the way back needs what every block behind computed
    found = torch.empty(points.shape, dtype=torch.promote_types(points.dtype, torch.float32), device=points.device)
    for rows in torch.arange(len(points)).split(at_once):
        with model.lock, torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            at = points[rows].detach().requires_grad_()
            output = _run(model, layer, reads, context[rows], functools.partial(_itself, at))
            value = value_of(rows, output.to(torch.promote_types(output.dtype, torch.float32)))
            (back,) = torch.autograd.grad(value.sum(), at)
        found[rows] = back.to(found)
    return found


def _both_ways(model: Model, layer: int, reads: str, *row: Tensor) -> tuple[Tensor, Tensor]:
    """Forward mode; where some operation of the family has no formula for it, backwards twice."""
    # The others have neither; PyTorch compiles its formulas on first use, by a way of its own that it calls deprecated.
    with model.lock, sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        try:
            return _forwards(model, layer, reads, *row)
        except (NotImplementedError, RuntimeError) as error:
            if "forward" not in str(error).lower():
                raise
        return _backwards_twice(model, layer, reads, *row)


def _forwards(
    model: Model, layer: int, reads: str, context: Tensor, points: Tensor, directions: Tensor
) -> tuple[Tensor, Tensor]:
    with torch.no_grad(), forward_ad.dual_level():
        output = _run(model, layer, reads, context, lambda: forward_ad.make_dual(points, directions))
        value, derivative = forward_ad.unpack_dual(output)
        return value.clone(), torch.zeros_like(value) if derivative is None else derivative.clone()


def _backwards_twice(
    model: Model, layer: int, reads: str, context: Tensor, points: Tensor, directions: Tensor
) -> tuple[Tensor, Tensor]:
    """``J u`` as the derivative of ``J' w`` by ``w``, along ``u``."""
    with torch.enable_grad():
        at = points.detach().requires_grad_()
        output = _run(model, layer, reads, context, lambda: at)
        weights = torch.zeros_like(output, requires_grad=True)
        (back,) = torch.autograd.grad(output, at, weights, create_graph=True)
        (derivative,) = torch.autograd.grad(back, weights, directions)
    return output.detach(), derivative


def _itself(point: Tensor) -> Tensor:
    return point


def _run(model: Model, layer: int, reads: str, context: Tensor, point: Callable[[], Tensor]) -> Tensor:
    """What is read at the last position, with a point put in that may carry derivatives."""
    blocks, seen = model.hf.get_submodule(model.anatomy.blocks), dict[str, Tensor]()

    def put_in(_: Any, __: Any, output: Any) -> Any:
        stream = output if isinstance(output, Tensor) else output[0]
        changed = torch.cat([stream[:, :-1].detach(), point()[:, None].to(stream.device)], dim=1)
        return changed if isinstance(output, Tensor) else (changed, *output[1:])

    def read(_: Any, __: Any, output: Any) -> None:
        seen["read"] = (output if isinstance(output, Tensor) else output[0])[:, -1]

    base = model.hf.get_submodule(model.anatomy.base)
    handles = [blocks[layer].register_forward_hook(put_in)]
    if reads != "logits":
        handles.append((blocks[-1] if reads == "resid" else base).register_forward_hook(read))
    root = model.hf if reads == "logits" else base
    try:
        out = root(input_ids=context, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return out.logits[:, -1] if reads == "logits" else seen["read"]
