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
            whose block, resolution and margin then hold.
        anchor: The prompt whose context is used: ``"A"``, ``"B"`` or ``"C"``.
        top: Number of tokens to keep at each point.
        layer: Block whose output is replaced.
        resolution: Number of points along each axis.
        margin: How far the plane reaches beyond the anchors, in alpha and beta.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``beta``, ``alpha``, ``rank`` (1 is the likeliest): ``token`` (its id) and ``probability``.

    Raises:
        ValueError: A prompt, setting or anchor is not valid, or ``top`` is more than the vocabulary has.
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
    """The line from prompt A's activation to a point of the plane, as a path for :func:`srtoolkit.interpolate`.

    The line starts at prompt A of the pair that is measured with it; prompt B has no part in it.

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: The three prompts of the plane, or a plane from :func:`srtoolkit.lay_out`.
        alpha: Coordinate of the point along AB.
        beta: Coordinate of the point across AB.
        layer: Block whose output spans the plane.

    Raises:
        ValueError: A prompt, block or place is not valid, or the activations span no plane.
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
