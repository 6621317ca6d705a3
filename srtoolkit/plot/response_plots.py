"""Responses to a push: how they rise with its size, and how far it goes around the circle of two directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from srtoolkit.analysis.responses import SCALES, SHARE, first_boundary
from srtoolkit.plot.colours import Palette, group_colours, named
from srtoolkit.plot.style import axes_or_new, by_name, colour, legend, nanquartiles
from srtoolkit.validation import check_variable

#: Exponents whose lines are drawn for comparison: name, p, line.
NORMS = (("p = 1", 1.0, ":"), ("p = 2, a quadratic form", 2.0, "-"), ("p = 4", 4.0, "--"), ("p = ∞", np.inf, "-."))

_LABELS = {
    "distance": "output's distance from where it was, L2",
    "distance_resid": "output's distance before the final norm, L2",
    "kl": "KL divergence from the prediction (nats)",
    "jsd": "Jensen-Shannon divergence (nats)",
    "hellinger": "Hellinger distance of the predictions",
}


def response(
    responses: xr.Dataset | Mapping[str, xr.Dataset],
    of: str = "distance",
    *,
    ax: Axes | None = None,
    color: Any = None,
    palette: Palette | None = None,
    label: str | None = None,
    band: bool = True,
) -> Axes:
    """How far the output moves by the size of the push: median and quartiles over prompts and directions.

    Both axes are logarithmic, so that a straight line is a power, and of slope 1 a response in proportion. A dotted
    line, where there is a scale, is half the median distance between outputs of different prompts.

    Args:
        responses: From :func:`srtoolkit.perturb`; one result, or several by name.
        of: The response to draw.
        ax: Where to draw; a new figure by default.
        color: One colour for all, as matplotlib takes it; by default the next ones of the Axes' property cycle, so that
            a call for each group on the same Axes gives each its own.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each name.
        label: What a single result is called in the legend.
        band: Draw the quartiles.
    """
    results = named(by_name(responses, ("size",), "srtoolkit.perturb"), label)
    ax = axes_or_new(ax)
    colours = group_colours(ax, list(results), color, palette)
    for index, (name, result) in enumerate(results.items()):
        values = check_variable(result, of, ("prompt", "direction", "size"), "of").values
        low, middle, high = nanquartiles(values.reshape(-1, values.shape[-1]))
        if band:
            ax.fill_between(result["size"], low, high, color=colours[index], alpha=0.18, lw=0)
        ax.plot(result["size"], middle, color=colours[index], lw=2, label=name or None)
    first = next(iter(results.values()))
    if SCALES.get(of) in first and np.isfinite(first[SCALES[of]]).any():
        half = SHARE * float(np.nanmedian(first[SCALES[of]]))
        ax.axhline(half, color="0.5", lw=0.9, ls=":", label="half of the way to other prompts' outputs")
    ax.set(xscale="log", yscale="log", ylabel=_LABELS.get(of, of))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())
    ax.set_xlabel("size of the push" + (" (norms of the activation)" if first.attrs.get("unit") == "norm" else ""))
    legend(ax, frameon=False, fontsize="small")
    return ax


def contour(
    result: xr.Dataset,
    first: str,
    second: str,
    *,
    of: str = "distance",
    at: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How far a push along ``cos t u + sin t v`` goes until the output has moved so far: median and quartiles.

    Of each prompt, either axis is in units of how far a push along that direction alone goes, the mean of both its
    signs. Then a quadratic form without cross terms is the circle, and with a larger p the contour bulges towards the
    corners: mixtures need a larger push.

    Args:
        result: From :func:`srtoolkit.perturb` along :func:`srtoolkit.directions.mixtures`.
        first: Name of ``u``.
        second: Name of ``v``.
        of: The response that must reach the threshold.
        at: The threshold, as :func:`srtoolkit.first_boundary` takes it.
        ax: Where to draw; a new figure by default.

    Raises:
        ValueError: These two were not mixed.
    """
    boundary = first_boundary(result, of, at=at)
    known = [name for name in ("first", "second", "angle") if name in boundary]
    chosen = (boundary["first"] == first) & (boundary["second"] == second) if len(known) == 3 else np.zeros(1, bool)
    if not np.any(chosen):
        raise ValueError(f"first={first!r}, second={second!r}: no mixtures of these two in this result.")
    part = boundary.isel(direction=np.flatnonzero(chosen)).sortby("angle")
    angle, reach = part["angle"].values, part["boundary"].values
    reach = np.where(np.isfinite(reach), reach, np.nan)
    axes_of = [np.abs(np.cos(angle)) > 1 - 1e-9, np.abs(np.sin(angle)) > 1 - 1e-9]
    scale = [reach[:, where].mean(axis=1, keepdims=True) for where in axes_of]
    places = np.stack([reach * np.cos(angle) / scale[0], reach * np.sin(angle) / scale[1]])  # axis, prompt, angle
    radius, turn = np.hypot(*places), np.unwrap(np.arctan2(places[1], places[0]), axis=-1)
    low, middle, high = nanquartiles(radius)
    around = np.nanmedian(turn, axis=0)
    ring = np.append(np.arange(len(angle)), 0)
    ax = axes_or_new(ax, (5.2, 4.6))
    fine = np.linspace(0, 2 * np.pi, 721)
    for name, p, line in NORMS:
        length = 1 / np.linalg.norm(np.stack([np.cos(fine), np.sin(fine)]), p, axis=0)
        ax.plot(length * np.cos(fine), length * np.sin(fine), color="0.6", ls=line, lw=0.9, label=name)
    for row in (low, high):
        ax.plot((row * np.cos(around))[ring], (row * np.sin(around))[ring], color=colour(0), lw=0.7, alpha=0.6)
    ax.plot((middle * np.cos(around))[ring], (middle * np.sin(around))[ring], "o-", color=colour(0), label="measured")
    ax.set_aspect("equal")
    ax.set(xlabel=f"push along {first}", ylabel=f"push along {second}")
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax
