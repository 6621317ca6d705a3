"""The picture of a map for a file, a slide or a saved notebook: what the page draws, drawn by matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from srtoolkit.panels.map.widget import MapPicture
from srtoolkit.panels.parts.picture import DPI
from srtoolkit.panels.parts.text import drawable

_INK = "0.25"

#: Prompts up to which each has its word beside its dot; of more, only the path's two have, for words would hide dots.
NAMED = 40


def still(shown: MapPicture) -> Figure:
    """The map, and the curve of the path that is picked.

    Args:
        shown: What the page shows.
    """
    figure = Figure((9.8, 5.3), dpi=DPI, facecolor="white")
    if not shown.dots:
        return figure
    map_, curve = figure.subplots(1, 2, width_ratios=(1.35, 1))
    figure.subplots_adjust(0.02, 0.14, 0.985, 0.82, wspace=0.16)
    heading = f"{drawable(shown.heading, 200)}\n{drawable(shown.path, 200)}"
    figure.text(0.012, 0.985, heading, va="top", fontsize=9.5)
    _map(map_, shown)
    _curve(curve, shown)
    handles, names = map_.get_legend_handles_labels()
    if len(names) > 1:
        where: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.005, 0.83), "borderaxespad": 0}
        figure.legend(handles, names, fontsize=8, frameon=False, ncols=9, **where)
    near = drawable(shown.near, 200).replace(". ", ".\n")
    figure.text(0.012, 0.02, near, fontsize=8.5)
    return figure


def _map(ax: Axes, shown: MapPicture) -> None:
    dots = shown.dots
    places = np.array([[dot["x"], dot["y"]] for dot in dots])
    tree = [places[[a, b]] for a, b, drawn in shown.edges if drawn]
    ax.add_collection(LineCollection(tree, colors="k", lw=0.8, alpha=0.4))
    for name in dict.fromkeys(dot["name"] for dot in dots):
        of = [index for index, dot in enumerate(dots) if dot["name"] == name]
        colours = [dots[index]["colour"] or _INK for index in of]
        label = drawable(name, 24)
        style = {"c": colours, "marker": dots[of[0]]["marker"], "lw": 0}
        ax.scatter(places[of, 0], places[of, 1], 42 if len(dots) <= NAMED else 22, label=label, zorder=2, **style)
    middle = (places[:, 0].min() + places[:, 0].max()) / 2
    for index in range(len(dots)) if len(dots) <= NAMED else shown.picked:
        dot, place = dots[index], places[index]
        right = place[0] > middle  # words grow inwards, so that none leaves the picture
        at, side = (-5 if right else 5, 4), "right" if right else "left"
        ax.annotate(drawable(dot["word"], 14), place, at, textcoords="offset points", ha=side, fontsize=7.5)
    ax.plot(*places[shown.picked].T, "o--", ms=13, mfc="none", color="k", lw=1)
    ax.set_aspect("equal", "datalim")
    ax.margins(0.08)
    ax.set_axis_off()  # only distances mean anything


def _curve(ax: Axes, shown: MapPicture) -> None:
    curve = shown.curve
    ax.plot([0, 1], [0, 1], ":", color="0.5", label="a straight line")
    if curve["values"]:
        ax.plot(curve["alpha"], curve["values"], color="k", label="path picked")
    ax.set(xlim=(0, 1), ylim=(curve["low"], curve["high"]), xlabel="α, from A (0) to B (1)")
    ax.set_ylabel("relative distance d(α) / d(1)")
    ax.legend(frameon=False, loc="upper left")
