"""Curves of single pairs, their median, and their slopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from srtoolkit import reference
from srtoolkit.analysis.uneven import filled
from srtoolkit.plot.colours import Palette, group_colours, named
from srtoolkit.plot.style import AXIS_LABELS, PALETTE, axes_or_new, by_name, legend, nanquartiles, shades
from srtoolkit.validation import check_dataset, check_names, check_variable, check_whole, former_spellings


@former_spellings("ax")
def curves(
    dataset: xr.Dataset,
    of: str = "relative_distance",
    *,
    ax: Axes | None = None,
    color: Any = None,
    palette: Palette | None = None,
    **line: Any,
) -> Axes:
    """Every pair's curve over alpha, named in the legend when there are at most twelve.

    Args:
        dataset: From :func:`srtoolkit.interpolate`.
        of: The variable to draw.
        ax: Where to draw; a new figure by default.
        color: One colour for all pairs; by default each of up to twelve has its own, the next of the property cycle.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each pair's label.
        line: Passed to matplotlib.
    """
    check_dataset(dataset, ("alpha", "pair"), "dataset", "srtoolkit.interpolate")
    check_variable(dataset, of, ("pair", "alpha"), "of")
    dataset = filled(dataset)
    ax = axes_or_new(ax)
    labels = [str(label) for label in dataset["pair"].values]
    few = len(labels) <= 12
    chosen = "0.3" if color is None and palette is None and not few else color
    shown = group_colours(ax, labels, chosen, palette)
    for index, label in enumerate(labels):
        style = {"label": label} if few else {"alpha": 0.15, "lw": 0.7}
        ax.plot(dataset["alpha"], dataset[of].isel(pair=index), **{"color": shown[index], **style, **line})
    return _along_alpha(ax, of, few)


@former_spellings("ax", "paper", "straight")
def median_curve(
    dataset: xr.Dataset | Mapping[str, xr.Dataset],
    of: str = "relative_distance",
    *,
    ax: Axes | None = None,
    paper: str | None = None,
    straight: bool = True,
    ordered: bool = False,
    color: Any = None,
    palette: Palette | None = None,
    label: str | None = None,
    band: bool = True,
) -> Axes:
    """Pointwise median over pairs with a band from the first to the third quartile; the paper's Figs. 3, 4, 23 and 24.

    Args:
        dataset: One result, or several by name.
        of: The variable to draw.
        ax: Where to draw; a new figure by default.
        paper: One of the paper's models, whose digitised median curve (Fig. 3) is drawn beside.
        straight: Draw the straight line, too: what a network without regions would do.
        ordered: The results have an order, such as checkpoints: colours go from dark to light, and only the first
            and the last have a band.
        color: One colour for all, as matplotlib takes it; by default the next ones of the Axes' property cycle, so that
            a call for each group on the same Axes gives each its own.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each name.
        label: What a single result is called in the legend. One pair has a curve, and no median, by default.
        band: Draw the quartiles.
    """
    results = named(by_name(dataset, ("alpha", "degenerate"), "srtoolkit.interpolate"), label)
    models = reference.janiak2024()["digitised"]["fig3_median_curve"]
    if paper is not None:
        check_names(paper, models, "paper")
    for result in results.values():
        check_variable(result, of, ("pair", "alpha"), "of")
    ax = axes_or_new(ax)
    in_order = ordered and color is None and palette is None
    colours = shades(len(results)) if in_order else group_colours(ax, list(results), color, palette)
    for index, (name, result) in enumerate(results.items()):
        values = result[of].isel(pair=np.flatnonzero(~result["degenerate"].values.astype(bool))).values
        low, middle, high = nanquartiles(values)
        spread = band and len(values) > 1
        if spread and (not ordered or index in (0, len(results) - 1)):
            ax.fill_between(result["alpha"], low, high, color=colours[index], alpha=0.18, lw=0)
        what = "curve of one pair" if len(values) == 1 else "median, quartiles" if spread else "median"
        ax.plot(result["alpha"], middle, color=colours[index], label=name or what)
    if paper is not None:
        ax.plot(
            reference.janiak2024()["digitised"]["alpha"],
            models[paper],
            "k--",
            marker="o",
            ms=3,
            lw=1,
            label=f"paper: {paper}",
        )
    if straight:
        ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, zorder=0)
    return _along_alpha(ax, of)


@former_spellings("ax", "paper", "bins", "log")
def slope_histogram(
    sharp: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    ax: Axes | None = None,
    paper: bool = False,
    bins: int = 40,
    log: bool = False,
    color: Any = None,
    palette: Palette | None = None,
    label: str | None = None,
) -> Axes:
    """How many pairs have which maximum slope; the paper's Fig. 26.

    Args:
        sharp: One result of :func:`srtoolkit.sharpness`, or several by name.
        ax: Where to draw; a new figure by default.
        paper: Mark the quartiles of the paper's Fig. 26 (Qwen2-0.5B, 30 steps).
        bins: Number of bins over the range of all results together.
        log: Count on a logarithmic axis, for results of very different width.
        color: One colour for all, as matplotlib takes it; by default the next ones of the Axes' property cycle, so that
            a call for each group on the same Axes gives each its own.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each name.
        label: What a single result is called in the legend, before its median.
    """
    results, bins = (
        named(by_name(sharp, ("max_slope", "excluded"), "srtoolkit.sharpness"), label),
        check_whole(bins, "bins", 1, 10**4),
    )
    ax = axes_or_new(ax)
    slopes = {name: _finite(result["max_slope"].where(~result["excluded"])) for name, result in results.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(slopes.values())), bins).tolist()
    colours = group_colours(ax, list(results), color, palette)
    for index, (name, values) in enumerate(slopes.items()):
        middle = f"median {np.median(values):.2f}" if len(values) else "no pairs"
        text = f"{name + ': ' if name else ''}{middle}"
        ax.hist(values, edges, color=colours[index], alpha=0.65, label=text, log=log)
    if paper:
        marks = reference.janiak2024()["digitised"]["fig26_max_slope_Qwen2-0.5B_30_steps_9999_pairs"]
        for name, style in (("q25", ":"), ("q50", "--"), ("q75", ":")):
            text = f"paper: Qwen2-0.5B, median {marks[name]:.2f} and quartiles" if name == "q50" else "_quartile"
            ax.axvline(marks[name], color="k", ls=style, lw=1, label=text)
    ax.set(xlabel=AXIS_LABELS["max_slope"], ylabel="pairs")
    ax.legend(loc="upper right", framealpha=1, edgecolor="none")
    return ax


@former_spellings("ax", "of")
def slope_against(sharp: xr.Dataset, x: str, *, of: str = "max_slope", ax: Axes | None = None, **points: Any) -> Axes:
    """One dot a pair: a sharpness measure against any other variable of the pair.

    Args:
        sharp: From :func:`srtoolkit.sharpness`.
        x: The variable on the horizontal axis.
        of: The variable on the vertical axis.
        ax: Where to draw; a new figure by default.
        points: Passed to matplotlib.
    """
    check_dataset(sharp, (), "sharp", "srtoolkit.sharpness")
    for name, what in ((x, "x"), (of, "of")):
        check_variable(sharp, name, ("pair",), what)
    ax = axes_or_new(ax)
    ax.scatter(sharp[x], sharp[of], **{"s": 12, "alpha": 0.6, "color": PALETTE[0], "lw": 0, **points})
    ax.set(xlabel=AXIS_LABELS.get(x, x), ylabel=AXIS_LABELS.get(of, of))
    return ax


def _finite(values: xr.DataArray) -> np.ndarray:
    numbers = values.values.astype(np.float64).ravel()
    return numbers[np.isfinite(numbers)]


def _along_alpha(ax: Axes, of: str, named: bool = True) -> Axes:
    ax.set(xlabel="α, from A (0) to B (1)", ylabel=AXIS_LABELS.get(of, of), xlim=(0, 1))
    if named:
        legend(ax, frameon=False)
    return ax
