"""Planes through three prompts' activations: distances of the output from each prompt's own, top tokens, gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int
from torch import Tensor

from srtoolkit.analysis.colours import slice_colours
from srtoolkit.measures.gate_flips import counted, find_blocks
from srtoolkit.measures.grid import Values, fill_grid
from srtoolkit.measures.likely_tokens import check_top
from srtoolkit.measures.planes import ANCHORS, Layout, Triple, lay_out, on_plane, points_at
from srtoolkit.measures.progress import reporting
from srtoolkit.models.checks import check_gates, check_layer
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.patching.choice import choose_method, names_of
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.not_finite import warn_of_overflow
from srtoolkit.patching.patch import patch
from srtoolkit.patching.reads import GATES, Reads
from srtoolkit.validation import check_names, check_share

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
    triple: Triple,
    *,
    layer: int = 0,
    resolution: int = 61,
    margin: float = 0.25,
    reads: str | Sequence[str] = READS,
    top: int = 0,
    orthonormal: bool = False,
    tolerance: float | None = None,
    method: str = "auto",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Distance of the output from that of each of three prompts over the plane through their activations.

    It is an L2 distance after the final norm, in each prompt's own context; the paper's Appendix C.

    The plane is ``X = A + alpha (B - A) + beta (C - P)``, where P is the foot of the perpendicular from C to the line
    AB: A lies at (0, 0), B at (1, 0), C at (``c_alpha``, ``c_beta``), and ``c_beta`` is 1.

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: Three prompts, as texts or as token ids, of any lengths; or a plane from :func:`srtoolkit.lay_out`,
            whose block, resolution, margin and units then hold.
        layer: Block whose output is replaced.
        resolution: Number of points along each axis; the paper's pictures have 61.
        margin: How far the plane reaches beyond the anchors; the paper's is 0.25 beyond 0 and 1.
        reads: Outputs to measure: ``"final_norm"`` gives distances and colours, ``"logits"`` gives top tokens; or both.
        top: Number of likeliest next tokens to keep at every point, as ``token`` and ``probability`` along ``rank``;
            needs ``"logits"``.
        orthonormal: Give beta the unit of alpha, which is ``|B - A|``, so that the picture keeps angles and lengths.
        tolerance: Measure at full resolution only where a straight line would be off by more than this share of the
            largest distance, or where the top token changes; where ``None``, measure everywhere. With 0.01, a quarter
            of the points gave three of SmolLM2's pictures to 0.04 of a colour.
        method: Patching method, as :func:`srtoolkit.patch` takes it.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``anchor``, ``beta``, ``alpha``. With ``"final_norm"``: ``distance`` from the anchor's
        output, ``largest_distance`` (dim ``anchor``, over the plane), ``rgb`` (the paper's colours), ``region`` (dims
        ``beta``, ``alpha``: index of the anchor whose output is nearest, -1 for none of the three). With ``"logits"``:
        ``top_token`` and ``margin``, its log-probability less the second's, in nats; ``anchor_token`` (dim ``anchor``).
        With ``top``: ``token`` and ``probability`` along ``rank``, -1 and NaN where the model did not run. ``measured``
        says where the model ran, ``c_alpha`` and ``c_beta`` where C is.

    Raises:
        ValueError: There are not three prompts, a prompt or setting is not valid, or the activations span no plane.
    """
    reads = check_names(reads, READS, "reads")
    check_names(method, (*METHODS, "auto"), "method")
    if tolerance is not None:
        tolerance = check_share(tolerance, "tolerance")
    top = check_top(model, top, least=0)
    if top and "logits" not in reads:
        raise ValueError(f"top={top}: the likeliest tokens are read off the logits, and reads={reads} has none.")
    layout = lay_out(model, triple, layer=layer, resolution=resolution, margin=margin, orthonormal=orthonormal)
    n_points = len(layout.axis) ** 2
    methods = [
        choose_method(model, ids, n_points, layer=layout.layer).method if method == "auto" else method
        for ids in layout.tokens
    ]
    decides = "distance" if "final_norm" in reads else "margin"
    label = "top_token" if "logits" in reads else None
    pictures, at_anchors = [], []
    with reporting(progress, len(ANCHORS) * n_points, f"slice after block {layout.layer}") as report:
        for index, chosen in enumerate(methods):
            context = _InContext(model, layout, index, reads, chosen, top, report)
            values, measured = fill_grid(context.measure, len(layout.axis), tolerance, decides, label)
            pictures.append(values | {"measured": measured})
            at_anchors.append(context.read(layout.corners))
            report((index + 1) * n_points)
    used = names_of(methods)
    found = _to_dataset(layout, pictures, at_anchors, method=used, reads=", ".join(reads), tolerance=tolerance or 0.0)
    undefined = found["non_finite"].any(("alpha", "beta")).values
    warn_of_overflow(model, [ids[0] for ids in layout.tokens], undefined, layout.layer)
    return found


@torch.no_grad()
def slice_gates(
    model: Model,
    triple: Triple,
    block: int,
    *,
    layer: int = 0,
    resolution: int = 61,
    margin: float = 0.25,
    orthonormal: bool = False,
    anchor: str = "A",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Pre-activations of one block's MLP gates over the plane of :func:`slice_plane`, in the context of one anchor.

    Their signs tell polytopes apart: between two points whose gates have the same signs, no boundary of this block is
    seen.

    Args:
        model: From :func:`srtoolkit.load_model`.
        triple: Three prompts, as texts or as token ids, of any lengths; or a plane from :func:`srtoolkit.lay_out`,
            whose block, resolution, margin and units then hold.
        block: Block whose gates are read, after ``layer``.
        layer: Block whose output is replaced.
        resolution: Number of points along each axis.
        margin: How far the plane reaches beyond the anchors, in alpha and beta.
        orthonormal: Give beta the unit of alpha, which is ``|B - A|``.
        anchor: The prompt whose context is used: ``"A"``, ``"B"`` or ``"C"``.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``beta``, ``alpha``, ``gate``: ``pre_activation``; ``crossings`` (``beta``, ``alpha``), the
        number of gates whose sign differs at the next point along alpha or along beta; ``non_finite``, where a
        pre-activation is NaN or infinite, and ``crossings`` to or from there are -1; ``c_alpha`` and ``c_beta``, where
        C is. ``attrs["counted"]`` says whether gates were read, or the pre-activations of an MLP without gates.

    Raises:
        ValueError: There are not three prompts, a prompt, setting or anchor is not valid, there are no gates to read,
            or the activations span no plane.
    """
    layer = check_layer(model, triple.layer if isinstance(triple, Layout) else layer)
    check_gates(model, layer)
    (chosen,) = find_blocks(model, layer, [block]).tolist()
    check_names(anchor, ANCHORS, "anchor")
    layout = lay_out(model, triple, layer=layer, resolution=resolution, margin=margin, orthonormal=orthonormal)
    n = len(layout.axis)
    points, context = points_at(layout, np.arange(n * n))[None], layout.tokens[ANCHORS.index(anchor)]
    with reporting(progress, n * n, f"gates of block {chosen}") as report:
        found = patch(
            model, context, points, layer=layer, reads=GATES, blocks=[chosen], progress=lambda here, _: report(here)
        )
    gates = found[0].float().cpu().numpy().reshape(n, n, -1)
    undefined = ~np.isfinite(gates).all(-1)
    warn_of_overflow(model, [context[0]], np.array([undefined.any()]), layer)
    data = {
        "pre_activation": (("beta", "alpha", "gate"), gates),
        "crossings": (("beta", "alpha"), np.where(_here_or_next(undefined), -1, _crossings(gates > 0))),
        "non_finite": (("beta", "alpha"), undefined),
    }
    return _named(on_plane(layout, data, block=chosen, context=anchor, counted=counted(model, [chosen])))


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


@dataclass
class _InContext:
    """The measurement of a plane in the context of one of its anchors.

    Attributes:
        model: The model that is measured.
        layout: The plane.
        index: Index of the anchor.
        reads: Outputs to measure.
        method: Patching method.
        top: Number of likeliest tokens to keep at every point.
        report: Called with the number of points done, those of earlier anchors included.
        done: Number of points of this context that are done.
    """

    model: Model
    layout: Layout
    index: int
    reads: tuple[str, ...]
    method: str
    top: int
    report: Callable[[int], None]
    done: int = 0

    def measure(self, flat: Int[np.ndarray, " point"]) -> Values:
        """Values at points of the grid, by flat index."""
        before = self.index * len(self.layout.axis) ** 2 + self.done
        self.done += len(flat)
        return self.read(points_at(self.layout, flat), lambda here, _: self.report(before + min(here, len(flat))))

    def read(self, points: Float[Tensor, "point d_model"], progress: Progress | None = None) -> Values:
        """Distance from the anchor's own output, top token and its margin, and the likeliest tokens."""
        own = self.layout.corners[self.index : self.index + 1]
        # The anchor itself goes first in the same call, so that both ends of a distance come from like passes.
        found = patch(
            self.model, self.layout.tokens[self.index], torch.cat([own, points])[None], layer=self.layout.layer,
            reads=self.reads, method=self.method, reduce=self._best_tokens, progress=progress,
        )  # fmt: skip
        values = {name: value[0, 1:] for name, value in found.items()}
        if "final_norm" in found:
            values["distance"] = (values.pop("final_norm") - found["final_norm"][0, :1]).norm(dim=-1)
        for name in ("top_token", "margin"):
            if name in values:
                values[name] = values[name][:, 0]
        return {name: value.cpu().numpy() for name, value in values.items()}

    def _best_tokens(self, found: Reads) -> Reads:
        """The top token and its margin in place of the logits, which are too many to keep for all points."""
        if "logits" not in found:
            return found
        logits = found.pop("logits")
        undefined = ~logits.isfinite().all(-1, keepdim=True)
        values, tokens = logits.topk(max(2, self.top))
        found["top_token"] = tokens[..., :1].masked_fill(undefined, -1)
        found["margin"] = (values[..., :1] - values[..., 1:2]).masked_fill(undefined, torch.nan)
        if self.top:
            total = logits.logsumexp(-1, keepdim=True)
            found["token"] = tokens[..., : self.top].masked_fill(undefined, -1)
            found["probability"] = (values[..., : self.top] - total).exp()
        return found


def _to_dataset(
    layout: Layout, pictures: list[dict[str, np.ndarray]], at_anchors: list[dict[str, np.ndarray]], **settings: Any
) -> xr.Dataset:
    """The three pictures as one Dataset, with what is derived from all of them."""
    dims = ("anchor", "beta", "alpha", "rank")
    stacked = {name: np.stack([one[name] for one in pictures]) for name in pictures[0]}
    data: dict[str, Any] = {name: (dims[: values.ndim], values) for name, values in stacked.items()}
    undefined = [~np.isfinite(data[name][1]) for name in ("distance", "margin") if name in data]
    data["non_finite"] = dims[:3], np.any(undefined, axis=0), {"long_name": "whether the output is NaN or infinite"}
    dataset = on_plane(layout, data, **settings)
    if "token" in dataset:
        dataset = dataset.assign_coords(rank=np.arange(1, dataset.sizes["rank"] + 1))
    if "top_token" in dataset:
        own = [int(one["top_token"][index]) for index, one in enumerate(at_anchors)]
        dataset["anchor_token"] = "anchor", own
    if "distance" in dataset:
        dataset["largest_distance"] = dataset["distance"].max(("alpha", "beta"))
        between = np.stack([one["distance"] for one in at_anchors])
        nearer = np.where(np.eye(len(ANCHORS), dtype=bool), np.inf, between).min(axis=1)
        share = dataset["distance"].values / nearer[:, None, None]
        dataset["region"] = dims[1:3], np.where(share.min(axis=0) <= NONE, share.argmin(axis=0), -1)
        dataset["rgb"] = slice_colours(dataset)
    return _named(dataset)


def _named(dataset: xr.Dataset) -> xr.Dataset:
    for name, long_name in _LONG_NAMES.items():
        if name in dataset:
            dataset[name].attrs["long_name"] = long_name
    return dataset
