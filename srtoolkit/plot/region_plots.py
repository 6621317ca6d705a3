"""Pictures of regions: what is predicted around a boundary, which prompts share a region, and how these group."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from scipy.cluster.hierarchy import dendrogram as scipy_dendrogram

from srtoolkit.analysis.uneven import filled
from srtoolkit.plot.style import PALETTE, axes_or_new, label_each
from srtoolkit.validation import check_dataset, former_spellings

#: Dots on a map differ in shape where there are more classes than colours that all readers can tell apart.
MARKERS = "osD^vPX*<>"

#: Above this stress, distances on a map are a poor picture of the measured ones (Kruskal 1964, Psychometrika 29(1)).
FAIR_STRESS = 0.2


@former_spellings("ax")
def tokens_around_jump(curves: xr.Dataset, sharp: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Share of pairs whose likeliest next token is that at A, at B, or another, by the distance from the steepest step.

    All are predicted in A's context; the token at B need not be the one that B's own prompt predicts.

    Args:
        curves: From :func:`srtoolkit.interpolate`, with predictions.
        sharp: From :func:`srtoolkit.sharpness`, of the same pairs. Pairs whose ends predict the same are left out.
        ax: Where to draw; a new figure by default.
    """
    check_dataset(curves, ("top_token", "alpha"), "curves", "srtoolkit.interpolate with reads='logits'")
    check_dataset(sharp, ("jump_at", "excluded"), "sharp", "srtoolkit.sharpness")
    if curves.sizes["pair"] != sharp.sizes["pair"]:
        raise ValueError(f"curves have {curves.sizes['pair']} pairs, sharp has {sharp.sizes['pair']}; give the same.")
    ax = axes_or_new(ax)
    tokens, alphas = filled(curves)["top_token"].values, curves["alpha"].values
    differ = (tokens[:, 0] != tokens[:, -1]) & ~sharp["excluded"].values
    tokens, jump = tokens[differ], sharp["jump_at"].values[differ]
    edges = np.linspace(-0.4, 0.4, 21)
    place = np.digitize(alphas - jump[:, None], edges)
    is_a, is_b = (tokens == tokens[:, [end]] for end in (0, -1))
    for index, (label, chosen) in enumerate((("that at A", is_a), ("that at B", is_b), ("another", ~is_a & ~is_b))):
        share = [chosen[place == bin_].mean() if (place == bin_).any() else np.nan for bin_ in range(1, len(edges))]
        ax.plot((edges[1:] + edges[:-1]) / 2, share, "o-", ms=3, color=PALETTE[index], label=label)
    ax.axvline(0, color="0.7", lw=0.8, zorder=0)
    ax.set(xlabel="α less that of the steepest step", ylabel="share of pairs", ylim=(0, 1))
    ax.legend(title="most probable token", frameon=False)
    return ax


@former_spellings("ax")
def dendrogram(clusters: xr.Dataset, classes: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """The tree in which prompts join, with each prompt's class as a coloured dot below its leaf.

    Args:
        clusters: From :func:`srtoolkit.cluster`.
        classes: A class for each prompt.
        ax: Where to draw; a new figure by default.
    """
    check_dataset(clusters, ("linkage", "cluster"), "clusters", "srtoolkit.cluster")
    classes = label_each(classes, clusters.sizes["prompt"], "classes")
    ax = axes_or_new(ax, (11.0, 4.2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Attempting to set identical")  # where all join at height 0
        drawn = scipy_dendrogram(
            clusters["linkage"].values, ax=ax, no_labels=True, color_threshold=0, above_threshold_color="0.5"
        )
    names = list(dict.fromkeys(classes))
    leaves = np.array(classes)[drawn["leaves"]]
    low, high = clusters["linkage"][:, 2].min().item(), clusters["linkage"][:, 2].max().item()
    row = 0.045 * ((high - low) or abs(high) or 1.0)  # all may join at one height
    bottom = low - row * (len(names) + 1)
    ax.axhspan(bottom - row, low - 0.6 * row, color=ax.get_facecolor(), zorder=2.5)  # the stems end above the dots
    for index, name in enumerate(names):
        places = 10 * np.flatnonzero(leaves == name) + 5
        colour = PALETTE[index % len(PALETTE)]
        height = np.full(len(places), low - row * (index + 1))
        ax.plot(places, height, "s", ms=4.5, color=colour, label=name, zorder=3)
    ax.set(xlabel="prompts", ylabel=f"{clusters.attrs['clustered_by'].replace('_', ' ')} at which groups join")
    ax.set_ylim(bottom - row / 2, high + row / 2)
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high])
    ax.legend(frameon=False, fontsize=8, bbox_to_anchor=(1, 0.5), loc="center left")
    return ax


@former_spellings("ax")
def prompt_map(
    places: xr.DataArray, classes: Sequence[str], words: Sequence[str] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Prompts on a plane, coloured by class.

    Args:
        places: From :func:`srtoolkit.map_prompts`.
        classes: A class for each prompt.
        words: A short name for each prompt, written beside its dot.
        ax: Where to draw; a new figure by default.
    """
    if not isinstance(places, xr.DataArray) or not {"map_of", "stress"} <= set(places.attrs):
        raise TypeError(f"places: expected a DataArray from srtoolkit.map_prompts, got {type(places).__name__}.")
    classes = label_each(classes, len(places), "classes")
    words = None if words is None else label_each(words, len(places), "words")
    ax = axes_or_new(ax, (8.5, 6.5))
    labels = np.array(classes)
    for index, name in enumerate(dict.fromkeys(classes)):
        x, y = places.values[labels == name].T
        style = {"color": PALETTE[index % len(PALETTE)], "marker": MARKERS[index % len(MARKERS)]}
        ax.scatter(x, y, s=28, lw=0, label=name, **style)
    for word, (x, y) in zip(words if words is not None else [], places.values, strict=words is not None):
        ax.annotate(word, (x, y), xytext=(3, 3), textcoords="offset points", fontsize=6.5, color="0.35")
    ax.set_aspect("equal", "datalim")
    ax.set(xticks=[], yticks=[], frame_on=False)  # only distances mean anything
    unit, stress = places.attrs["map_of"].replace("_", " "), places.attrs["stress"]
    warning = ": the plane shows them badly" if stress > FAIR_STRESS else ""
    ax.set_xlabel(f"near on the map: small {unit} between prompts (stress {stress:.2f}{warning})")
    ax.legend(frameon=False, fontsize=8, bbox_to_anchor=(1, 0.5), loc="center left")
    return ax
