"""The likeliest next tokens at the points of a slice that were not measured."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from srtoolkit.measures.likely_tokens import likeliest
from srtoolkit.measures.planes import ANCHORS, Layout, points_at
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.patching.patch import patch
from srtoolkit.patching.reads import Reads


@torch.no_grad()
def fill_tokens(model: Model, layout: Layout, plane: xr.Dataset, anchor: str, progress: Progress) -> xr.Dataset:
    """A slice with the likeliest next tokens at every point of one context; only those not known yet are measured.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layout: The plane of the slice, from :func:`srtoolkit.lay_out`.
        plane: From :func:`srtoolkit.slice_plane` on this layout, with ``top``.
        anchor: Name of the anchor in whose context to predict.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.

    Returns:
        A copy of ``plane`` with all tokens and probabilities of this context.
    """
    context, top = ANCHORS.index(anchor), plane.sizes["rank"]
    flat = np.flatnonzero(~plane["measured"].values[context])
    if not len(flat):
        return plane

    def likely(found: Reads) -> Reads:
        tokens, probabilities = likeliest(found["logits"], top)
        return {"token": tokens, "probability": probabilities}

    measured = patch(
        model, layout.tokens[context], points_at(layout, flat)[None], layer=layout.layer, reads=("logits",),
        reduce=likely, progress=progress,
    )  # fmt: skip
    filled = plane.copy()
    for name, values in measured.items():
        filled[name] = plane[name].copy()
        filled[name].values[context].reshape(-1, top)[flat] = values[0].cpu().numpy()
    return filled
