"""Predictions over a plane in one context, and lines from a prompt to a point of the plane."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from srtoolkit.measures.likely_tokens import check_top, likeliest
from srtoolkit.measures.paths import Path, linear
from srtoolkit.measures.planes import ANCHORS, Triple, lay_out, on_plane, points_at
from srtoolkit.measures.progress import reporting
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.patching.patch import patch
from srtoolkit.patching.reads import Reads
from srtoolkit.validation import check_names, check_number


@torch.no_grad()
def slice_predictions(
    model: Model,
    triple: Triple,
    *,
    anchor: str = "A",
    top: int = 5,
    layer: int = 0,
    resolution: int = 61,
    margin: float = 0.25,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Probability of the likeliest next tokens at every point of the plane of :func:`srtoolkit.slice_plane`.

    Where the plane is measured anyway, ``slice_plane(..., top=)`` keeps the same tokens from the same passes.

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: Three prompts, as texts or as token ids, of any lengths; or a plane from :func:`srtoolkit.lay_out`,
            whose block, resolution and margin are then those that count.
        anchor: Whose prompt is the context: ``"A"``, ``"B"`` or ``"C"``.
        top: How many tokens.
        layer: Block whose output is replaced.
        resolution: Points along each axis.
        margin: How far the plane reaches beyond the anchors.
        progress: Called with the points done and those of the plane; what it raises ends the measurement. A bar is
            shown where ``None``.

    Returns:
        Dims ``beta``, ``alpha``, ``rank``: ``token`` (id) and ``probability``.

    Raises:
        ValueError: Bad prompts or settings, no such anchor, or more tokens than the vocabulary has.
    """
    check_names(anchor, ANCHORS, "anchor")
    top = check_top(model, top)
    layout = lay_out(model, triple, layer=layer, resolution=resolution, margin=margin)
    n = len(layout.axis)

    def likely(found: Reads) -> Reads:
        tokens, probabilities = likeliest(found["logits"], top)
        return {"token": tokens, "probability": probabilities}

    points, context = points_at(layout, np.arange(n * n))[None], layout.tokens[ANCHORS.index(anchor)]
    with reporting(progress, n * n, f"predictions after block {layout.layer}") as report:
        found = patch(
            model, context, points, layer=layout.layer, reads=("logits",), reduce=likely,
            progress=lambda here, _: report(here),
        )  # fmt: skip
    shape, dims = (n, n, top), ("beta", "alpha", "rank")
    data = {name: (dims, values[0].cpu().numpy().reshape(shape)) for name, values in found.items()}
    return on_plane(layout, data, context=anchor).assign_coords(rank=np.arange(1, top + 1))


def line_on_plane(model: Model, triple: Triple, alpha: float, beta: float, *, layer: int = 0) -> Path:
    """The line from a prompt's activation to a point of the plane, as a path for :func:`srtoolkit.interpolate`.

    Of the pair that it is used with, the first prompt is where the line starts; the second has no part in it.

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: The three prompts of the plane, or a plane from :func:`srtoolkit.lay_out`.
        alpha: Place of the point along AB.
        beta: Place across it.
        layer: Block whose output spans the plane.

    Raises:
        ValueError: Bad prompts, block or place, or activations that span no plane.
    """
    alpha, beta = check_number(alpha, "alpha"), check_number(beta, "beta")
    plane = lay_out(model, triple, layer=layer, resolution=2, margin=0.0).plane
    end = plane.origin + alpha * plane.u + beta * plane.v

    def path(
        a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"], alphas: Float[Tensor, " alpha"]
    ) -> Float[Tensor, "pair alpha d_model"]:
        return linear(a, end.to(a).expand_as(b), alphas)

    path.__name__ = f"line to alpha {alpha:.4g}, beta {beta:.4g} of the plane"
    return path
