"""Pictures of polytopes along paths: results in, Axes out. All of them are :mod:`srtoolkit.plot.curve_plots`'s, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from srtoolkit import reference
from srtoolkit.plot.colours import Palette, group_colours
from srtoolkit.plot.style import axes_or_new, by_name, nanquartiles
from srtoolkit.validation import former_spellings


@former_spellings("ax", "paper")
def flip_histogram(
    results: Mapping[str, xr.Dataset],
    *,
    ax: Axes | None = None,
    paper: bool = False,
    color: Any = None,
    palette: Palette | None = None,
) -> Axes:
    """How many pairs have which share of a block's gates on different sides at the path's ends; the paper's Fig. 25.

    Args:
        results: By name, :func:`srtoolkit.count_gate_flips` results of one block each, as ``.sel(block=[29])`` picks
            it.
        ax: Where to draw; a new figure by default.
        paper: Mark the paper's median and quartiles (Qwen2-0.5B, 4,864 gates a block).
        color: One colour for all, as matplotlib takes it; by default the next ones of the Axes' property cycle, so that
            a call for each group on the same Axes gives each its own.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each name.
    """
    results = by_name(results, ("ends_differ", "gates"), "srtoolkit.count_gate_flips")
    shares = {name: _share_flipped(result) for name, result in results.items()}
    ax = axes_or_new(ax)
    edges = np.histogram_bin_edges(np.concatenate(list(shares.values())), 30).tolist()
    colours = group_colours(ax, list(results), color, palette)
    for index, (name, values) in enumerate(shares.items()):
        middle = f"median {np.median(values):.2f}" if len(values) else "no pairs"
        ax.hist(values, edges, color=colours[index], alpha=0.6, label=f"{name}: {middle}")
    if paper:
        counts = reference.janiak2024()["digitised"]["fig25_gate_flips_Qwen2-0.5B_of_4864"]
        for quantile, style in (("q25", ":"), ("q50", "--"), ("q75", ":")):
            label = f"paper: Qwen2-0.5B, median {counts['q50'] / 4864:.2f} and quartiles"
            ax.axvline(
                counts[quantile] / 4864, 0, 0.7, color="k", ls=style, lw=1, label=label if style == "--" else "_"
            )
    ax.set(xlabel="share of the block's gates whose sign differs between A and B", ylabel="pairs")
    ax.set_ylim(top=1.4 * ax.get_ylim()[1])  # room for the legend
    ax.legend(loc="upper right", frameon=False)
    return ax


@former_spellings("ax")
def flips_by_block(
    results: Mapping[str, xr.Dataset], *, ax: Axes | None = None, color: Any = None, palette: Palette | None = None
) -> Axes:
    """Sign changes of a gate on the whole path, block by block, and what its two ends alone show (dashed); medians.

    Args:
        results: By name, from :func:`srtoolkit.count_gate_flips`.
        ax: Where to draw; a new figure by default.
        color: One colour for all, as matplotlib takes it; by default the next ones of the Axes' property cycle, so that
            a call for each group on the same Axes gives each its own.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each name.
    """
    results = by_name(results, ("flips", "ends_differ", "gates", "block"), "srtoolkit.count_gate_flips")
    for name, result in results.items():
        if result["block"].ndim != 1 or not result.sizes.get("pair"):
            raise ValueError(
                f"{name}: expected flips of some pairs and blocks; take one with .sel(block=[...]), a list."
            )
    ax = axes_or_new(ax)
    colours = group_colours(ax, list(results), color, palette)
    for index, (name, result) in enumerate(results.items()):
        for counts, style, what in (
            (result["flips"].sum("alpha"), "-", "whole path"),
            (result["ends_differ"], "--", "ends only"),
        ):
            share = (counts / result["gates"]).median("pair")
            ax.plot(result["block"], share, style, color=colours[index], marker=".", label=f"{name}, {what}")
    ax.set(xlabel="block (0: first)", ylabel="sign changes a gate\n(median over pairs)")
    ax.set_ylim(0, 1.3 * ax.get_ylim()[1])  # room for the legend
    ax.legend(loc="upper left", frameon=False, ncols=min(len(results), 3))
    return ax


@former_spellings("ax")
def flips_around_jump(
    results: Mapping[str, xr.Dataset], *, ax: Axes | None = None, color: Any = None, palette: Palette | None = None
) -> Axes:
    """Gate flips around the fastest step, median and quartiles over pairs, with the output's speed in black.

    Args:
        results: By name, from :func:`srtoolkit.around_jumps`; the first one's speed is drawn.
        ax: Where to draw; a new figure by default.
        color: One colour for all, as matplotlib takes it; by default the next ones of the Axes' property cycle, so that
            a call for each group on the same Axes gives each its own.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each name.
    """
    results = by_name(results, ("flips", "slope", "offset", "excluded"), "srtoolkit.around_jumps")
    ax = axes_or_new(ax)
    colours = group_colours(ax, list(results), color, palette)
    first = next(iter(results.values()))
    lines: list[tuple[str, xr.Dataset, str, Any]] = [("speed of the output", first, "slope", "k")]
    lines += [(name, result, "flips", colours[index]) for index, (name, result) in enumerate(results.items())]
    for name, result, of, shade in lines:
        kept = result[of].isel(pair=np.flatnonzero(~result["excluded"].values.astype(bool))).transpose("pair", "offset")
        enough = np.isfinite(kept.values).sum(axis=0) >= max(1, len(kept) / 2)  # elsewhere most paths have ended
        low, middle, high = nanquartiles(kept.values[:, enough])
        offsets = kept["offset"].values[enough]
        ax.fill_between(offsets, low, high, color=shade, alpha=0.15, lw=0)
        ax.plot(offsets, middle, color=shade, ls="--" if of == "slope" else "-", label=name)
    ax.axhline(1, color="0.6", lw=0.8, zorder=0)
    ax.set(xlabel="α less that of the fastest step", ylabel="times the mean over the path\n(median, quartiles)")
    if len(offsets) > 1:
        ax.set_xlim(offsets[0], offsets[-1])
    ax.legend(loc="upper left", frameon=False)
    return ax


def _share_flipped(flips: xr.Dataset) -> np.ndarray:
    """Share of one block's gates whose sign differs between a path's ends, of each pair."""
    if flips.sizes.get("block", 1) != 1:
        raise ValueError(f"flips of {flips.sizes['block']} blocks; take one, with .sel(block=[{flips['block'][-1]}]).")
    return (flips["ends_differ"] / flips["gates"]).values.reshape(-1)
