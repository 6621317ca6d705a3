"""What all pictures share: one palette, one size, and new Axes where none are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes

from srtoolkit.validation import check_dataset, listed

#: seaborn's palette that the colour-blind can tell apart.
PALETTE = sns.color_palette("colorblind")

#: Width and height of a single picture, in inches, at which a notebook shows text in its natural size.
SIZE = (6.4, 3.8)

#: What a variable is called on an axis, with its unit.
AXIS_LABELS = {
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


def axes_or_new(ax: Axes | None, size: tuple[float, float] = SIZE) -> Axes:
    """The Axes given, or those of a new figure.

    Args:
        ax: Where to draw, if anywhere yet.
        size: Of a new figure, in inches.
    """
    return ax if ax is not None else plt.subplots(figsize=size, layout="constrained")[1]


def colour(index: int) -> tuple[float, float, float]:
    """The colour of the nth thing drawn; the palette begins again where it ends.

    Args:
        index: The number of the thing, from 0.
    """
    return PALETTE[index % len(PALETTE)]


def by_name(results: Any, variables: Sequence[str], source: str) -> dict[str, xr.Dataset]:
    """One result, or several by name, each of which holds some variables.

    Args:
        results: A Dataset or a mapping of them.
        variables: The variables that each must hold.
        source: What makes them, for messages.

    Raises:
        TypeError: No Dataset, nor a mapping of them.
        ValueError: No results, or a variable that one lacks.
    """
    # A Dataset is a mapping itself, of its variables.
    named = {"": results} if isinstance(results, xr.Dataset) else results
    if not isinstance(named, Mapping):
        raise TypeError(f"expected results of {source}, one or several by name, got {type(results).__name__}.")
    if not named:
        raise ValueError(f"there is nothing to draw: no results of {source} were given.")
    return {
        str(name): check_dataset(result, variables, str(name) or "result", source) for name, result in named.items()
    }


def label_each(labels: Any, count: int, what: str) -> list[str]:
    """As many labels as there are things to name, as strings.

    Args:
        labels: A list of them.
        count: How many there must be.
        what: The argument's name.

    Raises:
        ValueError: Another number of labels.
    """
    found = None if isinstance(labels, str) else listed(labels)
    if found is None or len(found) != count:
        got = str(labels)[:80] if found is None else f"{len(found)} of them"
        raise ValueError(f"{what}: expected one for each of {count}, in a list, got {got}.")
    return [str(label) for label in found]


def legend(ax: Axes, **style: Any) -> None:
    """A legend, where there is anything that has a name.

    Args:
        ax: Where to draw.
        style: Passed to matplotlib.
    """
    if ax.get_legend_handles_labels()[0]:
        ax.legend(**style)


def nanquartiles(values: np.ndarray) -> np.ndarray:
    """First quartile, median and third quartile down the rows, NaN where a column has no finite value.

    Args:
        values: One row a pair.
    """
    known = np.where(np.isfinite(values), values.astype(np.float64), np.nan)
    empty = np.isnan(known).all(axis=0)
    found = np.full((3, known.shape[1]), np.nan)
    if not empty.all():
        found[:, ~empty] = np.nanquantile(known[:, ~empty], [0.25, 0.5, 0.75], axis=0)
    return found
