"""Planes through three prompts' activations: how far the output is from each prompt's own, point by point."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from srtoolkit.checks import check_layer, check_names, check_tokens
from srtoolkit.models import Model
from srtoolkit.patching import METHODS, capture, patch
from srtoolkit.results import triple_provenance

ANCHORS = ("A", "B", "C")

#: C counts as lying on the line AB when it is nearer to it than this share of |B - A|.
COLLINEAR = 1e-6


@torch.no_grad()
def slice_plane(
    model: Model,
    triple: Sequence[str | Int[Tensor, " _pos"]],
    *,
    layer: int = 0,
    resolution: int = 61,
    margin: float = 0.25,
    method: str = "auto",
) -> xr.Dataset:
    """Distance of the output from that of each of three prompts, in each prompt's own context, over the plane through
    their activations; L2 after the final norm. The paper's Appendix C.

    The plane is ``X = A + alpha (B - A) + beta (C - P)``, where P is the foot of the perpendicular from C to the line
    AB: A lies at (0, 0), B at (1, 0), C at (``c_alpha``, 1).

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: Three prompts, as texts or as token ids, of any lengths.
        layer: Block whose output is replaced.
        resolution: Points along each axis; the paper's pictures have 61.
        margin: How far the plane reaches beyond 0 and 1; the paper's is 0.25.
        method: Patching method.

    Returns:
        Dims ``anchor``, ``beta``, ``alpha``: ``distance`` from the anchor's own output, ``largest_distance`` (dim
        ``anchor``, over the plane), ``c_alpha``, with texts and provenance. :func:`srtoolkit.slice_colours` makes
        colours of it.

    Raises:
        ValueError: Not three prompts, bad prompts or settings, or activations that span no plane.
    """
    layer = check_layer(model, layer)
    check_names(method, (*METHODS, "auto"), "method")
    if not hasattr(resolution, "__index__") or resolution < 2 or not 0 <= margin < 10:
        raise ValueError(
            f"resolution={resolution!r}, margin={margin!r}: a plane needs a whole number of points from 2 on, and a "
            "margin from 0 to 10."
        )
    if isinstance(triple, str) or len(triple) != len(ANCHORS):
        raise ValueError(f"expected three prompts, got {len(triple)}: {str(triple)[:200]}")
    prompts = [model.tokenize(prompt) if isinstance(prompt, str) else prompt for prompt in triple]
    tokens = [check_tokens(model, ids[None], f"prompt {name}") for name, ids in zip(ANCHORS, prompts, strict=True)]
    corners = torch.cat([capture(model, ids, layer) for ids in tokens])
    axis = torch.linspace(-margin, 1 + margin, int(resolution), device=corners.device, dtype=corners.dtype)
    points, c_alpha = _plane(corners, axis, model.name)
    distance = torch.empty(len(ANCHORS), len(axis), len(axis))
    for index in tqdm(range(len(ANCHORS)), desc=f"slice after block {layer}", unit="context", leave=False):
        # The anchor itself goes first in the same call, so that both ends of a distance come from like passes.
        crowd = torch.cat([corners[index : index + 1], points])[None]
        outputs = patch(model, tokens[index], crowd, layer, "final_norm", method)
        assert isinstance(outputs, Tensor)
        distance[index] = (outputs[0, 1:] - outputs[0, :1]).norm(dim=-1).reshape(len(axis), len(axis)).cpu()
    texts = [prompt if isinstance(prompt, str) else str(model.tokenizer.decode(prompt.tolist())) for prompt in triple]
    place = axis.double().cpu().numpy()
    return xr.Dataset(
        {
            "distance": (
                ("anchor", "beta", "alpha"),
                distance.numpy(),
                {"long_name": "L2 distance from the anchor's output after the final norm"},
            ),
            "largest_distance": ("anchor", distance.amax((1, 2)).numpy()),
            "c_alpha": ((), c_alpha, {"long_name": "alpha of C, which lies at beta = 1"}),
        },
        {"anchor": list(ANCHORS), "beta": place, "alpha": place, "text": ("anchor", texts)},
        triple_provenance(model, prompts, layer=layer, resolution=len(axis), margin=float(margin), method=method),
    )


def slice_colours(planes: xr.Dataset, jointly: bool = True) -> xr.DataArray:
    """Red, green and blue of every point: 1 less the distance from A, B and C over the largest one; Appendix C.

    The paper divides by the largest distance of each picture, so that its colours cannot be compared from one
    checkpoint to the next. Dividing once over all of them keeps them comparable.

    Args:
        planes: From :func:`slice_plane`, or several along ``model``, as :func:`srtoolkit.sweep` gives them.
        jointly: Divide by the largest distance over all models; else each picture by its own, as the paper does.

    Returns:
        As ``planes["distance"]``, from 0 (the farthest) to 1 (as the anchor's own output).
    """
    largest = planes["largest_distance"]
    if jointly and "model" in largest.dims:
        largest = largest.max("model")
    return (1 - planes["distance"] / largest).rename("colour").transpose(..., "anchor")


def _plane(
    corners: Float[Tensor, "anchor d_model"], axis: Float[Tensor, " place"], name: str
) -> tuple[Float[Tensor, "point d_model"], float]:
    """Points of the plane, row by row of beta, and the alpha of C."""
    a, b, c = corners
    along = b - a
    length = along.square().sum()
    place = (along @ (c - a)) / length
    across = c - (a + place * along)
    if not length > 0 or across.norm() <= COLLINEAR * length.sqrt():
        raise ValueError(
            f"{name}: the activations of the three prompts lie on one line (|B - A| {length.sqrt():.3g}, C is "
            f"{across.norm():.3g} away from it), so they span no plane; take prompts that end in different tokens."
        )
    grid = a + axis[None, :, None] * along + axis[:, None, None] * across
    return grid.flatten(0, 1), float(place)
