"""What a map tells of its prompts: dots, lines and words."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool
from matplotlib.colors import to_hex
from scipy.sparse.csgraph import minimum_spanning_tree

from srtoolkit.analysis.regions import path_matrix
from srtoolkit.panels.parts.text import shorten
from srtoolkit.plot.region_plots import MARKERS
from srtoolkit.plot.slice_plots import TOKEN_COLOURS

#: Colour of prompts that are a component of their own.
LONE = "#999999"


def heading(result: xr.Dataset, graph: xr.Dataset, threshold: float) -> str:
    """What was measured, and what groups there are.

    Args:
        result: Of the panel.
        graph: From :func:`srtoolkit.region_graph`.
        threshold: Speed above which an output jumps.
    """
    count = int(graph["components"])
    return (
        f"{result.sizes['prompt']} prompts on {result.attrs['model']}, after block {result.attrs['layer']}; "
        f"at threshold {threshold:.1f}, {count} component{'s' * (count > 1)}, the largest of "
        f"{int(graph['largest'])}; {float(graph['density']):.0%} of pairs without a jump"
    )


def near(result: xr.Dataset) -> str:
    """What it means that two prompts are near each other, and how well the plane shows it.

    Args:
        result: Of the panel.
    """
    about = result["place"].attrs
    return (
        f"Near on the map: small {about['map_of'].replace('_', ' ')} between prompts (stress {about['stress']:.2f}, "
        f"a {about['fit']} fit). Lines: no jump lies between; a tree for each group."
    )


def dots(result: xr.Dataset, by_class: bool) -> list[dict[str, Any]]:
    """What is drawn of each prompt: shapes are classes, colours classes or components.

    Args:
        result: Of the panel.
        by_class: Whether colours are classes.
    """
    names = list(dict.fromkeys(result["classes"].values.tolist()))
    component = result["component"].values
    sizes = np.bincount(component)
    found = []
    rows = zip(result["place"]["text"].values, result["place"].values, result["classes"].values, component, strict=True)
    for text, (x, y), name, group in rows:
        number = names.index(name) if by_class else int(group)
        colour = to_hex(TOKEN_COLOURS[number % len(TOKEN_COLOURS)]) if by_class or sizes[group] > 1 else LONE
        word = shorten((str(text).split() or [str(text)])[-1], 14)
        marker = MARKERS[names.index(name) % len(MARKERS)]
        about = {"text": str(text), "word": word, "name": str(name), "marker": marker, "colour": colour}
        found.append({"x": float(x), "y": float(y), **about})
    return found


def edges(result: xr.Dataset, edge: Bool[np.ndarray, "prompt other"]) -> list[list[int]]:
    """Pairs of prompts without a jump, each with 1 where it is in its group's tree of least peak speeds, else 0.

    Args:
        result: Of the panel.
        edge: Whether there is no jump between two prompts, from :func:`srtoolkit.region_graph`.
    """
    peaks = np.nan_to_num(path_matrix(result).values, nan=0.0, posinf=0.0) + 1.0  # 0 would be no edge to scipy
    tree = minimum_spanning_tree(np.where(edge, peaks, 0.0)).toarray() > 0
    tree |= tree.T
    return [[int(a), int(b), int(tree[a, b])] for a, b in zip(*np.nonzero(np.triu(edge, 1)), strict=True)]
