"""Planes through three prompts' activations: how far the output is from each prompt's own, what it says, and which
gates are open, point by point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from srtoolkit.measures.gate_flips import counted, find_blocks
from srtoolkit.measures.grid import fill_grid
from srtoolkit.measures.planes import ANCHORS, Layout, lay_out, on_plane, points_at
from srtoolkit.models.checks import check_gates, check_layer, check_names
from srtoolkit.models.model import Model
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.overflow import warn_of_overflow
from srtoolkit.patching.patch import patch
from srtoolkit.patching.reads import GATES, Reads
from srtoolkit.validation import check_share

READS = ("final_norm", "logits")

#: A point belongs to none of the anchors when its output is farther from each than this share of the distance from that
#: anchor's output to the nearer of the other two's.
NONE = 0.5


_LONG_NAMES = {
    "distance": "L2 distance from the anchor's output after the final norm",
    "top_token": "id of the most probable next token",
    "margin": "log-probability of the top token less that of the second, nats",
    "region": "anchor whose output is nearest, -1 for none of the three",
    "pre_activation": "pre-activation of the gate; its sign changes at a polytope boundary",
    "crossings": "gates whose sign differs at the next point along alpha or beta",
}


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
        tolerance: Measure at full resolution only where a straight line would be off by more than this share of the
            largest distance, or where the top token changes; everywhere where ``None``. With 0.01, a quarter of the
            points gave three of SmolLM2's pictures to 0.04 of a colour.
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
    reads = check_names(reads, READS, "reads")
    check_names(method, (*METHODS, "auto"), "method")
    if tolerance is not None:
        tolerance = check_share(tolerance, "tolerance")
    layout = lay_out(model, triple, layer, resolution, margin, orthonormal)
    pictures, at_anchors = [], []
    for index in tqdm(range(len(ANCHORS)), desc=f"slice after block {layer}", unit="context", leave=False):

        def measure(flat: Int[np.ndarray, " point"], index: int = index) -> dict[str, np.ndarray]:
            return _measure(model, layout, index, points_at(layout, flat), layer, reads, method)

        decides = "distance" if "final_norm" in reads else "margin"
        label = "top_token" if "logits" in reads else None
        values, measured = fill_grid(measure, len(layout.axis), tolerance, decides, label)
        pictures.append(values | {"measured": measured})
        at_anchors.append(_measure(model, layout, index, layout.corners, layer, reads, method))
    found = _to_dataset(layout, pictures, at_anchors, method=method, tolerance=tolerance or 0.0)
    undefined = found["non_finite"].any(("alpha", "beta")).values
    warn_of_overflow(model, [ids[0] for ids in layout.tokens], undefined, layer)
    return found


@torch.no_grad()
def slice_gates(
    model: Model,
    triple: Sequence[str | Int[Tensor, " _pos"]],
    block: int,
    *,
    layer: int = 0,
    resolution: int = 61,
    margin: float = 0.25,
    orthonormal: bool = False,
    anchor: str = "A",
) -> xr.Dataset:
    """Pre-activations of one block's MLP gates over the plane of :func:`slice_plane`, in the context of one anchor.

    Their signs are the polytopes: between two points whose gates all have the same sign lies no boundary of this block.

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: Three prompts, as texts or as token ids, of any lengths.
        block: Block whose gates are read, behind ``layer``.
        layer: Block whose output is replaced.
        resolution: Points along each axis.
        margin: How far the plane reaches beyond the anchors.
        orthonormal: Give beta the unit of alpha, which is ``|B - A|``.
        anchor: Whose prompt is the context: ``"A"``, ``"B"`` or ``"C"``.

    Returns:
        Dims ``beta``, ``alpha``, ``gate``: ``pre_activation``; ``crossings`` (``beta``, ``alpha``), the number of gates
        whose sign differs at the next point along alpha or along beta; ``non_finite``, where a pre-activation is NaN or
        infinite, and ``crossings`` to or from there are -1; ``c_alpha``, ``c_beta``. ``attrs["counted"]`` says whether
        these are gates, or the pre-activations of an MLP that has none.

    Raises:
        ValueError: Not three prompts, bad prompts or settings, no such anchor or gates, or activations that span no
            plane.
    """
    layer = check_layer(model, layer)
    check_gates(model, layer)
    (chosen,) = find_blocks(model, layer, [block]).tolist()
    check_names(anchor, ANCHORS, "anchor")
    layout = lay_out(model, triple, layer, resolution, margin, orthonormal)
    n = len(layout.axis)
    first = chosen - layer - 1

    def of_block(found: Reads) -> Reads:
        return {GATES: found[GATES].unflatten(-1, (model.n_layers - layer - 1, -1))[..., first, :]}

    points, context = points_at(layout, np.arange(n * n))[None], layout.tokens[ANCHORS.index(anchor)]
    found = patch(model, context, points, layer, GATES, reduce=of_block)
    assert isinstance(found, dict)
    gates = found[GATES][0].float().cpu().numpy().reshape(n, n, -1)
    undefined = ~np.isfinite(gates).all(-1)
    warn_of_overflow(model, [context[0]], np.array([undefined.any()]), layer)
    data = {
        "pre_activation": (("beta", "alpha", "gate"), gates),
        "crossings": (("beta", "alpha"), np.where(_here_or_next(undefined), -1, _crossings(gates > 0))),
        "non_finite": (("beta", "alpha"), undefined),
    }
    return _named(on_plane(layout, data, block=chosen, context=anchor, counted=counted(model)))


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
    largest = largest.where(largest > 0, 1)  # outputs that are all the anchor's own: 1 everywhere, not 0 / 0
    return (1 - planes["distance"] / largest).rename("colour").transpose(..., "anchor")


def _crossings(signs: Bool[np.ndarray, "beta alpha gate"]) -> Int[np.ndarray, "beta alpha"]:
    """At each point, how many gates differ from the next point in either direction."""
    changed = np.zeros_like(signs)
    changed[:, :-1] |= signs[:, 1:] != signs[:, :-1]
    changed[:-1] |= signs[1:] != signs[:-1]
    return changed.sum(axis=-1)


def _here_or_next(marked: Bool[np.ndarray, "beta alpha"]) -> Bool[np.ndarray, "beta alpha"]:
    """Where a point or the next one in either direction is marked."""
    found = marked.copy()
    found[:, :-1] |= marked[:, 1:]
    found[:-1] |= marked[1:]
    return found


def _measure(
    model: Model,
    layout: Layout,
    index: int,
    points: Float[Tensor, "point d_model"],
    layer: int,
    reads: tuple[str, ...],
    method: str,
) -> dict[str, np.ndarray]:
    """Distance from the anchor's own output, top token and its margin, at points in one anchor's context."""
    context, own = layout.tokens[index], layout.corners[index : index + 1]
    # The anchor itself goes first in the same call, so that both ends of a distance come from like passes.
    found = patch(model, context, torch.cat([own, points])[None], layer, reads, method, reduce=_best_tokens)
    assert isinstance(found, dict)
    values = {}
    if "final_norm" in found:
        outputs = found["final_norm"][0]
        values["distance"] = (outputs[1:] - outputs[:1]).norm(dim=-1)
    if "logits" in reads:
        values["top_token"] = found["top_token"][0, 1:, 0]
        values["margin"] = found["margin"][0, 1:, 0]
    return {name: value.cpu().numpy() for name, value in values.items()}


def _best_tokens(found: Reads) -> Reads:
    """The top token and its margin in place of the logits, which are too many to keep for all points."""
    if "logits" in found:
        logits = found.pop("logits")
        undefined = ~logits.isfinite().all(-1, keepdim=True)
        best = logits.topk(2)
        found["top_token"] = best.indices[..., :1].masked_fill(undefined, -1)
        found["margin"] = (best.values[..., :1] - best.values[..., 1:]).masked_fill(undefined, torch.nan)
    return found


def _to_dataset(
    layout: Layout, pictures: list[dict[str, np.ndarray]], at_anchors: list[dict[str, np.ndarray]], **settings: Any
) -> xr.Dataset:
    """The three pictures as one Dataset, with what is derived from all of them."""
    dims = ("anchor", "beta", "alpha")
    data: dict[str, Any] = {name: (dims, np.stack([one[name] for one in pictures])) for name in pictures[0]}
    undefined = [~np.isfinite(data[name][1]) for name in ("distance", "margin") if name in data]
    data["non_finite"] = dims, np.any(undefined, axis=0), {"long_name": "whether the output is NaN or infinite"}
    dataset = on_plane(layout, data, **settings)
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
    return _named(dataset)


def _named(dataset: xr.Dataset) -> xr.Dataset:
    for name, long_name in _LONG_NAMES.items():
        if name in dataset:
            dataset[name].attrs["long_name"] = long_name
    return dataset
