"""The plane through three prompts' activations: where its points lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.measures.dataset import triple_provenance
from srtoolkit.measures.walk import capture_all, wide
from srtoolkit.models.checks import check_layer, check_model, check_tokens
from srtoolkit.models.model import Model
from srtoolkit.validation import check_number, check_whole, listed

ANCHORS = ("A", "B", "C")

#: C counts as lying on the line AB when it is nearer to it than this share of |B - A|.
COLLINEAR = 1e-6


class Plane(NamedTuple):
    """The plane ``A + alpha u + beta v``.

    Attributes:
        origin: Activation A.
        u: B - A.
        v: Direction across u, towards C.
        c: Coordinates alpha and beta of C.
    """

    origin: Float[Tensor, " d_model"]
    u: Float[Tensor, " d_model"]
    v: Float[Tensor, " d_model"]
    c: tuple[float, float]


class Layout(NamedTuple):
    """The plane that a slice is measured on. :func:`srtoolkit.lay_out` makes it, and every slice measurement takes it.

    Attributes:
        tokens: Token ids of the three prompts, [1, pos] each.
        texts: Texts of the three prompts.
        corners: Activations of the three prompts, A, B and C, in float32 or wider.
        plane: The plane through them.
        axis: Coordinates of the points along alpha, which are those along beta, too.
        layer: Block whose output is replaced.
        attrs: Model, token ids and settings, which become attributes of the result.
    """

    tokens: list[Int[Tensor, "context _pos"]]
    texts: list[str]
    corners: Float[Tensor, "anchor d_model"]
    plane: Plane
    axis: Float[Tensor, " alpha"]
    layer: int
    attrs: dict[str, Any]


#: Three prompts, as texts or as token ids, or a plane that is laid out already.
Triple = Iterable[str | Int[Tensor, " _pos"]] | Layout


@torch.no_grad()
def lay_out(
    model: Model,
    triple: Triple,
    *,
    layer: int = 0,
    resolution: int = 61,
    margin: float = 0.25,
    orthonormal: bool = False,
) -> Layout:
    """The plane through three prompts' activations, and the points on it to measure.

    Several measurements on one plane (distances, gates, predictions) take it in place of the three prompts, whose
    activations are then captured only once.

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: Three prompts, as texts or as token ids, of any lengths; a plane is returned as it is.
        layer: Block whose output is replaced.
        resolution: Number of points along each axis.
        margin: How far the plane reaches beyond the anchors, in alpha and beta.
        orthonormal: Give beta the unit of alpha, which is ``|B - A|``.

    Raises:
        ValueError: There are not three prompts, a prompt or setting is not valid, the activations span no plane, or the
            plane is of another model.
    """
    if isinstance(triple, Layout):
        if triple.attrs["fingerprint"] != check_model(model).fingerprint:
            raise ValueError(
                f"triple: a plane of {triple.attrs['model']}, and the model is {model.name}; lay it out with this one."
            )
        return triple
    layer = check_layer(model, layer)
    resolution, margin = check_whole(resolution, "resolution", 2, 10**4), check_number(margin, "margin", 0.0, 10.0)
    given = listed(triple) or []
    if len(given) != len(ANCHORS):
        raise ValueError(
            f"expected three prompts, got {len(given)}: {str(given or triple)[:200]!r}; a list of texts or of ids."
        )
    if not all(isinstance(prompt, str | Tensor) for prompt in given):
        kinds = [type(prompt).__name__ for prompt in given]
        raise TypeError(f"expected three prompts, each a text or a LongTensor [pos] of token ids, got {kinds}.")
    prompts = [model.tokenize(prompt) if isinstance(prompt, str) else prompt for prompt in given]
    tokens = [check_tokens(model, ids[None], f"prompt {name}") for name, ids in zip(ANCHORS, prompts, strict=True)]
    texts = [prompt if isinstance(prompt, str) else str(model.tokenizer.decode(prompt.tolist())) for prompt in given]
    corners = wide(capture_all(model, [ids[0] for ids in tokens], layer))
    plane = span_plane(corners, model.name, orthonormal)
    low, high = min(0.0, plane.c[0]) if orthonormal else 0.0, max(1.0, *plane.c) if orthonormal else 1.0
    axis = torch.linspace(low - margin, high + margin, int(resolution), dtype=corners.dtype)
    settings = {"layer": layer, "resolution": len(axis), "margin": float(margin), "orthonormal": orthonormal}
    return Layout(tokens, texts, corners, plane, axis, layer, triple_provenance(model, prompts, **settings))


def span_plane(corners: Float[Tensor, "anchor d_model"], name: str, orthonormal: bool = False) -> Plane:
    """The plane through three activations.

    Args:
        corners: Activations A, B and C.
        name: Name of the model, for error messages.
        orthonormal: Give v the length of u.

    Raises:
        ValueError: The activations lie on one line.
    """
    a, b, c = corners
    along = b - a
    length = along.norm()
    place = along @ (c - a) / length**2
    across = c - (a + place * along)
    if not length > 0 or across.norm() <= COLLINEAR * length:
        raise ValueError(
            f"{name}: the activations of the three prompts lie on one line (|B - A| {length:.3g}, C is "
            f"{across.norm():.3g} away from it), so they span no plane; take prompts that end in different tokens."
        )
    height = float(across.norm() / length) if orthonormal else 1.0
    return Plane(a, along, across / height, (float(place), height))


def points_at(layout: Layout, flat: Int[np.ndarray, " point"]) -> Float[Tensor, "point d_model"]:
    """Points of the plane by flat index, row by row of beta.

    Args:
        layout: From :func:`lay_out`.
        flat: Index along beta, times the number of points along an axis, plus the index along alpha.
    """
    plane, axis = layout.plane, layout.axis
    beta, alpha = (axis[torch.from_numpy(place)].to(plane.u)[:, None] for place in divmod(flat, len(axis)))
    return plane.origin + alpha * plane.u + beta * plane.v


def on_plane(layout: Layout, data: dict[str, Any], **settings: Any) -> xr.Dataset:
    """A Dataset of values on the plane, with the coordinates of its anchors.

    Args:
        layout: From :func:`lay_out`.
        data: Variables over ``beta`` and ``alpha``, and over ``anchor`` where they differ by context.
        settings: Further attributes.
    """
    place = layout.axis.double().numpy()
    coords = {"anchor": list(ANCHORS), "beta": place, "alpha": place, "text": ("anchor", layout.texts)}
    c_alpha, c_beta = layout.plane.c
    data = data | {
        "c_alpha": ((), c_alpha, {"long_name": "alpha of C"}),
        "c_beta": ((), c_beta, {"long_name": "beta of C"}),
    }
    return xr.Dataset(data, coords, {**layout.attrs, **settings})
