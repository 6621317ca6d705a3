"""Planes through three prompts' activations: how far the output is from each prompt's own, and what it says, point by
point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from srtoolkit.checks import check_layer, check_names, check_tokens
from srtoolkit.models import Model
from srtoolkit.patching import METHODS, capture, patch
from srtoolkit.refinement import fill_grid
from srtoolkit.results import triple_provenance

ANCHORS = ("A", "B", "C")
READS = ("final_norm", "logits")

#: C counts as lying on the line AB when it is nearer to it than this share of |B - A|.
COLLINEAR = 1e-6

#: A point belongs to none of the anchors when its output is farther from each than this share of the distance from that
#: anchor's output to the nearer of the other two's.
NONE = 0.5

#: Points whose logits are held at one time.
POINTS_AT_ONCE = 1024


_LONG_NAMES = {
    "distance": "L2 distance from the anchor's output after the final norm",
    "top_token": "id of the most probable next token",
    "margin": "log-probability of the top token less that of the second, nats",
    "region": "anchor whose output is nearest, -1 for none of the three",
    "c_alpha": "alpha of C",
    "c_beta": "beta of C",
}


class Plane(NamedTuple):
    """The plane ``A + alpha u + beta v``.

    Attributes:
        origin: A.
        u: B - A.
        v: Across u, towards C.
        c: alpha and beta of C.
    """

    origin: Float[Tensor, " d_model"]
    u: Float[Tensor, " d_model"]
    v: Float[Tensor, " d_model"]
    c: tuple[float, float]


@torch.no_grad()
def slice_plane(
    model: Model,
    triple: Sequence[str | Int[Tensor, " _pos"]],
    *,
    layer: int = 0,
    resolution: int = 61,
    margin: float = 0.25,
    reads: str | Sequence[str] = READS,
    orthonormal: bool = False,
    tolerance: float | None = None,
    method: str = "auto",
) -> xr.Dataset:
    """Distance of the output from that of each of three prompts, in each prompt's own context, over the plane through
    their activations; L2 after the final norm. The paper's Appendix C.

    The plane is ``X = A + alpha (B - A) + beta (C - P)``, where P is the foot of the perpendicular from C to the line
    AB: A lies at (0, 0), B at (1, 0), C at (``c_alpha``, ``c_beta``), and ``c_beta`` is 1.

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: Three prompts, as texts or as token ids, of any lengths.
        layer: Block whose output is replaced.
        resolution: Points along each axis; the paper's pictures have 61.
        margin: How far the plane reaches beyond the anchors; the paper's is 0.25 beyond 0 and 1.
        reads: ``"final_norm"`` gives distances and colours, ``"logits"`` what the model would say next.
        orthonormal: Give beta the unit of alpha, which is ``|B - A|``, so that the picture keeps angles and lengths.
        tolerance: Measure at full resolution only where interpolation would be off by more than this share of the
            largest distance, or where the top token changes; everywhere where ``None``.
        method: Patching method.

    Returns:
        Dims ``anchor``, ``beta``, ``alpha``. With ``"final_norm"``: ``distance`` from the anchor's own output,
        ``largest_distance`` (dim ``anchor``, over the plane), ``rgb`` (the paper's colours), ``region`` (dims ``beta``,
        ``alpha``: index of the anchor whose output is nearest, -1 for none of the three). With ``"logits"``:
        ``top_token`` and ``margin``, its log-probability less the second's, in nats; ``anchor_token`` (dim ``anchor``).
        ``measured`` says where the model ran, ``c_alpha`` and ``c_beta`` where C is.

    Raises:
        ValueError: Not three prompts, bad prompts or settings, or activations that span no plane.
    """
    layer, reads = check_layer(model, layer), check_names(reads, READS, "reads")
    check_names(method, (*METHODS, "auto"), "method")
    _check_settings(resolution, margin, tolerance)
    if isinstance(triple, str) or len(triple) != len(ANCHORS):
        raise ValueError(f"expected three prompts, got {len(triple)}: {str(triple)[:200]}")
    prompts = [model.tokenize(prompt) if isinstance(prompt, str) else prompt for prompt in triple]
    tokens = [check_tokens(model, ids[None], f"prompt {name}") for name, ids in zip(ANCHORS, prompts, strict=True)]
    corners = torch.cat([capture(model, ids, layer) for ids in tokens])
    plane = span_plane(corners, model.name, orthonormal)
    low, high = min(0.0, plane.c[0]) if orthonormal else 0.0, max(1.0, *plane.c) if orthonormal else 1.0
    axis = torch.linspace(low - margin, high + margin, int(resolution), dtype=corners.dtype)
    pictures, at_anchors = [], []
    for index in tqdm(range(len(ANCHORS)), desc=f"slice after block {layer}", unit="context", leave=False):

        def measure(flat: Int[np.ndarray, " point"], index: int = index) -> dict[str, np.ndarray]:
            points = _points(plane, axis, flat).to(corners)
            return _measure(model, tokens[index], corners, index, points, layer, reads, method)

        decides = "distance" if "final_norm" in reads else "margin"
        label = "top_token" if "logits" in reads else None
        values, measured = fill_grid(measure, len(axis), tolerance, decides, label)
        pictures.append(values | {"measured": measured})
        at_anchors.append(_measure(model, tokens[index], corners, index, corners, layer, reads, method))
    texts = [prompt if isinstance(prompt, str) else str(model.tokenizer.decode(prompt.tolist())) for prompt in triple]
    settings = {"layer": layer, "resolution": len(axis), "margin": float(margin), "orthonormal": orthonormal}
    attrs = triple_provenance(model, prompts, method=method, tolerance=tolerance or 0.0, **settings)
    return _to_dataset(pictures, at_anchors, plane, axis.double().numpy(), texts, attrs)


def span_plane(corners: Float[Tensor, "anchor d_model"], name: str, orthonormal: bool = False) -> Plane:
    """The plane through three activations.

    Args:
        corners: A, B and C.
        name: The model's name, for messages.
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


def _check_settings(resolution: int, margin: float, tolerance: float | None) -> None:
    if not hasattr(resolution, "__index__") or resolution < 2 or not 0 <= margin < 10:
        raise ValueError(
            f"resolution={resolution!r}, margin={margin!r}: a plane needs a whole number of points from 2 on, and a "
            "margin from 0 to 10."
        )
    if tolerance is not None and not 0 < tolerance < 1:
        raise ValueError(f"tolerance={tolerance!r}: expected a share of the largest distance between 0 and 1, or None.")


def _points(
    plane: Plane, axis: Float[Tensor, " place"], flat: Int[np.ndarray, " point"]
) -> Float[Tensor, "point d_model"]:
    """Points of the plane by flat index, row by row of beta."""
    beta, alpha = (axis[torch.from_numpy(place)].to(plane.u)[:, None] for place in divmod(flat, len(axis)))
    return plane.origin + alpha * plane.u + beta * plane.v


def _measure(
    model: Model,
    context: Int[Tensor, "context pos"],
    corners: Float[Tensor, "anchor d_model"],
    index: int,
    points: Float[Tensor, "point d_model"],
    layer: int,
    reads: tuple[str, ...],
    method: str,
) -> dict[str, np.ndarray]:
    """Distance from the anchor's own output, top token and its margin, at points in one anchor's context."""
    wanted = tuple("logprobs" if read == "logits" else read for read in reads)
    parts: dict[str, list[Tensor]] = {}
    for some in points.split(POINTS_AT_ONCE):
        # The anchor itself goes first in the same call, so that both ends of a distance come from like passes.
        found = patch(model, context, torch.cat([corners[index : index + 1], some])[None], layer, wanted, method)
        assert isinstance(found, dict)
        if "final_norm" in found:
            outputs = found["final_norm"][0]
            parts.setdefault("distance", []).append((outputs[1:] - outputs[:1]).norm(dim=-1))
        if "logprobs" in found:
            best = found["logprobs"][0, 1:].topk(2)
            parts.setdefault("top_token", []).append(best.indices[:, 0])
            parts.setdefault("margin", []).append(best.values[:, 0] - best.values[:, 1])
    return {name: torch.cat(values).cpu().numpy() for name, values in parts.items()}


def _to_dataset(
    pictures: list[dict[str, np.ndarray]],
    at_anchors: list[dict[str, np.ndarray]],
    plane: Plane,
    place: Float[np.ndarray, " place"],
    texts: list[str],
    attrs: dict[str, Any],
) -> xr.Dataset:
    """The three pictures as one Dataset, with what is derived from all of them."""
    dims = ("anchor", "beta", "alpha")
    data: dict[str, Any] = {name: (dims, np.stack([one[name] for one in pictures])) for name in pictures[0]}
    data |= {"c_alpha": ((), plane.c[0]), "c_beta": ((), plane.c[1])}
    coords = {"anchor": list(ANCHORS), "beta": place, "alpha": place, "text": ("anchor", texts)}
    dataset = xr.Dataset(data, coords, attrs)
    if "top_token" in dataset:
        own = [int(one["top_token"][index]) for index, one in enumerate(at_anchors)]
        dataset["anchor_token"] = "anchor", own
    if "distance" in dataset:
        dataset["largest_distance"] = dataset["distance"].max(("alpha", "beta"))
        between = np.stack([one["distance"] for one in at_anchors])
        nearer = np.where(np.eye(len(ANCHORS), dtype=bool), np.inf, between).min(axis=1)
        share = dataset["distance"].values / nearer[:, None, None]
        dataset["region"] = dims[1:], np.where(share.min(axis=0) <= NONE, share.argmin(axis=0), -1)
        dataset["rgb"] = slice_colours(dataset)
    for name, long_name in _LONG_NAMES.items():
        if name in dataset:
            dataset[name].attrs["long_name"] = long_name
    return dataset
