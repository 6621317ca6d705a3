"""Pictures of slices: results in, Axes out. All of them are :mod:`srtoolkit.plot.curve_plots`'s, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from srtoolkit.analysis.colours import slice_colours
from srtoolkit.plot.plane_frame import REGION_COLOURS, check_one_plane, colour_bar, draw_plane, key_beside
from srtoolkit.plot.style import PALETTE, label_each, shortened
from srtoolkit.validation import check_dataset, check_names, check_whole, former_spellings

#: How the nearness to A, B and C becomes a colour.
PALETTES = ("safe", "paper")

#: Nearness at which a thin line is drawn round each anchor's part of the plane.
CONTOURS = (0.5, 0.75)

#: Of tokens, most frequent first; without the palette's grey, which is for the rest.
TOKEN_COLOURS = [PALETTE[index] for index in (0, 1, 2, 4, 8, 9, 5, 6, 3)]

GREY = "0.88"


@former_spellings("ax")
def plane(
    picture: xr.Dataset,
    colours: xr.DataArray | None = None,
    *,
    ax: Axes | None = None,
    palette: str = "safe",
    contours: bool = True,
    legend: bool = True,
) -> Axes:
    """A 2-D slice: colours say how near the output is to that of A, B and C; the paper's Fig. 1.

    Args:
        picture: From :func:`srtoolkit.slice_plane`, of one model.
        colours: From :func:`srtoolkit.slice_colours`, for a scale that several pictures share.
        ax: Where to draw; a new figure by default.
        palette: ``"safe"``: vermilion, teal and navy, which the colour-blind can tell apart, mixed by nearness, and
            paler where the output is far from all three. ``"paper"``: nearness as red, green and blue.
        contours: Draw thin lines of equal nearness.
        legend: Name the prompts below the picture.
    """
    _check_read(picture, "distance", "final_norm")
    check_one_plane(picture, "distance")
    (palette,) = check_names(palette, PALETTES, "palette")
    colours = slice_colours(picture) if colours is None else colours
    if set(colours.dims) != {"beta", "alpha", "anchor"}:
        raise ValueError(f"colours: expected those of one picture, from srtoolkit.slice_colours, got {colours.dims}.")
    near = colours.transpose("beta", "alpha", "anchor").values.clip(0, 1)
    # Black where the output is not a number.
    ax, _ = draw_plane(picture, np.nan_to_num(near if palette == "paper" else mixed(near)), ax)
    if contours:
        style: dict[str, Any] = {"colors": "k" if palette == "safe" else "w", "linewidths": (0.4, 0.8), "alpha": 0.6}
        for index in range(3):
            if any(np.nanmin(near[..., index]) < level < np.nanmax(near[..., index]) for level in CONTOURS):
                ax.contour(picture["alpha"], picture["beta"], near[..., index], levels=CONTOURS, **style)
    if legend:
        _name_prompts(picture, ax, palette, contours)
    return ax


def mixed(near: Float[np.ndarray, "... anchor"]) -> Float[np.ndarray, "... 3"]:
    """Colours of nearness to A, B and C, from 0 to 1: hues mix by nearness cubed, and are white where all is far.

    Args:
        near: Nearness, 1 at the anchor's own output.
    """
    weights = near**3
    hue = weights @ np.array(REGION_COLOURS) / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-9)
    strength = near.max(axis=-1, keepdims=True)
    return 1 - strength * (1 - hue)


def _name_prompts(picture: xr.Dataset, ax: Axes, palette: str, contours: bool) -> None:
    """What A, B and C are, and how to read their colours, in short lines below the picture."""
    hues = REGION_COLOURS if palette == "safe" else ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    texts = picture["text"].values if "text" in picture.coords else [""] * 3
    entries: list[Patch | Line2D] = [
        Patch(color=hue, label=f"as {name}: “{shortened(str(text), 24)}”" if text else f"as {name}")
        for name, hue, text in zip(picture["anchor"].values, hues, texts, strict=True)
    ]
    far = "pale: far from all three" if palette == "safe" else "black: far from all three"
    entries.append(Patch(facecolor="w" if palette == "safe" else "k", edgecolor="0.7", label=far))
    if contours:
        entries.append(Line2D([], [], color="0.4", lw=0.8, label=f"nearness {CONTOURS[0]:g} and {CONTOURS[1]:g}"))
    below = ax.transAxes + ScaledTranslation(0, -34 / 72, ax.figure.dpi_scale_trans)  # clear of the axis' label
    style: dict[str, Any] = {"frameon": False, "fontsize": 7.5, "handlelength": 1.2, "borderpad": 0}
    ax.legend(handles=entries, loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=below, **style)


@former_spellings("jointly", "titles", "axes")
def plane_strip(
    planes: xr.Dataset,
    *,
    jointly: bool = True,
    titles: Sequence[str] | None = None,
    axes: Sequence[Axes] | np.ndarray | None = None,
    palette: str = "safe",
) -> np.ndarray:
    """The same 2-D slice in several models or checkpoints, side by side; the paper's Figs. 1 and 5 to 22.

    Args:
        planes: Slices along ``model``, as :func:`srtoolkit.sweep` gives them.
        jointly: One scale of colours for all pictures; the paper's pictures have one each.
        titles: One a picture; the models' labels by default.
        axes: Where to draw, one for each picture; a new figure by default.
        palette: ``"safe"`` or ``"paper"``, as :func:`plane` takes them.

    Returns:
        The Axes in an array, one for each picture, as ``matplotlib.pyplot.subplots`` gives them.
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
        one = planes.isel(model=index)
        plane(one, colours.isel(model=index), ax=ax, palette=palette, contours=False, legend=False)
        ax.set_title(titles[index], fontsize=9)
        if index:
            ax.set_ylabel("")
    return np.array(axes, dtype=object)


@former_spellings("ax")
def tokens(
    picture: xr.Dataset,
    text: Callable[[int], str],
    anchor: str = "A",
    *,
    ax: Axes | None = None,
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
        legend: Name those that are in this picture, beside it.
    """
    _check_read(picture, "top_token", "logits")
    check_one_plane(picture, "top_token")
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
    ax, _ = draw_plane(picture, colours[places[shown]], ax)
    if legend:
        here = np.unique(places[shown])  # the other contexts' tokens have colours, and no place in this legend
        entries = [
            Patch(color=colours[place], label=_shown(text(int(ordered[place])))) for place in here if place < len(named)
        ]
        others = int((here >= len(named)).sum())
        rest = [Patch(color=GREY, label=f"{others} others, in greys")] if others else []
        key_beside(ax, entries + rest, "next token")
    return ax


@former_spellings("ax", "vmax")
def margin(picture: xr.Dataset, anchor: str = "A", *, ax: Axes | None = None, vmax: float | None = None) -> Axes:
    """How sure the next token is at every point of a slice: its log-probability less the second's, in nats.

    Args:
        picture: From :func:`srtoolkit.slice_plane`, with ``"logits"`` among its reads.
        anchor: Whose prompt is the context.
        ax: Where to draw; a new figure by default.
        vmax: End of the colour scale; the largest margin by default.
    """
    _check_read(picture, "margin", "logits")
    check_one_plane(picture, "margin")
    values = picture["margin"].sel(anchor=_known(picture, anchor)).transpose("beta", "alpha").values
    ax, image = draw_plane(picture, values, ax, cmap="viridis", vmin=0, vmax=vmax)
    return colour_bar(ax, image, "margin of the top token (nats)")


@former_spellings("ax")
def regions(picture: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Whose output is nearest at every point of a slice, with its share of the plane; hatched where it is nobody's.

    Args:
        picture: From :func:`srtoolkit.slice_plane`, with ``"final_norm"`` among its reads.
        ax: Where to draw; a new figure by default.
    """
    _check_read(picture, "region", "final_norm")
    check_one_plane(picture, "region")
    region = picture["region"].transpose("beta", "alpha").values
    colours = [*REGION_COLOURS, to_rgb(GREY)]
    ax, _ = draw_plane(picture, np.array(colours)[region], ax)  # -1, none of the three, is the last
    if (region < 0).any():
        nobody = (region < 0).astype(float)
        ax.contourf(picture["alpha"], picture["beta"], nobody, levels=[0.5, 1.5], colors="none", hatches=["////"])
    names = [f"as {name}" for name in picture["anchor"].values] + ["none of the three"]
    shares = [(region == index).mean() for index in (0, 1, 2, -1)]
    entries = [
        Patch(facecolor=colour, edgecolor="k", hatch="////" if index == 3 else None, label=f"{name}: {share:.0%}")
        for index, (name, colour, share) in enumerate(zip(names, colours, shares, strict=True))
    ]
    key_beside(ax, entries, "output")
    return ax


def _check_read(picture: xr.Dataset, variable: str, read: str) -> None:
    check_dataset(picture, (), "picture", "srtoolkit.slice_plane")
    if variable not in picture:
        raise ValueError(f"this slice has no {variable!r}; measure it with reads={read!r} among others.")


def _known(picture: xr.Dataset, anchor: str) -> str:
    if not isinstance(anchor, str) or anchor not in picture["anchor"].values:
        raise ValueError(f"anchor={anchor!r} is not one of {picture['anchor'].values.tolist()}.")
    return anchor


def _shown(token: str) -> str:
    """A token as a legend can show it: with its spaces and line breaks, and no formula in it."""
    return repr(token).replace("$", r"\$")
