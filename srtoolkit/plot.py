"""Pictures: every function takes results and, if wished, Axes to draw on, and returns the Axes. None keeps state.

Colours are seaborn's colour-blind-safe palette; the paper's digitised values are always black and dashed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, NullLocator

from srtoolkit import reference
from srtoolkit.canvas import PALETTE, SIZE, axes_or_new
from srtoolkit.flip_plots import flip_histogram, flips_around_jump, flips_by_block
from srtoolkit.region_plots import dendrogram, estimates, prompt_map, tokens_around_jump
from srtoolkit.slice_plots import (
    ANCHOR_COLOURS,
    gate_boundaries,
    gate_crossings,
    margin,
    plane,
    plane_strip,
    regions,
    tokens,
)

__all__ = [
    "ANCHOR_COLOURS",
    "PALETTE",
    "SIZE",
    "curves",
    "dendrogram",
    "estimates",
    "flip_histogram",
    "flips_around_jump",
    "flips_by_block",
    "gate_boundaries",
    "gate_crossings",
    "growth",
    "margin",
    "median_curve",
    "medians",
    "plane",
    "plane_strip",
    "prompt_map",
    "regions",
    "scaling",
    "slope_against",
    "slope_histogram",
    "tokens",
    "tokens_around_jump",
]

_AXIS_LABELS = {
    "relative_distance": "relative distance d(α) / d(1)",
    "relative_distance_resid": "relative distance before the final norm",
    "distance": "distance d(α), L2 after the final norm",
    "distance_resid": "distance, L2 before the final norm",
    "kl": "KL divergence from A's prediction (nats)",
    "jsd": "Jensen-Shannon divergence from A's prediction (nats)",
    "logit_difference": "normalised logit difference",
    "top_probability": "probability of the top token",
    "max_slope": "largest slope of d(α) / d(1)",
    "jump_at": "α of the steepest step",
    "width_10_90": "width of the jump, 10% to 90% (α)",
    "plateau_fraction": "share of the path on a plateau",
    "jumps": "number of jumps",
    "input_distance": "|A − B|, L2",
    "d1": "d(1), L2 after the final norm",
    "token_change_at": "α where the top token stops being A's",
    "from_mean": "output's distance from the mean output",
}


def curves(dataset: xr.Dataset, of: str = "relative_distance", ax: Axes | None = None, **line: Any) -> Axes:
    """Every pair's curve over alpha, named in the legend when there are at most twelve.

    Args:
        dataset: From :func:`srtoolkit.interpolate`.
        of: The variable to draw.
        ax: Where to draw; a new figure by default.
        line: Passed to matplotlib.
    """
    ax = axes_or_new(ax)
    named = dataset.sizes["pair"] <= 12
    for index, label in enumerate(dataset["pair"].values):
        style = (
            {"color": PALETTE[index % len(PALETTE)], "label": str(label)}
            if named
            else {"color": "0.3", "alpha": 0.15, "lw": 0.7}
        )
        ax.plot(dataset["alpha"], dataset[of].isel(pair=index), **{**style, **line})
    return _along_alpha(ax, of, legend=named)


def median_curve(
    dataset: xr.Dataset | Mapping[str, xr.Dataset],
    of: str = "relative_distance",
    ax: Axes | None = None,
    paper: str | None = None,
    straight: bool = True,
) -> Axes:
    """Pointwise median over pairs with a band from the first to the third quartile; the paper's Figs. 3, 4, 23 and 24.

    Args:
        dataset: One result, or several by name.
        of: The variable to draw.
        ax: Where to draw; a new figure by default.
        paper: One of the paper's models, whose digitised median curve (Fig. 3) is drawn beside.
        straight: Draw the straight line, too: what a network without regions would do.
    """
    ax = axes_or_new(ax)
    results = _by_name(dataset)
    for index, (name, result) in enumerate(results.items()):
        values = result[of].isel(pair=np.flatnonzero(~result["degenerate"].values)).values
        low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
        color = PALETTE[index % len(PALETTE)]
        ax.fill_between(result["alpha"], low, high, color=color, alpha=0.18, lw=0)
        ax.plot(result["alpha"], middle, color=color, label=name or "median, quartiles")
    if paper is not None:
        digitised = reference.janiak2024()["digitised"]
        ax.plot(
            digitised["alpha"],
            digitised["fig3_median_curve"][paper],
            "k--",
            marker="o",
            ms=3,
            lw=1,
            label=f"paper: {paper}",
        )
    if straight:
        ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, zorder=0)
    return _along_alpha(ax, of)


def slope_histogram(
    sharp: xr.Dataset | Mapping[str, xr.Dataset],
    ax: Axes | None = None,
    paper: bool = False,
    bins: int = 40,
    log: bool = False,
) -> Axes:
    """How many pairs have which maximum slope; the paper's Fig. 26.

    Args:
        sharp: One result of :func:`srtoolkit.sharpness`, or several by name.
        ax: Where to draw; a new figure by default.
        paper: Mark the quartiles of the paper's Fig. 26 (Qwen2-0.5B, 30 steps).
        bins: Number of bins over the range of all results together.
        log: Count on a logarithmic axis, for results of very different width.
    """
    ax = axes_or_new(ax)
    results = _by_name(sharp)
    slopes = {name: result["max_slope"].values[~result["excluded"].values] for name, result in results.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(slopes.values())), bins).tolist()
    for index, (name, values) in enumerate(slopes.items()):
        label = f"{name + ': ' if name else ''}median {np.median(values):.2f}"
        ax.hist(values, edges, color=PALETTE[index % len(PALETTE)], alpha=0.65, label=label, log=log)
    if paper:
        quartiles = reference.janiak2024()["digitised"]["fig26_max_slope_Qwen2-0.5B_30_steps_9999_pairs"]
        for name, style in (("q25", ":"), ("q50", "--"), ("q75", ":")):
            label = f"paper: Qwen2-0.5B, median {quartiles[name]:.2f} and quartiles" if name == "q50" else "_quartile"
            ax.axvline(quartiles[name], color="k", ls=style, lw=1, label=label)
    ax.set(xlabel=_AXIS_LABELS["max_slope"], ylabel="pairs")
    ax.legend(loc="upper right", framealpha=1, edgecolor="none")
    return ax


def slope_against(sharp: xr.Dataset, x: str, ax: Axes | None = None, of: str = "max_slope", **points: Any) -> Axes:
    """One dot a pair: a sharpness measure against any other variable of the pair.

    Args:
        sharp: From :func:`srtoolkit.sharpness`.
        x: The variable on the horizontal axis.
        ax: Where to draw; a new figure by default.
        of: The variable on the vertical axis.
        points: Passed to matplotlib.
    """
    ax = axes_or_new(ax)
    ax.scatter(sharp[x], sharp[of], **{"s": 12, "alpha": 0.6, "color": PALETTE[0], "lw": 0, **points})
    ax.set(xlabel=_AXIS_LABELS.get(x, x), ylabel=_AXIS_LABELS.get(of, of))
    return ax


def medians(
    summaries: Mapping[Any, xr.Dataset],
    xlabel: str,
    ax: Axes | None = None,
    label: str | None = None,
    **line: Any,
) -> Axes:
    """Median of a quantity with its quartiles, for several settings; the paper's Figs. 3c and 4c.

    Args:
        summaries: One quantity of a :func:`srtoolkit.summarise` result, as ``.sel(quantity="max_slope")`` picks it, by
            setting: numbers make a line, names make columns.
        xlabel: What the settings are, with their unit.
        ax: Where to draw; a new figure by default.
        label: Of the line, in the legend.
        line: Passed to matplotlib.
    """
    ax = axes_or_new(ax)
    rows = list(summaries.values())
    middle, low, high = (np.array([float(row[name]) for row in rows]) for name in ("median", "q25", "q75"))
    numeric = all(isinstance(setting, int | float) for setting in summaries)
    style = {"fmt": "o-" if numeric else "o", "capsize": 3, "color": PALETTE[0], "label": label, **line}
    ax.errorbar(list(summaries), middle, yerr=[middle - low, high - middle], **style)
    quantity = str(rows[0]["quantity"].item())
    ax.set(xlabel=xlabel, ylabel=f"{_AXIS_LABELS.get(quantity, quantity)}\n(median, quartiles)")
    if label:
        ax.legend(frameon=False)
    return ax


def growth(
    series: Mapping[str, Mapping[float | int, xr.Dataset]], ax: Axes | None = None, paper: bool = True, **line: Any
) -> Axes:
    """Median of a quantity with its quartiles against tokens of training, on a logarithmic axis; the paper's Fig. 4c.

    Args:
        series: By model, and then by tokens: one quantity of a :func:`srtoolkit.summarise` result.
        ax: Where to draw; a new figure by default.
        paper: Draw the paper's OLMo-1B and OLMo-7B beside.
        line: Passed to matplotlib.
    """
    ax = axes_or_new(ax)
    for index, (label, summaries) in enumerate(series.items()):
        medians(summaries, "tokens of training", ax, label, **{"color": PALETTE[index], "ms": 4, **line})
    if paper:
        digitised = reference.janiak2024()["digitised"]["fig4c_median_max_slope_by_tokens_b"]
        for (name, points), marker in zip(digitised.items(), "os", strict=True):
            tokens = [1e9 * float(billions) for billions in points]
            ax.plot(tokens, list(points.values()), "k--", marker=marker, ms=3, lw=1, label=f"paper: {name}")
        ax.legend(frameon=False)
    seen = [tokens for summaries in series.values() for tokens in summaries if tokens > 0]
    ax.set_xscale("symlog", linthresh=min(seen), linscale=0.5)  # the untrained model has seen 0 tokens
    decades = [10.0**power for power in range(3, 14) if 10.0**power >= min(seen) / 3]
    steps = (1, 3) if max(seen) < 100 * min(seen) and not paper else (1,)
    ax.xaxis.set_major_locator(FixedLocator([0.0, *(step * decade for decade in decades for step in steps)]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    return ax


def scaling(
    series: Mapping[str, Mapping[float | int, xr.Dataset]], ax: Axes | None = None, paper: bool = True, **line: Any
) -> Axes:
    """Median of a quantity with its quartiles against the number of parameters; the paper's Fig. 3c.

    Args:
        series: By family, and then by number of parameters: one quantity of a :func:`srtoolkit.summarise` result.
        ax: Where to draw; a new figure by default.
        paper: Draw the paper's OLMo and Qwen2 beside.
        line: Passed to matplotlib.
    """
    ax = axes_or_new(ax)
    for index, (label, summaries) in enumerate(series.items()):
        medians(summaries, "parameters", ax, label, **{"color": PALETTE[index], "ms": 5, **line})
    if paper:
        models = reference.janiak2024()["models"]
        quartiles = reference.janiak2024()["digitised"]["fig3c_max_slope_q25_q50_q75"]
        for family, marker in (("OLMo", "o"), ("Qwen2", "s")):
            names = [name for name in quartiles if name.startswith(family)]
            sizes = [1e9 * models[name]["params_b"] for name in names]
            low, middle, high = np.array([quartiles[name] for name in names]).T
            style: dict[str, Any] = {"fmt": "k--", "marker": marker, "ms": 3, "lw": 1, "capsize": 3}
            ax.errorbar(sizes, middle, yerr=[middle - low, high - middle], label=f"paper: {family}", **style)
        ax.legend(frameon=False)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if paper else (1.0, 3.0)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    return ax


def _by_name(results: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    # A Dataset is a mapping itself, of its variables.
    return {"": results} if isinstance(results, xr.Dataset) else dict(results)


def _along_alpha(ax: Axes, of: str, legend: bool = True) -> Axes:
    ax.set(xlabel="α, from A (0) to B (1)", ylabel=_AXIS_LABELS.get(of, of), xlim=(0, 1))
    if legend:
        ax.legend(frameon=False)
    return ax
