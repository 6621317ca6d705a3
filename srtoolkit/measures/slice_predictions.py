"""What a slice's explorer measures beside the slice: next tokens at every point, and the line to one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.measures.paths import Path, linear
from srtoolkit.measures.planes import ANCHORS, lay_out, on_plane, points_at
from srtoolkit.models.checks import check_names
from srtoolkit.models.model import Model
from srtoolkit.panels.parts.worker import Cancelled
from srtoolkit.patching.patch import patch

#: Points between two looks at whether the result is still wanted.
AT_ONCE = 256


@torch.no_grad()
def slice_predictions(
    model: Model,
    triple: Sequence[str | Int[Tensor, " _pos"]],
    *,
    anchor: str = "A",
    top: int = 5,
    layer: int = 0,
    resolution: int = 61,
    margin: float = 0.25,
    cancelled: Cancelled = lambda: False,
    progress: Callable[[float], None] = lambda _: None,
) -> xr.Dataset | None:
    """Probability of the likeliest next tokens at every point of the plane of :func:`srtoolkit.slice_plane`.

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: Three prompts, as texts or as token ids, of any lengths.
        anchor: Whose prompt is the context: ``"A"``, ``"B"`` or ``"C"``.
        top: How many tokens.
        layer: Block whose output is replaced.
        resolution: Points along each axis.
        margin: How far the plane reaches beyond the anchors.
        cancelled: Ends it early.
        progress: Takes the share that is done.

    Returns:
        Dims ``beta``, ``alpha``, ``rank``: ``token`` (id) and ``probability``; ``None`` when cancelled.

    Raises:
        ValueError: Bad prompts or settings, no such anchor, or more tokens than the vocabulary has.
    """
    check_names(anchor, ANCHORS, "anchor")
    if not 1 <= top <= model.vocab_size:
        raise ValueError(f"top={top!r}: {model.name} has {model.vocab_size} tokens.")
    layout = lay_out(model, triple, layer, resolution, margin, False)
    n = len(layout.axis)
    shape = (n, n, top)
    tokens, probabilities = np.empty((n * n, top), np.int64), np.empty((n * n, top), np.float32)
    for start in range(0, n * n, AT_ONCE):
        if cancelled():
            return None
        progress(start / (n * n))
        flat = np.arange(start, min(start + AT_ONCE, n * n))
        found = patch(model, layout.tokens[ANCHORS.index(anchor)], points_at(layout, flat)[None], layer, "logprobs")
        assert isinstance(found, Tensor)
        best = found[0].topk(top)
        tokens[flat], probabilities[flat] = best.indices.cpu().numpy(), best.values.exp().cpu().numpy()
    dims = ("beta", "alpha", "rank")
    data = {"token": (dims, tokens.reshape(shape)), "probability": (dims, probabilities.reshape(shape))}
    return on_plane(layout, data, context=anchor).assign_coords(rank=np.arange(1, top + 1))


def line_on_plane(
    model: Model,
    triple: Sequence[str | Int[Tensor, " _pos"]],
    alpha: float,
    beta: float,
    *,
    layer: int = 0,
) -> Path:
    """The line from a prompt's activation to a point of the plane, as a path for :func:`srtoolkit.interpolate`.

    Of the pair that it is used with, the first prompt is where the line starts; the second has no part in it.

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: The three prompts of the plane.
        alpha: Place of the point along AB.
        beta: Place across it.
        layer: Block whose output spans the plane.
    """
    plane = lay_out(model, triple, layer, 2, 0.0, False).plane
    end = plane.origin + alpha * plane.u + beta * plane.v

    def path(
        a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"], alphas: Float[Tensor, " alpha"]
    ) -> Float[Tensor, "pair alpha d_model"]:
        return linear(a, end.to(a).expand_as(b), alphas)

    path.__name__ = f"line to alpha {alpha:.4g}, beta {beta:.4g} of the plane"
    return path
