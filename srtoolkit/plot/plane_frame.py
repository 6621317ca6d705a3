"""What pictures of planes share: one cell a point, the anchors on top, colours and keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from srtoolkit.plot.style import axes_or_new
from srtoolkit.validation import check_dataset

#: Width and height of one square picture, in inches, with room for a colour bar or legend.
PLANE_SIZE = (5.2, 4.2)

#: Of what belongs to A, to B and to C. They differ in lightness as well as in hue (vermilion, teal, navy), so that all
#: readers can tell them apart.
REGION_COLOURS = ((0.835, 0.369, 0.0), (0.337, 0.706, 0.663), (0.0, 0.247, 0.541))

#: Of the dots that mark A, B and C in a plane: paler, so that the letters can be read.
ANCHOR_COLOURS = ((1.0, 0.78, 0.62), (0.78, 0.94, 0.91), (0.68, 0.8, 1.0))


def draw_plane(picture: xr.Dataset, values: np.ndarray, ax: Axes | None, **image: Any) -> tuple[Axes, Any]:
    """Draw values [beta, alpha] or [beta, alpha, colour], one cell a point, with the anchors on top.

    Args:
        picture: The plane.
        values: What to draw.
        ax: Where to draw; a new figure by default.
        image: Passed to matplotlib.
    """
    ax = axes_or_new(ax, PLANE_SIZE)
    low, high = reach(picture)
    drawn = ax.imshow(values, extent=(low, high, high, low), **image)
    return frame(picture, ax), drawn


def frame(picture: xr.Dataset, ax: Axes) -> Axes:
    """Labels, limits and the anchors of a plane; as in the paper, beta grows downwards.

    Args:
        picture: The plane.
        ax: Where to draw.
    """
    low, high = reach(picture)
    corners = {"A": (0.0, 0.0), "B": (1.0, 0.0), "C": (float(picture["c_alpha"]), float(picture["c_beta"]))}
    for (name, (alpha, beta)), color in zip(corners.items(), ANCHOR_COLOURS, strict=True):
        if low < alpha < high:
            ax.scatter(alpha, beta, s=90, color=color, edgecolor="k", zorder=3)
            ax.annotate(name, (alpha, beta), ha="center", va="center", fontsize=8, zorder=4)
    ax.set(xlabel="α, along AB", ylabel="β, towards C", xlim=(low, high), ylim=(high, low), aspect="equal")
    return ax


def reach(picture: xr.Dataset) -> tuple[float, float]:
    """Ends of either axis, half a cell beyond the first and last point.

    Args:
        picture: A plane.
    """
    alpha = picture["alpha"].values
    half = float(alpha[1] - alpha[0]) / 2
    return float(alpha[0]) - half, float(alpha[-1]) + half


def colour_bar(ax: Axes, image: Any, label: str) -> Axes:
    """A bar as high as the picture beside it.

    Args:
        ax: Where the picture is.
        image: What has the colours.
        label: What they are, with their unit.
    """
    ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0.0, 0.05, 1.0)), label=label)
    return ax


def check_one_plane(picture: xr.Dataset, variable: str) -> None:
    """Refuse several models, or a plane that is a line.

    Args:
        picture: The plane.
        variable: What is to be drawn of it.

    Raises:
        ValueError: It is no one plane.
    """
    check_dataset(picture, ("alpha", "beta", "c_alpha", "c_beta"), "picture", "srtoolkit.slice_plane")
    sizes = {name: picture[variable].sizes.get(name, 1) for name in ("alpha", "beta")}
    if "model" in picture[variable].dims or min(sizes.values()) < 2:
        raise ValueError(
            f"picture: {variable} has dims {dict(picture[variable].sizes)}; expected one model's plane, of two points "
            "or more a side. Take one model with .isel(model=0)."
        )


def key_beside(ax: Axes, entries: Sequence[Patch], title: str) -> None:
    """A legend to the right of a picture.

    Args:
        ax: Where the picture is.
        entries: Colours with their names.
        title: What the colours are.
    """
    ax.legend(
        handles=entries, title=title, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, alignment="left"
    )
