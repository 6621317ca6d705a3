"""How the output moves with an activation: derivatives of a patch, through the blocks behind it.

Along one direction these are forward-mode derivatives (Jacobian-vector products): one pass carries value and
derivative, and needs no memory for a way back. The gradient of one number by the whole activation is a way back. Plain
PyTorch hooks put the point in, for a derivative cannot go through a trace.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from srtoolkit.models.checks import check_layer, check_points, check_position, check_tokens
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.reads import Readout
from srtoolkit.validation import check_names

#: What can be differentiated.
DIFFERENTIABLE = ("resid", "final_norm", "logits")


def directional_batches(
    model: Model,
    context: Int[Tensor, "row pos"],
    points: Float[Tensor, "row d_model"],
    directions: Float[Tensor, "row d_model"],
    *,
    layer: int = 0,
    reads: str = "logits",
) -> Iterator[tuple[Float[Tensor, "_row width"], Float[Tensor, "_row width"]]]:
    """Output at each point, and its derivative along one direction, in units of output per unit of activation.

    They come some rows at a time and in order, in float32 or wider. Memory does not grow with the number of rows.

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
    batches = (each.split(max(1, fitting // 2)) for each in (context, points, directions))
    for ids, at, way in zip(*batches, strict=True):
        value, derivative = both_ways(model, functools.partial(_run, model, layer, reads, ids), at, way)
        wide = torch.promote_types(value.dtype, torch.float32)
        yield value.to(wide), derivative.to(wide)


def gradient(
    model: Model,
    context: Int[Tensor, "row pos"],
    points: Float[Tensor, "row d_model"],
    value_of: Callable[[Int[Tensor, " row"], Float[Tensor, "row width"]], Float[Tensor, " row"]],
    *,
    layer: int = 0,
    position: int = -1,
    reads: str = "logits",
) -> Float[Tensor, "row d_model"]:
    """Gradient of one number of each output by the activation that is put in, in units of that number.

    Args:
        model: From :func:`srtoolkit.load_model`; it must run here.
        context: Token ids of each row's prompt.
        points: Activation that replaces the residual stream at the position.
        value_of: The number, of indices of rows and their outputs; by operations that PyTorch differentiates.
        layer: Block whose output is replaced.
        position: Which token's activation is replaced; outputs are those of the last token.
        reads: ``"resid"``, ``"final_norm"`` or ``"logits"``.

    Raises:
        ValueError: The tokens, points, block, position or read point do not suit the model.
        RemoteError: The model runs elsewhere.
    """
    check_here(model, "a gradient")
    context, layer = check_tokens(model, context, "context"), check_layer(model, layer)
    (reads,) = check_names(reads, DIFFERENTIABLE, "reads")
    points = check_points(model, points[:, None], len(context))[:, 0]
    place = check_position(context.shape[1], position)
    fitting = METHODS["full"].points_that_fit(model, context.shape[1], 1, Readout((reads,), layer))
    at_once = max(1, fitting // (2 * (model.n_layers - layer)))  # the way back needs what every block behind computed
    found = torch.empty(points.shape, dtype=torch.promote_types(points.dtype, torch.float32), device=points.device)
    for rows in torch.arange(len(points)).split(at_once):
        with model.lock, torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            at = points[rows].detach().requires_grad_()
            output = _run(model, layer, reads, context[rows], functools.partial(_itself, at), place)
            value = value_of(rows, output.to(torch.promote_types(output.dtype, torch.float32)))
            (back,) = torch.autograd.grad(value.sum(), at)
        found[rows] = back.to(found)
    return found


def both_ways(
    model: Model,
    output: Callable[[Callable[[], Tensor]], Tensor],
    points: Float[Tensor, "*point d_model"],
    directions: Float[Tensor, "*point d_model"],
) -> tuple[Tensor, Tensor]:
    """Output at points and its derivative along directions, by forward mode.

    Where some operation of the family has no formula for that, the derivative is taken backwards twice.

    Args:
        model: From :func:`srtoolkit.load_model`.
        output: Gives the output, of a function that gives the points as they enter the model.
        points: The points.
        directions: A direction for each.
    """
    # The others have neither; PyTorch compiles its formulas on first use, by a way of its own that it calls deprecated.
    with model.lock, sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        try:
            return _forwards(output, points, directions)
        except (NotImplementedError, RuntimeError) as error:
            if "forward" not in str(error).lower():
                raise
        return _backwards_twice(output, points, directions)


def _forwards(
    output: Callable[[Callable[[], Tensor]], Tensor], points: Tensor, directions: Tensor
) -> tuple[Tensor, Tensor]:
    with torch.no_grad(), forward_ad.dual_level():
        found = output(lambda: forward_ad.make_dual(points, directions))
        value, derivative = forward_ad.unpack_dual(found)
        return value.clone(), torch.zeros_like(value) if derivative is None else derivative.clone()


def _backwards_twice(
    output: Callable[[Callable[[], Tensor]], Tensor], points: Tensor, directions: Tensor
) -> tuple[Tensor, Tensor]:
    """``J u`` as the derivative of ``J' w`` by ``w``, along ``u``."""
    with torch.enable_grad():
        at = points.detach().requires_grad_()
        found = output(lambda: at)
        weights = torch.zeros_like(found, requires_grad=True)
        (back,) = torch.autograd.grad(found, at, weights, create_graph=True)
        (derivative,) = torch.autograd.grad(back, weights, directions)
    return found.detach(), derivative


def _itself(point: Tensor) -> Tensor:
    return point


def _run(
    model: Model, layer: int, reads: str, context: Tensor, point: Callable[[], Tensor], position: int | None = None
) -> Tensor:
    """What is read at the last position, with a point put in, there or elsewhere, that may carry derivatives."""
    place = context.shape[1] - 1 if position is None else position

    def put_in(stream: Tensor) -> Tensor:
        before, behind = stream[:, :place].detach(), stream[:, place + 1 :].detach()
        return torch.cat([before, point()[:, None].to(stream.device), behind], dim=1)

    return run_hooked(model, layer, reads, {"input_ids": context, "use_cache": False}, put_in)[:, -1]


def run_hooked(
    model: Model, layer: int, reads: str, inputs: dict[str, Any], put_in: Callable[[Tensor], Tensor]
) -> Float[Tensor, "row pos width"]:
    """What is read at all positions of a pass, by plain hooks, with what is put in after a block.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Block whose output is replaced.
        reads: ``"resid"``, ``"final_norm"`` or ``"logits"``.
        inputs: Arguments of the model's forward pass.
        put_in: Gives the residual stream that takes the place of the block's own; either may carry derivatives.
    """
    blocks, seen = model.hf.get_submodule(model.anatomy.blocks), dict[str, Tensor]()

    def change(_: Any, __: Any, output: Any) -> Any:
        changed = put_in(output if isinstance(output, Tensor) else output[0])
        return changed if isinstance(output, Tensor) else (changed, *output[1:])

    def read(_: Any, __: Any, output: Any) -> None:
        seen["read"] = output if isinstance(output, Tensor) else output[0]

    base = model.hf.get_submodule(model.anatomy.base)
    handles = [blocks[layer].register_forward_hook(change)]
    if reads != "logits":
        handles.append((blocks[-1] if reads == "resid" else base).register_forward_hook(read))
    root = model.hf if reads == "logits" else base
    try:
        out = root(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return out.logits if reads == "logits" else seen["read"]
