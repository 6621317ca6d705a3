"""Pictures of gates on slices: where they change sign, alone and beside the regions of a model and of its null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from srtoolkit.plot.plane_frame import PLANE_SIZE, REGION_COLOURS, check_one_plane, colour_bar, draw_plane, frame, reach
from srtoolkit.plot.style import axes_or_new, label_each
from srtoolkit.validation import check_dataset, check_whole, former_spellings, listed

#: Of regions under ink; the last is for what belongs to none of the three.
PALE = [(0.6 + 0.4 * r, 0.6 + 0.4 * g, 0.6 + 0.4 * b) for r, g, b in (*REGION_COLOURS, to_rgb("0.6"))]


@former_spellings("ax")
def gate_boundaries(
    slices: xr.Dataset, *, ax: Axes | None = None, gates: Sequence[int] | None = None, count: int = 40, **lines: Any
) -> Axes:
    """Where some gates of one block change sign on a slice, as lines; over another picture of the same plane.

    Args:
        slices: From :func:`srtoolkit.slice_gates`.
        ax: Where to draw; a new figure by default.
        gates: Which gates; by default ``count`` of those that change sign on the slice, evenly spaced.
        count: How many gates to draw where ``gates`` does not name them.
        lines: Passed to matplotlib.
    """
    check_dataset(slices, ("pre_activation", "c_alpha", "c_beta"), "slices", "srtoolkit.slice_gates")
    check_one_plane(slices, "pre_activation")
    values = slices["pre_activation"].transpose("gate", "beta", "alpha").values
    if gates is not None:
        gates = [check_whole(gate, "gates", 0, len(values) - 1) for gate in listed(gates) or [gates]]
    count = check_whole(count, "count")
    if ax is None:
        ax = frame(slices, axes_or_new(ax, PLANE_SIZE))
    if gates is None:
        crossing = np.flatnonzero((values.min(axis=(1, 2)) < 0) & (values.max(axis=(1, 2)) > 0))
        gates = crossing[np.linspace(0, len(crossing) - 1, min(count, len(crossing))).round().astype(int)].tolist()
    style = {"colors": "k", "linewidths": 0.7, "alpha": 0.7, **lines}
    for gate in gates:
        if values[gate].min() < 0 < values[gate].max():
            ax.contour(slices["alpha"], slices["beta"], values[gate], levels=[0.0], **style)
    return ax


@former_spellings("ax", "vmax")
def gate_crossings(slices: xr.Dataset, *, ax: Axes | None = None, vmax: float | None = None) -> Axes:
    """How densely polytope boundaries lie on a slice: gates that change sign from a point to the next.

    Args:
        slices: From :func:`srtoolkit.slice_gates`.
        ax: Where to draw; a new figure by default.
        vmax: End of the colour scale; the largest number by default.
    """
    check_dataset(slices, ("crossings", "c_alpha", "c_beta"), "slices", "srtoolkit.slice_gates")
    check_one_plane(slices, "crossings")
    ax, image = draw_plane(slices, _counts(slices), ax, cmap="magma", vmin=0, vmax=vmax)
    step = float(slices["alpha"][1] - slices["alpha"][0])
    return colour_bar(ax, image, f"gates that change sign over {step:.2g}")


def gates_at_boundaries(
    gates: xr.Dataset,
    plane: xr.Dataset,
    null_gates: xr.Dataset,
    null_plane: xr.Dataset,
    *,
    titles: Sequence[str] = ("trained", "same weights, shuffled"),
    axes: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Whether gates change sign where regions meet: pale regions under ink, of a model and of its null, on one scale.

    Ink is the number of gates of a block that change sign from a point to the next, over the largest of both pictures.
    A region is where the output is nearest to that of A, B or C; grey belongs to none of them.

    Args:
        gates: From :func:`srtoolkit.slice_gates`.
        plane: From :func:`srtoolkit.slice_plane`, of the same model and prompts.
        null_gates: As ``gates``, of the null, as of :func:`srtoolkit.null_model`.
        null_plane: As ``plane``, of the null.
        titles: Of the two pictures.
        axes: Where to draw, two; a new figure by default.

    Returns:
        The two Axes in an array.
    """
    both = ((gates, plane), (null_gates, null_plane))
    for counts, picture in both:
        check_dataset(counts, ("crossings", "c_alpha", "c_beta"), "gates", "srtoolkit.slice_gates")
        check_dataset(picture, ("region", "c_alpha", "c_beta"), "plane", "srtoolkit.slice_plane with 'final_norm'")
        check_one_plane(counts, "crossings")
        check_one_plane(picture, "region")
    labels = label_each(titles, 2, "titles")
    if axes is None:
        axes = plt.subplots(1, 2, figsize=(11, 6.4), layout="constrained", sharey=True)[1]
    if len(axes) != 2:
        raise ValueError(f"axes: expected two, got {len(axes)}.")
    # A few cells where many boundaries meet are not to make all the others pale.
    most = max(1.0, *(float(np.nanquantile(_counts(counts), 0.99)) for counts, _ in both))
    for ax, (counts, picture), title in zip(axes, both, labels, strict=True):
        draw_plane(picture, np.array(PALE)[picture["region"].transpose("beta", "alpha").values], ax)
        ink = np.nan_to_num(_counts(counts) / most).clip(0, 1)
        low, high = reach(counts)
        opaque = np.concatenate([np.zeros((*ink.shape, 3)), ink[..., None]], axis=-1)
        ax.imshow(opaque, extent=(low, high, high, low), interpolation="bilinear", label="ink")
        frame(picture, ax)
        last = float(counts["alpha"][-1] + counts["alpha"][-2]) / 2  # the last row and column have no next point
        ax.set(title=title, xlim=(low, last), ylim=(last, low))
    axes[1].set_ylabel("")
    _explain(axes[0], gates, most)
    return np.array(axes, dtype=object)


def _counts(slices: xr.Dataset) -> np.ndarray:
    """Crossings [beta, alpha]; none in the last row and column, which have a neighbour on one side only."""
    values = slices["crossings"].transpose("beta", "alpha").values.astype(np.float64)
    values[-1], values[:, -1] = np.nan, np.nan
    return np.where(values < 0, np.nan, values)  # -1 stands for pre-activations that are not numbers


def _explain(ax: Axes, gates: xr.Dataset, most: float) -> None:
    """What colours and ink are, in one line below both pictures."""
    step = float(gates["alpha"][1] - gates["alpha"][0])
    block = f" of block {gates.attrs['block']}" if "block" in gates.attrs else ""
    entries = [Patch(color=shade, label=f"output as {name}'s") for name, shade in zip("ABC", PALE, strict=False)]
    entries.append(Patch(color=PALE[-1], label="as none of the three"))
    ink = f"ink: gates{block} that change sign over {step:.2g}; black: {most:.0f} or more"
    entries.append(Patch(color="k", label=ink))
    style: dict[str, Any] = {"frameon": False, "fontsize": "small", "handlelength": 1.2, "columnspacing": 1.2}
    ax.figure.legend(handles=entries, ncols=len(entries), loc="outside lower center", **style)
