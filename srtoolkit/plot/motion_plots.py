"""How outputs move along their own paths: their speed along alpha, and one dot a pair for its peak and its calm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from srtoolkit.analysis.bootstrap import USUAL, Bootstrap, summarise
from srtoolkit.plot.colours import Palette, group_colours, named
from srtoolkit.plot.style import axes_or_new, by_name, label_ends, nanquartiles, shades
from srtoolkit.validation import check_names, check_variable

#: The distance of the output from that one point before, by read point.
STEPS = {"final_norm": "step", "resid": "step_resid", "logits": "step_hellinger"}

#: Groups of dots differ in shape as well as in colour.
MARKERS = "os^DvP"


def peak_against_calm(
    motions: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    ax: Axes | None = None,
    bootstrap: Bootstrap = USUAL,
    color: Any = None,
    palette: Palette | None = None,
) -> Axes:
    """Largest speed of the output against its mean speed near the path's ends, one dot a pair; even motion has 1 and 1.

    Stable regions are in the upper left corner: the output is slow at both ends, and fast between. Large marks are
    medians, with the bootstrap's interval along either axis.

    Args:
        motions: From :func:`srtoolkit.motion`; one result, or several by name, such as a model's and its nulls'.
        ax: Where to draw; a new figure by default.
        bootstrap: How intervals are made.
        color: One colour for all, as matplotlib takes it; by default the next ones of the Axes' property cycle.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each name.
    """
    results = by_name(motions, ("peak", "calm_a", "calm_b", "excluded"), "srtoolkit.motion")
    ax = axes_or_new(ax, (7.2, 5.0))
    colours = group_colours(ax, list(results), color, palette)
    left, top, bottom = 0.0, 2.0, 1.0
    for index, (name, result) in enumerate(results.items()):
        both = result.assign(calm=(result["calm_a"] + result["calm_b"]) / 2)
        kept = both.isel(pair=np.flatnonzero(~both["excluded"].values.astype(bool)))
        style: dict[str, Any] = {"marker": MARKERS[index % len(MARKERS)], "color": colours[index]}
        ax.scatter(kept["calm"], kept["peak"], s=13, alpha=0.35, lw=0, zorder=2, **style)
        if not kept.sizes["pair"]:
            ax.plot([], [], ls="", label=f"{name or 'pairs'}: no pairs", **style)
            continue
        middle = summarise(both, ("calm", "peak"), bootstrap=bootstrap)
        _median_mark(ax, middle, f"{name}, " if name else "", style)
        left = max(left, float(kept["calm"].max()))
        top, bottom = max(top, float(kept["peak"].max())), min(bottom, float(kept["peak"].min()))
    ax.set(xlim=(0, max(1.3, 1.05 * left)), ylim=(0.9 * bottom, 1.35 * top), yscale="log")
    ax.yaxis.set_major_locator(FixedLocator([0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100]))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    _name_corners(ax)
    ax.set(
        xlabel="calm: mean speed in the first and last tenth of the path (even motion: 1)",
        ylabel="peak: largest speed on the path\n(even motion: 1)",
    )
    title = f"medians [{bootstrap.level:.0%} intervals]"
    below: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.13)}
    ax.legend(title=title, frameon=False, fontsize="small", alignment="left", **below)
    return ax


def speed(
    curves: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    reads: str = "final_norm",
    ordered: bool = False,
    ax: Axes | None = None,
    color: Any = None,
    palette: Palette | None = None,
    label: str | None = None,
    band: bool = True,
) -> Axes:
    """Speed of the output along its own path, ``|dF / dalpha|`` over its length: median and quartiles over pairs.

    Even motion has 1 everywhere. A stable region at either end shows as slow, fast, slow.

    Args:
        curves: From :func:`srtoolkit.interpolate`; one result, or several by name.
        reads: Which output: ``"final_norm"``, ``"resid"``, or ``"logits"`` for next-token probabilities, whose steps
            are Hellinger distances.
        ordered: The results have an order, such as checkpoints: colours go from dark to light, and only the first and
            the last have a band of quartiles.
        ax: Where to draw; a new figure by default.
        color: One colour for all, as matplotlib takes it; by default the next ones of the Axes' property cycle, so that
            a call for each group on the same Axes gives each its own.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each name.
        label: What a single result is called at the end of its line.
        band: Draw the quartiles.
    """
    (reads,) = check_names(reads, STEPS, "reads")
    results = named(by_name(curves, ("alpha", "degenerate", STEPS[reads]), "srtoolkit.interpolate"), label)
    for result in results.values():
        check_variable(result, STEPS[reads], ("pair", "alpha"), "reads")
    ax = axes_or_new(ax)
    in_order = ordered and color is None and palette is None
    colours = shades(len(results)) if in_order else group_colours(ax, list(results), color, palette)
    top = 1.0
    for index, (name, result) in enumerate(results.items()):
        low, middle, high = nanquartiles(speeds(result, STEPS[reads]))
        alphas = result["alpha"].values.astype(np.float64)
        places = (alphas[1:] + alphas[:-1]) / 2
        if band and (not ordered or index in (0, len(results) - 1)):
            ax.fill_between(places, low, high, color=colours[index], alpha=0.15, lw=0)
            top = max(top, 1.05 * np.nanmax(high, initial=0))
        ax.plot(places, middle, color=colours[index], label=name or None)
    ax.axhline(1, color="0.5", lw=0.9, ls=":", zorder=0)
    shown = "median, quartiles" if band else "median"
    ax.set(xlabel="α, from A (0) to B (1)", ylabel=f"speed of the output\n({shown})")
    ax.set(xlim=(0, 1), ylim=(0, max(top, ax.get_ylim()[1])))  # axes that share a scale have that of both
    label_ends(ax, {**_ends_of_lines(ax), "even motion": (1.0, "0.4")})
    return ax


def _ends_of_lines(ax: Axes) -> dict[str, tuple[float, Any]]:
    """Where every named line on the Axes ends, those of earlier calls too, and its colour."""
    lines = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
    heights = {str(line.get_label()): np.asarray(line.get_ydata(), np.float64)[-1:] for line in lines}
    colours = {str(line.get_label()): line.get_color() for line in lines}
    return {name: (float(end[0]), colours[name]) for name, end in heights.items() if end.size}


def speeds(curves: xr.Dataset, step: str) -> Float[np.ndarray, "pair step"]:
    """Speed on every step of every path that moves, over the mean of its path; even motion has 1.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
        step: The variable that holds the distances from one point to the next.
    """
    kept = ~curves["degenerate"].values.astype(bool)
    if "rounded" in curves:
        kept &= ~curves["rounded"].values.astype(bool)
    steps = curves[step].transpose("pair", "alpha").values[kept, 1:].astype(np.float64)
    alphas = curves["alpha"].values.astype(np.float64)
    length = steps.sum(axis=1, keepdims=True)
    moves = np.isfinite(length[:, 0]) & (length[:, 0] > 0)
    return steps[moves] / length[moves] / np.diff(alphas) * (alphas[-1] - alphas[0])


def _median_mark(ax: Axes, middle: xr.Dataset, name: str, style: dict[str, Any]) -> None:
    """Both medians with their intervals as a cross under a large mark."""
    calm, peak = (middle.sel(quantity=quantity) for quantity in ("calm", "peak"))
    x, y = float(calm["median"]), float(peak["median"])
    for width, shade in ((4.5, "w"), (2.5, style["color"])):
        line: dict[str, Any] = {"color": shade, "lw": width, "solid_capstyle": "butt", "zorder": 4}
        ax.plot([float(calm["low"]), float(calm["high"])], [y, y], label="_calm", **line)
        ax.plot([x, x], [float(peak["low"]), float(peak["high"])], label="_peak", **line)
    counted = f"n = {int(peak['n'])}" + (f", {left} left out" if (left := int(peak["excluded"])) else "")
    interval = f"[{float(peak['low']):.2f}, {float(peak['high']):.2f}]"
    label = f"{name}peak {y:.2f} {interval}, calm {x:.2f} ({counted})"
    ax.plot(x, y, ls="", ms=11, mec="w", mew=1.3, zorder=5, label=label, **style)


def _name_corners(ax: Axes) -> None:
    """The lines of even motion, and what the corner of stable regions is."""
    top = ax.get_ylim()[1]
    ax.axhline(1, color="0.5", lw=0.9, ls=":", zorder=1)
    ax.axvline(1, color="0.5", lw=0.9, ls=":", zorder=1)
    ax.fill_between([0, 1], 1, top, color="0.955", lw=0, zorder=0)
    words: dict[str, Any] = {"color": "0.35", "fontsize": "small", "zorder": 3}
    ax.text(0.02, 0.975, "stable regions:\nslow at both ends,\nfast between", transform=ax.transAxes, va="top", **words)
    ax.annotate("even motion", (1, 1), (6, 4), textcoords="offset points", va="bottom", **words)
