"""Pictures of slices: results in, Axes out. All of them are :mod:`srtoolkit.plot.curve_plots`'s, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from srtoolkit.analysis.colours import slice_colours
from srtoolkit.plot.style import PALETTE, axes_or_new, label_each
from srtoolkit.validation import check_dataset, check_whole, listed

#: Width and height of one square picture, in inches, with room for a colour bar or legend.
PLANE_SIZE = (5.2, 4.2)

#: Of the dots that mark A, B and C in a plane, whose own colours are red, green and blue.
ANCHOR_COLOURS = ((1.0, 0.6, 0.6), (0.6, 1.0, 0.6), (0.65, 0.65, 1.0))

#: Of what belongs to A, to B and to C, told apart by the colour-blind, too.
REGION_COLOURS = (PALETTE[3], PALETTE[2], PALETTE[0])

#: Of tokens, most frequent first; without the palette's grey, which is for the rest.
TOKEN_COLOURS = [PALETTE[index] for index in (0, 1, 2, 4, 8, 9, 5, 6, 3)]

GREY = "0.88"


def plane(picture: xr.Dataset, colours: xr.DataArray | None = None, ax: Axes | None = None) -> Axes:
    """A 2-D slice: red, green and blue say how near the output is to that of A, B and C; the paper's Fig. 1.

    Args:
        picture: From :func:`srtoolkit.slice_plane`, of one model.
        colours: From :func:`srtoolkit.slice_colours`, for colours that several pictures share.
        ax: Where to draw; a new figure by default.
    """
    _check_read(picture, "distance", "final_norm")
    _check_one(picture, "distance")
    colours = slice_colours(picture) if colours is None else colours
    if set(colours.dims) != {"beta", "alpha", "anchor"}:
        raise ValueError(f"colours: expected those of one picture, from srtoolkit.slice_colours, got {colours.dims}.")
    # Black where the output is not a number.
    ax, _ = _image(picture, np.nan_to_num(colours.transpose("beta", "alpha", "anchor").values.clip(0, 1)), ax)
    return ax


def plane_strip(
    planes: xr.Dataset, jointly: bool = True, titles: Sequence[str] | None = None, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """The same 2-D slice in several models or checkpoints, side by side; the paper's Figs. 1 and 5 to 22.

    Args:
        planes: Slices along ``model``, as :func:`srtoolkit.sweep` gives them.
        jointly: One scale of colours for all pictures; the paper's pictures have one each.
        titles: One a picture; the models' labels by default.
        axes: Where to draw; a new figure by default.
    """
    _check_read(planes, "distance", "final_norm")
    count = planes.sizes.get("model", 0)
    if not count:
        raise ValueError(
            f"planes: expected slices along 'model', as srtoolkit.sweep gives them; got {dict(planes.sizes)}."
        )
    titles = label_each(planes["model"].values if titles is None else titles, count, "titles")
    if axes is None:
        size = (2.05 * count, 2.5)
        grid = plt.subplots(1, count, figsize=size, layout="constrained", sharey=True, squeeze=False)[1]
        axes = list(grid.flat)
    if len(axes) != count:
        raise ValueError(f"axes: expected one for each of {count} models, got {len(axes)}.")
    colours = slice_colours(planes, jointly)
    for index, ax in enumerate(axes):
        plane(planes.isel(model=index), colours.isel(model=index), ax)
        ax.set_title(titles[index], fontsize=9)
        if index:
            ax.set_ylabel("")
    return list(axes)


def tokens(
    picture: xr.Dataset,
    text: Callable[[int], str],
    anchor: str = "A",
    ax: Axes | None = None,
    *,
    top: int = 8,
    legend: bool = True,
) -> Axes:
    """The most probable next token at every point of a slice, in one anchor's context.

    Args:
        picture: From :func:`srtoolkit.slice_plane`, with ``"logits"`` among its reads.
        text: From token id to text, as ``model.token_text``.
        anchor: Whose prompt is the context.
        ax: Where to draw; a new figure by default.
        top: How many tokens have a colour: the anchors' own, and those that are most frequent in all three contexts
            together, so that the colours of the three are the same. The others are greys, one each.
        legend: Name them beside the picture.
    """
    _check_read(picture, "top_token", "logits")
    _check_one(picture, "top_token")
    top, anchor = check_whole(top, "top"), _known(picture, anchor)
    if not callable(text):
        raise TypeError(f"text={text!r}: expected a function from token id to text, such as model.token_text.")
    ids, counts = np.unique(picture["top_token"].values, return_counts=True)
    counts[np.isin(ids, picture["anchor_token"])] += picture["top_token"].size
    ordered = ids[np.argsort(-counts, kind="stable")]
    named = ordered[: min(top, len(TOKEN_COLOURS))]
    # Greys of one step of the golden ratio after the other: any two tokens that follow each other differ.
    greys = [to_rgb(str(0.6 + 0.35 * (0.618 * index % 1))) for index in range(len(ids) - len(named))]
    colours = np.array([*TOKEN_COLOURS[: len(named)], *greys])
    places = np.empty(len(ids), dtype=int)
    places[np.searchsorted(ids, ordered)] = np.arange(len(ids))
    shown = np.searchsorted(ids, picture["top_token"].sel(anchor=anchor).transpose("beta", "alpha").values)
    ax, _ = _image(picture, colours[places[shown]], ax)
    if legend:
        names = [_shown(text(int(token))) for token in named]
        entries = [Patch(color=colour, label=name) for name, colour in zip(names, TOKEN_COLOURS, strict=False)]
        rest = [Patch(color=GREY, label=f"{len(greys)} others, in greys")] if greys else []
        _legend(ax, entries + rest, "next token")
    return ax


def margin(picture: xr.Dataset, anchor: str = "A", ax: Axes | None = None, vmax: float | None = None) -> Axes:
    """How sure the next token is at every point of a slice: its log-probability less the second's, in nats.

    Args:
        picture: From :func:`srtoolkit.slice_plane`, with ``"logits"`` among its reads.
        anchor: Whose prompt is the context.
        ax: Where to draw; a new figure by default.
        vmax: End of the colour scale; the largest margin by default.
    """
    _check_read(picture, "margin", "logits")
    _check_one(picture, "margin")
    values = picture["margin"].sel(anchor=_known(picture, anchor)).transpose("beta", "alpha").values
    ax, image = _image(picture, values, ax, cmap="viridis", vmin=0, vmax=vmax)
    return _colour_bar(ax, image, "margin of the top token (nats)")


def regions(picture: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Whose output is nearest at every point of a slice, with its share of the plane; hatched where it is nobody's.

    Args:
        picture: From :func:`srtoolkit.slice_plane`, with ``"final_norm"`` among its reads.
        ax: Where to draw; a new figure by default.
    """
    _check_read(picture, "region", "final_norm")
    _check_one(picture, "region")
    region = picture["region"].transpose("beta", "alpha").values
    colours = [*REGION_COLOURS, to_rgb(GREY)]
    ax, _ = _image(picture, np.array(colours)[region], ax)  # -1, none of the three, is the last
    if (region < 0).any():
        nobody = (region < 0).astype(float)
        ax.contourf(picture["alpha"], picture["beta"], nobody, levels=[0.5, 1.5], colors="none", hatches=["////"])
    names = [f"as {name}" for name in picture["anchor"].values] + ["none of the three"]
    shares = [(region == index).mean() for index in (0, 1, 2, -1)]
    entries = [
        Patch(facecolor=colour, edgecolor="k", hatch="////" if index == 3 else None, label=f"{name}: {share:.0%}")
        for index, (name, colour, share) in enumerate(zip(names, colours, shares, strict=True))
    ]
    _legend(ax, entries, "output")
    return ax


def gate_boundaries(
    slices: xr.Dataset, ax: Axes | None = None, *, gates: Sequence[int] | None = None, count: int = 40, **lines: Any
) -> Axes:
    """Where some gates of one block change sign on a slice, as lines; over another picture of the same plane.

    Args:
        slices: From :func:`srtoolkit.slice_gates`.
        ax: Where to draw; a new figure by default.
        gates: Which gates; by default ``count`` of those that change sign on the slice, evenly spaced.
        count: How many.
        lines: Passed to matplotlib.
    """
    check_dataset(slices, ("pre_activation", "c_alpha", "c_beta"), "slices", "srtoolkit.slice_gates")
    _check_one(slices, "pre_activation")
    values = slices["pre_activation"].transpose("gate", "beta", "alpha").values
    if gates is not None:
        gates = [check_whole(gate, "gates", 0, len(values) - 1) for gate in listed(gates) or [gates]]
    count = check_whole(count, "count")
    if ax is None:
        ax = _frame(slices, axes_or_new(ax, PLANE_SIZE))
    if gates is None:
        crossing = np.flatnonzero((values.min(axis=(1, 2)) < 0) & (values.max(axis=(1, 2)) > 0))
        gates = crossing[np.linspace(0, len(crossing) - 1, min(count, len(crossing))).round().astype(int)].tolist()
    style = {"colors": "k", "linewidths": 0.7, "alpha": 0.7, **lines}
    for gate in gates:
        if values[gate].min() < 0 < values[gate].max():
            ax.contour(slices["alpha"], slices["beta"], values[gate], levels=[0.0], **style)
    return ax


def gate_crossings(slices: xr.Dataset, ax: Axes | None = None, vmax: float | None = None) -> Axes:
    """How densely polytope boundaries lie on a slice: gates that change sign from a point to the next.

    Args:
        slices: From :func:`srtoolkit.slice_gates`.
        ax: Where to draw; a new figure by default.
        vmax: End of the colour scale; the largest number by default.
    """
    check_dataset(slices, ("crossings", "c_alpha", "c_beta"), "slices", "srtoolkit.slice_gates")
    _check_one(slices, "crossings")
    # The last row and column have a neighbour on one side only.
    values = slices["crossings"].transpose("beta", "alpha").values.astype(float)
    values[-1], values[:, -1] = np.nan, np.nan
    ax, image = _image(slices, values, ax, cmap="magma", vmin=0, vmax=vmax)
    step = float(slices["alpha"][1] - slices["alpha"][0])
    return _colour_bar(ax, image, f"gates that change sign over {step:.2g}")


def _image(picture: xr.Dataset, values: np.ndarray, ax: Axes | None, **image: Any) -> tuple[Axes, Any]:
    """Draw values [beta, alpha] or [beta, alpha, colour], one cell a point, with the anchors on top."""
    ax = axes_or_new(ax, PLANE_SIZE)
    low, high = _reach(picture)
    drawn = ax.imshow(values, extent=(low, high, high, low), **image)
    return _frame(picture, ax), drawn


def _frame(picture: xr.Dataset, ax: Axes) -> Axes:
    """Labels, limits and the anchors of a plane; as in the paper, beta grows downwards."""
    low, high = _reach(picture)
    corners = {"A": (0.0, 0.0), "B": (1.0, 0.0), "C": (float(picture["c_alpha"]), float(picture["c_beta"]))}
    for (name, (alpha, beta)), color in zip(corners.items(), ANCHOR_COLOURS, strict=True):
        if low < alpha < high:
            ax.scatter(alpha, beta, s=90, color=color, edgecolor="k", zorder=3)
            ax.annotate(name, (alpha, beta), ha="center", va="center", fontsize=8, zorder=4)
    ax.set(xlabel="α, along AB", ylabel="β, towards C", xlim=(low, high), ylim=(high, low), aspect="equal")
    return ax


def _reach(picture: xr.Dataset) -> tuple[float, float]:
    """Ends of either axis, half a cell beyond the first and last point."""
    alpha = picture["alpha"].values
    half = float(alpha[1] - alpha[0]) / 2
    return float(alpha[0]) - half, float(alpha[-1]) + half


def _colour_bar(ax: Axes, image: Any, label: str) -> Axes:
    """A bar as high as the picture beside it."""
    ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0.0, 0.05, 1.0)), label=label)
    return ax


def _check_read(picture: xr.Dataset, variable: str, read: str) -> None:
    check_dataset(picture, (), "picture", "srtoolkit.slice_plane")
    if variable not in picture:
        raise ValueError(f"this slice has no {variable!r}; measure it with reads={read!r} among others.")


def _check_one(picture: xr.Dataset, variable: str) -> None:
    """Refuse several models, or a plane that is a line."""
    check_dataset(picture, ("alpha", "beta", "c_alpha", "c_beta"), "picture", "srtoolkit.slice_plane")
    sizes = {name: picture[variable].sizes.get(name, 1) for name in ("alpha", "beta")}
    if "model" in picture[variable].dims or min(sizes.values()) < 2:
        raise ValueError(
            f"picture: {variable} has dims {dict(picture[variable].sizes)}; expected one model's plane, of two points "
            "or more a side. Take one model with .isel(model=0)."
        )


def _known(picture: xr.Dataset, anchor: str) -> str:
    if not isinstance(anchor, str) or anchor not in picture["anchor"].values:
        raise ValueError(f"anchor={anchor!r} is not one of {picture['anchor'].values.tolist()}.")
    return anchor


def _shown(token: str) -> str:
    """A token as a legend can show it: with its spaces and line breaks, and no formula in it."""
    return repr(token).replace("$", r"\$")


def _legend(ax: Axes, entries: list[Patch], title: str) -> None:
    ax.legend(
        handles=entries, title=title, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, alignment="left"
    )
